/* SPDX-License-Identifier: MIT */
/* Rules about mounts: what is shared, and where it appears. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/map.h"
#include "base/text.h"
#include "spec/model/model.h"

enum { GIT_CONFIG_MAX = 1 << 20 };

/* Something that appears at a path inside. */
struct target {
	const char *path;
	struct source_pos pos;
	bool is_file;
};

static int compare_targets(const void *a, const void *b)
{
	const struct target *x = a, *y = b;
	int order = strcmp(x->path, y->path);
	if (order)
		return order;
	return x->pos.line != y->pos.line      ? (x->pos.line < y->pos.line ? -1 : 1)
	       : x->pos.column < y->pos.column ? -1
					       : x->pos.column > y->pos.column;
}

static void add_target(struct target *list, size_t *count, const struct spec_text *t, bool is_file)
{
	if (t->at.is_set && t->at.pos.line)
		list[(*count)++] = (struct target){ t->text, t->at.pos, is_file };
}

static void validate_targets(struct decode *d, const struct spec_container *c)
{
	size_t room = c->mounts.count + c->files.count + c->secrets.count + c->sockets.count,
	       count = 0;
	if (room < 2)
		return;
	AUTO_FREE struct target *list = xcalloc(room, sizeof(*list));
	for (size_t i = 0; i < c->mounts.count; i++)
		add_target(list, &count, &c->mounts.items[i].target,
			   c->mounts.items[i].type.value == SPEC_MOUNT_FILE);
	for (size_t i = 0; i < c->files.count; i++)
		add_target(list, &count, &c->files.items[i].target, true);
	for (size_t i = 0; i < c->secrets.count; i++)
		add_target(list, &count, &c->secrets.items[i].target, true);
	for (size_t i = 0; i < c->sockets.count; i++)
		if (c->sockets.items[i].direction.value == SPEC_DIRECTION_IN)
			add_target(list, &count, &c->sockets.items[i].target, true);
	qsort(list, count, sizeof(*list), compare_targets);
	for (size_t i = 1; i < count; i++) {
		const struct target *a = &list[i - 1], *b = &list[i];
		size_t n = strlen(a->path);
		bool is_same = strcmp(a->path, b->path) == 0;
		bool is_below =
			a->is_file && strncmp(a->path, b->path, n) == 0 && b->path[n] == '/';
		if (!is_same && !is_below)
			continue;
		struct diagnostic *e =
			is_same ? report(d->diags, "E406", b->pos, 1, "target \"%s\" is used twice",
					 shown(d, b->path))
				: report(d->diags, "E406", b->pos, 1,
					 "target \"%s\" is below the file \"%s\"",
					 shown(d, b->path), shown(d, a->path));
		report_other(e, a->pos, "the first one");
		report_help(e, "give each a target of its own");
	}
}

/* A container has one /dev/shm: ours, of the size it says, or its own. */
static void validate_shm(struct decode *d, const struct spec_container *c)
{
	const struct spec_mount *own = spec_container_mount(c, "/dev/shm");
	const struct spec_value *size = &c->resources.shm.at;
	if (!own || !size->is_set || !size->pos.line)
		return;
	struct diagnostic *e = report(d->diags, "E406", own->target.at.pos, 1,
				      "target \"/dev/shm\" is used twice");
	report_other(e, size->pos, "resources.shm makes a tmpfs of this size there");
	report_help(e, "remove one of them; a tmpfs among the mounts has a size of its own");
}

/* --- the source --- */

const char *host_path_forbidden(const char *path, const char *home)
{
	static const char *const system[] = { "/proc",
					      "/sys",
					      "/dev",
					      "/run/docker.sock",
					      "/var/run/docker.sock",
					      "/run/podman/podman.sock" };
	static const char *const personal[] = { ".ssh",
						".gnupg",
						".aws",
						".config/gcloud",
						".kube",
						".config/ctrz",
						".local/share/ctrz",
						".local/state/ctrz",
						".cache/ctrz" };
	if (str_equal(path, "/"))
		return "this is the whole host";
	for (size_t i = 0; i < ARRAY_SIZE(system); i++)
		if (path_is_below(path, system[i]))
			return "it gives power over the host";
	if (!home || str_equal(home, "/"))
		return NULL;
	if (path_is_below(home, path))
		return "this is your whole home folder";
	/* What ctrz wrote for a spec in git is that spec's project. */
	AUTO_FREE char *sources = path_join(home, ".local/share/ctrz/src");
	if (path_is_below(path, sources) && !str_equal(path, sources))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(personal); i++) {
		AUTO_FREE char *full = path_join(home, personal[i]);
		if (path_is_below(path, full))
			return "keys and credentials are in it";
	}
	return NULL;
}

