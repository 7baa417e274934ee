/* SPDX-License-Identifier: MIT */
/* A Compose file made into an env.yaml: the top of the file, variables, objects. */
#include "spec/compose/import.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "spec/compose/import_internal.h"
#include "spec/load.h"

/* --- variables: only declared ones can be used --- */

static size_t name_length(const char *s)
{
	size_t n = 0;
	while (s[n] == '_' || (s[n] >= 'A' && s[n] <= 'Z') || (s[n] >= 'a' && s[n] <= 'z') ||
	       (n && s[n] >= '0' && s[n] <= '9'))
		n++;
	return n;
}

/* A variable that is used, as it was first seen. */
struct used_var {
	struct node *at;
	const char *theirs; /* its name on the host */
};

/* Return: the name it has here, in capital letters. */
static const char *use_var(struct import *im, struct node *n, const char *name, size_t size)
{
	char *ours = arena_strndup(im->arena, name, size);
	for (char *c = ours; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	if (!map_has(&im->vars, ours)) {
		struct used_var *v = arena_alloc(im->arena, sizeof(*v));
		*v = (struct used_var){ n, arena_strndup(im->arena, name, size) };
		map_set(&im->vars, ours, v);
	}
	return ours;
}

/* $NAME becomes ${NAME}; names are noted wherever they stand, in words of others too. */
static void import_scalar(struct import *im, struct node *n)
{
	if (!strchr(n->text, '$'))
		return;
	AUTO_BUFFER out = BUFFER_INIT;
	for (const char *s = n->text; *s;) {
		if (s[0] == '$' && s[1] == '$') {
			buffer_add_str(&out, "$$");
			s += 2;
			continue;
		}
		bool has_brace = s[0] == '$' && s[1] == '{';
		size_t name = s[0] == '$' ? name_length(s + 1 + has_brace) : 0;
		if (!name) {
			buffer_add_char(&out, *s++);
			continue;
		}
		buffer_printf(&out, has_brace ? "${%s" : "${%s}",
			      use_var(im, n, s + 1 + has_brace, name));
		s += 1 + has_brace + name;
	}
	n->text = arena_strndup(im->arena, buffer_str(&out), out.size);
}

static void import_vars(struct import *im, struct node *n)
{
	if (n->is_done)
		return;
	n->is_done = true;
	if (n->kind == NODE_SCALAR)
		import_scalar(im, n);
	for (size_t i = 0; n->kind != NODE_SCALAR && i < n->count; i++)
		import_vars(im, n->kind == NODE_MAPPING ? n->entries[i].value : n->items[i]);
}

const char *import_use_var(struct import *im, struct node *n, const char *name)
{
	return use_var(im, n, name, strlen(name));
}

static struct node *declare_vars(struct import *im, const struct node *root)
{
	struct node *vars = new_map(im, root);
	for (size_t i = 0; i < im->vars.count; i++) {
		struct node *var = new_map(im, root);
		const char *name = im->vars.entries[i].key;
		const struct used_var *v = im->vars.entries[i].value;
		put_text(im, var, "env", root, v->theirs);
		/* Compose takes a variable that is not set for an empty one. */
		put_text(im, var, "default", root, "");
		put(im, vars, name, var);
		if (strcmp(name, v->theirs) != 0)
			changed(im, v->at, "uses variables with names of capital letters here");
	}
	return vars->count ? vars : NULL;
}

/* --- objects at the top --- */

static struct node *import_network(struct import *im, struct node *n)
{
	static const char *const known[] = { "internal", "ipam", NULL };
	struct node *out = new_map(im, n);
	if (n->kind != NODE_MAPPING)
		return out;
	const struct node *ipam = node_get(n, "ipam");
	const struct node *configs = node_get(ipam, "config");
	static const char *const known_ipam[] = { "config", NULL };
	static const char *const known_config[] = { "subnet", NULL };
	for (size_t i = 0; configs && configs->kind == NODE_SEQUENCE && i < configs->count; i++) {
		struct node_entry *subnet = node_find(configs->items[i], "subnet");
		if (subnet && (!text_of(subnet->value) || strchr(subnet->value->text, ':') ||
			       node_find(out, "subnet")))
			lost(im, subnet->key, "a network has one subnet, of IPv4");
		else if (subnet)
			put(im, out, "subnet", subnet->value);
		lost_rest(im, configs->items[i], known_config, "addresses are given out by ctrz");
	}
	lost_rest(im, ipam, known_ipam, "addresses are given out by ctrz");
	if (is_true(node_get(n, "internal")))
		put_text(im, out, "egress", n, "none");
	lost_rest(im, n, known, "networks have no drivers, and belong to their environment");
	return out;
}

static struct node *import_volume(struct import *im, struct node *n)
{
	static const char *const known[] = { NULL };
	struct node *out = new_map(im, n);
	put_text(im, out, "size", n, "8GiB");
	lost_rest(im, n, known, "a volume is a disk of this host");
	return out;
}

static struct node *import_secret(struct import *im, struct node *n)
{
	static const char *const known[] = { "file", "environment", NULL };
	struct node *out = new_map(im, n);
	put(im, out, "file", node_get(n, "file"));
	put(im, out, "env", node_get(n, "environment"));
	lost_rest(im, n, known, "a secret comes from a file or from a variable of the host");
	if (!out->count)
		put_text(im, out, "prompt", n, "true");
	return out;
}

static struct node *import_config(struct import *im, struct node *n)
{
	static const char *const known[] = { "file", "content", "environment", NULL };
	struct node *out = new_map(im, n);
	const struct node *env = node_get(n, "environment");
	put(im, out, "source", node_get(n, "file"));
	put(im, out, "content", node_get(n, "content"));
	if (text_of(env)) {
		const char *var = import_use_var(im, node_get(n, "environment"), text_of(env));
		put_text(im, out, "content", n, arena_printf(im->arena, "${%s}", var));
	}
	lost_rest(im, n, known, "a file has a source or a content");
	if (!out->count)
		put_text(im, out, "content", n, "");
	return out;
}

typedef struct node *(*import_fn)(struct import *im, struct node *n);

static struct node *import_map(struct import *im, struct node *map, import_fn fn, bool renames)
{
	struct node *out = new_map(im, map);
	for (size_t i = 0; map->kind == NODE_MAPPING && i < map->count; i++) {
		struct node *key = map->entries[i].key;
		if (str_starts(key->text, "x-"))
			continue;
		im->service = key->text;
		put(im, out, renames ? our_name(im, key) : key->text,
		    fn(im, map->entries[i].value));
	}
	im->service = NULL;
	return out;
}

/* --- volumes that several services write --- */

/* The mount of a container that writes a volume, or NULL. */
static struct node *writing_mount(const struct node *container, const char *volume, size_t *at)
{
	const struct node *mounts = node_get(container, "mounts");
	while (mounts && *at < mounts->count) {
		struct node *m = mounts->items[(*at)++];
		const char *type = text_of(node_get(m, "type"));
		const char *source = text_of(node_get(m, "source"));
		if (type && str_equal(type, "volume") && source && str_equal(source, volume))
			return m;
	}
	return NULL;
}

static size_t count_writers(const struct node *containers, const char *volume)
{
	size_t writers = 0;
	for (size_t i = 0; i < containers->count; i++) {
		size_t at = 0;
		bool writes = false;
		const struct node *m;
		while ((m = writing_mount(containers->entries[i].value, volume, &at)))
			writes = writes || !str_equal(text_of(node_get(m, "access")), "ro");
		writers += writes;
	}
	return writers;
}

static void mount_folder(struct import *im, const struct node *containers, const char *volume)
{
	const char *path = arena_printf(im->arena, "./volumes/%s", volume);
	for (size_t i = 0; i < containers->count; i++) {
		size_t at = 0;
		struct node *m;
		while ((m = writing_mount(containers->entries[i].value, volume, &at))) {
			node_find(m, "type")->value = new_text(im, m, "dir");
			node_find(m, "source")->value = new_text(im, m, path);
			put_text(im, m, "create", m, "dir");
		}
	}
}

/* A disk belongs to one machine: what several write becomes a folder of the host. */
static struct node *share_volumes(struct import *im, struct node *containers)
{
	struct node *kept = new_map(im, im->volumes);
	for (size_t i = 0; i < im->volumes->count; i++) {
		const struct node_entry *e = &im->volumes->entries[i];
		if (count_writers(containers, e->key->text) < 2) {
			put(im, kept, e->key->text, e->value);
			continue;
		}
		mount_folder(im, containers, e->key->text);
		AUTO_FREE char *what = xasprintf("is written by several services: the folder "
						 "./volumes/%s takes its place",
						 e->key->text);
		changed(im, e->key, what);
	}
	return kept;
}

static void import_top(struct import *im, const struct node *root, struct node *out)
{
	static const char *const known[] = { "version",  "name",    "services",
					     "networks", "volumes", "configs",
					     "secrets",  "include", NULL };
	struct node *n;
	if ((n = node_get(root, "name")))
		put_text(im, out, "name", n, our_name(im, n));
	if ((n = node_get(root, "include"))) {
		lost(im, node_find(root, "include")->key,
		     "import the other file, too, and write its env.yaml into include:");
	}
	if ((n = node_get(root, "networks")) && n->count)
		put(im, out, "networks", import_map(im, n, import_network, true));
	im->volumes = new_map(im, root);
	if ((n = node_get(root, "volumes")))
		im->volumes = import_map(im, n, import_volume, true);
	if ((n = node_get(root, "configs")) && n->count)
		put(im, out, "files", import_map(im, n, import_config, false));
	if ((n = node_get(root, "secrets")) && n->count)
		put(im, out, "secrets", import_map(im, n, import_secret, false));
	struct node *containers = import_map(im, node_get(root, "services"), import_service, true);
	im->volumes = share_volumes(im, containers);
	if (im->volumes->count)
		put(im, out, "volumes", im->volumes);
	put(im, out, "containers", containers);
	lost_rest(im, root, known, "there is nothing like it here");
}

static struct node *import_root(struct import *im, struct node *root, const struct source *source)
{
	struct node *services = root ? node_get(root, "services") : NULL;
	if (!services || services->kind != NODE_MAPPING || !services->count) {
		struct source_pos pos =
			root ? root->pos : (struct source_pos){ source->name, 1, 1 };
		report(im->diags, "E101", pos, 1, "this is no Compose file: it has no services");
		return NULL;
	}
	import_vars(im, root);
	struct node *rest = new_map(im, root), *out = new_map(im, root);
	import_top(im, root, rest);
	put(im, out, "name", node_get(rest, "name"));
	put(im, out, "vars", declare_vars(im, root));
	for (size_t i = 0; i < rest->count; i++)
		if (!node_find(out, rest->entries[i].key->text))
			put(im, out, rest->entries[i].key->text, rest->entries[i].value);
	return out;
}

int compose_import(const char *text, size_t size, const char *name, struct buffer *out,
		   struct diagnostics *diags, struct error *err)
{
	struct spec_sources *sources = sources_new();
	sources_unref(diags->sources);
	diags->sources = sources;
	char *copy = xmalloc(size + 1);
	memcpy(copy, size ? text : "", size);
	copy[size] = 0;
	const struct source *source = sources_add(sources, name, "/", copy, size);
	struct import im = { .arena = arena_new(), .diags = diags };
	struct node *root = NULL, *made = NULL;
	if (yaml_read(im.arena, source, diags, &root) && !diags->errors)
		made = import_root(&im, root, source);
	if (made && !diags->errors) {
		buffer_printf(out,
			      "# Made from a Compose file by ctrz import; see what it said.\n");
		tree_print(made, 0, out);
	}
	diagnostics_sort(diags);
	map_release(&im.vars, NULL);
	arena_free(im.arena);
	return diags->errors ? load_summary(name, diags, err) : 0;
}
