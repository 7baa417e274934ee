/* SPDX-License-Identifier: MIT */
/* The frame of the file system: inode tables, bitmaps, group descriptors and superblock, by
 * libext2fs. */
#ifndef CTRZ_RUNTIME_IMAGE_EXT4_SUPER_H
#define CTRZ_RUNTIME_IMAGE_EXT4_SUPER_H

#include "runtime/image/image_tree.h"
#include "runtime/image/xattr_store.h"

/* What a disk says about the layers in it. */
struct image_end {
	uint32_t block; /* first one behind their data */
	uint32_t nodes; /* numbers given out, the root's included */
};

#define IMAGE_END_FORMAT "layers end at block %u, node %u"

/**
 * ext4_super_write() - write the inodes of @t behind the last block of @w, then everything that
 * makes it an ext4
 *
 * Every folder must be written already. Return: 0 with the size of the file system in bytes, or
 * -code
 */
int ext4_super_write(struct image_tree *t, const struct xattr_store *xattrs, struct block_writer *w,
		     uint64_t *ret_bytes, struct error *err) MUST_CHECK;

/** ext4_error() - a failure of libext2fs as ours. Return: -code */
int ext4_error(struct error *err, long code, const char *doing);

#endif
