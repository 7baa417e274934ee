/* SPDX-License-Identifier: MIT */
/* The capability set, found by the rows of the field tables that reach the host. Pure. */
#include "spec/reach.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/git_url.h"
#include "base/text.h"
#include "spec/load.h"
#include "spec/print/canonical.h"

enum { FREE_PORT_MIN = 1024 };

struct finder {
	const struct environment *env;
	const struct spec_host *host;           /* never NULL; callbacks may be */
	const char *container;                  /* the walk is in; "" = none */
	bool has_project;                       /* what lies below env->dir is the project */
	uint64_t cpus, memory;                  /* sums, */
	struct source_pos cpus_pos, memory_pos; /* and where they first grow */
	struct spec_reach_set *out;
};

static const char *const kind_names[SPEC_REACH_COUNT] = {
	[SPEC_REACH_SOURCE] = "source", [SPEC_REACH_MOUNT] = "mount",
	[SPEC_REACH_FILE] = "file",     [SPEC_REACH_SOCKET] = "socket",
	[SPEC_REACH_SECRET] = "secret", [SPEC_REACH_VARIABLE] = "variable",
	[SPEC_REACH_PORT] = "port",     [SPEC_REACH_EGRESS] = "egress",
	[SPEC_REACH_CPUS] = "cpus",     [SPEC_REACH_MEMORY] = "memory",
};

const char *spec_reach_kind_name(enum spec_reach_kind kind)
{
	return kind < SPEC_REACH_COUNT ? kind_names[kind] : "";
}

enum spec_reach_kind spec_reach_kind_find(const char *name)
{
	unsigned i = 0;
	while (i < SPEC_REACH_COUNT && strcmp(kind_names[i], name) != 0)
		i++;
	return (enum spec_reach_kind)i;
}

char *spec_level_text(enum spec_reach_kind kind, uint64_t level)
{
	if (kind == SPEC_REACH_MOUNT)
		return xstrdup(level >= SPEC_LEVEL_RW_GIT ? "rw with .git"
			       : level == SPEC_LEVEL_RW   ? "rw"
							  : "ro");
	if (kind == SPEC_REACH_CPUS)
		return xasprintf("%s%llu", level > SPEC_FREE_CPUS ? "up to " : "",
				 (unsigned long long)level);
	if (kind == SPEC_REACH_MEMORY) {
		AUTO_FREE char *size = text_size(level);
		return xasprintf("%s%s", level > SPEC_FREE_MEMORY ? "up to " : "", size);
	}
	return xstrdup("");
}

/* --- sets --- */

void spec_reach_set_add(struct spec_reach_set *c, const struct spec_reach *item)
{
	if (c->count == c->room) {
		c->room = c->room ? c->room * 2 : 16;
		c->items = xreallocarray(c->items, c->room, sizeof(*c->items));
	}
	c->items[c->count] = *item;
	c->items[c->count].what = xstrdup(item->what);
	c->items[c->count++].inside = xstrdup(item->inside ? item->inside : "");
}

static int compare_items(const void *a, const void *b)
{
	const struct spec_reach *x = a, *y = b;
	return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : strcmp(x->what, y->what);
}

/* As above; of the same the largest comes first, then the one that is written first. */
static int compare_found(const void *a, const void *b)
{
	const struct spec_reach *x = a, *y = b;
	int order = compare_items(a, b);
	if (order)
		return order;
	if (x->level != y->level)
		return x->level > y->level ? -1 : 1;
	return x->pos.line != y->pos.line ? (x->pos.line < y->pos.line ? -1 : 1)
					  : strcmp(x->inside, y->inside);
}

uint64_t spec_reach_set_level(const struct spec_reach_set *c, enum spec_reach_kind kind,
			      const char *what)
{
	const struct spec_reach wanted = { .kind = kind, .what = (char *)(uintptr_t)what };
	const struct spec_reach *there =
		c->count ? bsearch(&wanted, c->items, c->count, sizeof(wanted), compare_items)
			 : NULL;
	return there ? there->level : 0;
}

