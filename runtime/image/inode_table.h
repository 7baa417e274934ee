/* SPDX-License-Identifier: MIT */
/* The inodes of the tree as ext4 keeps them. */
#ifndef CTRZ_RUNTIME_IMAGE_INODE_TABLE_H
#define CTRZ_RUNTIME_IMAGE_INODE_TABLE_H

#include "runtime/image/image_tree.h"
#include "runtime/image/xattr_store.h"

struct inode_place {
	uint32_t start; /* block of the first group's table; the others follow it */
	uint32_t groups, group_inodes;
};

/* What the group descriptors must know. */
struct inode_summary {
	uint8_t *used;     /* owned; bit per inode, counted from 0 */
	uint32_t *folders; /* owned; per group */
	uint32_t count;    /* in use, reserved ones included */
};

/* What an inode says beyond what a tree node keeps; lent from the inode. */
struct inode_fields {
	const uint8_t *iblock;
	const uint8_t *xattrs; /* XATTR_INLINE_MAX bytes, or NULL */
	uint32_t xattr_block;
	uint32_t blocks; /* of the content, its tree included */
};

/** inode_table_get() - the attributes of an inode of ours into a node, whose content and names are
 * left alone */
void inode_table_get(const uint8_t *inode, struct tree_node *n, struct inode_fields *ret);
void inode_table_get_device(const uint8_t *iblock, uint32_t *ret_major, uint32_t *ret_minor);

void inode_summary_release(struct inode_summary *s);

/** inode_table_write() - all inodes in order; what is behind the last one is left as a hole of
 * zeros */
int inode_table_write(struct image_tree *t, const struct xattr_store *xattrs,
		      struct block_writer *w, const struct inode_place *place,
		      struct inode_summary *ret, struct error *err) MUST_CHECK;

#endif
