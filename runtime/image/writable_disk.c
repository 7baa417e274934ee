/* SPDX-License-Identifier: MIT */
/*
 * The empty ext4 a container writes to: sparse, made in milliseconds.
 *
 * It has a journal (data=ordered, the kernel's default): a machine may be killed at any moment, and
 * there is no fsck in the guest. Only a disk that never sees a second machine does without. Tables
 * and journal are holes that read as zeros and are marked so, hence nothing initialises them later.
 * There is no lost+found: programs that want an empty folder get one. Freed blocks are discarded by
 * default.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "runtime/image/disk_temp.h"
#include "runtime/image/ext2fs_library.h"
#include "runtime/image/ext4_format.h"
#include "runtime/image/ext4_super.h"
#include "runtime/image/fd_io.h"
#include "runtime/image/image_store.h"

enum {
	FORMAT = 1, /* changes with what is in an empty disk */
	SIZE_MIN = 1 << 20,
	BYTES_PER_INODE = 16384,
	JOURNAL_BLOCKS_MIN = 1024,
	JOURNAL_BLOCKS_MAX = 16384,    /* 64 MiB */
	JOURNAL_SHARE = 64,            /* of the disk, between the two */
	WITHOUT_JOURNAL_BLOCKS = 2048, /* smaller disks have none: it would fill them */
};

DEFINE_CLEANUP(ext2_filsys, ext2fs_free)

/* Linux grows no mounted file system whose backups are placed by sparse_super2. */
static void set_backups(struct ext2_super_block *s, bool can_grow)
{
	if (can_grow) {
		s->s_feature_ro_compat |= EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER;
		return;
	}
	s->s_feature_compat |= EXT4_FEATURE_COMPAT_SPARSE_SUPER2;
	s->s_backup_bgs[0] = 1; /* one copy of the descriptors is enough */
}

static void set_features(struct ext2_super_block *s, uint64_t blocks)
{
	uint64_t inodes = blocks * EXT4_BLOCK / BYTES_PER_INODE;

	s->s_rev_level = EXT2_DYNAMIC_REV;
	s->s_log_block_size = 2;
	s->s_log_cluster_size = 2;
	s->s_inode_size = EXT4_INODE;
	s->s_desc_size = EXT4_DESC;
	s->s_log_groups_per_flex = 4;
	s->s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX;
	s->s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |
				EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG;
	s->s_feature_ro_compat =
		EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE |
		EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |
		EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;
	ext2fs_blocks_count_set(s, blocks);
	s->s_inodes_count = inodes < 64               ? 64
			    : inodes > UINT32_MAX / 2 ? UINT32_MAX / 2
						      : (uint32_t)inodes;
}

static void set_identity(ext2_filsys fs, const char *label)
{
	struct ext2_super_block *s = fs->super;

	random_bytes(s->s_uuid, sizeof(s->s_uuid));
	s->s_uuid[6] =
		(uint8_t)((s->s_uuid[6] & 0x0f) | 0x40); /* a random UUID, as RFC 4122 marks it */
	s->s_uuid[8] = (uint8_t)((s->s_uuid[8] & 0x3f) | 0x80);
	random_bytes(s->s_hash_seed, sizeof(s->s_hash_seed));
	s->s_checksum_type = EXT2_CRC32C_CHKSUM;
	s->s_def_hash_version = EXT2_HASH_HALF_MD4;
	s->s_flags = EXT2_FLAGS_UNSIGNED_HASH;
	s->s_min_extra_isize = s->s_want_extra_isize = EXT4_EXTRA_ISIZE;
	s->s_max_mnt_count = -1;
	s->s_checkinterval = 0;
	s->s_creator_os = EXT2_OS_LINUX;
	s->s_errors = EXT2_ERRORS_RO;
	s->s_default_mount_opts = EXT4_DEFM_DISCARD | EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
	if (label)
		(void)strncpy((char *)s->s_volume_name, label, sizeof(s->s_volume_name));
	ext2fs_init_csum_seed(fs);
}

/* Nothing is in any table yet: no group needs its tables read, let alone zeroed. */
static void mark_tables_empty(ext2_filsys fs)
{
	for (dgrp_t g = 0; g < fs->group_desc_count; g++) {
		ext2fs_bg_flags_set(fs, g, EXT2_BG_INODE_ZEROED | EXT2_BG_INODE_UNINIT);
		ext2fs_bg_itable_unused_set(fs, g, fs->super->s_inodes_per_group);
	}
}

