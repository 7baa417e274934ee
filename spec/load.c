/* SPDX-License-Identifier: MIT */
/* From files to an environment: parse, interpolate, include, overlay, decode, complete, validate.
 */
#include "spec/load.h"
#include "spec/lock_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/file.h"
#include "base/git_url.h"
#include "base/text.h"
#include "spec/model/model.h"
#include "spec/tree/interpolate.h"
#include "spec/tree/merge.h"

enum { INCLUDE_DEPTH_MAX = 8, INCLUDE_FILES_MAX = 256, SHA256_SIZE = 65 };

const struct spec_host no_host = { 0 };

/* A file that is being read, and who included it. */
struct reading {
	const struct reading *up;
	const char *path; /* absolute */
	unsigned depth;
};

struct loader {
	struct decode d;
	const struct spec_options *o;
	unsigned includes;
	struct spec_lock *lock;     /* NULL = there is none, or it does not count */
	struct spec_pinned *pinned; /* INCLUDE_FILES_MAX; NULL = none yet */
	size_t pinned_count;
	bool is_unlocked; /* something that the lock has to have is not there */
	bool has_failed;  /* a file that is not YAML: no use in going on */
};

static char *absolute_dir(const char *path)
{
	AUTO_FREE char *dir = path_dirname(path);
	char *real = realpath(dir, NULL);
	return real ? real : path_clean(dir);
}

int load_bytes(struct decode *d, const char *path, size_t max, struct buffer *out,
	       struct error *err)
{
	const struct spec_host *h = d->host;
	int r = h->text ? h->text(h->arg, path, max, out, err) : 1;
	if (r <= 0)
		return r;
	return h->read ? h->read(h->arg, path, max, out, err) : file_read(path, max, out, err);
}

int load_resolved(struct decode *d, const char *path, size_t max, struct buffer *out,
		  struct error *err)
{
	const struct spec_host *h = d->host;
	int r = h->text ? h->text(h->arg, path, max, out, err) : 1;
	if (r <= 0)
		return r;
	if (h->read)
		return h->read(h->arg, path, max, out, err);
	return file_read_plain(model_resolve(d, path), max, out, err);
}

struct source *load_file(struct decode *d, const char *path, const char *name, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;
	if (load_bytes(d, path, SPEC_FILE_MAX, &text, err) < 0)
		return NULL;
	AUTO_FREE char *dir = absolute_dir(path);
	size_t size = text.size;
	return sources_add(d->sources, name, dir, buffer_steal(&text), size);
}

const char *load_problem(const struct error *err)
{
	if (err->code == E_NOT_FOUND)
		return "there is no such file";
	if (err->code == E_DENIED)
		return "you may not read it";
	return error_message(err);
}

int load_summary(const char *name, const struct diagnostics *diags, struct error *err)
{
	return error_set(err, E_INVALID, "%s: %zu error%s", name, diags->errors,
			 diags->errors == 1 ? "" : "s");
}

static struct node *add_includes(struct loader *l, const struct reading *up, struct node *root);

/* A whole file: its tree, interpolated with its own variables, with its includes added. */
static struct node *read_included(struct loader *l, const struct reading *up,
				  const struct source *source)
{
	struct decode *d = &l->d;
	struct node *root;
	if (!yaml_read(d->arena, source, d->diags, &root)) {
		l->has_failed = true;
		return NULL;
	}
	if (!root || root->kind != NODE_MAPPING) {
		if (root)
			expected(d, root, "a map");
		return NULL;
	}
	struct vars vars = { 0 };
	vars_read(d, node_get(root, "vars"), &vars);
	interpolate_file(d, &vars, root);
	vars_report_unused(d, &vars);
	vars_release(&vars);
	return add_includes(l, up, root);
}

/* A file of a URL. */
struct opened {
	const struct lock_include *pin; /* what the lock says; NULL = nothing */
	struct spec_pinned use;
};

