/* SPDX-License-Identifier: MIT */
/*
 * Reads a disk of ours back into a tree.
 *
 * DOC: Theory of Operation
 *
 * The data of the layers lies in front, folders and inodes behind it; the superblock says where the
 * border is. So the blocks in front are taken over as they are, at the same place, and the rest is
 * read into nodes and links and will be written anew. Inode numbers stay. Everything counts as
 * layer 0; the layers applied next are higher, which is all that whiteouts ask about. Folders are
 * written in an order that depends on names alone, so it does not matter that links are met in
 * another order than the layers had them.
 */
#include "runtime/image/base_image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "runtime/image/dir_writer.h"
#include "runtime/image/ext4_format.h"
#include "runtime/image/ext4_super.h"
#include "runtime/image/fd_io.h"
#include "runtime/image/inode_table.h"

enum { PER_BLOCK = EXT4_BLOCK / EXT4_INODE, DEPTH_MAX = 5, NOTE_MAX = 64 };

struct folder_run {
	uint32_t node, start, blocks;
};

struct base {
	struct image_builder *b;
	int fd;
	ext2_filsys fs; /* owned */
	struct image_end end;
	struct folder_run *folders; /* owned */
	size_t folder_count, folder_room;
	uint8_t inodes[EXT4_BLOCK]; /* the table block read last */
	uint64_t inodes_at;
};

static void base_release(struct base *base)
{
	if (base->fs)
		ext2fs_free(base->fs);
	free(base->folders);
	if (base->fd >= 0)
		(void)close(base->fd);
}

static int damaged(struct error *err)
{
	return error_set(err, E_INTEGRITY, "disk of the lower layers is damaged");
}

static int read_block(const struct base *base, uint64_t number, uint8_t *out, struct error *err)
{
	ssize_t n = pread(base->fd, out, EXT4_BLOCK, (off_t)(number * EXT4_BLOCK));

	if (n < 0)
		return error_sys(err, "read the disk of the lower layers");
	return n == EXT4_BLOCK ? 0 : damaged(err);
}

static int open_base(struct base *base, const char *path, struct error *err)
{
	char name[FD_IO_NAME_MAX];
	char note[NOTE_MAX + 1] = "";
	errcode_t rc;

	base->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (base->fd < 0)
		return error_sys(err, "open '%s'", path);
	fd_io_name(base->fd, name);
	rc = ext2fs_open2(name, NULL, EXT2_FLAG_64BITS, 0, 0, fd_io_manager(), &base->fs);
	if (rc == 0)
		rc = ext2fs_read_block_bitmap(base->fs);
	if (rc)
		return ext4_error(err, rc, "read the disk of the lower layers");
	memcpy(note, base->fs->super->s_last_mounted, NOTE_MAX);
	if (memcmp(base->fs->super->s_uuid, ext4_image_uuid, sizeof(ext4_image_uuid)) != 0 ||
	    sscanf(note, IMAGE_END_FORMAT, &base->end.block, &base->end.nodes) != 2 ||
	    base->end.nodes == 0 || base->end.block < EXT4_FIRST_FREE_BLOCK ||
	    base->end.block > ext2fs_blocks_count(base->fs->super) ||
	    tree_ino(base->end.nodes - 1) > base->fs->super->s_inodes_count)
		return error_set(err, E_INTEGRITY, "'%s' is no disk of layers", path);
	return 0;
}

static int read_inode(struct base *base, uint32_t ino, const uint8_t **ret, struct error *err)
{
	uint32_t per_group = base->fs->super->s_inodes_per_group;
	uint32_t group = (ino - 1) / per_group, index = (ino - 1) % per_group;
	uint64_t at = ext2fs_inode_table_loc(base->fs, group) + index / PER_BLOCK;
	uint8_t copy[EXT4_INODE];
	static const uint8_t zero[EXT4_INODE];
	const uint8_t *inode = base->inodes + index % PER_BLOCK * EXT4_INODE;

	if (at != base->inodes_at) {
		int rc = read_block(base, at, base->inodes, err);

		if (rc < 0)
			return rc;
		base->inodes_at = at;
	}
	memcpy(copy, inode, sizeof(copy));
	ext4_seal_inode(copy, ino);
	if (memcmp(copy, inode, sizeof(copy)) != 0 && memcmp(inode, zero, sizeof(zero)) != 0)
		return damaged(err);
	*ret = inode;
	return 0;
}

/* The first extent of a file; whether it is one run is for the caller to see from the root. */
static int first_extent(const struct base *base, const uint8_t *root, uint32_t *ret_start,
			struct error *err)
{
	uint8_t node[EXT4_BLOCK];

	memcpy(node, root, EXT4_IBLOCK);
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		int rc;

		if (get_le16(node + 2) == 0)
			return damaged(err);
		if (get_le16(node + 6) == 0) {
			*ret_start = get_le32(node + 12 + 8);
			return 0;
		}
		rc = read_block(base, get_le32(node + 12 + 4), node, err);
		if (rc < 0)
			return rc;
	}
	return damaged(err);
}

