/* SPDX-License-Identifier: MIT */
/* Applies layers, entry by entry, to an ext4 being written. */
#ifndef CTRZ_RUNTIME_IMAGE_IMAGE_BUILDER_H
#define CTRZ_RUNTIME_IMAGE_IMAGE_BUILDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "runtime/archive/tar_reader.h"
#include "runtime/image/block_writer.h"
#include "runtime/image/image_tree.h"
#include "runtime/image/xattr_store.h"

struct image_builder {
	struct block_writer writer;
	struct image_tree tree;
	struct xattr_store xattrs;
	uint16_t layer; /* the one being applied */
	uint16_t next_layer;
	bool rooted_names;
	uint32_t max_entries;
	uint64_t max_bytes;
	uint64_t entries; /* tar entries so far */
	/* The folder the last entry was in: tars come sorted, so most look-ups end here. */
	struct buffer last_folder;
	uint32_t last_node; /* TREE_NONE = not known */
};

struct image_limits {
	uint32_t max_entries;
	uint64_t max_bytes; /* of one file */
	bool rooted_names;
};

/** image_builder_init() - @fd: an empty file, lent. The builder must not move in memory afterwards
 */
void image_builder_init(struct image_builder *b, int fd, const struct image_limits *limits);
void image_builder_release(struct image_builder *b);

/**
 * image_builder_apply() - the next layer, from its tar
 *
 * Refused with E_INTEGRITY, naming the entry: ".." in names and hard link targets, absolute ones
 * (unless rooted names are taken), folders that are symlinks or files, a folder of this very
 * layer replaced by something else, links to nothing or to folders, attributes that do not fit.
 */
int image_builder_apply(struct image_builder *b, struct tar_reader *tar,
			struct error *err) MUST_CHECK;

/** image_builder_finish() - write folders, inodes and the file system's frame */
int image_builder_finish(struct image_builder *b, uint64_t *ret_bytes,
			 struct error *err) MUST_CHECK;

#endif