/* Where a file of a URL is on this host, and which commit that is; NULL after it was reported. */
static char *open_url(struct loader *l, const struct node *n, struct opened *ret)
{
	struct decode *d = &l->d;
	AUTO_GIT_URL u = GIT_URL_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *url = NULL;
	char *path = NULL, *commit = NULL;
	if (git_url_parse(n->text, &u, &err) < 0) {
		report_help(report(d->diags, "E703", n->pos, n->width, "cannot be included: %s",
				   error_message(&err)),
			    "as git+https://host/team/envs.git#v3:base.yaml");
		return NULL;
	}
	url = git_url_text(&u);
	if (l->o->lock != SPEC_LOCK_RENEW)
		ret->pin = lock_include_find(l->lock, url);
	if (!ret->pin && l->o->lock == SPEC_LOCK_STRICT) {
		report_help(report(d->diags, "E305", n->pos, n->width, "\"%s\" is not in the lock",
				   shown(d, url)),
			    "write it with: ctrz lock, look at the difference and commit it");
		l->is_unlocked = true;
		return NULL;
	}
	if (d->host->include &&
	    d->host->include(d->host->arg, n->text, ret->pin ? ret->pin->commit.text : NULL, &path,
			     &commit, &err) < 0)
		report(d->diags, "E401", n->pos, n->width, "\"%s\" cannot be included: %s",
		       shown(d, n->text), error_message(&err));
	if (path)
		ret->use = (struct spec_pinned){ .at.pos = n->pos,
						 .url = arena_strdup(d->arena, url),
						 .commit = arena_take(d->arena, commit) };
	return path;
}

/* Keeps what an included file of a URL was. False after it was reported as another one than the
 * lock has. */
static bool note_pinned(struct loader *l, const struct node *n, const struct source *source,
			struct opened *opened)
{
	struct decode *d = &l->d;
	char hex[SHA256_SIZE];
	sha256_hex(source->text, source->size, hex);
	if (opened->pin && strcmp(opened->pin->sha256.text, hex) != 0) {
		report_other(report(d->diags, "E307", n->pos, n->width,
				    "\"%s\" is not the file that the lock has: its SHA-256 is %s",
				    shown(d, n->text), hex),
			     opened->pin->sha256.at.pos, "the lock says this");
		return false;
	}
	opened->use.sha256 = arena_strdup(d->arena, hex);
	if (!l->pinned)
		l->pinned = arena_array(d->arena, INCLUDE_FILES_MAX, sizeof(*l->pinned));
	for (size_t i = 0; i < l->pinned_count; i++)
		if (strcmp(l->pinned[i].url, opened->use.url) == 0)
			return true;
	l->pinned[l->pinned_count++] = opened->use;
	return true;
}

static const struct reading *find_reading(const struct reading *r, const char *path)
{
	for (; r; r = r->up)
		if (str_equal(r->path, path))
			return r;
	return NULL;
}

static struct node *include_one(struct loader *l, const struct reading *up, struct node *root,
				const struct node *n)
{
	struct decode *d = &l->d;
	if (n->kind != NODE_SCALAR || n->type == SCALAR_NULL || n->type == SCALAR_BOOL)
		return root;
	bool is_url = git_url_is(n->text);
	struct opened opened = { 0 };
	AUTO_FREE char *place = is_url ? open_url(l, n, &opened) : NULL;
	if (is_url && !place)
		return root;
	struct reading r = { up, is_url ? place : host_path(d, n->pos, n->text), up->depth + 1 };
	if (find_reading(up, r.path)) {
		report(d->diags, "E701", n->pos, n->width, "\"%s\" includes itself",
		       shown(d, n->text));
		return root;
	}
	if (r.depth > INCLUDE_DEPTH_MAX || ++l->includes > INCLUDE_FILES_MAX) {
		report(d->diags, "E701", n->pos, n->width,
		       "files include each other more than 8 deep, or there are more than 256");
		return root;
	}
	AUTO_FREE char *dir = path_dirname(n->pos.file);
	AUTO_FREE char *joined = path_join(dir, n->text);
	AUTO_FREE char *name = is_url                    ? xstrdup(n->text)
			       : git_url_is(n->pos.file) ? xstrdup(r.path)
							 : path_clean(joined);
	AUTO_ERROR err = ERROR_INIT;
	struct source *source = load_file(d, r.path, name, &err);
	if (!source) {
		report_help(report(d->diags, "E401", n->pos, n->width,
				   "\"%s\" cannot be included: %s", shown(d, n->text),
				   load_problem(&err)),
			    "looked for: %s", r.path);
		return root;
	}
	if (is_url && !note_pinned(l, n, source, &opened))
		return root;
	struct node *included = read_included(l, &r, source);
	return included ? merge_include(d, root, included) : root;
}

static struct node *add_includes(struct loader *l, const struct reading *up, struct node *root)
{
	const struct node *list = node_get(root, "include");
	for (size_t i = 0; list && list->kind == NODE_SEQUENCE && i < list->count; i++)
		root = include_one(l, up, root, list->items[i]);
	return root;
}

