/* SPDX-License-Identifier: MIT */
/* The fixed 512-byte tar header and the map of a sparse file. */
#ifndef CTRZ_RUNTIME_ARCHIVE_TAR_HEADER_H
#define CTRZ_RUNTIME_ARCHIVE_TAR_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "runtime/archive/tar_reader.h"

enum { TAR_BLOCK = 512, TAR_HEADER_NAME_MAX = 256 };

struct tar_header {
	char flag; /* the type flag as written */
	enum tar_type type;
	char name[TAR_HEADER_NAME_MAX + 1]; /* prefix and name joined */
	char link_name[101];
	uint32_t mode, uid, gid, major, minor;
	uint64_t size;
	int64_t mtime;
	uint64_t old_real_size; /* flag 'S' only, like the next two */
	uint8_t old_sparse[96]; /* four pieces */
	bool old_sparse_more;
};

bool tar_block_is_zero(const uint8_t *block);

/** tar_header_parse() - @position is for messages; @ret->type is not set for flags that describe no
 * entry. Return: 0 or -E_INTEGRITY */
int tar_header_parse(const uint8_t *block, uint64_t position, struct tar_header *ret,
		     struct error *err) MUST_CHECK;

struct tar_piece {
	uint64_t offset, size;
};

struct tar_sparse_map {
	struct tar_piece *items; /* owned */
	size_t count, room;
};

void tar_sparse_map_clear(struct tar_sparse_map *m);
void tar_sparse_map_release(struct tar_sparse_map *m);
int tar_sparse_map_add(struct tar_sparse_map *m, uint64_t offset, uint64_t size,
		       struct error *err) MUST_CHECK;
/** tar_sparse_map_add_old() - @count pieces of the old GNU format, 24 bytes each; a zeroed one ends
 * them */
int tar_sparse_map_add_old(struct tar_sparse_map *m, const uint8_t *area, size_t count,
			   struct error *err) MUST_CHECK;
/** tar_sparse_map_check() - in order, apart, inside @file_size, and @stored_size bytes in all */
int tar_sparse_map_check(const struct tar_sparse_map *m, uint64_t file_size, uint64_t stored_size,
			 struct error *err) MUST_CHECK;

#endif
