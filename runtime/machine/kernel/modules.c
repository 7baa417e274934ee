/* SPDX-License-Identifier: MIT */
/* Indexes a module tree by name and walks dependencies depth first. */
#include "runtime/machine/kernel/modules.h"

#include <errno.h>
#include <fts.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/map.h"
#include "runtime/archive/inflate.h"
#include "runtime/machine/kernel/module_info.h"

enum {
	MODULE_MAX = 64 << 20,
	MODULES_MAX = 50000, /* in a tree */
	DEPTH_MAX = 16,
	BUILTIN_LIST_MAX = 8 << 20,
};

/* The order is the loading order: the agent's channel comes up first. */
static const struct {
	const char *name;
	bool required;
} needed[] = {
	{ "virtio_pci", true },  { "virtio_console", true }, { "virtio_blk", true },
	{ "ext4", true },        { "overlay", true },        { "virtio_net", true },
	{ "virtiofs", true },    { "af_packet", false },     { "virtio_balloon", false },
	{ "virtio_rng", false }, { "virtio_mem", false },
};

struct module_tree {
	const char *dir;
	struct map paths;   /* name -> owned path */
	struct map builtin; /* name -> anything */
	struct map done;    /* name -> anything: taken, or being taken */
};

static void module_tree_release(struct module_tree *t)
{
	map_release(&t->paths, free);
	map_release(&t->builtin, NULL);
	map_release(&t->done, NULL);
}
#define AUTO_MODULE_TREE CLEANUP(module_tree_release) struct module_tree

void module_set_release(struct module_set *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i].name);
		buffer_release(&s->items[i].data);
	}
	free(s->items);
	*s = (struct module_set){ 0 };
}

/* "a/virtio-rng.ko.xz" -> "virtio_rng"; NULL if it is no module. */
static char *module_name(const char *path)
{
	static const char *const endings[] = { "", ".xz", ".zst", ".gz" };
	const char *base = path_basename(path);
	const char *dot = strstr(base, ".ko");
	bool known = false;
	for (size_t i = 0; dot && i < ARRAY_SIZE(endings); i++)
		known = known || strcmp(dot + 3, endings[i]) == 0;
	if (!known || dot == base)
		return NULL;
	char *name = xstrndup(base, (size_t)(dot - base));
	for (char *c = name; *c; c++)
		*c = *c == '-' ? '_' : *c;
	return name;
}

static int index_tree(struct module_tree *t, struct error *err)
{
	AUTO_FREE char *root = xstrdup(t->dir);
	char *roots[] = { root, NULL };
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	int r = 0;
	if (!fts)
		return error_sys(err, "read '%s'", t->dir);
	for (FTSENT *e; r == 0 && (e = fts_read(fts));) {
		if (e->fts_level > DEPTH_MAX)
			(void)fts_set(fts, e, FTS_SKIP);
		if (e->fts_info != FTS_F)
			continue;
		AUTO_FREE char *name = module_name(e->fts_name);
		if (name)
			free(map_set(&t->paths, name, xstrdup(e->fts_path)));
		if (t->paths.count > MODULES_MAX)
			r = error_set(err, E_INVALID, "'%s' holds over %d modules", t->dir,
				      (int)MODULES_MAX);
	}
	(void)fts_close(fts);
	return r;
}

