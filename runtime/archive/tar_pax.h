/* SPDX-License-Identifier: MIT */
/* The extended (pax) header of one tar entry. */
#ifndef CTRZ_RUNTIME_ARCHIVE_TAR_PAX_H
#define CTRZ_RUNTIME_ARCHIVE_TAR_PAX_H

#include "base/buffer.h"
#include "runtime/archive/tar_header.h"

enum pax_sparse { PAX_SPARSE_NONE, PAX_SPARSE_0_0, PAX_SPARSE_0_1, PAX_SPARSE_1_0 };

struct pax_header {
	struct buffer text; /* as read; changed by parsing, everything below points into it */
	const char *path, *link_path, *sparse_name; /* NULL if not given */
	bool has_size, has_uid, has_gid, has_mtime, has_major, has_minor;
	uint64_t size, real_size;
	uint32_t uid, gid, major, minor;
	int64_t mtime;
	uint32_t mtime_ns;
	enum pax_sparse sparse;
	uint32_t sparse_major, sparse_minor;
	char *sparse_map;                 /* 0.1: "offset,size,offset,size" */
	struct tar_sparse_map sparse_0_0; /* pieces given one record each */
	bool sparse_offset_open;          /* an offset whose size is still to come */
	uint64_t sparse_offset;
	struct tar_xattr *xattrs; /* owned array */
	size_t xattr_count, xattr_room;
};

void pax_header_clear(struct pax_header *p);
void pax_header_release(struct pax_header *p);

/** pax_header_parse() - take @p->text apart. Return: 0 or -E_INTEGRITY */
int pax_header_parse(struct pax_header *p, struct error *err) MUST_CHECK;

/** pax_header_sparse_map() - the map of formats 0.0 and 0.1 into @ret */
int pax_header_sparse_map(struct pax_header *p, struct tar_sparse_map *ret,
			  struct error *err) MUST_CHECK;

#endif