/* Extents in the inode itself, without a hole or a jump between them. */
static bool is_one_run(const uint8_t *root, uint32_t blocks)
{
	uint32_t done = 0, start = get_le32(root + 12 + 8);

	if (get_le16(root + 6) != 0)
		return false;
	for (uint32_t i = 0; i < get_le16(root + 2) && i < 4; i++) {
		const uint8_t *e = root + 12 + i * 12;

		if (get_le32(e) != done || get_le32(e + 8) != start + done)
			return false;
		done += get_le16(e + 4);
	}
	return done == blocks;
}

static int take_blocks(struct base *base, struct tree_node *n, uint32_t node, const uint8_t *iblock,
		       uint32_t blocks, struct error *err)
{
	uint32_t start = 0;
	int rc;

	if (blocks == 0)
		return 0;
	rc = first_extent(base, iblock, &start, err);
	if (rc < 0)
		return rc;
	if (S_ISDIR(n->mode)) {
		GROW_ARRAY(base->folders, base->folder_count, base->folder_room);
		base->folders[base->folder_count++] = (struct folder_run){ node, start, blocks };
		return is_one_run(iblock, blocks) ? 0 : damaged(err);
	}
	if (start < EXT4_FIRST_FREE_BLOCK || blocks > base->end.block ||
	    start > base->end.block - blocks)
		return damaged(err);
	n->start = start;
	n->blocks = blocks;
	n->content = is_one_run(iblock, blocks) ? NODE_RUN : NODE_IBLOCK;
	if (n->content == NODE_IBLOCK)
		n->blob = image_tree_add_text(&base->b->tree, iblock, EXT4_IBLOCK);
	return 0;
}

static int take_content(struct base *base, struct tree_node *n, uint32_t node,
			const struct inode_fields *f, struct error *err)
{
	if (S_ISCHR(n->mode) || S_ISBLK(n->mode)) {
		n->content = NODE_DEVICE;
		inode_table_get_device(f->iblock, &n->start, &n->blocks);
		return 0;
	}
	if (S_ISLNK(n->mode) && n->size < EXT4_IBLOCK) {
		n->content = NODE_INLINE;
		n->blob = image_tree_add_text(&base->b->tree, f->iblock, (size_t)n->size);
		return 0;
	}
	return take_blocks(base, n, node, f->iblock, f->blocks, err);
}

static int take_xattrs(struct base *base, struct tree_node *n, const struct inode_fields *f,
		       struct error *err)
{
	uint8_t block[EXT4_BLOCK], sealed[EXT4_BLOCK];

	if (!f->xattrs && f->xattr_block == 0)
		return 0;
	if (f->xattr_block > 0) {
		int rc = read_block(base, f->xattr_block, block, err);

		if (rc < 0)
			return rc;
		memcpy(sealed, block, sizeof(sealed));
		ext4_seal_xattrs(sealed, f->xattr_block);
		if (memcmp(sealed, block, sizeof(block)) != 0)
			return damaged(err);
	}
	return xattr_store_restore(&base->b->xattrs, f->xattrs, f->xattr_block > 0 ? block : NULL,
				   f->xattr_block, &n->xattrs, err);
}

static int take_inode(struct base *base, uint32_t node, const uint8_t *inode, struct error *err)
{
	struct tree_node *n = image_tree_node(&base->b->tree, node);
	struct inode_fields f;
	int rc;

	inode_table_get(inode, n, &f);
	n->layer = 0;
	rc = take_content(base, n, node, &f, err);
	return rc < 0 ? rc : take_xattrs(base, n, &f, err);
}

static int take_inodes(struct base *base, struct error *err)
{
	struct image_tree *t = &base->b->tree;
	const uint8_t *inode = NULL;
	int rc = read_inode(base, EXT4_ROOT, &inode, err);

	if (rc == 0)
		rc = take_inode(base, TREE_ROOT, inode, err);
	for (uint32_t i = 1; i < base->end.nodes && rc == 0; i++) {
		uint32_t node = 0;

		rc = read_inode(base, tree_ino(i), &inode, err);
		if (rc == 0)
			rc = image_tree_add_node(t, get_le16(inode), &node, err);
		if (rc < 0)
			return rc;
		if (get_le16(inode) != 0)
			rc = take_inode(base, node, inode, err);
		else
			t->live--; /* a number whose node is gone stays unused */
	}
	return rc;
}

static int take_name(struct base *base, uint32_t folder, const uint8_t *entry, struct error *err)
{
	struct image_tree *t = &base->b->tree;
	uint32_t ino = get_le32(entry), node = ino - (EXT4_FIRST_INODE - 1);
	const char *name = (const char *)entry + 8;
	struct tree_node *n;

	if (ino < EXT4_FIRST_INODE || node >= t->nodes.count || entry[6] == 0)
		return damaged(err);
	n = image_tree_node(t, node);
	if (n->mode == 0 || (S_ISDIR(n->mode) && n->links > 0))
		return damaged(err);
	image_tree_attach(t, folder, TREE_NONE, name, entry[6], node)->layer = 0;
	return 0;
}

