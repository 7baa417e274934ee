/* SPDX-License-Identifier: MIT */
/* A growing array in chunks: items never move and little is wasted. */
#ifndef CTRZ_RUNTIME_IMAGE_SLAB_H
#define CTRZ_RUNTIME_IMAGE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/cleanup.h"

enum { SLAB_CHUNK = 4096 };

struct slab {
	void **chunks; /* owned */
	size_t chunk_count, count, item_size;
};

static inline void *slab_at(const struct slab *s, uint32_t i)
{
	return (char *)s->chunks[i / SLAB_CHUNK] + (i % SLAB_CHUNK) * s->item_size;
}

/** slab_add() - a zeroed item; returns its number */
static inline uint32_t slab_add(struct slab *s)
{
	if (s->count == s->chunk_count * SLAB_CHUNK) {
		s->chunks = xreallocarray(s->chunks, s->chunk_count + 1, sizeof(*s->chunks));
		s->chunks[s->chunk_count++] = xcalloc(SLAB_CHUNK, s->item_size);
	}
	return (uint32_t)s->count++;
}

static inline void slab_release(struct slab *s)
{
	for (size_t i = 0; i < s->chunk_count; i++)
		free(s->chunks[i]);
	free(s->chunks);
}

#endif