static void item_release(struct spec_reach *item)
{
	free(item->what);
	free(item->inside);
}

void spec_reach_set_release(struct spec_reach_set *c)
{
	for (size_t i = 0; i < c->count; i++)
		item_release(&c->items[i]);
	free(c->items);
	*c = (struct spec_reach_set){ 0 };
}

void spec_reach_set_sort(struct spec_reach_set *c)
{
	size_t kept = 0;
	if (c->count)
		qsort(c->items, c->count, sizeof(*c->items), compare_found);
	for (size_t i = 0; i < c->count; i++) {
		struct spec_reach *last = kept ? &c->items[kept - 1] : NULL;
		if (last && compare_items(last, &c->items[i]) == 0) {
			last->is_free = last->is_free && c->items[i].is_free;
			item_release(&c->items[i]);
		} else {
			c->items[kept++] = c->items[i];
		}
	}
	c->count = kept;
}

/* --- what a row reaches --- */

static void add(struct finder *f, enum spec_reach_kind kind, const char *what, uint64_t level,
		const char *inside, const struct spec_value *at, bool is_free)
{
	const struct spec_reach item = { .kind = kind,
					 .what = (char *)(uintptr_t)what,
					 .level = level,
					 .inside = (char *)(uintptr_t)inside,
					 .pos = at->pos,
					 .is_free = is_free };
	spec_reach_set_add(f->out, &item);
}

/* Owned: the path as people are shown it, once links are followed. */
static char *shown_path(const struct finder *f, const char *path, bool *ret_is_inside)
{
	const char *known = environment_resolved(f->env, path);
	AUTO_FREE char *real = known                ? xstrdup(known)
			       : f->host->real_path ? f->host->real_path(f->host->arg, path)
						    : NULL;
	const char *at = real ? real : path;
	*ret_is_inside = f->has_project && path_is_below(at, f->env->dir);
	if (!*ret_is_inside)
		return xstrdup(at);
	const char *rest = at + strlen(f->env->dir);
	return xasprintf("./%s", rest + (*rest == '/'));
}

static void reach_mount(struct finder *f, const struct spec_mount *m)
{
	bool is_host = m->type.value == SPEC_MOUNT_DIR || m->type.value == SPEC_MOUNT_FILE;
	bool is_rw = m->access.value == SPEC_ACCESS_RW, is_inside;
	if (!is_host || !m->source.at.is_set)
		return;
	uint64_t level = !is_rw                        ? SPEC_LEVEL_RO
			 : m->git.value == SPEC_GIT_RW ? SPEC_LEVEL_RW_GIT
						       : SPEC_LEVEL_RW;
	AUTO_FREE char *what = shown_path(f, m->source.text, &is_inside);
	AUTO_FREE char *inside =
		xasprintf("%s:%s", f->container, m->target.text ? m->target.text : "");
	add(f, SPEC_REACH_MOUNT, what, level, inside, &m->source.at, is_inside && !is_rw);
}

static void reach_file(struct finder *f, const struct spec_text *path, const char *secret)
{
	bool is_inside;
	AUTO_FREE char *file = shown_path(f, path->text, &is_inside);
	if (secret) {
		AUTO_FREE char *what = xasprintf("%s from %s", secret, file);
		add(f, SPEC_REACH_SECRET, what, SPEC_LEVEL_ONE, "", &path->at, false);
	} else {
		add(f, SPEC_REACH_FILE, file, SPEC_LEVEL_ONE, f->container, &path->at, is_inside);
	}
}

static void reach_files(struct finder *f, const struct field *row, const void *object)
{
	const struct spec_texts *list = field_at(row, object);
	if (row->kind == KIND_TEXT)
		reach_file(f, field_at(row, object), NULL);
	for (size_t i = 0; row->kind == KIND_TEXTS && i < list->count; i++)
		reach_file(f, &list->items[i], NULL);
}

