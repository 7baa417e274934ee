/* SPDX-License-Identifier: MIT */
/* The merged tree of the layers applied so far, in about a hundred bytes per entry. */
#ifndef CTRZ_RUNTIME_IMAGE_IMAGE_TREE_H
#define CTRZ_RUNTIME_IMAGE_IMAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/image/slab.h"

/* No node, no link. */
#define TREE_NONE UINT32_MAX

enum { TREE_ROOT = 0 };

/* Where a node's content is. */
enum node_content {
	NODE_EMPTY,  /* no data, FIFO */
	NODE_RUN,    /* blocks start .. start + blocks */
	NODE_IBLOCK, /* the same run, mapped by 60 bytes at text(blob) */
	NODE_INLINE, /* a short symlink's target at text(blob) */
	NODE_DEVICE, /* start = major, blocks = minor */
	NODE_FOLDER, /* start = first child link, blocks = parent node */
};

/* One inode. */
struct tree_node {
	uint64_t size;
	int64_t mtime;
	uint32_t mtime_ns;
	uint32_t uid, gid;
	uint32_t links;
	uint32_t start, blocks;
	uint32_t blob;
	uint32_t xattrs; /* set number + 1, 0 = none */
	uint16_t mode;   /* with the type */
	uint16_t layer;  /* the one that gave these attributes, or TREE_IMPLIED */
	uint16_t pruned; /* folders: the layer lower entries were last hidden by, + 1 */
	uint8_t content;
};

enum { TREE_IMPLIED = UINT16_MAX };

/* One name in a folder. A name that was removed stays, with node TREE_NONE, and may be used again.
 */
struct tree_link {
	uint32_t parent, node;
	uint32_t hash_next, sibling_next;
	uint32_t name;  /* text number */
	uint16_t layer; /* the last one that has something here */
	uint8_t name_size;
};

struct image_tree {
	struct slab nodes, links;
	uint8_t **texts;               /* owned chunks */
	size_t text_chunks, text_used; /* used of the last chunk */
	uint32_t *slots;               /* owned; first link of each hash chain */
	size_t slot_count;
	uint64_t hash_key[2];
	uint32_t max_nodes;
	uint32_t live;  /* nodes in use */
	uint64_t steps; /* links looked at, for tests of the work done */
	/* Called when the last name of a node goes; what it holds must be given back. */
	int (*dropped)(void *arg, uint32_t node, struct error *err);
	void *dropped_arg;
};

void image_tree_init(struct image_tree *t, uint32_t max_nodes);
void image_tree_release(struct image_tree *t);

/** image_tree_node() - lent; valid until the tree is released */
struct tree_node *image_tree_node(const struct image_tree *t, uint32_t node);
struct tree_link *image_tree_link(const struct image_tree *t, uint32_t link);
/** image_tree_text() - lent; of image_tree_add_text() */
const uint8_t *image_tree_text(const struct image_tree *t, uint32_t text);
/** image_tree_add_text() - keep @size bytes (at most 4096), not NUL-terminated */
uint32_t image_tree_add_text(struct image_tree *t, const void *data, size_t size);

/** image_tree_add_node() - a node without a name. Return: 0, or -E_INTEGRITY beyond the limit */
int image_tree_add_node(struct image_tree *t, uint16_t mode, uint32_t *ret,
			struct error *err) MUST_CHECK;
/** image_tree_find() - the link of that name in folder @parent, which may be a removed one, or
 * TREE_NONE */
uint32_t image_tree_find(struct image_tree *t, uint32_t parent, const char *name, size_t size);
/** image_tree_attach() - give @node a name no living link has; @link is a removed one to use again,
 * or TREE_NONE */
struct tree_link *image_tree_attach(struct image_tree *t, uint32_t parent, uint32_t link,
				    const char *name, size_t size, uint32_t node);
/** image_tree_detach() - take a name away, with everything below a folder; no recursion */
int image_tree_detach(struct image_tree *t, uint32_t link, struct error *err) MUST_CHECK;
/** image_tree_prune() - take away what lower layers than @layer put below folder @node; folders
 * @layer has something in stay. Done at most once per folder and layer */
int image_tree_prune(struct image_tree *t, uint32_t node, uint16_t layer,
		     struct error *err) MUST_CHECK;

/** image_tree_forget() - a folder's attributes become those of one never described */
int image_tree_forget(struct image_tree *t, uint32_t node, struct error *err) MUST_CHECK;

/** image_tree_is_folder() */
bool image_tree_is_folder(const struct image_tree *t, uint32_t node);

#endif
