/* SPDX-License-Identifier: MIT */
/* Packs tree nodes into ext4 inodes of 256 bytes. */
#include "runtime/image/inode_table.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "runtime/image/dir_writer.h"
#include "runtime/image/ext2fs_library.h"
#include "runtime/image/ext4_format.h"
#include "runtime/image/extent_tree.h"

/* Offsets in an inode. */
enum {
	AT_MODE = 0,
	AT_UID = 2,
	AT_SIZE = 4,
	AT_ATIME = 8,
	AT_CTIME = 12,
	AT_MTIME = 16,
	AT_GID = 24,
	AT_LINKS = 26,
	AT_BLOCKS = 28,
	AT_FLAGS = 32,
	AT_IBLOCK = 40,
	AT_XATTR_BLOCK = 104,
	AT_SIZE_HIGH = 108,
	AT_UID_HIGH = 120,
	AT_GID_HIGH = 122,
	AT_EXTRA_SIZE = 128,
	AT_CTIME_EXTRA = 132,
	AT_MTIME_EXTRA = 136,
	AT_ATIME_EXTRA = 140,
	AT_CRTIME = 144,
	AT_CRTIME_EXTRA = 148,
	AT_XATTRS = 128 + EXT4_EXTRA_ISIZE,
	SECTORS = EXT4_BLOCK / 512,
	BATCH = 64, /* inodes put at once */
};

void inode_summary_release(struct inode_summary *s)
{
	free(s->used);
	free(s->folders);
	*s = (struct inode_summary){ 0 };
}

/* 34 bits of seconds from 1901 on, 30 bits of nanoseconds; what is beyond is moved to the nearest
 * end. */
static void put_times(uint8_t *inode, int64_t seconds, uint32_t ns)
{
	static const int at[] = { AT_ATIME, AT_CTIME, AT_MTIME, AT_CRTIME };
	static const int extra[] = { AT_ATIME_EXTRA, AT_CTIME_EXTRA, AT_MTIME_EXTRA,
				     AT_CRTIME_EXTRA };
	const int64_t lowest = INT32_MIN, highest = (INT64_C(3) << 32) + INT32_MAX;
	int64_t s = seconds < lowest ? lowest : seconds > highest ? highest : seconds;
	uint32_t low = (uint32_t)(uint64_t)s;
	uint64_t epoch = ((uint64_t)s - (uint64_t)(int64_t)(int32_t)low) >> 32 & 3;

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		put_le32(inode + at[i], low);
		put_le32(inode + extra[i], (uint32_t)epoch | ns << 2);
	}
}

static void put_device(uint8_t *iblock, uint32_t major_number, uint32_t minor_number)
{
	if (major_number < 256 && minor_number < 256)
		put_le32(iblock, major_number << 8 | minor_number);
	else
		put_le32(iblock + 4,
			 (minor_number & 0xff) | major_number << 8 | (minor_number & ~0xffU) << 12);
}

void inode_table_get_device(const uint8_t *iblock, uint32_t *ret_major, uint32_t *ret_minor)
{
	uint32_t old = get_le32(iblock), v = get_le32(iblock + 4);

	*ret_major = old ? old >> 8 & 0xff : v >> 8 & 0xfff;
	*ret_minor = old ? old & 0xff : (v & 0xff) | (v >> 12 & 0xfff00);
}

void inode_table_get(const uint8_t *inode, struct tree_node *n, struct inode_fields *ret)
{
	uint32_t extra = get_le32(inode + AT_MTIME_EXTRA);
	uint32_t blocks = get_le32(inode + AT_BLOCKS) / SECTORS;

	n->mode = get_le16(inode + AT_MODE);
	n->uid = get_le16(inode + AT_UID) | (uint32_t)get_le16(inode + AT_UID_HIGH) << 16;
	n->gid = get_le16(inode + AT_GID) | (uint32_t)get_le16(inode + AT_GID_HIGH) << 16;
	n->size = get_le32(inode + AT_SIZE) | (uint64_t)get_le32(inode + AT_SIZE_HIGH) << 32;
	n->mtime = (int32_t)get_le32(inode + AT_MTIME) + ((int64_t)(extra & 3) << 32);
	n->mtime_ns = extra >> 2;
	ret->iblock = inode + AT_IBLOCK;
	ret->xattrs =
		get_le32(inode + AT_XATTRS) == EXT2_EXT_ATTR_MAGIC ? inode + AT_XATTRS + 4 : NULL;
	ret->xattr_block = get_le32(inode + AT_XATTR_BLOCK);
	ret->blocks = blocks > 0 && ret->xattr_block > 0 ? blocks - 1 : blocks;
}

