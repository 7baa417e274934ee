/* SPDX-License-Identifier: MIT */
/* Planner input from specs. */
#include "orchestrator/plan/from_spec.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/*
 * The language's table says what a change needs at least. A running machine cannot do all of it in
 * place: what it cannot costs a reboot, which is said before it is done.
 */
static const struct {
	const char *field; /* or what it starts with, followed by '.' or '[' */
	enum plan_class class;
} abilities[] = {
	{ "ports", PLAN_CLASS_LIVE },
	{ "mounts", PLAN_CLASS_LIVE },
	{ "networks", PLAN_CLASS_LIVE },
	{ "hosts", PLAN_CLASS_LIVE },
	{ "dns", PLAN_CLASS_LIVE },
	{ "resources.memory", PLAN_CLASS_LIVE }, /* up to a reserve: plan_live.c */
	{ "resources.cpus", PLAN_CLASS_LIVE },
	{ "resources.pids", PLAN_CLASS_LIVE },
	{ "resources.shm", PLAN_CLASS_LIVE },
	{ "stop", PLAN_CLASS_LIVE },
	{ "health", PLAN_CLASS_LIVE },
	{ "hooks", PLAN_CLASS_LIVE },
	{ "restart", PLAN_CLASS_LIVE },
	{ "logging", PLAN_CLASS_LIVE },
	{ "watch", PLAN_CLASS_LIVE },
	{ "sockets", PLAN_CLASS_LIVE },
	/* Processes run under an init of ours, so that even the only one starts again in place. */
	{ "command", PLAN_CLASS_PROCESS },
	{ "entrypoint", PLAN_CLASS_PROCESS },
	{ "env", PLAN_CLASS_PROCESS },
	{ "user", PLAN_CLASS_PROCESS },
	{ "working_dir", PLAN_CLASS_PROCESS },
	{ "tty", PLAN_CLASS_PROCESS },
	{ "stdin", PLAN_CLASS_PROCESS },
	{ "ulimits", PLAN_CLASS_PROCESS },
	{ "capabilities", PLAN_CLASS_PROCESS },
	{ "groups", PLAN_CLASS_PROCESS },
	{ "seccomp", PLAN_CLASS_PROCESS },
	{ "no_new_privileges", PLAN_CLASS_PROCESS },
	{ "depends_on", PLAN_CLASS_NONE }, /* looked up when it is started */
	{ "pull", PLAN_CLASS_NONE },
	{ "resources.disk", PLAN_CLASS_RECREATE },
};

static bool field_is(const char *field, const char *name)
{
	size_t length = strlen(name);

	return strncmp(field, name, length) == 0 &&
	       (!field[length] || field[length] == '.' || field[length] == '[');
}

enum plan_class class_now(const char *field, enum spec_class of_table)
{
	enum plan_class costs = PLAN_CLASS_VM;

	if (of_table == SPEC_CLASS_NONE)
		return PLAN_CLASS_NONE;
	if (of_table == SPEC_CLASS_DATA)
		return PLAN_CLASS_DATA;
	if (of_table == SPEC_CLASS_RECREATE)
		return PLAN_CLASS_RECREATE;
	if (of_table == SPEC_CLASS_LIVE && (field_is(field, "files") || field_is(field, "secrets")))
		return PLAN_CLASS_LIVE;
	for (size_t i = 0; i < ARRAY_SIZE(abilities); i++)
		if (field_is(field, abilities[i].field))
			costs = abilities[i].class;
	return costs;
}

static int compare_container(const void *key, const void *item)
{
	return strcmp(key, ((const struct desired_container *)item)->name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct desired_container *)a)->name,
		      ((const struct desired_container *)b)->name);
}

static struct desired_container *find_container(const struct desired *d, const char *name)
{
	return d->container_count ? bsearch(name, d->containers, d->container_count,
					    sizeof(*d->containers), compare_container)
				  : NULL;
}

static struct desired_network *find_network(const struct desired *d, const char *name)
{
	for (size_t i = 0; i < d->network_count; i++)
		if (strcmp(d->networks[i].name, name) == 0)
			return &d->networks[i];
	return NULL;
}

static void add_change(struct plan_change **changes, size_t *count, const char *field,
		       const struct spec_change *c, enum plan_class class)
{
	struct plan_change *to;

	*changes = xreallocarray(*changes, *count + 1, sizeof(**changes));
	to = &(*changes)[(*count)++];
	*to = (struct plan_change){
		.field = xstrdup(field),
		.old_text = xstrdup_null(c->old_text),
		.new_text = xstrdup_null(c->new_text),
		.class = class,
		.pos = c->pos,
	};
}

