/* SPDX-License-Identifier: MIT */
/* Folders as directory blocks: one block plain, more with a hash index. */
#ifndef CTRZ_RUNTIME_IMAGE_DIR_WRITER_H
#define CTRZ_RUNTIME_IMAGE_DIR_WRITER_H

#include "runtime/image/block_writer.h"
#include "runtime/image/image_tree.h"

/**
 * dir_writer_run() - write every folder of the tree; each becomes a run of blocks with its link
 * count set
 *
 * Names are packed in hash order, so an index of two levels always suffices. Return: 0 or -code
 */
int dir_writer_run(struct image_tree *t, struct block_writer *w, struct error *err) MUST_CHECK;

/** tree_ino() - the inode number of a node */
uint32_t tree_ino(uint32_t node);

#endif