static errcode_t make_root(ext2_filsys fs)
{
	/* Making the root counts it. */
	for (ext2_ino_t ino = 1; ino < EXT2_FIRST_INODE(fs->super); ino++)
		if (ino != EXT2_ROOT_INO)
			ext2fs_inode_alloc_stats2(fs, ino, 1, 0);
	return ext2fs_mkdir(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, NULL);
}

static errcode_t make_journal(ext2_filsys fs, uint64_t blocks)
{
	uint64_t size = blocks / JOURNAL_SHARE;

	if (blocks < WITHOUT_JOURNAL_BLOCKS)
		return 0;
	size = size < JOURNAL_BLOCKS_MIN   ? JOURNAL_BLOCKS_MIN
	       : size > JOURNAL_BLOCKS_MAX ? JOURNAL_BLOCKS_MAX
					   : size;
	return ext2fs_add_journal_inode2(fs, (blk_t)size, ~0ULL,
					 EXT2_MKJOURNAL_LAZYINIT | EXT2_MKJOURNAL_NO_MNT_CHECK);
}

enum kind { WRITABLE, VOLUME, THROWAWAY };

static int format(int fd, uint64_t size_bytes, const char *label, enum kind kind, struct error *err)
{
	struct ext2_super_block param = { 0 };
	CLEANUP(ext2fs_free_p) ext2_filsys fs = NULL;
	uint64_t blocks = size_bytes / EXT4_BLOCK;
	char name[FD_IO_NAME_MAX];
	errcode_t rc;

	if (ftruncate(fd, (off_t)(blocks * EXT4_BLOCK)) < 0)
		return error_sys(err, "make a file of %" PRIu64 " bytes", size_bytes);
	set_features(&param, blocks);
	set_backups(&param, kind == VOLUME);
	fd_io_name(fd, name);
	rc = ext2fs_initialize(name, EXT2_FLAG_64BITS, &param, fd_io_manager(), &fs);
	if (rc)
		return ext4_error(err, rc, "lay the file system out");
	set_identity(fs, label);
	mark_tables_empty(fs);
	rc = ext2fs_allocate_tables(fs);
	if (rc == 0)
		rc = make_root(fs);
	if (rc == 0 && kind != THROWAWAY)
		rc = make_journal(fs, blocks);
	if (rc)
		return ext4_error(err, rc, "write an empty file system");
	ext2fs_set_gdt_csum(fs);
	rc = ext2fs_close2(fs, EXT2_FLAG_FLUSH_NO_SYNC);
	if (rc)
		return ext4_error(err, rc, "write an empty file system");
	fs = NULL;
	return 0;
}

static int create(const char *path, uint64_t size_bytes, const char *label, enum kind kind,
		  struct error *err)
{
	AUTO_DISK_TEMP temp = DISK_TEMP_INIT;
	int rc;

	if (size_bytes < SIZE_MIN)
		return error_set(err, E_INVALID,
				 "disk of %" PRIu64 " bytes: at least 1 MiB is needed", size_bytes);
	if (access(path, F_OK) == 0)
		return error_set(err, E_EXISTS, "'%s' is there already", path);
	rc = disk_temp_open(path, &temp, err);
	if (rc == 0)
		rc = format(temp.fd, size_bytes, label, kind, err);
	if (rc == 0)
		rc = disk_temp_commit(&temp, path, false, false, err);
	return rc < 0 ? error_wrap(err, "writable disk '%s'", path) : 0;
}

int writable_disk_create(const char *path, uint64_t size_bytes, const char *label,
			 struct error *err)
{
	return create(path, size_bytes, label, WRITABLE, err);
}

int volume_disk_create(const char *path, uint64_t size_bytes, const char *label, struct error *err)
{
	return create(path, size_bytes, label, VOLUME, err);
}

int throwaway_disk_create(const char *path, uint64_t size_bytes, const char *label,
			  struct error *err)
{
	return create(path, size_bytes, label, THROWAWAY, err);
}

char *throwaway_disk_kind(uint64_t size_bytes)
{
	return xasprintf("throwaway %d %" PRIu64, FORMAT, size_bytes);
}
