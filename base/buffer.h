/* SPDX-License-Identifier: MIT */
/* A growable byte string. Invariant: data is NUL-terminated whenever it is not NULL. */
#ifndef CTRZ_BASE_BUFFER_H
#define CTRZ_BASE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct buffer {
	char *data; /* owned; NULL while empty and untouched */
	size_t size;
	size_t room;
};

#define BUFFER_INIT ((struct buffer){ 0 })
#define AUTO_BUFFER CLEANUP(buffer_release) struct buffer

void buffer_release(struct buffer *b);
/** buffer_clear() - size 0, memory kept */
void buffer_clear(struct buffer *b);
/** buffer_reserve() - room for @extra more bytes; returns where they go */
char *buffer_reserve(struct buffer *b, size_t extra);
/** buffer_grow() - count @size bytes that were written where buffer_reserve() said */
void buffer_grow(struct buffer *b, size_t size);
void buffer_add(struct buffer *b, const void *data, size_t size);
void buffer_add_str(struct buffer *b, const char *s);
void buffer_add_char(struct buffer *b, char c);
void buffer_printf(struct buffer *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buffer_vprintf(struct buffer *b, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));
/** buffer_drop() - remove @n bytes from the front */
void buffer_drop(struct buffer *b, size_t n);
/** buffer_steal() - the contents as an owned string, never NULL; the buffer is empty afterwards */
char *buffer_steal(struct buffer *b);
/** buffer_str() - the contents as a string, never NULL; lent until the next change */
const char *buffer_str(const struct buffer *b);

#endif
