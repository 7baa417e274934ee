/* SPDX-License-Identifier: MIT */
/* Layers to a bootable ext4: one pass, no mount, no root, no unpacked copy. */
#ifndef CTRZ_RUNTIME_IMAGE_DISK_BUILD_H
#define CTRZ_RUNTIME_IMAGE_DISK_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"

enum layer_compression { LAYER_AUTO, LAYER_PLAIN, LAYER_GZIP, LAYER_ZSTD };

/* One layer, lowest first. Its blob is read once, in order. */
struct layer_source {
	enum layer_compression compression; /* LAYER_AUTO looks at the first bytes */
	/* For messages: a short digest or a file name; NULL = "layer N". */
	const char *name;
	/* "sha256:<hex>" or "sha512:<hex>" of the uncompressed tar, verified; NULL = not checked.
	 */
	const char *diff_id;
	uint64_t size; /* of the blob, 0 = unknown; more or fewer bytes are E_INTEGRITY */
	/*
	 * Up to @size bytes of the blob, may block; called from the build's second thread, never
	 * from two threads at once. Return: bytes, 0 at the end, -code with @err set. NULL = there
	 * are no bytes at all.
	 */
	ssize_t (*read)(void *arg, void *buf, size_t size, struct error *err);
	void *arg;
};

enum disk_sync {
	DISK_SYNC_FULL, /* on the medium before it gets its name: survives a power cut */
	DISK_SYNC_NONE, /* left to the page cache: survives a crash of ours, not one of the host */
};

/* What a build refuses beyond; 0 = the default beside it. */
struct disk_limits {
	uint64_t total_bytes; /* 128 GiB of uncompressed layers */
	uint32_t entries;     /* 2,000,000, implied folders included */
	uint32_t ratio;       /* 200 times the blob's size, once a layer is over 1 GiB */
	uint32_t layers;      /* 1,024 */
};

struct disk_progress {
	size_t layer, layer_count;
	uint64_t done, total; /* bytes of this layer's blob; total 0 = unknown */
	uint64_t entries;     /* so far, all layers */
};

struct disk_build_options {
	const char *path; /* absolute; its folder exists; replaced atomically if there */
	enum disk_sync sync;
	struct disk_limits limits;
	/* Take "/a" as "a", which some builders of images write; without it that is refused. */
	bool rooted_names;
	/*
	 * A disk that was built of the first @base_layers of these layers, or NULL: they are taken
	 * from there instead of being read again; the result is the same. If it is not there or
	 * damaged, all layers are read.
	 */
	const char *base_path;
	size_t base_layers;
	/* Called from the calling thread at most every megabyte; another value than 0 ends the
	 * build with E_CANCELED. */
	int (*progress)(void *arg, const struct disk_progress *p); /* may be NULL */
	void *progress_arg;
};

struct disk_build_result {
	uint64_t disk_bytes;  /* apparent size of the file, which is sparse */
	uint64_t used_bytes;  /* of it, in use inside the file system */
	uint64_t layer_bytes; /* uncompressed */
	uint32_t inodes;
	uint64_t entries; /* tar entries, whiteouts included */
	bool used_base;
	/* Work done, which must grow with the input and no faster. */
	uint64_t steps;  /* names looked at */
	uint64_t writes; /* system calls */
};

/**
 * disk_build() - write the merged layers as a read-only ext4 at @o->path
 * @ret:	may be NULL
 *
 * Same layers, same bytes out. It is built in a hidden file beside the path, which a later build in
 * the same folder removes if this process dies. Whiteouts act on lower layers only, wherever they
 * stand in the tar.
 *
 * Return: 0; -E_INTEGRITY if a layer is damaged, lies about its digest or size, or does what a
 * layer must not; -E_CANCELED; -E_SYSTEM (a full disk too); or what a source returned
 */
int disk_build(const struct disk_build_options *o, const struct layer_source *layers, size_t count,
	       struct disk_build_result *ret, struct error *err) MUST_CHECK;

#endif
