/* SPDX-License-Identifier: MIT */
/*
 * Turns tar entries into inodes, names and blocks.
 *
 * DOC: Theory of Operation
 *
 * File data goes to the image as it arrives, one run of blocks per file, one file behind the other.
 * Everything else stays in memory until the last layer is through: a node per inode and a link per
 * name. Then folders, inodes and the frame are written behind the data. So the tar is read once and
 * the image is written once, front to back.
 *
 * Every link knows the last layer that had something to do with it. A whiteout or an opaque folder
 * removes what lower layers put there and nothing else, so it does not matter where in the tar it
 * stands. A name a layer replaces loses its node; a node without names gives its blocks back.
 */
#include "runtime/image/image_builder.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "runtime/image/dir_writer.h"
#include "runtime/image/ext4_format.h"
#include "runtime/image/ext4_super.h"
#include "runtime/image/extent_tree.h"
#include "runtime/image/image_path.h"

enum {
	DEVICE_MAJOR_MAX = 0xfff,
	DEVICE_MINOR_MAX = 0xfffff,
	ROOT_EXTENTS = 4, /* that an inode holds itself */
};

static const char whiteout[] = ".wh.";
static const char whiteout_meta[] = ".wh..wh.";
static const char whiteout_opaque[] = ".wh..wh..opq";

/* The last name of a node is gone. */
static int give_back(void *arg, uint32_t node, struct error *err)
{
	struct image_builder *b = arg;
	struct tree_node *n = image_tree_node(&b->tree, node);
	bool has_blocks = n->content == NODE_RUN || n->content == NODE_IBLOCK;

	xattr_store_drop(&b->xattrs, n->xattrs);
	n->xattrs = 0;
	return has_blocks ? block_writer_free(&b->writer, n->start, n->blocks, err) : 0;
}

void image_builder_init(struct image_builder *b, int fd, const struct image_limits *limits)
{
	*b = (struct image_builder){
		.rooted_names = limits->rooted_names,
		.max_entries = limits->max_entries,
		.max_bytes = limits->max_bytes,
		.last_node = TREE_NONE,
	};
	block_writer_init(&b->writer, fd);
	image_tree_init(&b->tree, limits->max_entries + 1);
	xattr_store_init(&b->xattrs, &b->writer);
	b->tree.dropped = give_back;
	b->tree.dropped_arg = b;
}

void image_builder_release(struct image_builder *b)
{
	xattr_store_release(&b->xattrs);
	image_tree_release(&b->tree);
	block_writer_release(&b->writer);
	buffer_release(&b->last_folder);
}

static uint16_t type_bits(enum tar_type type)
{
	switch (type) {
	case TAR_DIRECTORY:
		return S_IFDIR;
	case TAR_SYMLINK:
		return S_IFLNK;
	case TAR_CHAR_DEVICE:
		return S_IFCHR;
	case TAR_BLOCK_DEVICE:
		return S_IFBLK;
	case TAR_FIFO:
		return S_IFIFO;
	case TAR_FILE:
	case TAR_HARD_LINK:
		return S_IFREG;
	}
	return S_IFREG;
}

static int set_attributes(struct image_builder *b, uint32_t node, const struct tar_entry *e,
			  struct error *err)
{
	struct tree_node *n = image_tree_node(&b->tree, node);
	uint32_t set = 0;
	int rc = xattr_store_add(&b->xattrs, e->xattrs, e->xattr_count, &set, err);

	if (rc < 0)
		return rc;
	xattr_store_drop(&b->xattrs, n->xattrs);
	n->xattrs = set;
	n->mode = (uint16_t)(type_bits(e->type) | (e->type == TAR_SYMLINK ? 0777 : e->mode));
	n->uid = e->uid;
	n->gid = e->gid;
	n->mtime = e->mtime;
	n->mtime_ns = e->mtime_ns;
	n->layer = b->layer;
	return 0;
}

static int map_run(struct image_builder *b, uint32_t node, struct extent_tree *extents,
		   uint32_t start, struct error *err)
{
	struct tree_node *n = image_tree_node(&b->tree, node);
	uint8_t iblock[EXT4_IBLOCK];
	int rc = extent_tree_finish(extents, iblock, err);

	if (rc < 0)
		return rc;
	n->content = NODE_IBLOCK;
	n->start = start;
	n->blocks = b->writer.next - start; /* data and tree nodes lie behind each other */
	n->blob = image_tree_add_text(&b->tree, iblock, sizeof(iblock));
	return 0;
}