/* The nearest folder above a missing path that is there. */
static char *existing_parent(struct decode *d, const char *path)
{
	char *at = path_dirname(path);
	while (strlen(at) > 1 && d->host->path(d->host->arg, at) == SPEC_PATH_MISSING) {
		char *up = path_dirname(at);
		free(at);
		at = up;
	}
	return at;
}

static void report_missing(struct decode *d, const struct spec_mount *m)
{
	struct diagnostic *e =
		report(d->diags, "E401", AT(m->source.at), "mount source \"%s\" does not exist",
		       shown(d, m->source.text));
	AUTO_FREE char *parent = existing_parent(d, m->source.text);
	report_help(e, "what is there of it: %s", parent);
	report_help(e, "make it: mkdir -p %s", m->source.text);
}

/* Where a value begins on its line, behind an anchor; NULL if that is not known. */
static const char *written_at(const struct source_pos *pos, const char *line, size_t size)
{
	const char *at = line, *end = line + size;

	for (unsigned column = 1; column < pos->column && at < end; column++)
		for (at++; at < end && ((unsigned char)*at & 0xc0) == 0x80; at++)
			;
	if (at < end && *at == '&')
		while (at < end && *at != ' ')
			at++;
	while (at < end && (*at == ' ' || *at == '"' || *at == '\''))
		at++;
	return at < end ? at : NULL;
}

/* Whether a path was written so that a reader sees it leads out: absolute or from home. */
static bool is_written_outside(const struct decode *d, const struct spec_mount *m)
{
	struct source *s = sources_find(d->sources, m->source.at.pos.file);
	size_t size = 0;
	const char *line = s ? source_line(s, m->source.at.pos.line, &size) : NULL;
	const char *at = line ? written_at(&m->source.at.pos, line, size) : NULL;

	return !at || *at == '/' || *at == '~' || *at == '$' || *at == '*';
}

static void validate_inside(struct decode *d, const struct environment *env,
			    const struct spec_mount *m, const char *real)
{
	if (is_written_outside(d, m))
		return;
	bool leads_out = !path_is_below(m->source.text, env->dir);
	if (!leads_out && (!real || path_is_below(real, env->dir)))
		return;
	struct diagnostic *e = report(d->diags, "E403", AT(m->source.at),
				      "mount source leads out of the project: %s",
				      leads_out ? m->source.text : real);
	report_help(e, "if that is wanted, write the absolute path, so that a reader sees it");
}

static void validate_kind(struct decode *d, const struct spec_mount *m)
{
	switch (d->host->path(d->host->arg, m->source.text)) {
	case SPEC_PATH_MISSING:
		if (m->create.value == SPEC_CREATE_NONE && !m->optional.value)
			report_missing(d, m);
		break;
	case SPEC_PATH_FILE:
		if (m->type.value == SPEC_MOUNT_DIR)
			report_help(report(d->diags, "E402", AT(m->source.at),
					   "mount source \"%s\" is a file",
					   shown(d, m->source.text)),
				    "write type: file, or mount the folder it is in");
		break;
	case SPEC_PATH_DIR:
		if (m->type.value == SPEC_MOUNT_FILE)
			report_help(report(d->diags, "E402", AT(m->source.at),
					   "mount source \"%s\" is a folder",
					   shown(d, m->source.text)),
				    "write type: dir");
		break;
	case SPEC_PATH_LOOP:
		report_help(report(d->diags, "E408", AT(m->source.at),
				   "mount source \"%s\" is a loop of symbolic links",
				   shown(d, m->source.text)),
			    "a link on its way leads back to itself: namei -l %s", m->source.text);
		break;
	case SPEC_PATH_DENIED:
		report_help(report(d->diags, "E401", AT(m->source.at),
				   "you may not read mount source \"%s\"",
				   shown(d, m->source.text)),
			    "see who may: namei -l %s", m->source.text);
		break;
	case SPEC_PATH_OTHER:
		report_help(report(d->diags, "E402", AT(m->source.at),
				   "mount source \"%s\" is neither a folder nor a file",
				   shown(d, m->source.text)),
			    "sockets, pipes and devices of the host are not shared");
		break;
	}
}