/* Blocks of an index hold no names: they are one unused entry, or what is behind "..". */
static bool is_sound(const uint8_t *block, const struct folder_run *run, uint32_t at)
{
	uint8_t sealed[EXT4_BLOCK];

	if ((at == 0 && run->blocks > 1) ||
	    (get_le32(block) == 0 && get_le16(block + 4) == EXT4_BLOCK))
		return true;
	memcpy(sealed, block, sizeof(sealed));
	ext4_seal_dir_leaf(sealed, tree_ino(run->node));
	return memcmp(sealed, block, sizeof(sealed)) == 0;
}

static int take_names(struct base *base, const struct folder_run *run, uint32_t at,
		      struct error *err)
{
	uint8_t block[EXT4_BLOCK];
	int rc = read_block(base, run->start + at, block, err);

	if (rc == 0 && !is_sound(block, run, at))
		return damaged(err);
	for (size_t pos = 0; pos + 8 <= EXT4_BLOCK && rc == 0;) {
		const uint8_t *e = block + pos;
		size_t size = get_le16(e + 4);
		bool dots = at == 0 && pos < 24;

		if (size < 8 || size > EXT4_BLOCK - pos || (get_le32(e) != 0 && size < 8U + e[6]))
			return damaged(err);
		if (get_le32(e) != 0 && !dots)
			rc = take_name(base, run->node, e, err);
		pos += size;
	}
	return rc;
}

static int take_folders(struct base *base, struct error *err)
{
	struct image_tree *t = &base->b->tree;

	for (size_t i = 0; i < base->folder_count; i++)
		for (uint32_t k = 0; k < base->folders[i].blocks; k++) {
			int rc = take_names(base, &base->folders[i], k, err);

			if (rc < 0)
				return rc;
		}
	for (uint32_t i = 1; i < t->nodes.count; i++)
		if (image_tree_node(t, i)->mode != 0 && image_tree_node(t, i)->links == 0)
			return damaged(err);
	return 0;
}

static int copy_range(struct base *base, off_t from, off_t to, struct error *err)
{
	int out = base->b->writer.fd;

	while (from < to) {
		off_t there = from;
		ssize_t n = copy_file_range(base->fd, &from, out, &there, (size_t)(to - from), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "copy the disk of the lower layers");
		if (n == 0)
			return damaged(err);
	}
	return 0;
}

static int copy_data(struct base *base, struct error *err)
{
	const off_t first = (off_t)EXT4_FIRST_FREE_BLOCK * EXT4_BLOCK,
		    end = (off_t)base->end.block * EXT4_BLOCK;
	struct file_clone_range clone = { .src_fd = base->fd,
					  .src_offset = (uint64_t)first,
					  .src_length = (uint64_t)(end - first),
					  .dest_offset = (uint64_t)first };
	off_t at = first;

	if (end == first || ioctl(base->b->writer.fd, FICLONERANGE, &clone) == 0)
		return 0;
	while (at < end) {
		off_t data = lseek(base->fd, at, SEEK_DATA);
		off_t hole;
		int rc;

		if (data < 0 && errno == ENXIO)
			return 0;
		hole = data < 0 ? -1 : lseek(base->fd, data, SEEK_HOLE);
		if (hole < 0)
			return error_sys(err, "look for holes in the disk of the lower layers");
		if (data >= end)
			return 0;
		at = hole < end ? hole : end;
		rc = copy_range(base, data, at, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int take_block_map(struct base *base, struct error *err)
{
	struct block_writer *w = &base->b->writer;
	uint32_t start = 0;
	errcode_t code;
	int rc = block_writer_alloc(w, base->end.block - EXT4_FIRST_FREE_BLOCK, &start, err);

	if (rc < 0)
		return rc;
	if (w->next > EXT4_FIRST_FREE_BLOCK) {
		code = ext2fs_get_block_bitmap_range2(base->fs->block_map, 0, (w->next + 7) & ~7U,
						      w->used);
		if (code)
			return ext4_error(err, code, "read the disk of the lower layers");
	}
	w->in_use = 0;
	for (uint32_t i = 0; i < ((w->next + 7) & ~7U); i++) {
		uint8_t bit = (uint8_t)(1U << (i % 8));

		if (i < EXT4_FIRST_FREE_BLOCK || i >= w->next)
			w->used[i / 8] &= (uint8_t)~bit;
		else
			w->in_use += w->used[i / 8] >> (i % 8) & 1;
	}
	return 0;
}

int base_image_load(struct image_builder *b, const char *path, struct error *err)
{
	CLEANUP(base_release) struct base base = { .b = b, .fd = -1, .inodes_at = UINT64_MAX };
	int rc = open_base(&base, path, err);

	if (rc == 0)
		rc = take_block_map(&base, err);
	if (rc == 0)
		rc = take_inodes(&base, err);
	if (rc == 0)
		rc = take_folders(&base, err);
	if (rc == 0)
		rc = copy_data(&base, err);
	b->entries = b->tree.live;
	b->next_layer = 1;
	return rc;
}