/* A kernel without that list is taken to have what it does not ship as a module. */
static int read_builtin(struct module_tree *t, bool *ret_known, struct error *err)
{
	AUTO_FREE char *path = path_join(t->dir, "modules.builtin");
	AUTO_BUFFER text = BUFFER_INIT;
	*ret_known = file_exists(path);
	if (!*ret_known)
		return 0;
	int r = file_read(path, BUILTIN_LIST_MAX, &text, err);
	if (r < 0)
		return r;
	char *rest = NULL;
	for (char *line = strtok_r(text.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		AUTO_FREE char *name = module_name(line);
		if (name)
			(void)map_set(&t->builtin, name, t);
	}
	return 0;
}

static int load(const char *path, struct buffer *out, struct error *err)
{
	AUTO_BUFFER raw = BUFFER_INIT;
	int r = file_read(path, MODULE_MAX, &raw, err);
	if (r < 0)
		return r;
	if (!str_ends(path, ".ko"))
		return inflate_bytes(raw.data, raw.size, MODULE_MAX, path, out, err);
	*out = raw;
	raw = BUFFER_INIT;
	return 0;
}

static int take(struct module_tree *t, const char *name, unsigned depth, struct module_set *to,
		struct error *err);

/* A wish names a module, or an algorithm ("crypto-crc32c") whose plain form is module
 * crc32c_generic. */
static int take_wish(struct module_tree *t, const char *wish, unsigned depth, struct module_set *to,
		     struct error *err)
{
	const char *algorithm = str_starts(wish, "crypto_") ? wish + strlen("crypto_") : wish;
	AUTO_FREE char *generic = xasprintf("%s_generic", algorithm);
	const char *const candidates[] = { wish, generic };
	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++)
		if (map_has(&t->paths, candidates[i]))
			return take(t, candidates[i], depth + 1, to, err);
	return 0;
}

static int take_before(struct module_tree *t, const struct module_info *info, unsigned depth,
		       struct module_set *to, struct error *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < info->wishes.count; i++)
		r = take_wish(t, info->wishes.items[i], depth, to, err);
	for (size_t i = 0; r == 0 && i < info->depends.count; i++) {
		const char *name = info->depends.items[i];
		if (map_has(&t->paths, name))
			r = take(t, name, depth + 1, to, err);
		else if (!map_has(&t->builtin, name))
			r = error_set(err, E_NOT_FOUND, "needs module '%s', which is not in '%s'",
				      name, t->dir);
	}
	return r;
}

static int take(struct module_tree *t, const char *name, unsigned depth, struct module_set *to,
		struct error *err)
{
	const char *path = map_get(&t->paths, name);
	if (depth > DEPTH_MAX)
		return error_set(err, E_INVALID, "module '%s': dependencies are too deep", name);
	if (map_has(&t->done, name))
		return 0;
	(void)map_set(&t->done, name, t);
	AUTO_BUFFER data = BUFFER_INIT;
	struct module_info info = { 0 };
	int r = load(path, &data, err);
	if (r < 0)
		return r;
	r = module_info_parse(data.data, data.size, &info, err);
	if (r == 0)
		r = take_before(t, &info, depth, to, err);
	module_info_release(&info);
	if (r < 0)
		return error_wrap(err, "module '%s'", name);
	GROW_ARRAY(to->items, to->count, to->room);
	to->items[to->count++] = (struct module){ xstrdup(name), data };
	data = BUFFER_INIT;
	return 0;
}

int modules_collect(const char *dir, struct module_set *ret, struct error *err)
{
	AUTO_MODULE_TREE t = { .dir = dir };
	bool builtin_known = false;
	if (!file_exists(dir))
		return error_set(err, E_NOT_FOUND, "there is no folder of modules '%s'", dir);
	int r = index_tree(&t, err);
	if (r == 0)
		r = read_builtin(&t, &builtin_known, err);
	if (r < 0)
		return r;
	struct module_set set = { 0 };
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(needed); i++) {
		if (map_has(&t.paths, needed[i].name))
			r = take(&t, needed[i].name, 0, &set, err);
		else if (needed[i].required && builtin_known &&
			 !map_has(&t.builtin, needed[i].name))
			r = error_set(err, E_NOT_FOUND,
				      "the kernel of '%s' has no %s, neither built in nor as a "
				      "module: guests cannot run on it",
				      dir, needed[i].name);
	}
	if (r < 0) {
		module_set_release(&set);
		return r;
	}
	*ret = set;
	return 0;
}
