/* SPDX-License-Identifier: MIT */
/* Memory that is freed all at once. */
#include "spec/tree/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

enum { CHUNK_SIZE = 128 << 10 };

struct chunk {
	struct chunk *next;
	alignas(max_align_t) char data[];
};

struct spec_arena {
	struct chunk *chunks;
	char *at;
	size_t left;
};

struct spec_arena *arena_new(void)
{
	return xcalloc(1, sizeof(struct spec_arena));
}

void arena_free(struct spec_arena *a)
{
	if (!a)
		return;
	for (struct chunk *c = a->chunks; c;) {
		struct chunk *next = c->next;
		free(c);
		c = next;
	}
	free(a);
}

static char *add_chunk(struct spec_arena *a, size_t size)
{
	struct chunk *c = xcalloc(1, sizeof(*c) + size);
	c->next = a->chunks;
	a->chunks = c;
	return c->data;
}

void *arena_alloc(struct spec_arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);
	size = (size + align - 1) & ~(align - 1);
	if (size > CHUNK_SIZE / 4)
		return add_chunk(a, size);
	if (size > a->left || !a->at) {
		a->at = add_chunk(a, CHUNK_SIZE);
		a->left = CHUNK_SIZE;
	}
	void *p = a->at;
	a->at += size;
	a->left -= size;
	return p;
}

void *arena_array(struct spec_arena *a, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / 2 / size)
		abort();
	return arena_alloc(a, count * size);
}

char *arena_strndup(struct spec_arena *a, const char *s, size_t n)
{
	char *copy = arena_alloc(a, n + 1);
	if (n)
		memcpy(copy, s, n);
	return copy;
}

char *arena_strdup(struct spec_arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_take(struct spec_arena *a, char *owned)
{
	char *copy = arena_strdup(a, owned);
	free(owned);
	return copy;
}

char *arena_printf(struct spec_arena *a, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	char *text = xvasprintf(fmt, args);
	va_end(args);
	return arena_take(a, text);
}
