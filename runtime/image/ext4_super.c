/* SPDX-License-Identifier: MIT */
/* Places tables and bitmaps behind the data and lets libext2fs write superblock and descriptors. */
#include "runtime/image/ext4_super.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "runtime/image/dir_writer.h"
#include "runtime/image/ext2fs_library.h"
#include "runtime/image/ext4_format.h"
#include "runtime/image/fd_io.h"
#include "runtime/image/inode_table.h"

/* Where everything goes. */
struct layout {
	uint32_t groups;
	uint32_t group_inodes;
	uint32_t last_inode;
	uint32_t bitmaps; /* first block of: per group block bitmap, inode bitmap */
	uint32_t tables;
	uint64_t blocks; /* of the file system */
};

DEFINE_CLEANUP(ext2_filsys, ext2fs_free)

/* libcom_err's error_message() has the name of base's, so the table is read here. */
static const char *library_text(long code)
{
	const struct error_table *table = &et_ext2_error_table;

	if (code < table->base || code >= table->base + table->n_msgs)
		return "unknown failure of libext2fs";
	return table->msgs[code - table->base];
}

int ext4_error(struct error *err, long code, const char *doing)
{
	if (code > 0 && code < 256) { /* an errno */
		errno = (int)code;
		return error_sys(err, "%s", doing);
	}
	return error_set(err, E_SYSTEM, "%s: %s", doing, library_text(code));
}

static uint32_t table_blocks(const struct layout *l)
{
	return l->group_inodes / (EXT4_BLOCK / EXT4_INODE);
}

/* The fewest groups that hold the data, and tables for all inodes. */
static void plan(struct layout *l, uint32_t data_end, uint32_t last_inode)
{
	const uint32_t per_block = EXT4_BLOCK / EXT4_INODE;
	uint64_t rest, least;

	l->last_inode = last_inode;
	for (l->groups = 1;; l->groups++) {
		uint32_t inodes = (last_inode + l->groups - 1) / l->groups;

		l->group_inodes = (inodes + per_block - 1) / per_block * per_block;
		l->blocks = data_end + (uint64_t)l->groups * (2 + table_blocks(l));
		if (l->group_inodes <= EXT4_GROUP_INODES_MAX &&
		    l->blocks <= (uint64_t)l->groups * EXT4_GROUP_BLOCKS)
			break;
	}
	/* libext2fs leaves a last group out that could not hold its own tables. */
	least = (uint64_t)table_blocks(l) + EXT4_DESC_BLOCKS_MAX + 64;
	if (least > EXT4_GROUP_BLOCKS)
		least = EXT4_GROUP_BLOCKS;
	rest = (uint64_t)(l->groups - 1) * EXT4_GROUP_BLOCKS;
	if (l->blocks < rest + least)
		l->blocks = rest + least;
}

static void set_features(struct ext2_super_block *s)
{
	s->s_rev_level = EXT2_DYNAMIC_REV;
	s->s_log_block_size = 2;
	s->s_log_cluster_size = 2;
	s->s_inode_size = EXT4_INODE;
	s->s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX |
			      EXT4_FEATURE_COMPAT_SPARSE_SUPER2;
	s->s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |
				EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG;
	s->s_feature_ro_compat =
		EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE |
		EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |
		EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;
	s->s_desc_size = EXT4_DESC;
	s->s_log_groups_per_flex = 4;
}

/* What ext2fs_initialize() does not take over, and what would differ from run to run. */
static void set_identity(ext2_filsys fs)
{
	struct ext2_super_block *s = fs->super;

	memcpy(s->s_uuid, ext4_image_uuid, sizeof(s->s_uuid));
	memcpy(s->s_hash_seed, ext4_image_hash_seed, sizeof(s->s_hash_seed));
	s->s_checksum_type = EXT2_CRC32C_CHKSUM;
	s->s_def_hash_version = EXT2_HASH_HALF_MD4;
	s->s_flags = EXT2_FLAGS_UNSIGNED_HASH;
	s->s_min_extra_isize = s->s_want_extra_isize = EXT4_EXTRA_ISIZE;
	s->s_max_mnt_count = -1;
	s->s_checkinterval = 0;
	s->s_creator_os = EXT2_OS_LINUX;
	s->s_errors = EXT2_ERRORS_RO;
	s->s_mkfs_time = s->s_lastcheck = 1;
	s->s_mkfs_time_hi = s->s_lastcheck_hi = 0;
	fs->now = 1; /* the time of writing, which is part of the bytes */
	s->s_log_groups_per_flex = 4;
	ext2fs_init_csum_seed(fs);
}

