/* SPDX-License-Identifier: MIT */
/* From what the file says to a model in which nothing is left open. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/file.h"
#include "base/text.h"
#include "spec/model/model.h"

enum { FILE_CONTENT_MAX = 16 << 20 };

static size_t scalar_size(enum field_kind kind)
{
	if (kind == KIND_TEXT)
		return sizeof(struct spec_text);
	if (kind == KIND_FLAG)
		return sizeof(struct spec_flag);
	if (kind == KIND_CHOICE)
		return sizeof(struct spec_choice);
	return sizeof(struct spec_number);
}

/* What @from has and @into has not, field by field; both have scalars only. */
static void take_defaults(const struct object_type *type, void *into, const void *from)
{
	struct spec_object *o = into;
	const struct spec_object *other = from;
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		const struct spec_value *theirs = field_value(f, from);
		if (!theirs->is_set || field_value(f, into)->is_set)
			continue;
		size_t size = scalar_size(f->kind);
		memcpy(field_at(f, into), theirs, size);
	}
	if (!o->at.is_set)
		o->at = other->at;
}

static void apply_defaults(struct environment *env, const struct spec_resources *resources)
{
	const struct spec_defaults *from = &env->defaults;
	for (size_t i = 0; i < env->containers.count; i++) {
		struct spec_container *c = &env->containers.items[i];
		if (!c->pull.at.is_set)
			c->pull = from->pull;
		if (!c->platform.at.is_set)
			c->platform = from->platform;
		if (from->restart.o.at.is_set)
			take_defaults(&restart_type, &c->restart, &from->restart);
		if (from->stop.o.at.is_set)
			take_defaults(&stop_type, &c->stop, &from->stop);
		if (from->logging.o.at.is_set)
			take_defaults(&logging_type, &c->logging, &from->logging);
		bool says_shm = c->resources.shm.at.is_set;
		if (from->resources.o.at.is_set)
			take_defaults(&resources_type, &c->resources, &from->resources);
		if (resources)
			take_defaults(&resources_type, &c->resources, resources);
		/* A default is for the /dev/shm that is made, not for one that is mounted. */
		if (!says_shm && spec_container_mount(c, "/dev/shm"))
			c->resources.shm = (struct spec_number){ 0 };
	}
}

static void complete_mount(struct decode *d, struct spec_mount *m)
{
	bool is_host = m->type.value == SPEC_MOUNT_DIR || m->type.value == SPEC_MOUNT_FILE;
	if (!m->access.at.is_set) {
		bool is_own =
			m->type.value == SPEC_MOUNT_VOLUME || m->type.value == SPEC_MOUNT_TMPFS;
		m->access.at.is_set = true;
		m->access.value = is_own ? SPEC_ACCESS_RW : SPEC_ACCESS_RO;
	}
	if (is_host && m->source.at.is_set && m->source.text[0])
		m->source.text = host_path(d, m->source.at.pos, m->source.text);
	if (m->target.at.is_set && m->target.text[0] == '/')
		m->target.text = arena_take(d->arena, path_clean(m->target.text));
}

static void complete_socket(struct decode *d, struct spec_socket *s)
{
	if (s->host.at.is_set && s->host.text[0] && strcmp(s->host.text, SPEC_SSH_AGENT) != 0)
		s->host.text = host_path(d, s->host.at.pos, s->host.text);
	if (s->target.at.is_set && s->target.text[0] == '/')
		s->target.text = arena_take(d->arena, path_clean(s->target.text));
}

static void complete_secrets(struct decode *d, struct spec_container *c)
{
	for (size_t i = 0; i < c->secrets.count; i++) {
		struct spec_secret_ref *s = &c->secrets.items[i];
		if (s->target.at.is_set || s->env.at.is_set || !s->secret.at.is_set)
			continue;
		s->target.at.is_set = true;
		s->target.text = arena_printf(d->arena, "/run/secrets/%s", s->secret.text);
	}
}

static void complete_networks(struct decode *d, struct spec_container *c)
{
	/* An empty list says: none. */
	if (c->networks.at.is_set)
		return;
	c->networks.items = arena_alloc(d->arena, sizeof(*c->networks.items));
	c->networks.count = 1;
	c->networks.at.is_set = true;
	c->networks.items[0].o.at = (struct spec_value){ c->o.at.pos, true, false, false, 0 };
	c->networks.items[0].o.name = "default";
}

static void complete_health(struct spec_health *h, const struct spec_container *c)
{
	(void)c;
	/* A health that says nothing but a command is one: nothing to add. */
	if (h->notify.at.is_set && !h->notify.value)
		h->notify.at.is_set = false;
}

static bool is_asked_for(const struct spec_options *o, const struct spec_container *c)
{
	if (!c->profiles.count)
		return true;
	for (size_t i = 0; i < c->profiles.count; i++)
		for (size_t j = 0; j < o->profile_count; j++)
			if (strcmp(c->profiles.items[i].text, o->profiles[j]) == 0)
				return true;
	return false;
}

/* A bare name waits for healthy where there is a probe: that is what it is for. */
static void complete_conditions(struct environment *env, struct spec_container *c)
{
	for (size_t i = 0; i < c->depends_on.count; i++) {
		struct spec_dependency *dep = &c->depends_on.items[i];
		const struct spec_container *other = environment_container(env, dep->o.name);
		if (!dep->condition.at.pos.line && other && container_has_health(other))
			dep->condition.value = SPEC_CONDITION_HEALTHY;
	}
	for (size_t i = 0; i < c->processes.count; i++) {
		struct spec_process *p = &c->processes.items[i];
		for (size_t j = 0; j < p->depends_on.count; j++) {
			struct spec_dependency *dep = &p->depends_on.items[j];
			const struct spec_process *other = container_process(c, dep->o.name);
			if (dep->condition.at.pos.line || !other)
				continue;
			if (other->health.o.at.is_set)
				dep->condition.value = SPEC_CONDITION_HEALTHY;
			else if (other->kind.value == SPEC_PROCESS_TASK)
				dep->condition.value = SPEC_CONDITION_DONE;
		}
	}
}

