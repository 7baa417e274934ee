/* SPDX-License-Identifier: MIT */
/* Writes a cpio archive in the "newc" format the kernel unpacks as its initramfs. Same calls, same
 * bytes. */
#ifndef CTRZ_RUNTIME_ARCHIVE_CPIO_H
#define CTRZ_RUNTIME_ARCHIVE_CPIO_H

#include <sys/types.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

struct cpio;

/** cpio_new() - an empty archive that grows in @out; @out is lent until cpio_free(). Never NULL */
struct cpio *cpio_new(struct buffer *out);
/** cpio_free() - NULL is fine; without cpio_finish() the bytes in the buffer are no archive */
void cpio_free(struct cpio *c);
DEFINE_CLEANUP(struct cpio *, cpio_free)

/** cpio_add_dir() - @path without a leading slash; owner is root, time is 0 */
int cpio_add_dir(struct cpio *c, const char *path, mode_t permissions,
		 struct error *err) MUST_CHECK;
int cpio_add_file(struct cpio *c, const char *path, mode_t permissions, const void *data,
		  size_t size, struct error *err) MUST_CHECK;
/** cpio_finish() - the trailer */
int cpio_finish(struct cpio *c, struct error *err) MUST_CHECK;

#endif
