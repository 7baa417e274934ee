/* SPDX-License-Identifier: MIT */
/* Lays directory entries out, sorts large folders by hash and builds their index bottom up. */
#include "runtime/image/dir_writer.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "runtime/image/ext2fs_library.h"
#include "runtime/image/ext4_format.h"

enum {
	DIR_TAIL = 12,
	DIR_ROOM = EXT4_BLOCK - DIR_TAIL,
	DOTS = 24, /* "." and ".." */
	DX_ROOT_ENTRIES = DOTS + 8,
	DX_NODE_ENTRIES = 8,
	DX_ROOT_MAX = (EXT4_BLOCK - DX_ROOT_ENTRIES - 8) / 8,
	DX_NODE_MAX = (EXT4_BLOCK - DX_NODE_ENTRIES - 8) / 8,
};

struct name {
	uint32_t hash, minor_hash;
	uint32_t link;
	uint32_t size;
	const uint8_t *text; /* lent by the tree */
};

/* The folder being written. */
struct folder {
	struct image_tree *tree;
	struct block_writer *writer;
	uint32_t node, ino;
	struct name *names; /* owned, kept from folder to folder */
	size_t count, room;
	uint64_t bytes;      /* of all entries */
	uint32_t folders;    /* among them */
	uint32_t *leaf_hash; /* owned; first hash of each leaf */
	size_t leaf_count, leaf_room;
};

uint32_t tree_ino(uint32_t node)
{
	return node == TREE_ROOT ? EXT4_ROOT : EXT4_FIRST_INODE - 1 + node;
}

static void folder_release(struct folder *f)
{
	free(f->names);
	free(f->leaf_hash);
}

static size_t entry_size(size_t name_size)
{
	return (8 + name_size + 3) & ~(size_t)3;
}

static uint8_t file_type(uint16_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	default:
		return EXT2_FT_UNKNOWN;
	}
}

static void put_entry(uint8_t *at, uint32_t ino, size_t size, const void *name, size_t name_size,
		      uint8_t type)
{
	put_le32(at, ino);
	put_le16(at + 4, (uint16_t)size);
	at[6] = (uint8_t)name_size;
	at[7] = type;
	memcpy(at + 8, name, name_size);
}

static void put_dots(const struct folder *f, uint8_t *block, size_t room)
{
	uint32_t parent = image_tree_node(f->tree, f->node)->blocks;

	put_entry(block, f->ino, 12, ".", 1, EXT2_FT_DIR);
	put_entry(block + 12, tree_ino(parent), room - 12, "..", 2, EXT2_FT_DIR);
}

static void collect(struct folder *f)
{
	uint32_t at = image_tree_node(f->tree, f->node)->start;

	f->count = 0;
	f->bytes = 0;
	f->folders = 0;
	for (; at != TREE_NONE; at = image_tree_link(f->tree, at)->sibling_next) {
		const struct tree_link *l = image_tree_link(f->tree, at);

		if (l->node == TREE_NONE)
			continue;
		GROW_ARRAY(f->names, f->count, f->room);
		f->names[f->count++] = (struct name){
			.link = at,
			.size = l->name_size,
			.text = image_tree_text(f->tree, l->name),
		};
		f->bytes += entry_size(l->name_size);
		f->folders += S_ISDIR(image_tree_node(f->tree, l->node)->mode) ? 1 : 0;
	}
}

static int compare_names(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	if (x->minor_hash != y->minor_hash)
		return x->minor_hash < y->minor_hash ? -1 : 1;
	int by_text = memcmp(x->text, y->text, x->size < y->size ? x->size : y->size);
	return by_text ? by_text : (int)x->size - (int)y->size;
}

static void sort_by_hash(struct folder *f)
{
	for (size_t i = 0; i < f->count; i++) {
		ext2_dirhash_t hash = 0, minor_hash = 0;

		(void)ext2fs_dirhash2(EXT2_HASH_HALF_MD4_UNSIGNED, (const char *)f->names[i].text,
				      (int)f->names[i].size, NULL, 0, ext4_image_hash_seed, &hash,
				      &minor_hash);
		f->names[i].hash = hash;
		f->names[i].minor_hash = minor_hash;
	}
	if (f->count > 1)
		qsort(f->names, f->count, sizeof(*f->names), compare_names);
}

/* Entries from names[*first] on until @block is full; the last one reaches to its end. */
static void fill_leaf(const struct folder *f, uint8_t *block, size_t at, size_t *first)
{
	size_t last = at;

	while (*first < f->count) {
		const struct tree_link *l = image_tree_link(f->tree, f->names[*first].link);
		const struct tree_node *n = image_tree_node(f->tree, l->node);
		size_t size = entry_size(l->name_size);

		if (at + size > DIR_ROOM)
			break;
		put_entry(block + at, tree_ino(l->node), size, image_tree_text(f->tree, l->name),
			  l->name_size, file_type(n->mode));
		last = at;
		at += size;
		(*first)++;
	}
	put_le16(block + last + 4, (uint16_t)(DIR_ROOM - last));
	ext4_seal_dir_leaf(block, f->ino);
}

static int write_single(struct folder *f, uint32_t at, struct error *err)
{
	uint8_t block[EXT4_BLOCK] = { 0 };
	size_t first = 0;

	put_dots(f, block, f->count > 0 ? DOTS : DIR_ROOM);
	if (f->count > 0)
		fill_leaf(f, block, DOTS, &first);
	else
		ext4_seal_dir_leaf(block, f->ino);
	return block_writer_put(f->writer, (uint64_t)at * EXT4_BLOCK, block, sizeof(block), err);
}