static void complete_container(struct decode *d, const struct spec_options *o,
			       struct environment *env, struct spec_container *c)
{
	c->is_active = is_asked_for(o, c);
	if (!d->is_canonical)
		model_read_env_files(d, c);
	for (size_t i = 0; i < c->mounts.count; i++)
		complete_mount(d, &c->mounts.items[i]);
	for (size_t i = 0; i < c->sockets.count; i++)
		complete_socket(d, &c->sockets.items[i]);
	complete_secrets(d, c);
	complete_networks(d, c);
	complete_health(&c->health, c);
	for (size_t i = 0; i < c->processes.count; i++)
		complete_health(&c->processes.items[i].health, c);
	if (!d->is_canonical)
		complete_conditions(env, c);
}

const char *model_resolve(struct decode *d, const char *path)
{
	const struct spec_host *h = d->host;
	const char *real = map_get(&d->resolved, path);
	if (real)
		return real;
	char *found = h->real_path ? h->real_path(h->arg, path) : NULL;
	char *kept = found ? arena_take(d->arena, found) : arena_strdup(d->arena, path);
	(void)map_set(&d->resolved, path, kept);
	return kept;
}

/* What is read later is what was looked at now. */
static void resolve(struct decode *d, const struct spec_text *path, struct spec_text *ret)
{
	if (!path->at.is_set || d->is_canonical)
		return;
	const char *real = model_resolve(d, path->text);
	if (strcmp(real, path->text) == 0)
		return;
	ret->at.is_set = true;
	ret->at.pos = path->at.pos;
	ret->text = real;
}

static void complete_file(struct decode *d, struct spec_file *f)
{
	resolve(d, &f->source, &f->resolved);
	if (f->digest.at.is_set)
		return;
	AUTO_BUFFER text = BUFFER_INIT;
	if (f->content.at.is_set) {
		buffer_add_str(&text, f->content.text);
	} else {
		AUTO_ERROR err = ERROR_INIT;
		bool can_read = f->source.at.is_set && d->host->read;
		if (!can_read ||
		    d->host->read(d->host->arg, f->source.text, FILE_CONTENT_MAX, &text, &err) < 0)
			return;
	}
	char hex[65];
	sha256_hex(buffer_str(&text), text.size, hex);
	f->digest.at.is_set = true;
	f->digest.at.pos = f->o.at.pos;
	f->digest.text = arena_printf(d->arena, "sha256:%s", hex);
}

/* The implicit network is an object like the others if somebody joins it. */
static void add_default_network(struct decode *d, struct environment *env)
{
	bool is_joined = false;
	for (size_t i = 0; i < env->containers.count; i++)
		for (size_t j = 0; j < env->containers.items[i].networks.count; j++)
			is_joined = is_joined ||
				    str_equal(env->containers.items[i].networks.items[j].o.name,
					      "default");
	if (!is_joined || environment_network(env, "default"))
		return;
	size_t count = env->networks.count;
	struct spec_network *all = arena_array(d->arena, count + 1, sizeof(*all));
	size_t at = 0;
	while (at < count && strcmp(env->networks.items[at].o.name, "default") < 0)
		at++;
	if (at)
		memcpy(all, env->networks.items, at * sizeof(*all));
	if (count > at)
		memcpy(all + at + 1, env->networks.items + at, (count - at) * sizeof(*all));
	all[at].o.at.is_set = true;
	all[at].o.name = "default";
	env->networks.items = all;
	env->networks.count = count + 1;
	env->networks.at.is_set = true;
	decode_fill(d, &network_type, &all[at]);
}

/* A folder's name made into an environment's. */
static const char *folder_name(struct decode *d, const char *dir)
{
	const char *base = path_basename(dir);
	char *out = arena_strndup(d->arena, base, strnlen(base, 63));
	size_t n = 0;
	for (size_t i = 0; out[i]; i++) {
		char c = out[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!is_plain)
			c = '-';
		if (n || is_plain)
			out[n++] = c;
	}
	out[n] = 0;
	return n ? out : "env";
}

void model_complete(struct decode *d, const struct spec_options *o, struct environment *env)
{
	if (!env->name.at.is_set) {
		env->name.at.is_set = true;
		env->name.text = folder_name(d, env->dir);
	}
	apply_defaults(env, o->resources);
	decode_fill(d, &environment_type, env);
	for (size_t i = 0; i < env->networks.count; i++) {
		struct spec_egress_rule *e = &env->networks.items[i].egress;
		if (e->to.count && !e->mode.at.pos.line)
			e->mode.value = SPEC_EGRESS_LIST;
	}
	for (size_t i = 0; i < env->containers.count; i++)
		complete_container(d, o, env, &env->containers.items[i]);
	for (size_t i = 0; i < env->files.count; i++)
		complete_file(d, &env->files.items[i]);
	for (size_t i = 0; i < env->secrets.count; i++)
		resolve(d, &env->secrets.items[i].file, &env->secrets.items[i].resolved);
	add_default_network(d, env);
}