/* A network that moves takes its containers with it: they get new addresses. One that leads out
 * now, or not any more, changes their routes. */
static void move_containers(struct desired *d, const struct spec_change *change)
{
	AUTO_FREE char *field = xasprintf("network %s %s", change->name, change->field);

	for (size_t i = 0; i < d->container_count; i++) {
		struct desired_container *c = &d->containers[i];

		if (strlist_has(&c->networks, change->name))
			add_change(&c->changes, &c->change_count, field, change, PLAN_CLASS_LIVE);
	}
}

static void network_change(struct desired *d, const struct spec_change *change)
{
	struct desired_network *n = find_network(d, change->name);

	if (!n || !*change->field)
		return;
	add_change(&n->changes, &n->change_count, change->field, change,
		   change->change_class == SPEC_CLASS_NONE ? PLAN_CLASS_NONE : PLAN_CLASS_LIVE);
	if (field_is(change->field, "subnet") || field_is(change->field, "egress"))
		move_containers(d, change);
}

/* A process is part of its container's machine. */
static void process_change(struct desired *d, const struct spec_change *change)
{
	enum plan_class costs = change->change_class == SPEC_CLASS_LIVE   ? PLAN_CLASS_LIVE
				: change->change_class == SPEC_CLASS_NONE ? PLAN_CLASS_NONE
									  : PLAN_CLASS_PROCESS;
	struct desired_container *c = find_container(d, change->container);
	AUTO_FREE char *field = xasprintf("processes.%s%s%s", change->name,
					  *change->field ? "." : "", change->field);

	if (c)
		add_change(&c->changes, &c->change_count, field, change, costs);
}

static void on_change(void *arg, const struct spec_change *change)
{
	struct desired *d = arg;
	struct desired_container *c;

	if (strcmp(change->object, "network") == 0) {
		network_change(d, change);
	} else if (strcmp(change->object, "process") == 0) {
		process_change(d, change);
	} else if (strcmp(change->object, "container") == 0 && *change->field) {
		c = find_container(d, change->name);
		if (c)
			add_change(&c->changes, &c->change_count, change->field, change,
				   class_now(change->field, change->change_class));
	}
}

static void add_ports(const struct spec_container *c, struct strlist *out)
{
	for (size_t i = 0; i < c->ports.count; i++) {
		const struct spec_port *p = &c->ports.items[i];

		if (p->host.value)
			strlist_printf(out, "%s:%lld/%s",
				       p->address.text ? p->address.text : "127.0.0.1",
				       (long long)p->host.value,
				       spec_protocol_name((enum spec_protocol)p->protocol.value));
	}
}

static void add_volumes(const struct spec_container *c, struct strlist *out)
{
	for (size_t i = 0; i < c->mounts.count; i++) {
		const struct spec_mount *m = &c->mounts.items[i];

		if (m->type.value == SPEC_MOUNT_VOLUME && !strlist_has(out, m->source.text))
			strlist_add(out, m->source.text);
	}
}

static void add_names(const struct spec_container *c, struct strlist *networks,
		      struct strlist *depends_on, struct strlist *host_ports)
{
	for (size_t i = 0; i < c->networks.count; i++)
		strlist_add(networks, c->networks.items[i].o.name);
	for (size_t i = 0; i < c->depends_on.count; i++)
		strlist_add(depends_on, c->depends_on.items[i].o.name);
	add_ports(c, host_ports);
}

/* A value that may be shown nowhere, and content that is too long to be. */
static void add_content_change(struct desired_container *c, const char *field,
			       struct source_pos pos)
{
	const struct spec_change change = {
		.old_text = "(changed)",
		.new_text = "(changed)",
		.pos = pos,
	};

	/* It is written anew in the running container; what has read the old one starts again. */
	add_change(&c->changes, &c->change_count, field, &change, PLAN_CLASS_PROCESS);
}

/* What lies behind the names of files and secrets; the names themselves are compared with the
 * spec. */
static void find_content_changes(struct desired *d, const struct environment *env,
				 const struct environment *applied,
				 const struct desired_facts *facts)
{
	for (size_t i = 0; facts->content_differs && i < d->container_count; i++) {
		struct desired_container *to = &d->containers[i];
		const struct spec_container *c = environment_container(env, to->name);
		const struct spec_container *was = environment_container(applied, to->name);

		for (size_t n = 0; was && n < c->files.count; n++) {
			const struct spec_file_ref *ref = &c->files.items[n];
			AUTO_FREE char *field = xasprintf("files[%s].content", ref->file.text);

			if (facts->content_differs(facts->arg, to->name, "files", ref->file.text))
				add_content_change(to, field, ref->o.at.pos);
		}
		for (size_t n = 0; was && n < c->secrets.count; n++) {
			const struct spec_secret_ref *ref = &c->secrets.items[n];
			AUTO_FREE char *field = xasprintf("secrets[%s].value", ref->secret.text);

			if (facts->content_differs(facts->arg, to->name, "secrets",
						   ref->secret.text))
				add_content_change(to, field, ref->o.at.pos);
		}
	}
}

