/* SPDX-License-Identifier: MIT */
/* A strict, bounded reader of tar streams (ustar, pax, GNU) that never touches the host's file
 * system. */
#ifndef CTRZ_RUNTIME_ARCHIVE_TAR_READER_H
#define CTRZ_RUNTIME_ARCHIVE_TAR_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Where the bytes come from: piece after piece, lent until the next call. */
struct byte_source {
	/* Sets the next piece; a size of 0 is the end. Return: 0 or -code */
	int (*next)(void *arg, const void **ret_data, size_t *ret_size, struct error *err);
	void *arg;
};

enum tar_type {
	TAR_FILE,
	TAR_HARD_LINK,
	TAR_SYMLINK,
	TAR_CHAR_DEVICE,
	TAR_BLOCK_DEVICE,
	TAR_DIRECTORY,
	TAR_FIFO,
};

enum {
	TAR_PATH_MAX = 4095,
	TAR_PAX_MAX = 1 << 20,    /* bytes of one extended header */
	TAR_SPARSE_MAX = 1 << 20, /* pieces of one sparse file */
	TAR_XATTRS_MAX = 1024,    /* of one entry */
};

struct tar_xattr {
	const char *name; /* "user.x" */
	const void *value;
	size_t size;
};

/* One entry; everything it points to is lent until the next tar_reader_next(). */
struct tar_entry {
	enum tar_type type;
	const char *name;      /* as written: may be "./a", "/a", "a/../b" or "a/"; never empty */
	const char *link_name; /* links only, never empty; else NULL */
	uint32_t mode;         /* permission, setuid, setgid and sticky bits */
	uint32_t uid, gid;
	uint64_t size; /* of a file, holes included; else 0 */
	int64_t mtime;
	uint32_t mtime_ns;
	uint32_t major, minor; /* devices only */
	bool sparse;
	const struct tar_xattr *xattrs;
	size_t xattr_count;
	uint64_t data_offset; /* in the stream, of the first byte behind the header */
};

struct tar_reader;

/** tar_reader_new() - read from @source, which is copied; what it refers to must outlive the reader
 */
struct tar_reader *tar_reader_new(const struct byte_source *source);
/** tar_reader_new_fd() - read from a descriptor's current position on; @fd is lent */
struct tar_reader *tar_reader_new_fd(int fd);
void tar_reader_free(struct tar_reader *r);
DEFINE_CLEANUP(struct tar_reader *, tar_reader_free)

/**
 * tar_reader_next() - the next entry; what is left of the last one's data is skipped
 *
 * Return: 1 with an entry, 0 at the end of the archive, -E_INTEGRITY for anything malformed,
 * truncated or beyond the limits above, or what the source returned
 */
int tar_reader_next(struct tar_reader *r, struct tar_entry *ret, struct error *err) MUST_CHECK;

/**
 * tar_reader_data() - the next piece of the current file, lent until the next call
 * @ret_offset:	where in the file it belongs; pieces come in order and do not overlap, gaps are
 * holes
 *
 * Return: its size (> 0), 0 behind the last piece, or -code
 */
ssize_t tar_reader_data(struct tar_reader *r, uint64_t *ret_offset, const void **ret_data,
			struct error *err) MUST_CHECK;

/** tar_reader_read() - fill @buf from the current file, which must not be sparse. Return: bytes, 0
 * at its end, -code */
ssize_t tar_reader_read(struct tar_reader *r, void *buf, size_t size, struct error *err) MUST_CHECK;

/** tar_reader_drain() - read to the end of the source, whatever follows the archive there */
int tar_reader_drain(struct tar_reader *r, struct error *err) MUST_CHECK;

#endif
