/* SPDX-License-Identifier: MIT */
/* Writing a plain tar (ustar) to a descriptor. */
#ifndef CTRZ_RUNTIME_IMAGE_STORE_STORE_TAR_H
#define CTRZ_RUNTIME_IMAGE_STORE_STORE_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/** tar_add_bytes() - a file of mode 0644, owner 0, time 0; @name has at most 99 bytes */
int tar_add_bytes(int fd, const char *name, const void *data, size_t size,
		  struct error *err) MUST_CHECK;
/** tar_add_file() - the same from @source, which must hold exactly @size bytes */
int tar_add_file(int fd, const char *name, int source, uint64_t size, struct error *err) MUST_CHECK;
/** tar_finish() - the two empty blocks at the end */
int tar_finish(int fd, struct error *err) MUST_CHECK;

#endif