/* How the names fall into leaves, and the hash each leaf begins with; bit 0 = the hash goes on from
 * the leaf before. */
static void plan_leaves(struct folder *f)
{
	size_t used = DIR_ROOM;

	f->leaf_count = 0;
	for (size_t i = 0; i < f->count; i++) {
		size_t size = entry_size(image_tree_link(f->tree, f->names[i].link)->name_size);

		if (used + size > DIR_ROOM) {
			bool goes_on = i > 0 && f->names[i - 1].hash == f->names[i].hash;

			GROW_ARRAY(f->leaf_hash, f->leaf_count, f->leaf_room);
			f->leaf_hash[f->leaf_count++] = f->names[i].hash | (goes_on ? 1 : 0);
			used = 0;
		}
		used += size;
	}
}

/* Limit and count take the place of the first hash, which is implied. */
static void put_index(const struct folder *f, uint8_t *block, size_t entries_at, size_t limit,
		      size_t count)
{
	put_le16(block + entries_at, (uint16_t)limit);
	put_le16(block + entries_at + 2, (uint16_t)count);
	ext4_seal_dir_index(block, f->ino, entries_at);
}

static int write_index_root(struct folder *f, uint32_t at, size_t node_count, struct error *err)
{
	uint8_t block[EXT4_BLOCK] = { 0 };
	size_t children = node_count > 0 ? node_count : f->leaf_count;
	size_t step = node_count > 0 ? DX_NODE_MAX : 1;

	put_dots(f, block, EXT4_BLOCK);
	block[DOTS + 4] = EXT2_HASH_HALF_MD4;
	block[DOTS + 5] = 8; /* size of this piece */
	block[DOTS + 6] = node_count > 0 ? 1 : 0;
	for (size_t i = 0; i < children; i++) {
		put_le32(block + DX_ROOT_ENTRIES + i * 8, f->leaf_hash[i * step]);
		put_le32(block + DX_ROOT_ENTRIES + i * 8 + 4, (uint32_t)(1 + i));
	}
	put_index(f, block, DX_ROOT_ENTRIES, DX_ROOT_MAX, children);
	return block_writer_put(f->writer, (uint64_t)at * EXT4_BLOCK, block, sizeof(block), err);
}

static int write_index_node(struct folder *f, uint32_t at, size_t number, size_t node_count,
			    struct error *err)
{
	uint8_t block[EXT4_BLOCK] = { 0 };
	size_t first = number * DX_NODE_MAX;
	size_t count = f->leaf_count - first < DX_NODE_MAX ? f->leaf_count - first : DX_NODE_MAX;

	put_le16(block + 4, EXT4_BLOCK); /* an unused entry over all of it */
	for (size_t i = 0; i < count; i++) {
		put_le32(block + DX_NODE_ENTRIES + i * 8, f->leaf_hash[first + i]);
		put_le32(block + DX_NODE_ENTRIES + i * 8 + 4,
			 (uint32_t)(1 + node_count + first + i));
	}
	put_index(f, block, DX_NODE_ENTRIES, DX_NODE_MAX, count);
	return block_writer_put(f->writer, (uint64_t)at * EXT4_BLOCK, block, sizeof(block), err);
}

static int write_indexed(struct folder *f, uint32_t at, size_t node_count, struct error *err)
{
	size_t first = 0;
	int rc = write_index_root(f, at++, node_count, err);

	for (size_t i = 0; i < node_count && rc == 0; i++)
		rc = write_index_node(f, at++, i, node_count, err);
	while (first < f->count && rc == 0) {
		uint8_t block[EXT4_BLOCK] = { 0 };

		fill_leaf(f, block, 0, &first);
		rc = block_writer_put(f->writer, (uint64_t)at++ * EXT4_BLOCK, block, sizeof(block),
				      err);
	}
	return rc;
}

static int write_folder(struct folder *f, struct error *err)
{
	struct tree_node *n = image_tree_node(f->tree, f->node);
	size_t node_count = 0, blocks = 1;
	uint32_t at = 0;
	int rc;

	collect(f);
	sort_by_hash(f); /* small ones too: the bytes depend on the names alone */
	if (DOTS + f->bytes > DIR_ROOM) {
		plan_leaves(f);
		if (f->leaf_count > DX_ROOT_MAX)
			node_count = (f->leaf_count + DX_NODE_MAX - 1) / DX_NODE_MAX;
		blocks = 1 + node_count + f->leaf_count;
	}
	if (blocks > 4 * EXT4_EXTENT_BLOCKS_MAX)
		return error_set(err, E_INTEGRITY, "folder of %zu entries is too large", f->count);
	rc = block_writer_alloc(f->writer, blocks, &at, err);
	if (rc == 0)
		rc = blocks == 1 ? write_single(f, at, err) : write_indexed(f, at, node_count, err);
	if (rc < 0)
		return rc;
	n->content = NODE_RUN;
	n->start = at;
	n->blocks = (uint32_t)blocks;
	n->size = blocks * EXT4_BLOCK;
	n->links = f->folders + 2 > EXT4_LINKS_MAX ? 1 : f->folders + 2;
	return 0;
}

int dir_writer_run(struct image_tree *t, struct block_writer *w, struct error *err)
{
	CLEANUP(folder_release) struct folder f = { .tree = t, .writer = w };

	for (uint32_t i = 0; i < t->nodes.count; i++) {
		int rc;

		if (image_tree_node(t, i)->content != NODE_FOLDER ||
		    image_tree_node(t, i)->links == 0)
			continue;
		f.node = i;
		f.ino = tree_ino(i);
		rc = write_folder(&f, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
