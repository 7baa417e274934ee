/* SPDX-License-Identifier: MIT */
/* A blob inflated while it is read: gzip by ISA-L where it is there, else zlib; zstd; plain. */
#ifndef CTRZ_RUNTIME_IMAGE_LAYER_STREAM_H
#define CTRZ_RUNTIME_IMAGE_LAYER_STREAM_H

#include "base/cleanup.h"
#include "runtime/image/disk_build.h"

struct layer_stream;

/** layer_stream_new() - @source is lent */
struct layer_stream *layer_stream_new(const struct layer_source *source);
void layer_stream_free(struct layer_stream *s);
DEFINE_CLEANUP(struct layer_stream *, layer_stream_free)

/**
 * layer_stream_read() - fill @buf with uncompressed bytes, short only at the end
 *
 * Return: bytes, 0 at the end; -E_INTEGRITY for a damaged or truncated stream or a blob of another
 * size than announced; or what the source returned
 */
ssize_t layer_stream_read(struct layer_stream *s, void *buf, size_t size,
			  struct error *err) MUST_CHECK;

/** layer_stream_consumed() - bytes of the blob read so far */
uint64_t layer_stream_consumed(const struct layer_stream *s);

#endif