/* Where the layers ended, for a later build that goes on from there: the field is for notes to
 * people. */
static void set_end(ext2_filsys fs, const struct image_end *end)
{
	(void)snprintf((char *)fs->super->s_last_mounted, sizeof(fs->super->s_last_mounted),
		       IMAGE_END_FORMAT, end->block, end->nodes);
}

static int open_frame(const struct layout *l, int fd, ext2_filsys *ret, struct error *err)
{
	struct ext2_super_block param = { 0 };
	char name[FD_IO_NAME_MAX];
	errcode_t rc;

	set_features(&param);
	ext2fs_blocks_count_set(&param, l->blocks);
	param.s_inodes_count = l->groups * l->group_inodes;
	fd_io_name(fd, name);
	rc = ext2fs_initialize(name, EXT2_FLAG_64BITS, &param, fd_io_manager(), ret);
	if (rc)
		return ext4_error(err, rc, "lay the file system out");
	if ((*ret)->group_desc_count != l->groups ||
	    (*ret)->super->s_inodes_per_group != l->group_inodes ||
	    ext2fs_blocks_count((*ret)->super) != l->blocks)
		return error_set(
			err, E_INTERNAL,
			"file system of %u groups came out as %u groups of %u inodes and %" PRIu64
			" blocks",
			l->groups, (*ret)->group_desc_count, (*ret)->super->s_inodes_per_group,
			(uint64_t)ext2fs_blocks_count((*ret)->super));
	return 0;
}

static uint32_t count_bits(const uint8_t *map, uint64_t first, uint64_t count)
{
	uint32_t n = 0;

	for (uint64_t i = first; i < first + count; i++)
		n += map[i / 8] >> (i % 8) & 1;
	return n;
}

static void describe_group(ext2_filsys fs, const struct layout *l,
			   const struct inode_summary *inodes, const uint8_t *block_map, dgrp_t g)
{
	uint64_t first = (uint64_t)g * EXT4_GROUP_BLOCKS;
	uint64_t count =
		l->blocks - first < EXT4_GROUP_BLOCKS ? l->blocks - first : EXT4_GROUP_BLOCKS;
	uint32_t first_inode = g * l->group_inodes; /* counted from 0 */
	uint32_t end = l->last_inode > first_inode ? l->last_inode - first_inode : 0;

	if (end > l->group_inodes)
		end = l->group_inodes;
	ext2fs_block_bitmap_loc_set(fs, g, l->bitmaps + 2 * g);
	ext2fs_inode_bitmap_loc_set(fs, g, l->bitmaps + 2 * g + 1);
	ext2fs_inode_table_loc_set(fs, g, l->tables + g * table_blocks(l));
	ext2fs_bg_free_blocks_count_set(fs, g,
					(uint32_t)count - count_bits(block_map, first, count));
	ext2fs_bg_free_inodes_count_set(
		fs, g, l->group_inodes - count_bits(inodes->used, first_inode, l->group_inodes));
	ext2fs_bg_used_dirs_count_set(fs, g, inodes->folders[g]);
	ext2fs_bg_itable_unused_set(fs, g, l->group_inodes - end);
	ext2fs_bg_flags_zap(fs, g);
	ext2fs_bg_flags_set(fs, g, EXT2_BG_INODE_ZEROED | (end == 0 ? EXT2_BG_INODE_UNINIT : 0));
}