static bool has_credentials(const char *text)
{
	for (const char *at = text; (at = strstr(at, "://")); at += 3) {
		size_t n = strcspn(at + 3, "/ \t\r\n");
		const char *sign = memchr(at + 3, '@', n);
		if (sign && memchr(at + 3, ':', (size_t)(sign - at - 3)))
			return true;
	}
	return false;
}

static void validate_git(struct decode *d, const struct spec_mount *m)
{
	AUTO_FREE char *git = path_join(m->source.text, ".git");
	if (d->host->path(d->host->arg, git) == SPEC_PATH_MISSING)
		return;
	if (m->access.value == SPEC_ACCESS_RW && m->git.value == SPEC_GIT_RW)
		report_help(report(d->diags, "W409", AT(m->git.at),
				   "programs inside can write .git, whose hooks run on the host"),
			    "git: ro lets them read it and keeps you safe");
	if (m->git.value == SPEC_GIT_HIDE || !d->host->read)
		return;
	AUTO_FREE char *config = path_join(git, "config");
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	if (d->host->read(d->host->arg, config, GIT_CONFIG_MAX, &text, &err) == 0 &&
	    has_credentials(buffer_str(&text)))
		report_help(
			report(d->diags, "W412", AT(m->source.at),
			       ".git/config of the share has a password in a URL, readable inside"),
			"use a credential helper, or git: hide");
}

/* A container that could write what its user agreed to would agree for them. */
static const char *forbidden(const struct spec_host *h, const char *path)
{
	const char *why = host_path_forbidden(path, h->home);
	bool is_state =
		h->state && (path_is_below(path, h->state) || path_is_below(h->state, path));
	return why ? why : is_state ? "ctrz keeps its own state there" : NULL;
}

static void validate_host_source(struct decode *d, const struct environment *env,
				 const struct spec_mount *m)
{
	const struct spec_host *h = d->host;
	AUTO_FREE char *real = h->real_path ? h->real_path(h->arg, m->source.text) : NULL;
	const char *why = forbidden(h, m->source.text);
	if (!why && real)
		why = forbidden(h, real);
	if (why) {
		report_help(report(d->diags, "E404", AT(m->source.at), "\"%s\" is never shared: %s",
				   shown(d, m->source.text), why),
			    "mount only the folder that is needed");
		return;
	}
	validate_inside(d, env, m, real);
	if (h->path) {
		validate_kind(d, m);
		if (m->type.value == SPEC_MOUNT_DIR)
			validate_git(d, m);
	}
}

static void validate_source(struct decode *d, const struct environment *env,
			    const struct spec_mount *m)
{
	static const char *const what[] = { "a folder of the host", "a file of the host",
					    "the name of a volume", NULL, "an image" };
	bool has_source = m->source.at.is_set && m->source.text[0];
	if (m->type.value == SPEC_MOUNT_TMPFS) {
		if (has_source)
			report(d->diags, "E115", AT(m->source.at), "a tmpfs has no source");
		return;
	}
	if (!has_source && m->o.at.is_broken)
		return;
	if (!has_source) {
		report(d->diags, "E113", AT(m->o.at), "the mount has no source: %s",
		       what[m->type.value]);
		return;
	}
	if (m->type.value == SPEC_MOUNT_VOLUME && !environment_volume(env, m->source.text)) {
		struct diagnostic *e =
			report(d->diags, "E407", AT(m->source.at), "there is no volume \"%s\"",
			       shown(d, m->source.text));
		const char *near = suggest_name(&env->volumes, &volume_type, m->source.text);
		if (near)
			report_hint(e, "did you mean \"%s\"?", near);
		report_help(
			e,
			"declare it:  volumes: { %s: { size: 4GiB } }   or, for a folder, write "
			"./%s",
			shown(d, m->source.text), shown(d, m->source.text));
	}
	if (m->subpath.at.is_set && m->type.value != SPEC_MOUNT_VOLUME &&
	    m->type.value != SPEC_MOUNT_IMAGE)
		report_help(report(d->diags, "E413", AT(m->subpath.at),
				   "subpath is for volumes; this is a %s",
				   spec_mount_type_name((enum spec_mount_type)m->type.value)),
			    "write the folder itself as source");
	if (m->type.value == SPEC_MOUNT_DIR || m->type.value == SPEC_MOUNT_FILE)
		validate_host_source(d, env, m);
}