static void reach_socket(struct finder *f, const struct spec_socket *s)
{
	bool is_agent = strcmp(s->host.text, SPEC_SSH_AGENT) == 0, is_inside;
	AUTO_FREE char *path =
		is_agent ? xstrdup("the ssh agent") : shown_path(f, s->host.text, &is_inside);
	AUTO_FREE char *what = s->direction.value == SPEC_DIRECTION_OUT
				       ? xasprintf("offered at %s", path)
				       : xstrdup(path);
	AUTO_FREE char *inside =
		xasprintf("%s:%s", f->container, s->target.text ? s->target.text : "");

	add(f, SPEC_REACH_SOCKET, what, SPEC_LEVEL_ONE, inside, &s->host.at, false);
}

static bool is_loopback(const char *address)
{
	return str_starts(address, "127.") || str_equal(address, "::1");
}

static void reach_port(struct finder *f, const struct spec_port *p)
{
	AUTO_FREE char *host =
		p->host.value ? xasprintf("%d", (int)p->host.value) : xstrdup("auto");
	AUTO_FREE char *what = xasprintf("%s:%s/%s", p->address.text, host,
					 spec_protocol_name((enum spec_protocol)p->protocol.value));
	AUTO_FREE char *inside = xasprintf("%s:%d", f->container, (int)p->container.value);
	bool is_free =
		is_loopback(p->address.text) && (!p->host.value || p->host.value >= FREE_PORT_MIN);
	add(f, SPEC_REACH_PORT, what, SPEC_LEVEL_ONE, inside, &p->o.at, is_free);
}

static void reach_egress(struct finder *f, const struct spec_egress_rule *e)
{
	if (e->mode.value == SPEC_EGRESS_FULL)
		add(f, SPEC_REACH_EGRESS, "public addresses", SPEC_LEVEL_ONE, "", &e->mode.at,
		    true);
	for (size_t i = 0; e->mode.value == SPEC_EGRESS_LIST && i < e->to.count; i++)
		add(f, SPEC_REACH_EGRESS, e->to.items[i].text, SPEC_LEVEL_ONE, "",
		    &e->to.items[i].at, true);
}

static void reach_private(struct finder *f, const struct spec_egress_rule *e)
{
	for (size_t i = 0; i < e->allow.count; i++) {
		AUTO_FREE char *what = xasprintf("private %s", e->allow.items[i].text);
		add(f, SPEC_REACH_EGRESS, what, SPEC_LEVEL_ONE, "", &e->allow.items[i].at, false);
	}
}

/* Without the version: that one grows nothing by itself. */
static void add_source(struct finder *f, const char *url, const struct spec_value *at)
{
	AUTO_GIT_URL u = GIT_URL_INIT;
	AUTO_ERROR ignored = ERROR_INIT;
	AUTO_FREE char *repo = NULL;
	if (git_url_parse(url, &u, &ignored) == 0)
		repo = git_url_repo(&u);
	else
		repo = xstrndup(url, strcspn(url, "#"));
	if (strstr(repo, "://"))
		add(f, SPEC_REACH_SOURCE, repo, SPEC_LEVEL_ONE, "", at, false);
}

static void reach_include(struct finder *f, const struct spec_texts *list)
{
	for (size_t i = 0; i < list->count; i++)
		add_source(f, list->items[i].text, &list->items[i].at);
}

/* What included files include themselves is in no list of the environment. */
static void reach_pinned(struct finder *f, const struct environment *env)
{
	for (size_t i = 0; i < env->pinned.count; i++)
		add_source(f, env->pinned.items[i].url, &env->pinned.items[i].at);
}

static void sum(uint64_t *total, struct source_pos *pos, const struct spec_number *n)
{
	*total += n->value > 0 ? (uint64_t)n->value : 0;
	if (!pos->line)
		*pos = n->at.pos;
}