static bool wants_secret(const struct desired *d, const char *name)
{
	for (size_t i = 0; i < d->container_count; i++)
		if (d->containers[i].selected && strlist_has(&d->containers[i].secrets, name))
			return true;
	return false;
}

static char *secret_source(const struct spec_secret *s)
{
	static const char *const formats[] = { [SPEC_FORMAT_HEX] = "hex",
					       [SPEC_FORMAT_BASE64] = "base64",
					       [SPEC_FORMAT_ALPHANUMERIC] = "alphanumeric" };

	if (!s->generate.o.at.is_set)
		return xstrdup("asked for on the terminal");
	return xasprintf("%lld random bytes, %s", (long long)s->generate.bytes.value,
			 formats[s->generate.format.value]);
}

/* Those to make; what a container reads from the host is there already. */
static void add_secrets(struct desired *d, const struct environment *env,
			const struct desired_facts *facts)
{
	d->secrets = xcalloc(env->secrets.count + 1, sizeof(*d->secrets));
	for (size_t i = 0; i < env->secrets.count; i++) {
		const struct spec_secret *s = &env->secrets.items[i];
		bool is_kept = s->generate.o.at.is_set || (s->prompt.at.is_set && s->prompt.value);

		if (is_kept && wants_secret(d, s->o.name) && facts->has_secret &&
		    !facts->has_secret(facts->arg, s->o.name))
			d->secrets[d->secret_count++] = (struct desired_secret){
				.name = xstrdup(s->o.name),
				.what = secret_source(s),
				.pos = s->o.at.pos,
			};
	}
}

static bool is_first(const struct spec_container *c, size_t index)
{
	const struct spec_mount *m = &c->mounts.items[index];

	for (size_t i = 0; i < index; i++) {
		const struct spec_mount *other = &c->mounts.items[i];

		if (other->type.value == m->type.value && other->source.text &&
		    strcmp(other->source.text, m->source.text) == 0 &&
		    (m->type.value == SPEC_MOUNT_VOLUME || other->access.value == m->access.value))
			return false;
	}
	return true;
}

/* What of it takes a port of its machine, besides the two disks that each has. */
static size_t count_devices(const struct spec_container *c)
{
	size_t count = c->networks.count;

	for (size_t i = 0; i < c->mounts.count; i++)
		count += c->mounts.items[i].type.value != SPEC_MOUNT_TMPFS && is_first(c, i);
	return count;
}

static void add_container(struct desired *d, const struct spec_container *c,
			  const struct desired_facts *facts)
{
	struct desired_container *to = &d->containers[d->container_count++];
	const struct image_fact *image = facts->image ? facts->image(facts->arg, c) : NULL;

	*to = (struct desired_container){
		.name = xstrdup(c->o.name),
		.pos = c->o.at.pos,
		.selected = c->is_active && !d->is_selection,
		.image = xstrdup(c->image.text),
		.image_pinned = xstrdup_null(image ? image->pinned : NULL),
		.image_digest = xstrdup_null(image ? image->digest : NULL),
		.image_is_here = image && image->is_here,
		.download_known = image && image->download_known,
		.download_bytes = image ? image->download_bytes : 0,
		.memory_bytes = (uint64_t)c->resources.memory.value,
		.cpus = (unsigned)c->resources.cpus.value,
		.process_count = c->processes.count ? c->processes.count : 1,
		.device_count = count_devices(c),
		.restart_always = c->restart.policy.value == SPEC_RESTART_ALWAYS,
	};
	add_names(c, &to->networks, &to->depends_on, &to->host_ports);
	for (size_t i = 0; i < c->depends_on.count; i++)
		if (c->depends_on.items[i].condition.value == SPEC_CONDITION_STARTED)
			strlist_add(&to->depends_started, c->depends_on.items[i].o.name);
	for (size_t i = 0; i < c->secrets.count; i++)
		strlist_add(&to->secrets, c->secrets.items[i].secret.text);
	add_volumes(c, &to->volumes);
}