/* --- the files given --- */

enum { FILES_MAX = 32 };

static int read_sources(struct loader *l, struct source **sources, size_t *ret_count,
			struct error *err)
{
	const struct spec_options *o = l->o;
	if (!o->files) {
		char *copy = xmalloc(o->text_size + 1);
		memcpy(copy, o->text_size ? o->text : "", o->text_size);
		copy[o->text_size] = 0;
		sources[0] = sources_add(l->d.sources, o->text_name ? o->text_name : "-",
					 o->text_dir ? o->text_dir : "/", copy, o->text_size);
		*ret_count = 1;
		return 0;
	}
	if (o->file_count == 0 || o->file_count > FILES_MAX)
		return error_set(err, E_INVALID, "from 1 to %d files can be given", FILES_MAX);
	for (size_t i = 0; i < o->file_count; i++) {
		const char *name = i == 0 && o->first_name ? o->first_name : o->files[i];
		sources[i] = load_file(&l->d, o->files[i], name, err);
		if (!sources[i])
			return -(int)err->code;
	}
	*ret_count = o->file_count;
	return 0;
}

static struct node *merge_all(struct loader *l, struct node **roots, struct source **sources,
			      size_t count)
{
	struct decode *d = &l->d;
	static const struct object_type vars_only = { .word = "vars" };
	struct node *vars_node = NULL, *all = NULL;
	for (size_t i = 0; i < count; i++) {
		struct node *v = node_get(roots[i], "vars");
		if (v && v->kind == NODE_MAPPING)
			vars_node = vars_node ? merge_overlay(d, &vars_only, vars_node, v) : v;
	}
	struct vars vars = { 0 };
	vars_read(d, vars_node, &vars);
	for (size_t i = 0; i < count; i++) {
		interpolate_file(d, &vars, roots[i]);
		AUTO_FREE char *path = path_join(sources[i]->dir, path_basename(sources[i]->name));
		struct reading r = { NULL, path, 0 };
		roots[i] = add_includes(l, &r, roots[i]);
		all = all ? merge_overlay(d, &environment_type, all, roots[i]) : roots[i];
	}
	vars_report_unused(d, &vars);
	vars_release(&vars);
	return all;
}

static void report_empty(struct decode *d, const struct source *source, const struct node *root)
{
	struct source_pos pos = root ? root->pos : (struct source_pos){ source->name, 1, 1 };
	if (root && root->kind != NODE_MAPPING &&
	    !(root->kind == NODE_SCALAR && root->type == SCALAR_NULL)) {
		expected(d, root, "a map with containers:");
		return;
	}
	report_help(report(d->diags, "E101", pos, 1, "the file is empty"),
		    "the least there is:  containers: { web: { image: docker.io/library/nginx:1.27 "
		    "} }");
}

/* The joined tree of all files; NULL if there is none to go on with. */
static struct node *read_tree(struct loader *l, struct source **sources, size_t count)
{
	struct node *roots[FILES_MAX];
	size_t good = 0;
	for (size_t i = 0; i < count; i++) {
		struct node *root;
		if (!yaml_read(l->d.arena, sources[i], l->d.diags, &root)) {
			l->has_failed = true;
			continue;
		}
		if (!root || root->kind != NODE_MAPPING) {
			report_empty(&l->d, sources[i], root);
			continue;
		}
		sources[good] = sources[i];
		roots[good++] = root;
	}
	if (l->has_failed || good < count)
		return NULL;
	struct node *all = merge_all(l, roots, sources, count);
	return l->is_unlocked ? NULL : all;
}

static void check_has_containers(struct decode *d, const struct node *root)
{
	const struct node *c = node_get(root, "containers");
	/* What is no container for another reason was said already. */
	if (d->diags->errors || node_find(root, "services") ||
	    (c && (c->kind != NODE_MAPPING || c->count)))
		return;
	report_help(report(d->diags, "E101", c ? c->pos : root->pos, 1, "there are no containers"),
		    "the least there is:  containers: { web: { image: docker.io/library/nginx:1.27 "
		    "} }");
}

static int compare_names(const void *a, const void *b)
{
	const struct spec_text *x = a, *y = b;
	return strcmp(x->text, y->text);
}