static int write_plain(struct image_builder *b, uint32_t node, const struct tar_entry *e,
		       struct tar_reader *tar, struct error *err)
{
	struct tree_node *n = image_tree_node(&b->tree, node);
	uint64_t blocks = (e->size + EXT4_BLOCK - 1) / EXT4_BLOCK;
	AUTO_EXTENTS extents;
	uint64_t offset = 0;
	const void *data = NULL;
	ssize_t size;
	int rc;

	extent_tree_init(&extents, &b->writer, tree_ino(node));
	if (blocks == 0)
		return 0;
	rc = block_writer_alloc(&b->writer, blocks, &n->start, err);
	if (rc < 0)
		return rc;
	n->content = NODE_RUN;
	n->blocks = (uint32_t)blocks;
	while ((size = tar_reader_data(tar, &offset, &data, err)) > 0) {
		rc = block_writer_put(&b->writer, (uint64_t)n->start * EXT4_BLOCK + offset, data,
				      (size_t)size, err);
		if (rc < 0)
			return rc;
	}
	if (size < 0)
		return (int)size;
	if (blocks <= (uint64_t)ROOT_EXTENTS * EXT4_EXTENT_BLOCKS_MAX)
		return 0;
	rc = extent_tree_add(&extents, 0, n->start, blocks, err);
	return rc < 0 ? rc : map_run(b, node, &extents, n->start, err);
}

/* Where a sparse file's last block went; pieces may share it. */
struct sparse_end {
	bool any;
	uint32_t logical, physical;
};

static int write_piece(struct image_builder *b, struct extent_tree *extents, struct sparse_end *end,
		       uint64_t offset, const uint8_t *data, size_t size, struct error *err)
{
	while (size > 0) {
		uint32_t logical = (uint32_t)(offset / EXT4_BLOCK);
		size_t inside = offset % EXT4_BLOCK;
		size_t part = EXT4_BLOCK - inside;
		int rc = 0;

		if (!end->any || logical != end->logical) {
			/* All whole blocks of the piece at once. */
			uint64_t count = (inside + size + EXT4_BLOCK - 1) / EXT4_BLOCK;
			uint32_t physical = 0;

			rc = block_writer_alloc(&b->writer, count, &physical, err);
			if (rc == 0)
				rc = extent_tree_add(extents, logical, physical, count, err);
			*end = (struct sparse_end){ true, (uint32_t)(logical + count - 1),
						    (uint32_t)(physical + count - 1) };
			part = size;
			if (rc == 0)
				rc = block_writer_put(&b->writer,
						      (uint64_t)physical * EXT4_BLOCK + inside,
						      data, part, err);
		} else {
			part = size < part ? size : part;
			rc = block_writer_put(&b->writer,
					      (uint64_t)end->physical * EXT4_BLOCK + inside, data,
					      part, err);
		}
		if (rc < 0)
			return rc;
		data += part;
		offset += part;
		size -= part;
	}
	return 0;
}

static int write_sparse(struct image_builder *b, uint32_t node, struct tar_reader *tar,
			struct error *err)
{
	AUTO_EXTENTS extents;
	struct sparse_end end = { 0 };
	uint32_t start = b->writer.next;
	const void *data = NULL;
	uint64_t offset = 0;
	ssize_t size;

	extent_tree_init(&extents, &b->writer, tree_ino(node));
	while ((size = tar_reader_data(tar, &offset, &data, err)) > 0) {
		int rc = write_piece(b, &extents, &end, offset, data, (size_t)size, err);

		if (rc < 0)
			return rc;
	}
	return size < 0 ? (int)size : map_run(b, node, &extents, start, err);
}

static int write_file(struct image_builder *b, uint32_t node, const struct tar_entry *e,
		      struct tar_reader *tar, struct error *err)
{
	uint64_t max = e->sparse ? (uint64_t)UINT32_MAX * EXT4_BLOCK : b->max_bytes;

	if (e->size > max)
		return error_set(err, E_INTEGRITY,
				 "file of %" PRIu64 " bytes, more than %" PRIu64 " are refused",
				 e->size, max);
	image_tree_node(&b->tree, node)->size = e->size;
	return e->sparse ? write_sparse(b, node, tar, err) : write_plain(b, node, e, tar, err);
}

static int write_symlink(struct image_builder *b, uint32_t node, const char *target,
			 struct error *err)
{
	struct tree_node *n = image_tree_node(&b->tree, node);
	int rc;

