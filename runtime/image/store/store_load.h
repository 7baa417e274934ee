/* SPDX-License-Identifier: MIT */
/* What the ways of loading an image share; private to the store. */
#ifndef CTRZ_RUNTIME_IMAGE_STORE_STORE_LOAD_H
#define CTRZ_RUNTIME_IMAGE_STORE_STORE_LOAD_H

#include "runtime/image/store/store_internal.h"

/* One load: from where, which image of several, and the name it gets. */
struct load {
	struct image_store *store;
	const char *path;   /* of the folder or archive */
	const char *choice; /* the image to take of several; NULL = there is one */
	const char *name;   /* given by the caller; NULL = the one it carries */
	int dir_fd;         /* of an OCI layout folder; -1 = all blobs are in the store already */
};

/** load_layout() - from an index.json whose blobs are in l->dir_fd or in the store */
int load_layout(struct load *l, const char *index, size_t size, struct image *ret,
		struct error *err) MUST_CHECK;
/** load_archive() - from a tar, compressed or not: an OCI layout or a docker archive. @fd: of it,
 * any kind of file; lent */
int load_archive(struct load *l, int fd, struct image *ret, struct error *err) MUST_CHECK;
/** load_finish() - assemble and commit under l->name or every one of @names */
int load_finish(struct load *l, struct assembly *a, const struct strlist *names, struct image *ret,
		struct error *err) MUST_CHECK;

#endif