static void take_host_vars(struct decode *d, struct environment *env)
{
	struct spec_texts *out = &env->host_vars;
	out->items = arena_array(d->arena, d->host_vars.count, sizeof(*out->items));
	for (size_t i = 0; i < d->host_vars.count; i++)
		out->items[out->count++] = *(const struct spec_text *)d->host_vars.entries[i].value;
	qsort(out->items, out->count, sizeof(*out->items), compare_names);
	map_release(&d->host_vars, NULL);
}

static int compare_paths(const void *a, const void *b)
{
	const struct spec_resolved *x = a, *y = b;
	return strcmp(x->path, y->path);
}

static void take_resolved(struct decode *d, struct environment *env)
{
	struct spec_resolved *items =
		arena_array(d->arena, d->resolved.count, sizeof(*env->resolved.items));
	for (size_t i = 0; i < d->resolved.count; i++)
		items[i] = (struct spec_resolved){
			.path = arena_strdup(d->arena, d->resolved.entries[i].key),
			.real = d->resolved.entries[i].value,
		};
	qsort(items, d->resolved.count, sizeof(*items), compare_paths);
	env->resolved.items = items;
	env->resolved.count = d->resolved.count;
	map_release(&d->resolved, NULL);
}

static struct environment *build(struct loader *l, struct node *root, struct source *first)
{
	struct decode *d = &l->d;
	struct environment *env = arena_alloc(d->arena, sizeof(*env));
	env->arena = d->arena;
	env->sources = d->sources;
	env->file = first->name;
	env->dir = first->dir;
	env->lock = l->lock;
	env->pinned.items = l->pinned;
	env->pinned.count = l->pinned_count;
	check_has_containers(d, root);
	decode_object(d, &environment_type, root, env, NULL);
	take_host_vars(d, env);
	model_complete(d, l->o, env);
	take_resolved(d, env);
	model_validate(d, l->o, env);
	if (l->o->lock == SPEC_LOCK_STRICT && l->lock)
		lock_check(d, l->lock, env);
	return env;
}

/* The lock beside the first file. A text that came by a pipe has none. */
static int read_lock(struct loader *l, const struct source *first, struct error *err)
{
	struct decode *d = &l->d;
	const struct spec_options *o = l->o;
	int r = 0;
	if (o->lock == SPEC_LOCK_NONE)
		return 0;
	if (o->files)
		r = lock_read(d, o->files[0], first->name, &l->lock, err);
	if (r == 0 && !l->lock && o->lock == SPEC_LOCK_STRICT) {
		AUTO_FREE char *name = spec_lock_path(first->name);
		struct diagnostic *e =
			report(d->diags, "E305", (struct source_pos){ first->name, 1, 1 }, 1,
			       "there is no lock beside it, %s", name);
		report_help(e, "write it with: ctrz lock, and commit it");
	}
	l->has_failed = d->diags->errors > 0;
	return r;
}

int spec_load(const struct spec_options *o, struct environment **ret, struct diagnostics *diags,
	      struct error *err)
{
	struct spec_arena *arena = arena_new();
	struct loader l = { .o = o };
	l.d = (struct decode){ .arena = arena,
			       .diags = diags,
			       .sources = sources_new(),
			       .host = o->host ? o->host : &no_host,
			       .keeps_later = o->keeps_later_keys || o->is_canonical,
			       .is_canonical = o->is_canonical };
	sources_unref(diags->sources);
	diags->sources = sources_ref(l.d.sources);
	struct source *sources[FILES_MAX];
	size_t count = 0;
	struct environment *env = NULL;
	int r = read_sources(&l, sources, &count, err);
	if (r == 0)
		r = read_lock(&l, sources[0], err);
	if (r == 0) {
		struct node *root = read_tree(&l, sources, count);
		if (root)
			env = build(&l, root, sources[0]);
		diagnostics_sort(diags);
		if (diags->errors)
			r = load_summary(sources[0]->name, diags, err);
	}
	if (r < 0) {
		sources_unref(l.d.sources);
		arena_free(arena);
		return r;
	}
	*ret = env;
	return 0;
}

int spec_load_json(const char *text, size_t size, const char *what, struct environment **ret,
		   struct error *err)
{
	struct spec_options o = SPEC_OPTIONS_INIT;
	o.text = text;
	o.text_size = size;
	o.text_name = what;
	o.is_canonical = true;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	int r = spec_load(&o, ret, &diags, err);
	if (r == -E_INVALID && diags.count) {
		error_clear(err);
		return error_set(err, E_INTEGRITY, "%s: %s", what, diags.items[0].message);
	}
	return r;
}