	n->size = strlen(target);
	if (n->size < EXT4_IBLOCK) {
		n->content = NODE_INLINE;
		n->blob = image_tree_add_text(&b->tree, target, (size_t)n->size);
		return 0;
	}
	rc = block_writer_alloc(&b->writer, 1, &n->start, err);
	if (rc < 0)
		return rc;
	n->content = NODE_RUN;
	n->blocks = 1;
	return block_writer_put(&b->writer, (uint64_t)n->start * EXT4_BLOCK, target,
				(size_t)n->size, err);
}

static int set_device(struct image_builder *b, uint32_t node, const struct tar_entry *e,
		      struct error *err)
{
	struct tree_node *n = image_tree_node(&b->tree, node);

	if (e->major > DEVICE_MAJOR_MAX || e->minor > DEVICE_MINOR_MAX)
		return error_set(err, E_INTEGRITY, "device number %u:%u cannot exist", e->major,
				 e->minor);
	n->content = NODE_DEVICE;
	n->start = e->major;
	n->blocks = e->minor;
	return 0;
}

/* A node with all that belongs to it, but without a name. */
static int make_node(struct image_builder *b, const struct tar_entry *e, struct tar_reader *tar,
		     uint32_t *ret, struct error *err)
{
	int rc = image_tree_add_node(&b->tree, type_bits(e->type), ret, err);

	if (rc == 0)
		rc = set_attributes(b, *ret, e, err);
	if (rc < 0)
		return rc;
	switch (e->type) {
	case TAR_FILE:
		return write_file(b, *ret, e, tar, err);
	case TAR_SYMLINK:
		return write_symlink(b, *ret, e->link_name, err);
	case TAR_CHAR_DEVICE:
	case TAR_BLOCK_DEVICE:
		return set_device(b, *ret, e, err);
	case TAR_DIRECTORY:
	case TAR_FIFO:
	case TAR_HARD_LINK:
		break;
	}
	return 0;
}

/* Make way for another entry of that name. @for_folder: which is a folder */
static int remove_old(struct image_builder *b, uint32_t link, bool for_folder, struct error *err)
{
	struct tree_link *l;

	if (link == TREE_NONE)
		return 0;
	l = image_tree_link(&b->tree, link);
	if (l->node == TREE_NONE)
		return 0;
	if (image_tree_is_folder(&b->tree, l->node)) {
		if (l->layer == b->layer && !for_folder)
			return error_set(err, E_INTEGRITY,
					 "it would replace a folder of the same layer");
		image_path_forget(b);
	}
	return image_tree_detach(&b->tree, link, err);
}

static int find_target(struct image_builder *b, const char *name, uint32_t *ret, struct error *err)
{
	struct image_path path;
	uint32_t folder = TREE_NONE, link = TREE_NONE;
	int rc = image_path_parse(name, b->rooted_names, &path, err);

	if (rc == 0 && path.base_size > 0)
		rc = image_path_walk(b, &path, WALK_TO_FIND, &folder, err);
	if (rc < 0)
		return rc;
	if (folder != TREE_NONE)
		link = image_tree_find(&b->tree, folder, path.base, path.base_size);
	*ret = link == TREE_NONE ? TREE_NONE : image_tree_link(&b->tree, link)->node;
	if (*ret == TREE_NONE)
		return error_set(err, E_INTEGRITY, "it is not in the image at this point");
	if (image_tree_is_folder(&b->tree, *ret))
		return error_set(err, E_INTEGRITY, "it is a folder");
	if (image_tree_node(&b->tree, *ret)->links >= EXT4_LINKS_MAX)
		return error_set(err, E_INTEGRITY, "more than %d names for one file",
				 EXT4_LINKS_MAX);
	return 0;
}

static int add_hard_link(struct image_builder *b, const struct tar_entry *e,
			 const struct image_path *path, uint32_t folder, uint32_t link,
			 struct error *err)
{
	struct tree_node *n;
	uint32_t target = TREE_NONE;
	int rc = find_target(b, e->link_name, &target, err);

	if (rc < 0) {
		AUTO_FREE char *safe = text_escaped(e->link_name);

		return error_wrap(err, "hard link to '%.300s'", safe);
	}
	if (link != TREE_NONE && image_tree_link(&b->tree, link)->node == target) {
		image_tree_link(&b->tree, link)->layer = b->layer;
		return 0;
	}
	/* What is replaced may be a folder the target is in. */
	n = image_tree_node(&b->tree, target);
	n->links++;
	rc = remove_old(b, link, false, err);
	n->links--;
	if (rc < 0)
		return rc;
	image_tree_attach(&b->tree, folder, link, path->base, path->base_size, target)->layer =
		b->layer;
	return 0;
}

