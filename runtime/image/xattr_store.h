/* SPDX-License-Identifier: MIT */
/* Extended attributes as ext4 stores them: in the inode, the rest in one block that equal sets
 * share. */
#ifndef CTRZ_RUNTIME_IMAGE_XATTR_STORE_H
#define CTRZ_RUNTIME_IMAGE_XATTR_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "runtime/archive/tar_reader.h"
#include "runtime/image/block_writer.h"
#include "runtime/image/slab.h"

enum {
	XATTR_INLINE_MAX = 92,   /* of an inode, behind the magic number */
	XATTR_SHARED_MAX = 4096, /* different sets looked out for */
};

struct xattr_set {
	uint32_t users;
	uint32_t block; /* 0 = none */
	uint8_t inline_size;
	uint8_t inline_data[XATTR_INLINE_MAX];
};

struct xattr_store {
	struct block_writer *writer; /* lent */
	struct slab sets;
	struct map known; /* digest of a set: its number + 1 */
};

void xattr_store_init(struct xattr_store *s, struct block_writer *writer);
void xattr_store_release(struct xattr_store *s);

/**
 * xattr_store_add() - one more user of a set
 * @ret:	its number + 1, or 0 if nothing of it can exist on Linux
 *
 * Names outside user, trusted, security and the two ACLs are left out, as setting them would fail.
 * Return: 0, -E_INTEGRITY if they do not fit into an inode and one block, or an ACL is malformed
 */
int xattr_store_add(struct xattr_store *s, const struct tar_xattr *xattrs, size_t count,
		    uint32_t *ret, struct error *err) MUST_CHECK;
/**
 * xattr_store_restore() - one more user of a set that is on a disk already
 * @area:	XATTR_INLINE_MAX bytes of the inode, or NULL
 * @block:	the block's content, or NULL; @number: where it is, and stays
 *
 * Return: 0, or -E_INTEGRITY if they are malformed
 */
int xattr_store_restore(struct xattr_store *s, const uint8_t *area, const uint8_t *block,
			uint32_t number, uint32_t *ret, struct error *err) MUST_CHECK;
/** xattr_store_drop() - one user less; 0 is fine */
void xattr_store_drop(struct xattr_store *s, uint32_t set);
/** xattr_store_get() - NULL for 0; lent */
const struct xattr_set *xattr_store_get(const struct xattr_store *s, uint32_t set);
/** xattr_store_finish() - write how many inodes use each block; free those nobody does */
int xattr_store_finish(struct xattr_store *s, struct error *err) MUST_CHECK;

#endif
