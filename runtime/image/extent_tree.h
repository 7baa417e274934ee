/* SPDX-License-Identifier: MIT */
/* The map of a file's blocks, built while they are written. */
#ifndef CTRZ_RUNTIME_IMAGE_EXTENT_TREE_H
#define CTRZ_RUNTIME_IMAGE_EXTENT_TREE_H

#include <stdint.h>

#include "runtime/image/block_writer.h"
#include "runtime/image/ext4_format.h"

enum { EXTENT_LEVELS = 4 };

struct extent_level {
	uint8_t *block; /* owned; NULL while unused */
	uint32_t entries;
};

struct extent_tree {
	struct block_writer *writer; /* lent */
	uint32_t ino;
	struct extent_level levels[EXTENT_LEVELS]; /* 0 holds extents */
	uint32_t logical, physical, length;        /* the extent still growing */
	uint32_t nodes;                            /* blocks of the tree itself, written so far */
};

#define AUTO_EXTENTS CLEANUP(extent_tree_release) struct extent_tree

void extent_tree_init(struct extent_tree *t, struct block_writer *writer, uint32_t ino);
void extent_tree_release(struct extent_tree *t);

/** extent_tree_add() - map @count blocks; logical blocks must come in order. Full nodes are written
 * on the way */
int extent_tree_add(struct extent_tree *t, uint32_t logical, uint32_t physical, uint64_t count,
		    struct error *err) MUST_CHECK;

/** extent_tree_finish() - write what is left and give the root, as it stands in the inode */
int extent_tree_finish(struct extent_tree *t, uint8_t ret_iblock[EXT4_IBLOCK],
		       struct error *err) MUST_CHECK;

#endif
