/* SPDX-License-Identifier: MIT */
/* Fills extent nodes left to right, from the leaves up. */
#include "runtime/image/extent_tree.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "runtime/image/ext2fs_library.h"

enum {
	HEADER = 12,
	ENTRY = 12,
	NODE_MAX = (EXT4_BLOCK - HEADER - 4) / ENTRY,
	ROOT_MAX = (EXT4_IBLOCK - HEADER) / ENTRY
};

void extent_tree_init(struct extent_tree *t, struct block_writer *writer, uint32_t ino)
{
	*t = (struct extent_tree){ .writer = writer, .ino = ino };
}

void extent_tree_release(struct extent_tree *t)
{
	for (size_t i = 0; i < EXTENT_LEVELS; i++)
		free(t->levels[i].block);
}

static void put_header(uint8_t *at, uint32_t entries, uint32_t max, uint32_t depth)
{
	put_le16(at, EXT3_EXT_MAGIC);
	put_le16(at + 2, (uint16_t)entries);
	put_le16(at + 4, (uint16_t)max);
	put_le16(at + 6, (uint16_t)depth);
	put_le32(at + 8, 0);
}

static int push(struct extent_tree *t, size_t level, const uint8_t entry[ENTRY], struct error *err);

/* Write the node gathered at @level and point to it from the level above. */
static int write_node(struct extent_tree *t, size_t level, struct error *err)
{
	struct extent_level *l = &t->levels[level];
	uint8_t index[ENTRY] = { 0 };
	uint32_t at = 0;
	int rc = block_writer_alloc(t->writer, 1, &at, err);

	if (rc < 0)
		return rc;
	put_header(l->block, l->entries, NODE_MAX, (uint32_t)level);
	memset(l->block + HEADER + l->entries * ENTRY, 0, EXT4_BLOCK - HEADER - l->entries * ENTRY);
	ext4_seal_extents(l->block, t->ino);
	rc = block_writer_put(t->writer, (uint64_t)at * EXT4_BLOCK, l->block, EXT4_BLOCK, err);
	if (rc < 0)
		return rc;
	t->nodes++;
	memcpy(index, l->block + HEADER, 4); /* first logical block below */
	put_le32(index + 4, at);
	l->entries = 0;
	return push(t, level + 1, index, err);
}

static int push(struct extent_tree *t, size_t level, const uint8_t entry[ENTRY], struct error *err)
{
	struct extent_level *l;

	if (level == EXTENT_LEVELS)
		return error_set(err, E_INTEGRITY, "file is in too many pieces");
	l = &t->levels[level];
	if (!l->block)
		l->block = xmalloc(EXT4_BLOCK);
	if (l->entries == NODE_MAX) {
		int rc = write_node(t, level, err);

		if (rc < 0)
			return rc;
	}
	memcpy(l->block + HEADER + l->entries * ENTRY, entry, ENTRY);
	l->entries++;
	return 0;
}

static int push_extent(struct extent_tree *t, struct error *err)
{
	uint8_t entry[ENTRY] = { 0 };

	if (t->length == 0)
		return 0;
	put_le32(entry, t->logical);
	put_le16(entry + 4, (uint16_t)t->length);
	put_le32(entry + 8, t->physical);
	t->length = 0;
	return push(t, 0, entry, err);
}

int extent_tree_add(struct extent_tree *t, uint32_t logical, uint32_t physical, uint64_t count,
		    struct error *err)
{
	while (count > 0) {
		uint32_t room = EXT4_EXTENT_BLOCKS_MAX - t->length;
		uint32_t part;

		if (t->length > 0 && (room == 0 || logical != t->logical + t->length ||
				      physical != t->physical + t->length)) {
			int rc = push_extent(t, err);

			if (rc < 0)
				return rc;
			room = EXT4_EXTENT_BLOCKS_MAX;
		}
		if (t->length == 0) {
			t->logical = logical;
			t->physical = physical;
		}
		part = count < room ? (uint32_t)count : room;
		t->length += part;
		logical += part;
		physical += part;
		count -= part;
	}
	return 0;
}

int extent_tree_finish(struct extent_tree *t, uint8_t ret_iblock[EXT4_IBLOCK], struct error *err)
{
	size_t level = 0;
	struct extent_level *l;
	int rc = push_extent(t, err);

	if (rc < 0)
		return rc;
	while (t->levels[level].entries > ROOT_MAX ||
	       (level + 1 < EXTENT_LEVELS && t->levels[level + 1].entries > 0)) {
		rc = write_node(t, level, err);
		if (rc < 0)
			return rc;
		level++;
	}
	l = &t->levels[level];
	memset(ret_iblock, 0, EXT4_IBLOCK);
	put_header(ret_iblock, l->entries, ROOT_MAX, (uint32_t)level);
	if (l->entries > 0)
		memcpy(ret_iblock + HEADER, l->block + HEADER, l->entries * ENTRY);
	return 0;
}