/* The bits of every block in use, the frame's own included; owned. */
static uint8_t *block_map_of(ext2_filsys fs, const struct layout *l, const struct block_writer *w)
{
	uint8_t *map = xcalloc((size_t)l->groups * EXT4_GROUP_BLOCKS / 8, 1);
	uint64_t frame = 1 + fs->desc_blocks;

	memcpy(map, w->used, ((size_t)w->next + 7) / 8);
	for (uint64_t i = 0; i < frame; i++)
		map[i / 8] |= (uint8_t)(1U << (i % 8));
	return map;
}

static int fill_frame(ext2_filsys fs, const struct layout *l, const struct inode_summary *inodes,
		      const struct block_writer *w, struct error *err)
{
	AUTO_FREE uint8_t *block_map = block_map_of(fs, l, w);
	uint64_t free_blocks = 0;
	uint32_t free_inodes = 0;
	errcode_t rc;

	for (dgrp_t g = 0; g < l->groups; g++) {
		describe_group(fs, l, inodes, block_map, g);
		free_blocks += ext2fs_bg_free_blocks_count(fs, g);
		free_inodes += ext2fs_bg_free_inodes_count(fs, g);
	}
	rc = ext2fs_set_block_bitmap_range2(fs->block_map, 0, l->blocks, block_map);
	if (rc == 0)
		rc = ext2fs_set_inode_bitmap_range2(
			fs->inode_map, 1, (size_t)l->groups * l->group_inodes, inodes->used);
	if (rc)
		return ext4_error(err, rc, "fill the bitmaps");
	ext2fs_free_blocks_count_set(fs->super, free_blocks);
	fs->super->s_free_inodes_count = free_inodes;
	ext2fs_mark_bb_dirty(fs);
	ext2fs_mark_ib_dirty(fs);
	ext2fs_mark_super_dirty(fs);
	return 0;
}

int ext4_super_write(struct image_tree *t, const struct xattr_store *xattrs, struct block_writer *w,
		     uint64_t *ret_bytes, struct error *err)
{
	CLEANUP(inode_summary_release) struct inode_summary inodes = { 0 };
	CLEANUP(ext2fs_free_p) ext2_filsys fs = NULL;
	struct layout l = { 0 };
	uint32_t bitmaps_and_tables = 0;
	errcode_t code;
	int rc;

	const struct image_end end = { w->data_end, (uint32_t)t->nodes.count };

	plan(&l, w->next, tree_ino((uint32_t)(t->nodes.count > 1 ? t->nodes.count - 1 : 1)));
	if (l.groups > EXT4_GROUPS_MAX)
		return error_set(err, E_INTEGRITY, "image is too large");
	rc = block_writer_alloc(w, (uint64_t)l.groups * (2 + table_blocks(&l)), &bitmaps_and_tables,
				err);
	if (rc < 0)
		return rc;
	l.bitmaps = bitmaps_and_tables;
	l.tables = l.bitmaps + 2 * l.groups;
	rc = inode_table_write(t, xattrs, w,
			       &(struct inode_place){ l.tables, l.groups, l.group_inodes }, &inodes,
			       err);
	if (rc == 0)
		rc = block_writer_flush(w, err);
	if (rc == 0 && ftruncate(w->fd, (off_t)(l.blocks * EXT4_BLOCK)) < 0)
		rc = error_sys(err, "set the size of the disk");
	if (rc == 0)
		rc = open_frame(&l, w->fd, &fs, err);
	if (rc < 0)
		return rc;
	set_identity(fs);
	set_end(fs, &end);
	rc = fill_frame(fs, &l, &inodes, w, err);
	if (rc < 0)
		return rc;
	for (dgrp_t g = 0; g < l.groups; g++)
		ext2fs_group_desc_csum_set(fs, g);
	code = ext2fs_close2(fs, EXT2_FLAG_FLUSH_NO_SYNC);
	if (code)
		return ext4_error(err, code, "write the file system's frame");
	fs = NULL;
	*ret_bytes = l.blocks * EXT4_BLOCK;
	return 0;
}
