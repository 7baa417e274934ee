/* SPDX-License-Identifier: MIT */
/* Memory that is freed all at once. */
#include "spec/tree/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"

/* The first chunk is enough for a small file. The more there is, the larger the next one: memory is
 * first touched page by page, and that would cost more than what is then written into it. */
enum { CHUNK_MIN = 128 << 10, HUGE_PAGE = 2 << 20, CHUNK_MAX = 8 << 20 };

struct chunk {
	struct chunk *next;
	size_t size; /* all of it */
	alignas(max_align_t) char data[];
};

struct spec_arena {
	struct chunk *chunks;
	char *at;
	size_t left;
	size_t next_size;
};

/* Zeroed. Whole huge pages where it is that large and the kernel has some: a touch then costs one
 * fault for 2 MiB. */
static struct chunk *new_chunk(size_t size)
{
	if (size < HUGE_PAGE)
		return xcalloc(1, size);
	char *all = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		abort();
	size_t before = -(uintptr_t)all % HUGE_PAGE;
	char *p = all + before;
	munmap(p + size, HUGE_PAGE - before);
	if (before)
		munmap(all, before);
	(void)madvise(p, size, MADV_HUGEPAGE);
	return (struct chunk *)(void *)p;
}

static void free_chunk(struct chunk *c)
{
	if (c->size < HUGE_PAGE)
		free(c);
	else
		munmap(c, c->size);
}

struct spec_arena *arena_new(void)
{
	struct spec_arena *a = xcalloc(1, sizeof(*a));
	a->next_size = CHUNK_MIN;
	return a;
}

void arena_free(struct spec_arena *a)
{
	if (!a)
		return;
	for (struct chunk *c = a->chunks; c;) {
		struct chunk *next = c->next;
		free_chunk(c);
		c = next;
	}
	free(a);
}

static struct chunk *add_chunk(struct spec_arena *a, size_t size)
{
	if (size > SIZE_MAX / 2)
		abort();
	size = (size + sizeof(struct chunk) + 4095) & ~(size_t)4095;
	struct chunk *c = new_chunk(size);
	c->size = size;
	c->next = a->chunks;
	a->chunks = c;
	return c;
}

void *arena_alloc(struct spec_arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);
	size = size ? (size + align - 1) & ~(align - 1) : align;
	if (size > a->left) {
		if (size > a->next_size / 4)
			return add_chunk(a, size)->data;
		struct chunk *c = add_chunk(a, a->next_size - sizeof(struct chunk));
		a->at = c->data;
		a->left = c->size - sizeof(*c);
		a->next_size = a->next_size < HUGE_PAGE ? HUGE_PAGE : CHUNK_MAX;
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
	/* From the end of the chunk, where nothing has to be aligned. */
	char *copy;
	if (n < a->left) {
		a->left -= n + 1;
		copy = a->at + a->left;
	} else {
		copy = arena_alloc(a, n + 1);
	}
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
