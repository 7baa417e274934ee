/* SPDX-License-Identifier: MIT */
/* The checksums of ext4's metadata blocks (feature metadata_csum). */
#include "runtime/image/ext4_format.h"

#include <string.h>

#include "base/bytes.h"
#include "runtime/image/ext2fs_library.h"

enum { DIR_TAIL = 12, DIR_TAIL_TYPE = 0xde, DX_ENTRY = 8 };

const uint8_t ext4_image_uuid[16] = { 0x63, 0x74, 0x72, 0x7a, 0x69, 0x6d, 0x40, 0x67,
				      0x80, 0x65, 0x64, 0x69, 0x73, 0x6b, 0x00, 0x01 };
const uint32_t ext4_image_hash_seed[4] = { 0x9e3779b9, 0x7f4a7c15, 0xbf58476d, 0x94d049bb };

static uint32_t image_seed(void)
{
	return ext2fs_crc32c_le(~0U, ext4_image_uuid, sizeof(ext4_image_uuid));
}

/* Of inode @ino in generation 0, the only one there is. */
static uint32_t inode_seed(uint32_t ino)
{
	uint8_t id[8] = { 0 };

	put_le32(id, ino);
	return ext2fs_crc32c_le(image_seed(), id, sizeof(id));
}

void ext4_seal_extents(uint8_t *block, uint32_t ino)
{
	size_t tail = EXT4_BLOCK - sizeof(struct ext3_extent_tail);

	put_le32(block + tail, ext2fs_crc32c_le(inode_seed(ino), block, tail));
}

void ext4_seal_dir_leaf(uint8_t *block, uint32_t ino)
{
	uint8_t *tail = block + (EXT4_BLOCK - DIR_TAIL);

	memset(tail, 0, DIR_TAIL);
	put_le16(tail + 4, DIR_TAIL);
	tail[7] = DIR_TAIL_TYPE;
	put_le32(tail + 8, ext2fs_crc32c_le(inode_seed(ino), block, EXT4_BLOCK - DIR_TAIL));
}

void ext4_seal_dir_index(uint8_t *block, uint32_t ino, size_t entries_at)
{
	size_t limit = get_le16(block + entries_at), count = get_le16(block + entries_at + 2);
	uint8_t *tail = block + entries_at + limit * DX_ENTRY; /* reserved, checksum */
	uint32_t crc;

	memset(tail, 0, 8);
	crc = ext2fs_crc32c_le(inode_seed(ino), block, entries_at + count * DX_ENTRY);
	put_le32(tail + 4, ext2fs_crc32c_le(crc, tail, 8));
}

void ext4_seal_xattrs(uint8_t *block, uint64_t number)
{
	uint8_t *field = block + offsetof(struct ext2_ext_attr_header, h_checksum);
	uint8_t at[8];

	put_le32(at, (uint32_t)number);
	put_le32(at + 4, (uint32_t)(number >> 32));
	put_le32(field, 0);
	put_le32(field, ext2fs_crc32c_le(ext2fs_crc32c_le(image_seed(), at, sizeof(at)), block,
					 EXT4_BLOCK));
}

void ext4_seal_inode(uint8_t *inode, uint32_t ino)
{
	uint8_t *low = inode + 124, *high = inode + 130;
	uint32_t crc;

	put_le16(low, 0);
	put_le16(high, 0);
	crc = ext2fs_crc32c_le(inode_seed(ino), inode, EXT4_INODE);
	put_le16(low, (uint16_t)crc);
	put_le16(high, (uint16_t)(crc >> 16));
}
