/* SPDX-License-Identifier: MIT */
/* Decompression of one stream held in memory, whatever its format. */
#ifndef CTRZ_RUNTIME_ARCHIVE_INFLATE_H
#define CTRZ_RUNTIME_ARCHIVE_INFLATE_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

/**
 * inflate_bytes() - decompress gzip, bzip2, xz, lzma, zstd or lz4
 * @what:	names the source in messages
 * @max:	a larger result is E_INVALID
 * @out:	appended to
 *
 * Return: 0, -E_INVALID if the format is none of these or the result is too large, -E_INTEGRITY if
 * the stream is damaged
 */
int inflate_bytes(const void *data, size_t size, size_t max, const char *what, struct buffer *out,
		  struct error *err) MUST_CHECK;

#endif
