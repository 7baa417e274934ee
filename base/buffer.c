/* SPDX-License-Identifier: MIT */
/* A growable byte string. */
#include "base/buffer.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

void buffer_release(struct buffer *b)
{
	free(b->data);
	*b = BUFFER_INIT;
}

void buffer_clear(struct buffer *b)
{
	b->size = 0;
	if (b->data)
		b->data[0] = '\0';
}

char *buffer_reserve(struct buffer *b, size_t extra)
{
	if (b->room - b->size <= extra) {
		size_t room = b->room ? b->room : 64;
		while (room - b->size <= extra)
			room *= 2;
		b->data = xrealloc(b->data, room);
		b->room = room;
		b->data[b->size] = '\0';
	}
	return b->data + b->size;
}

void buffer_grow(struct buffer *b, size_t size)
{
	b->size += size;
	b->data[b->size] = '\0';
}

void buffer_add(struct buffer *b, const void *data, size_t size)
{
	if (size)
		memcpy(buffer_reserve(b, size), data, size);
	else
		(void)buffer_reserve(b, 0);
	b->size += size;
	b->data[b->size] = '\0';
}

void buffer_add_str(struct buffer *b, const char *s)
{
	buffer_add(b, s, strlen(s));
}

void buffer_add_char(struct buffer *b, char c)
{
	buffer_add(b, &c, 1);
}

void buffer_vprintf(struct buffer *b, const char *fmt, va_list args)
{
	va_list again;
	va_copy(again, args);
	size_t room = b->room - b->size;
	int n = vsnprintf(b->data ? b->data + b->size : NULL, room, fmt, args);
	if (n >= 0 && (size_t)n >= room)
		(void)vsnprintf(buffer_reserve(b, (size_t)n), (size_t)n + 1, fmt, again);
	va_end(again);
	if (n > 0)
		b->size += (size_t)n;
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	buffer_vprintf(b, fmt, args);
	va_end(args);
}

void buffer_drop(struct buffer *b, size_t n)
{
	if (n >= b->size) {
		buffer_clear(b);
		return;
	}
	memmove(b->data, b->data + n, b->size - n + 1);
	b->size -= n;
}

char *buffer_steal(struct buffer *b)
{
	char *s = b->data ? b->data : xstrdup("");
	*b = BUFFER_INIT;
	return s;
}

const char *buffer_str(const struct buffer *b)
{
	return b->data ? b->data : "";
}
