/* SPDX-License-Identifier: MIT */
/* Layers inflated in a thread of their own, handed over in bounded pieces. */
#ifndef CTRZ_RUNTIME_IMAGE_LAYER_PIPE_H
#define CTRZ_RUNTIME_IMAGE_LAYER_PIPE_H

#include "base/cleanup.h"
#include "runtime/image/disk_build.h"

struct layer_pipe;

/** layer_pipe_new() - start reading; @layers is lent until layer_pipe_free() */
int layer_pipe_new(const struct layer_source *layers, size_t count,
		   const struct disk_limits *limits, struct layer_pipe **ret,
		   struct error *err) MUST_CHECK;
/** layer_pipe_free() - stop reading and wait for the thread, which may be inside a source's read */
void layer_pipe_free(struct layer_pipe *p);
DEFINE_CLEANUP(struct layer_pipe *, layer_pipe_free)

/**
 * layer_pipe_next() - the next piece of the current layer, lent until the next call
 *
 * A size of 0 is the end of the layer, whose digest was right; the call after that begins the next
 * one. Return: 0; -E_INTEGRITY for a wrong digest, a limit or a damaged stream; or what the source
 * returned
 */
int layer_pipe_next(struct layer_pipe *p, const void **ret_data, size_t *ret_size,
		    struct error *err) MUST_CHECK;

/** layer_pipe_consumed() - bytes of the current layer's blob read for the pieces given out so far
 */
uint64_t layer_pipe_consumed(const struct layer_pipe *p);
/** layer_pipe_total() - uncompressed bytes given out, all layers */
uint64_t layer_pipe_total(const struct layer_pipe *p);

#endif