static void reach(struct finder *f, const struct field *row, const struct spec_object *o)
{
	switch (row->reach) {
	case REACH_NONE:
		break;
	case REACH_MOUNT:
		reach_mount(f, (const void *)o);
		break;
	case REACH_FILE:
		reach_files(f, row, o);
		break;
	case REACH_SECRET_FILE:
		reach_file(f, field_at(row, o), o->name);
		break;
	case REACH_SECRET_ENV: {
		const struct spec_text *name = field_at(row, o);
		AUTO_FREE char *what = xasprintf("%s from $%s", o->name, name->text);
		add(f, SPEC_REACH_SECRET, what, SPEC_LEVEL_ONE, "", &name->at, false);
		break;
	}
	case REACH_SOCKET:
		reach_socket(f, (const void *)o);
		break;
	case REACH_PORT:
		reach_port(f, (const void *)o);
		break;
	case REACH_EGRESS:
		reach_egress(f, (const void *)o);
		break;
	case REACH_ALLOW:
		reach_private(f, (const void *)o);
		break;
	case REACH_CPUS:
		sum(&f->cpus, &f->cpus_pos, field_at(row, o));
		break;
	case REACH_MEMORY:
		sum(&f->memory, &f->memory_pos, field_at(row, o));
		break;
	case REACH_INCLUDE:
		reach_include(f, field_at(row, o));
		break;
	}
}

static void walk(struct finder *f, const struct object_type *type, const struct spec_object *o)
{
	if (!canonical_is_active(type, o))
		return;
	if (type == &container_type)
		f->container = o->name;
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *row = &type->fields[i];
		struct object_list list;
		if (!field_value(row, o)->is_set)
			continue;
		reach(f, row, o);
		/* Variables and defaults are in other values already. */
		if (!row->object || (row->flags & FIELD_APPLIED))
			continue;
		if (row->kind == KIND_OBJECT) {
			walk(f, row->object, field_at(row, o));
			continue;
		}
		memcpy(&list, field_at(row, o), sizeof(list));
		for (size_t j = 0; j < list.count; j++)
			walk(f, row->object, list_item(&list, row->object, j));
	}
	if (type == &container_type)
		f->container = "";
}

/* Beyond what is free, in steps: each is twice the one before, so that one more container does not
 * ask again. */
static void add_sum(struct finder *f, enum spec_reach_kind kind, uint64_t total, uint64_t is_free,
		    struct source_pos pos)
{
	const struct spec_value at = { .pos = pos };
	uint64_t level = is_free;
	while (level < total && level <= UINT64_MAX / 4)
		level *= 2;
	if (total)
		add(f, kind, "", total <= is_free ? total : level, "", &at, total <= is_free);
}

void spec_reach_set(const struct environment *env, const struct spec_host *host,
		    struct spec_reach_set *ret)
{
	struct finder f = {
		.env = env, .host = host ? host : &no_host, .container = "", .out = ret
	};
	*ret = (struct spec_reach_set){ 0 };
	f.has_project = env->dir && strlen(env->dir) > 1 &&
			(!f.host->home || !path_is_below(f.host->home, env->dir));
	walk(&f, &environment_type, &env->o);
	reach_pinned(&f, env);
	for (size_t i = 0; i < env->host_vars.count; i++)
		add(&f, SPEC_REACH_VARIABLE, env->host_vars.items[i].text, SPEC_LEVEL_ONE, "",
		    &env->host_vars.items[i].at, false);
	add_sum(&f, SPEC_REACH_CPUS, f.cpus, SPEC_FREE_CPUS, f.cpus_pos);
	add_sum(&f, SPEC_REACH_MEMORY, f.memory, SPEC_FREE_MEMORY, f.memory_pos);
	spec_reach_set_sort(ret);
}
