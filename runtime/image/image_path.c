/* SPDX-License-Identifier: MIT */
/* Takes names apart and finds their folders in the image's tree. No symlink is followed. */
#include "runtime/image/image_path.h"

#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "runtime/image/ext4_format.h"

int image_path_parse(const char *name, bool rooted, struct image_path *ret, struct error *err)
{
	size_t out = 0;

	if (name[0] == '/' && !rooted)
		return error_set(err, E_INTEGRITY, "absolute name");
	ret->folder_size = 0;
	ret->base = ret->text;
	ret->base_size = 0;
	while (*name) {
		size_t size = strcspn(name, "/");

		if (size == 2 && memcmp(name, "..", 2) == 0)
			return error_set(err, E_INTEGRITY, "name with '..'");
		if (size > EXT4_NAME_MAX_BYTES)
			return error_set(err, E_INTEGRITY,
					 "name with a part of %zu bytes, more than %d", size,
					 EXT4_NAME_MAX_BYTES);
		if (size > 0 && !(size == 1 && name[0] == '.')) {
			ret->folder_size = out;
			if (out > 0)
				ret->text[out++] = '/';
			memcpy(ret->text + out, name, size);
			ret->base = ret->text + out;
			ret->base_size = size;
			out += size;
		}
		name += size + (name[size] == '/' ? 1 : 0);
	}
	ret->text[out] = '\0';
	return 0;
}

void image_path_forget(struct image_builder *b)
{
	b->last_node = TREE_NONE;
}

/* On the way to a folder. */
struct walk {
	struct image_builder *builder;
	enum walk_purpose purpose;
	uint32_t at;      /* TREE_NONE = it is not there */
	const char *rest; /* still to go; lent from the path */
	size_t left;
};

static int not_a_folder(const char *name, size_t size, const char *why, struct error *err)
{
	AUTO_BUFFER safe = BUFFER_INIT;

	text_escape(&safe, name, size, false);
	return error_set(err, E_INTEGRITY, "'%s' on the way is %s", buffer_str(&safe), why);
}

static int add_implied_folder(struct walk *w, uint32_t link, const char *name, size_t size,
			      struct error *err)
{
	struct image_tree *t = &w->builder->tree;
	uint32_t node = 0;
	int rc = image_tree_add_node(t, S_IFDIR | 0755, &node, err);

	if (rc < 0)
		return rc;
	image_tree_node(t, node)->layer = TREE_IMPLIED;
	image_tree_attach(t, w->at, link, name, size, node)->layer = w->builder->layer;
	w->at = node;
	return 0;
}

/* Says where the symlink leads, which is what the entry should have been called. */
static int refuse_symlink(const struct walk *w, const struct tree_node *n, size_t size,
			  struct error *err)
{
	AUTO_BUFFER why = BUFFER_INIT;
	const struct image_builder *b = w->builder;

	buffer_add_str(&why, "a symlink");
	if (n->content == NODE_INLINE) {
		buffer_add_str(&why, " to '");
		text_escape(&why, (const char *)image_tree_text(&b->tree, n->blob), (size_t)n->size,
			    false);
		buffer_add_char(&why, '\'');
	}
	buffer_add_str(&why, ", and writing through one is refused");
	return not_a_folder(w->rest, size, buffer_str(&why), err);
}

static int step_onto(struct walk *w, uint32_t link, size_t size, struct error *err)
{
	struct tree_link *l = image_tree_link(&w->builder->tree, link);
	const struct tree_node *n = image_tree_node(&w->builder->tree, l->node);

	if (w->purpose == WALK_TO_HIDE && n->content != NODE_FOLDER &&
	    l->layer == w->builder->layer) {
		w->at = TREE_NONE;
		return 0;
	}
	if (S_ISLNK(n->mode))
		return refuse_symlink(w, n, size, err);
	if (n->content != NODE_FOLDER)
		return not_a_folder(w->rest, size, "no folder", err);
	w->at = l->node;
	if (w->purpose == WALK_TO_ADD)
		l->layer = w->builder->layer;
	return 0;
}

/* One part of the path, which image_path_parse() has cleaned. */
static int step(struct walk *w, struct error *err)
{
	struct image_tree *t = &w->builder->tree;
	const char *slash = memchr(w->rest, '/', w->left);
	size_t size = slash ? (size_t)(slash - w->rest) : w->left;
	uint32_t link = image_tree_find(t, w->at, w->rest, size);
	int rc = 0;

	if (link != TREE_NONE && image_tree_link(t, link)->node != TREE_NONE)
		rc = step_onto(w, link, size, err);
	else if (w->purpose == WALK_TO_ADD)
		rc = add_implied_folder(w, link, w->rest, size, err);
	else
		w->at = TREE_NONE;
	size += slash ? 1 : 0;
	w->rest += size;
	w->left -= size;
	return rc;
}

int image_path_walk(struct image_builder *b, const struct image_path *path,
		    enum walk_purpose purpose, uint32_t *ret, struct error *err)
{
	struct walk w = { .builder = b,
			  .purpose = purpose,
			  .at = TREE_ROOT,
			  .rest = path->text,
			  .left = path->folder_size };

	if (b->last_node != TREE_NONE && b->last_folder.size == path->folder_size &&
	    memcmp(buffer_str(&b->last_folder), path->text, path->folder_size) == 0) {
		*ret = b->last_node;
		return 0;
	}
	while (w.left > 0 && w.at != TREE_NONE) {
		int rc = step(&w, err);

		if (rc < 0)
			return rc;
	}
	*ret = w.at;
	if (purpose == WALK_TO_ADD) {
		buffer_clear(&b->last_folder);
		buffer_add(&b->last_folder, path->text, path->folder_size);
		b->last_node = w.at;
	}
	return 0;
}