static int add_entry(struct image_builder *b, const struct tar_entry *e,
		     const struct image_path *path, struct tar_reader *tar, struct error *err)
{
	uint32_t folder = TREE_NONE, link, node = TREE_NONE;
	struct tree_link *l;
	int rc = image_path_walk(b, path, WALK_TO_ADD, &folder, err);

	if (rc < 0)
		return rc;
	link = image_tree_find(&b->tree, folder, path->base, path->base_size);
	if (e->type == TAR_HARD_LINK)
		return add_hard_link(b, e, path, folder, link, err);
	l = link == TREE_NONE ? NULL : image_tree_link(&b->tree, link);
	if (e->type == TAR_DIRECTORY && l && l->node != TREE_NONE &&
	    image_tree_is_folder(&b->tree, l->node)) {
		l->layer = b->layer;
		return set_attributes(b, l->node, e, err);
	}
	rc = remove_old(b, link, e->type == TAR_DIRECTORY, err);
	if (rc == 0)
		rc = make_node(b, e, tar, &node, err);
	if (rc < 0)
		return rc;
	image_tree_attach(&b->tree, folder, link, path->base, path->base_size, node)->layer =
		b->layer;
	return 0;
}

/* Hide what lower layers have under one name. */
static int hide(struct image_builder *b, uint32_t folder, const char *name, size_t size,
		struct error *err)
{
	uint32_t link = image_tree_find(&b->tree, folder, name, size);
	struct tree_link *l = link == TREE_NONE ? NULL : image_tree_link(&b->tree, link);
	int rc = 0;

	if (!l || l->node == TREE_NONE)
		return 0;
	if (l->layer < b->layer)
		return image_tree_detach(&b->tree, link, err);
	if (!image_tree_is_folder(&b->tree, l->node))
		return 0;
	if (image_tree_node(&b->tree, l->node)->layer < b->layer)
		rc = image_tree_forget(&b->tree, l->node, err);
	return rc < 0 ? rc : image_tree_prune(&b->tree, l->node, b->layer, err);
}

static int apply_whiteout(struct image_builder *b, const struct image_path *path, struct error *err)
{
	const char *name = path->base + sizeof(whiteout) - 1;
	size_t size = path->base_size - (sizeof(whiteout) - 1);
	bool opaque = strcmp(path->base, whiteout_opaque) == 0;
	uint32_t folder = TREE_NONE;
	int rc;

	if (!opaque && str_starts(path->base, whiteout_meta))
		return 0; /* bookkeeping of aufs */
	if (size == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(err, E_INTEGRITY, "whiteout without a name");
	rc = image_path_walk(b, path, WALK_TO_HIDE, &folder, err);
	if (rc < 0 || folder == TREE_NONE || b->layer == 0)
		return rc;
	image_path_forget(b);
	return opaque ? image_tree_prune(&b->tree, folder, b->layer, err)
		      : hide(b, folder, name, size, err);
}

static int apply_entry(struct image_builder *b, const struct tar_entry *e, struct tar_reader *tar,
		       struct error *err)
{
	struct image_path path;
	int rc;

	if (++b->entries > b->max_entries)
		return error_set(err, E_INTEGRITY, "more than %u entries, which is refused",
				 b->max_entries);
	rc = image_path_parse(e->name, b->rooted_names, &path, err);
	if (rc < 0)
		return rc;
	if (path.base_size == 0 && e->type != TAR_DIRECTORY)
		return error_set(err, E_INTEGRITY, "the root is a folder");
	if (path.base_size == 0)
		return set_attributes(b, TREE_ROOT, e, err);
	if (str_starts(path.base, whiteout))
		return apply_whiteout(b, &path, err);
	return add_entry(b, e, &path, tar, err);
}

int image_builder_apply(struct image_builder *b, struct tar_reader *tar, struct error *err)
{
	struct tar_entry e = { 0 };
	int rc;

	b->layer = b->next_layer++;
	image_path_forget(b);
	while ((rc = tar_reader_next(tar, &e, err)) > 0) {
		rc = apply_entry(b, &e, tar, err);
		if (rc < 0) {
			AUTO_FREE char *safe = text_escaped(e.name);

			return error_wrap(err, "entry '%.300s'", safe);
		}
	}
	return rc;
}

int image_builder_finish(struct image_builder *b, uint64_t *ret_bytes, struct error *err)
{
	int rc;

	b->writer.data_end = b->writer.next;
	rc = dir_writer_run(&b->tree, &b->writer, err);
	if (rc == 0)
		rc = xattr_store_finish(&b->xattrs, err);
	if (rc == 0)
		rc = ext4_super_write(&b->tree, &b->xattrs, &b->writer, ret_bytes, err);
	return rc;
}
