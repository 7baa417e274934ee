/* SPDX-License-Identifier: MIT */
/* Memory that is freed all at once: nodes and models are made of it. */
#ifndef CTRZ_SPEC_TREE_ARENA_H
#define CTRZ_SPEC_TREE_ARENA_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct spec_arena;

struct spec_arena *arena_new(void);
/** arena_free() - NULL is fine */
void arena_free(struct spec_arena *a);
DEFINE_CLEANUP(struct spec_arena *, arena_free)
/** arena_alloc() - zeroed, aligned for anything */
void *arena_alloc(struct spec_arena *a, size_t size) __attribute__((returns_nonnull));
void *arena_array(struct spec_arena *a, size_t count, size_t size) __attribute__((returns_nonnull));
char *arena_strdup(struct spec_arena *a, const char *s) __attribute__((returns_nonnull));
char *arena_strndup(struct spec_arena *a, const char *s, size_t n) __attribute__((returns_nonnull));
char *arena_printf(struct spec_arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3)
	__attribute__((returns_nonnull));
/** arena_take() - copy an owned string into the arena and free it */
char *arena_take(struct spec_arena *a, char *owned) __attribute__((returns_nonnull));

#endif