static int put_content(const struct image_tree *t, const struct tree_node *n, uint8_t *inode,
		       uint32_t ino, struct error *err)
{
	AUTO_EXTENTS extents;
	uint8_t *iblock = inode + AT_IBLOCK;
	uint32_t flags = 0;
	int rc = 0;

	extent_tree_init(&extents, NULL, ino);
	switch ((enum node_content)n->content) {
	case NODE_EMPTY:
	case NODE_RUN:
		if (!S_ISREG(n->mode) && !S_ISDIR(n->mode) && !S_ISLNK(n->mode))
			break;
		flags = EXT4_EXTENTS_FL | (S_ISDIR(n->mode) && n->blocks > 1 ? EXT2_INDEX_FL : 0);
		if (n->content == NODE_RUN)
			rc = extent_tree_add(&extents, 0, n->start, n->blocks, err);
		if (rc == 0)
			rc = extent_tree_finish(&extents, iblock, err);
		break;
	case NODE_IBLOCK:
		flags = EXT4_EXTENTS_FL;
		memcpy(iblock, image_tree_text(t, n->blob), EXT4_IBLOCK);
		break;
	case NODE_INLINE:
		memcpy(iblock, image_tree_text(t, n->blob), (size_t)n->size);
		break;
	case NODE_DEVICE:
		put_device(iblock, n->start, n->blocks);
		break;
	case NODE_FOLDER:
		rc = error_set(err, E_INTERNAL, "folder was not written");
		break;
	}
	put_le32(inode + AT_FLAGS, flags);
	return rc;
}

static int put_inode(const struct image_tree *t, const struct tree_node *n,
		     const struct xattr_set *set, uint8_t *inode, uint32_t ino, struct error *err)
{
	bool has_blocks = n->content == NODE_RUN || n->content == NODE_IBLOCK;
	uint64_t blocks = (has_blocks ? n->blocks : 0) + (set && set->block > 0 ? 1U : 0U);

	put_le16(inode + AT_MODE, n->mode);
	put_le16(inode + AT_UID, (uint16_t)n->uid);
	put_le16(inode + AT_UID_HIGH, (uint16_t)(n->uid >> 16));
	put_le16(inode + AT_GID, (uint16_t)n->gid);
	put_le16(inode + AT_GID_HIGH, (uint16_t)(n->gid >> 16));
	put_le32(inode + AT_SIZE, (uint32_t)n->size);
	put_le32(inode + AT_SIZE_HIGH, (uint32_t)(n->size >> 32));
	put_le16(inode + AT_LINKS, (uint16_t)n->links);
	put_le32(inode + AT_BLOCKS,
		 (uint32_t)(blocks * SECTORS)); /* an image has fewer than 2^32 */
	put_le16(inode + AT_EXTRA_SIZE, EXT4_EXTRA_ISIZE);
	put_times(inode, n->mtime, n->mtime_ns);
	if (set) {
		put_le32(inode + AT_XATTR_BLOCK, set->block);
		if (set->inline_size > 0) {
			put_le32(inode + AT_XATTRS, EXT2_EXT_ATTR_MAGIC);
			memcpy(inode + AT_XATTRS + 4, set->inline_data, set->inline_size);
		}
	}
	return put_content(t, n, inode, ino, err);
}

static void mark_used(struct inode_summary *s, const struct inode_place *place, uint32_t ino,
		      bool folder)
{
	s->used[(ino - 1) / 8] |= (uint8_t)(1U << ((ino - 1) % 8));
	s->count++;
	if (folder)
		s->folders[(ino - 1) / place->group_inodes]++;
}

/* The inodes between the root and the first of ours stay zero, and count as used. */
static int write_reserved(struct image_tree *t, const struct xattr_store *xattrs,
			  struct block_writer *w, const struct inode_place *place,
			  struct inode_summary *s, struct error *err)
{
	uint8_t inodes[(EXT4_FIRST_INODE - 1) * EXT4_INODE] = { 0 };
	uint8_t *root = inodes + (EXT4_ROOT - 1) * EXT4_INODE;
	const struct tree_node *n = image_tree_node(t, TREE_ROOT);
	int rc = put_inode(t, n, xattr_store_get(xattrs, n->xattrs), root, EXT4_ROOT, err);

	if (rc < 0)
		return rc;
	ext4_seal_inode(root, EXT4_ROOT);
	for (uint32_t ino = 1; ino < EXT4_FIRST_INODE; ino++)
		mark_used(s, place, ino, ino == EXT4_ROOT);
	return block_writer_put(w, (uint64_t)place->start * EXT4_BLOCK, inodes, sizeof(inodes),
				err);
}

int inode_table_write(struct image_tree *t, const struct xattr_store *xattrs,
		      struct block_writer *w, const struct inode_place *place,
		      struct inode_summary *ret, struct error *err)
{
	uint8_t batch[BATCH * EXT4_INODE];
	uint64_t at = (uint64_t)place->start * EXT4_BLOCK + (EXT4_FIRST_INODE - 1) * EXT4_INODE;
	size_t filled = 0;
	int rc;

	ret->used = xcalloc((size_t)place->groups * place->group_inodes / 8 + 1, 1);
	ret->folders = xcalloc(place->groups, sizeof(*ret->folders));
	rc = write_reserved(t, xattrs, w, place, ret, err);
	for (uint32_t i = 1; i < t->nodes.count && rc == 0; i++) {
		const struct tree_node *n = image_tree_node(t, i);
		uint8_t *inode = batch + filled * EXT4_INODE;

		memset(inode, 0, EXT4_INODE);
		if (n->links > 0) {
			rc = put_inode(t, n, xattr_store_get(xattrs, n->xattrs), inode, tree_ino(i),
				       err);
			ext4_seal_inode(inode, tree_ino(i));
			mark_used(ret, place, tree_ino(i), S_ISDIR(n->mode));
		}
		filled++;
		if (rc == 0 && (filled == BATCH || i + 1 == t->nodes.count)) {
			rc = block_writer_put(w, at, batch, filled * EXT4_INODE, err);
			at += filled * EXT4_INODE;
			filled = 0;
		}
	}
	return rc;
}