/* What somebody waits for to end, however it ends. */
static void mark_awaited(struct desired *d, const struct environment *env)
{
	for (size_t i = 0; i < env->containers.count; i++) {
		const struct spec_dependencies *deps = &env->containers.items[i].depends_on;

		for (size_t n = 0; n < deps->count; n++) {
			struct desired_container *c = find_container(d, deps->items[n].o.name);

			if (c && deps->items[n].condition.value == SPEC_CONDITION_EXITED)
				c->may_fail = true;
		}
	}
}

static bool is_used(const struct desired *d, const char *network)
{
	for (size_t i = 0; i < d->container_count; i++)
		if (strlist_has(&d->containers[i].networks, network))
			return true;
	return false;
}

static void add_networks(struct desired *d, const struct environment *env)
{
	d->networks = xcalloc(env->networks.count + 1, sizeof(*d->networks));
	for (size_t i = 0; i < env->networks.count; i++) {
		const struct spec_network *n = &env->networks.items[i];

		if (is_used(d, n->o.name))
			d->networks[d->network_count++] = (struct desired_network){
				.name = xstrdup(n->o.name),
				.subnet = xstrdup_null(n->subnet.text),
				.pos = n->o.at.pos,
			};
	}
}

static void add_used_volumes(struct desired *d, const struct environment *env)
{
	d->volumes = xcalloc(env->volumes.count + 1, sizeof(*d->volumes));
	for (size_t i = 0; i < env->volumes.count; i++) {
		const struct spec_volume *v = &env->volumes.items[i];
		bool used = false;

		for (size_t c = 0; c < d->container_count; c++)
			used = used || strlist_has(&d->containers[c].volumes, v->o.name);
		if (used)
			d->volumes[d->volume_count++] = (struct desired_volume){
				.name = xstrdup(v->o.name),
				.size_bytes = (uint64_t)v->size.value,
				.protect = v->protect.value,
				.pos = v->o.at.pos,
				.size_pos = v->size.at.pos,
				.protect_pos = v->protect.at.pos,
			};
	}
}

/* A container and all it depends on. */
static void select_with_needs(struct desired *d, struct desired_container *c)
{
	if (c->selected)
		return;
	c->selected = true;
	for (size_t i = 0; i < c->depends_on.count; i++) {
		struct desired_container *need = find_container(d, c->depends_on.items[i]);

		if (need)
			select_with_needs(d, need);
	}
}

static int select_named(struct desired *d, const struct strlist *names, struct error *err)
{
	AUTO_STRLIST all = STRLIST_INIT;

	for (size_t i = 0; i < d->container_count; i++)
		strlist_add(&all, d->containers[i].name);
	for (size_t i = 0; i < names->count; i++) {
		struct desired_container *c = find_container(d, names->items[i]);
		const char *near;

		if (c) {
			select_with_needs(d, c);
			continue;
		}
		near = text_suggest(names->items[i], (const char *const *)all.items, all.count);
		return error_set(err, E_NOT_FOUND, "no container '%s' in '%s'%s%s%s",
				 names->items[i], d->source, near ? "; did you mean '" : "",
				 near ? near : "", near ? "'?" : "");
	}
	return 0;
}

int desired_from_spec(const struct environment *env, const struct environment *applied,
		      const struct desired_facts *facts, struct desired *ret, struct error *err)
{
	struct desired d = {
		.environment = xstrdup(env->name.text),
		.source = xstrdup(env->file ? env->file : "env.yaml"),
		.kernel = xstrdup_null(facts->kernel),
		.is_selection = facts->selected && facts->selected->count,
		.containers = xcalloc(env->containers.count + 1, sizeof(*d.containers)),
	};
	int r = 0;

	for (size_t i = 0; i < env->containers.count; i++)
		add_container(&d, &env->containers.items[i], facts);
	if (d.container_count)
		qsort(d.containers, d.container_count, sizeof(*d.containers), by_name);
	add_networks(&d, env);
	add_used_volumes(&d, env);
	mark_awaited(&d, env);
	if (d.is_selection)
		r = select_named(&d, facts->selected, err);
	if (r < 0) {
		desired_release(&d);
		return r;
	}
	add_secrets(&d, env, facts);
	if (applied) {
		if (applied != env)
			spec_diff(applied, env, on_change, &d);
		find_content_changes(&d, env, applied, facts);
	}
	*ret = d;
	return 0;
}

void observed_add_spec(struct observed *o, const struct environment *applied)
{
	for (size_t i = 0; i < o->container_count; i++) {
		struct observed_container *c = &o->containers[i];
		const struct spec_container *spec = environment_container(applied, c->name);

		if (spec)
			add_names(spec, &c->networks, &c->depends_on, &c->host_ports);
		if (spec)
			add_volumes(spec, &c->volumes);
		if (spec)
			c->device_count = count_devices(spec);
	}
}
