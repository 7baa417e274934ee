/* SPDX-License-Identifier: MIT */
/* Keeps nodes and names in chunks that never move, and finds names by one hash table for all
 * folders. */
#include "runtime/image/image_tree.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "runtime/image/sip_hash.h"

enum { TEXT_CHUNK = 65536, FIRST_SLOTS = 4096 };

struct work_list {
	uint32_t *items;
	size_t count, room;
};

static void work_list_release(struct work_list *l)
{
	free(l->items);
}

static void work_list_add(struct work_list *l, uint32_t item)
{
	GROW_ARRAY(l->items, l->count, l->room);
	l->items[l->count++] = item;
}

void image_tree_init(struct image_tree *t, uint32_t max_nodes)
{
	struct tree_node *root;

	*t = (struct image_tree){ .max_nodes = max_nodes };
	t->nodes.item_size = sizeof(struct tree_node);
	t->links.item_size = sizeof(struct tree_link);
	random_bytes(t->hash_key, sizeof(t->hash_key));
	t->slot_count = FIRST_SLOTS;
	t->slots = xmalloc(FIRST_SLOTS * sizeof(*t->slots));
	memset(t->slots, 0xff, FIRST_SLOTS * sizeof(*t->slots));
	root = image_tree_node(t, slab_add(&t->nodes));
	*root = (struct tree_node){ .mode = S_IFDIR | 0755,
				    .links = 1,
				    .layer = TREE_IMPLIED,
				    .content = NODE_FOLDER,
				    .start = TREE_NONE,
				    .blocks = TREE_ROOT };
	t->live = 1;
}

void image_tree_release(struct image_tree *t)
{
	slab_release(&t->nodes);
	slab_release(&t->links);
	for (size_t i = 0; i < t->text_chunks; i++)
		free(t->texts[i]);
	free(t->texts);
	free(t->slots);
	*t = (struct image_tree){ 0 };
}

struct tree_node *image_tree_node(const struct image_tree *t, uint32_t node)
{
	return slab_at(&t->nodes, node);
}

struct tree_link *image_tree_link(const struct image_tree *t, uint32_t link)
{
	return slab_at(&t->links, link);
}

const uint8_t *image_tree_text(const struct image_tree *t, uint32_t text)
{
	return t->texts[text / TEXT_CHUNK] + text % TEXT_CHUNK;
}

uint32_t image_tree_add_text(struct image_tree *t, const void *data, size_t size)
{
	uint32_t at;

	if (t->text_chunks == 0 || t->text_used + size > TEXT_CHUNK) {
		t->texts = xreallocarray(t->texts, t->text_chunks + 1, sizeof(*t->texts));
		t->texts[t->text_chunks++] = xmalloc(TEXT_CHUNK);
		t->text_used = 0;
	}
	at = (uint32_t)((t->text_chunks - 1) * TEXT_CHUNK + t->text_used);
	memcpy(t->texts[t->text_chunks - 1] + t->text_used, data, size);
	t->text_used += size;
	return at;
}

bool image_tree_is_folder(const struct image_tree *t, uint32_t node)
{
	return image_tree_node(t, node)->content == NODE_FOLDER;
}

int image_tree_add_node(struct image_tree *t, uint16_t mode, uint32_t *ret, struct error *err)
{
	struct tree_node *n;

	if (t->nodes.count >= t->max_nodes) /* the root is not counted */
		return error_set(err, E_INTEGRITY, "more than %u entries, which is refused",
				 t->max_nodes - 1);
	*ret = slab_add(&t->nodes);
	n = image_tree_node(t, *ret);
	n->mode = mode;
	if (S_ISDIR(mode)) {
		n->content = NODE_FOLDER;
		n->start = TREE_NONE;
	}
	t->live++;
	return 0;
}

/* The key is random, so that nobody can make names that all fall into one chain. */
static size_t slot_of(const struct image_tree *t, uint32_t parent, const void *name, size_t size)
{
	uint64_t key[2] = { t->hash_key[0] ^ parent, t->hash_key[1] };

	return (size_t)sip_hash(key, name, size) & (t->slot_count - 1);
}

static void insert_link(struct image_tree *t, uint32_t link)
{
	struct tree_link *l = image_tree_link(t, link);
	size_t slot = slot_of(t, l->parent, image_tree_text(t, l->name), l->name_size);

	l->hash_next = t->slots[slot];
	t->slots[slot] = link;
}

static void grow_slots(struct image_tree *t)
{
	t->slot_count *= 2;
	free(t->slots);
	t->slots = xmalloc(t->slot_count * sizeof(*t->slots));
	memset(t->slots, 0xff, t->slot_count * sizeof(*t->slots));
	for (uint32_t i = 0; i < t->links.count; i++)
		insert_link(t, i);
}