static void validate_socket(struct decode *d, const struct spec_socket *s)
{
	const struct spec_host *h = d->host;
	bool is_out = s->direction.value == SPEC_DIRECTION_OUT;
	const char *path = s->host.text;

	if (!s->host.at.is_set || s->host.at.is_broken)
		return;
	if (strcmp(path, SPEC_SSH_AGENT) == 0) {
		if (is_out)
			report_help(report(d->diags, "E414", AT(s->direction.at),
					   "an ssh agent is one of the host's"),
				    "leave direction out");
		return;
	}
	AUTO_FREE char *real = h->real_path ? h->real_path(h->arg, path) : NULL;
	const char *why = forbidden(h, path);
	if (!why && real)
		why = forbidden(h, real);
	if (why) {
		report_help(report(d->diags, "E404", AT(s->host.at), "\"%s\" is never shared: %s",
				   shown(d, path), why),
			    "forward the socket that is needed");
		return;
	}
	if (!h->path)
		return;
	enum spec_path_kind kind = h->path(h->arg, path);
	if (kind == SPEC_PATH_FILE || kind == SPEC_PATH_DIR)
		report_help(report(d->diags, "E414", AT(s->host.at), "\"%s\" is a %s, not a socket",
				   shown(d, path), kind == SPEC_PATH_FILE ? "file" : "folder"),
			    is_out ? "name a path that is free"
				   : "mounts: shows files and folders");
}

/* --- who writes what --- */

struct writer {
	const struct spec_container *c;
	const struct spec_mount *m;
};

static void validate_writer(struct decode *d, struct map *writers, const struct spec_container *c,
			    const struct spec_mount *m)
{
	bool is_volume = m->type.value == SPEC_MOUNT_VOLUME,
	     is_dir = m->type.value == SPEC_MOUNT_DIR;
	bool writes = m->access.value == SPEC_ACCESS_RW;
	if ((!is_volume && (!is_dir || !writes)) || !m->source.at.is_set)
		return;
	AUTO_FREE char *key = xasprintf("%c%s", is_volume ? 'v' : 'd', m->source.text);
	struct writer *first = map_get(writers, key);
	if (!first) {
		first = arena_alloc(d->arena, sizeof(*first));
		*first = (struct writer){ c, m };
		map_set(writers, key, first);
		return;
	}
	bool first_writes = first->m->access.value == SPEC_ACCESS_RW;
	if (first->c == c) {
		/* One machine has the disk once, however often it shows it. */
		if (writes && !first_writes)
			first->m = m;
		return;
	}
	if (is_volume && !writes && !first_writes)
		return;
	struct diagnostic *e;
	if (is_volume) {
		e = report(d->diags, "E411", AT(m->source.at),
			   writes && first_writes ? "volume \"%s\" is written by two machines"
						  : "volume \"%s\" is used by two machines, one of "
						    "which writes it",
			   shown(d, m->source.text));
		report_help(e, "a disk belongs to one machine; share a folder, or give access: ro "
			       "to all");
	} else {
		e = report(d->diags, "W410", AT(m->source.at),
			   "\"%s\" is written by two containers", shown(d, m->source.text));
		report_help(e, "locks do not reach from one machine to the other");
	}
	report_other(e, first->m->source.at.pos, "container \"%s\"", first->c->o.name);
}

void validate_mounts(struct decode *d, const struct environment *env)
{
	struct map writers = MAP_INIT;
	for (size_t i = 0; i < env->containers.count; i++) {
		const struct spec_container *c = &env->containers.items[i];
		validate_targets(d, c);
		validate_shm(d, c);
		for (size_t j = 0; j < c->sockets.count; j++)
			validate_socket(d, &c->sockets.items[j]);
		for (size_t j = 0; j < c->mounts.count; j++) {
			const struct spec_mount *m = &c->mounts.items[j];
			/* What could not be read was said already. */
			if (!m->target.at.is_set)
				continue;
			validate_source(d, env, m);
			if (c->is_active)
				validate_writer(d, &writers, c, m);
		}
	}
	map_release(&writers, NULL);
}
