/* SPDX-License-Identifier: MIT */
/* What every part of the ext4 writer must agree on: geometry, identity, checksums. */
#ifndef CTRZ_RUNTIME_IMAGE_EXT4_FORMAT_H
#define CTRZ_RUNTIME_IMAGE_EXT4_FORMAT_H

#include <stddef.h>
#include <stdint.h>

enum {
	EXT4_BLOCK = 4096,
	EXT4_INODE = 256,
	EXT4_EXTRA_ISIZE = 32,
	EXT4_GROUP_BLOCKS = 8 * EXT4_BLOCK,
	EXT4_GROUP_INODES_MAX = 8 * EXT4_BLOCK,
	EXT4_DESC = 64,
	/* Kept free behind the superblock for descriptors: 4096 groups, 512 GiB. */
	EXT4_DESC_BLOCKS_MAX = 64,
	EXT4_GROUPS_MAX = EXT4_DESC_BLOCKS_MAX * EXT4_BLOCK / EXT4_DESC,
	EXT4_FIRST_FREE_BLOCK = 1 + EXT4_DESC_BLOCKS_MAX,
	EXT4_ROOT = 2,
	EXT4_FIRST_INODE = 11,
	EXT4_IBLOCK = 60, /* bytes of an inode that hold its extents, device or short link */
	EXT4_LINKS_MAX = 65000,
	EXT4_NAME_MAX_BYTES = 255,
	EXT4_EXTENT_BLOCKS_MAX = 32768,
};

/* One identity for all images, so that the same layers give the same bytes. */
extern const uint8_t ext4_image_uuid[16];
extern const uint32_t ext4_image_hash_seed[4];

/** ext4_seal_extents() - checksum an extent block of inode @ino */
void ext4_seal_extents(uint8_t *block, uint32_t ino);
/** ext4_seal_dir_leaf() - write the tail of a block of directory entries, which end 12 bytes before
 * its end */
void ext4_seal_dir_leaf(uint8_t *block, uint32_t ino);
/** ext4_seal_dir_index() - checksum an index block whose count and limit stand at @entries_at */
void ext4_seal_dir_index(uint8_t *block, uint32_t ino, size_t entries_at);
/** ext4_seal_xattrs() - checksum a block of extended attributes that will stand at @number */
void ext4_seal_xattrs(uint8_t *block, uint64_t number);
/** ext4_seal_inode() - checksum an inode of EXT4_INODE bytes */
void ext4_seal_inode(uint8_t *inode, uint32_t ino);

#endif