uint32_t image_tree_find(struct image_tree *t, uint32_t parent, const char *name, size_t size)
{
	uint32_t at = t->slots[slot_of(t, parent, name, size)];

	while (at != TREE_NONE) {
		const struct tree_link *l = image_tree_link(t, at);

		t->steps++;
		if (l->parent == parent && l->name_size == size &&
		    memcmp(image_tree_text(t, l->name), name, size) == 0)
			break;
		at = l->hash_next;
	}
	return at;
}

struct tree_link *image_tree_attach(struct image_tree *t, uint32_t parent, uint32_t link,
				    const char *name, size_t size, uint32_t node)
{
	struct tree_node *n = image_tree_node(t, node);
	struct tree_node *folder = image_tree_node(t, parent);
	struct tree_link *l;

	if (link == TREE_NONE) {
		link = slab_add(&t->links);
		l = image_tree_link(t, link);
		l->parent = parent;
		l->name = image_tree_add_text(t, name, size);
		l->name_size = (uint8_t)size;
		l->sibling_next = folder->start;
		folder->start = link;
		if (t->links.count > t->slot_count)
			grow_slots(t);
		else
			insert_link(t, link);
	}
	image_tree_link(t, link)->node = node;
	n->links++;
	if (n->content == NODE_FOLDER)
		n->blocks = parent;
	return image_tree_link(t, link);
}

/* Take one name away; a folder's children are the caller's to follow. */
static int drop_link(struct image_tree *t, struct tree_link *l, struct work_list *folders,
		     struct error *err)
{
	uint32_t node = l->node;
	struct tree_node *n = image_tree_node(t, node);

	l->node = TREE_NONE;
	n->links--;
	if (n->links > 0)
		return 0;
	t->live--;
	if (n->content == NODE_FOLDER)
		work_list_add(folders, node);
	return t->dropped ? t->dropped(t->dropped_arg, node, err) : 0;
}

static int drop_folders(struct image_tree *t, struct work_list *folders, struct error *err)
{
	while (folders->count > 0) {
		struct tree_node *n = image_tree_node(t, folders->items[--folders->count]);
		uint32_t at = n->start;

		n->start = TREE_NONE;
		while (at != TREE_NONE) {
			struct tree_link *l = image_tree_link(t, at);
			int rc = 0;

			t->steps++;
			if (l->node != TREE_NONE)
				rc = drop_link(t, l, folders, err);
			if (rc < 0)
				return rc;
			at = l->sibling_next;
		}
	}
	return 0;
}

int image_tree_detach(struct image_tree *t, uint32_t link, struct error *err)
{
	CLEANUP(work_list_release) struct work_list folders = { 0 };
	int rc = drop_link(t, image_tree_link(t, link), &folders, err);

	return rc < 0 ? rc : drop_folders(t, &folders, err);
}

int image_tree_forget(struct image_tree *t, uint32_t node, struct error *err)
{
	struct tree_node *n = image_tree_node(t, node);
	int rc = t->dropped ? t->dropped(t->dropped_arg, node, err) : 0;

	n->mode = S_IFDIR | 0755;
	n->uid = n->gid = 0;
	n->mtime = 0;
	n->mtime_ns = 0;
	n->layer = TREE_IMPLIED;
	return rc;
}

int image_tree_prune(struct image_tree *t, uint32_t node, uint16_t layer, struct error *err)
{
	CLEANUP(work_list_release) struct work_list keep = { 0 };
	CLEANUP(work_list_release) struct work_list drop = { 0 };

	work_list_add(&keep, node);
	while (keep.count > 0) {
		struct tree_node *n = image_tree_node(t, keep.items[--keep.count]);

		if (n->pruned == layer + 1)
			continue; /* nothing lower can have come in since */
		n->pruned = (uint16_t)(layer + 1);
		for (uint32_t at = n->start; at != TREE_NONE;
		     at = image_tree_link(t, at)->sibling_next) {
			struct tree_link *l = image_tree_link(t, at);
			int rc = 0;

			t->steps++;
			if (l->node == TREE_NONE)
				continue;
			if (l->layer < layer)
				rc = drop_link(t, l, &drop, err);
			else if (image_tree_is_folder(t, l->node)) {
				work_list_add(&keep, l->node);
				if (image_tree_node(t, l->node)->layer < layer)
					rc = image_tree_forget(t, l->node, err);
			}
			if (rc < 0)
				return rc;
		}
	}
	return drop_folders(t, &drop, err);
}
