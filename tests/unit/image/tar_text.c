/* SPDX-License-Identifier: MIT */
/* Writes ustar headers, and lends their bytes in pieces. */
#include "tests/unit/image/tar_text.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 512 };

static void pad(struct buffer *out)
{
	size_t n = (BLOCK - out->size % BLOCK) % BLOCK;

	memset(buffer_reserve(out, n), 0, n);
	out->size += n;
}

void tar_text_add(struct buffer *out, char flag, const char *name, const char *link,
		  const char *data)
{
	char block[BLOCK] = { 0 };
	size_t size = data ? strlen(data) : 0;
	unsigned sum = 0;

	(void)strncpy(block, name, 99);
	(void)snprintf(block + 100, 8, "%07o", 0644);
	(void)snprintf(block + 108, 8, "%07o", 12);
	(void)snprintf(block + 116, 8, "%07o", 34);
	(void)snprintf(block + 124, 12, "%011o", (unsigned)size);
	(void)snprintf(block + 136, 12, "%011o", 1700000000U);
	memset(block + 148, ' ', 8);
	block[156] = flag;
	if (link)
		(void)strncpy(block + 157, link, 99);
	memcpy(block + 257,
	       "ustar\0"
	       "00",
	       8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += (unsigned char)block[i];
	(void)snprintf(block + 148, 8, "%06o", sum);
	buffer_add(out, block, BLOCK);
	buffer_add(out, data ? data : "", size);
	pad(out);
}

void tar_text_end(struct buffer *out)
{
	memset(buffer_reserve(out, 2 * BLOCK), 0, 2 * BLOCK);
	out->size += 2 * BLOCK;
}

int text_next(void *arg, const void **ret_data, size_t *ret_size, struct error *err)
{
	struct text_source *s = arg;
	size_t n = s->piece && s->piece < s->left ? s->piece : s->left;

	s->calls++;
	if (n == 0 && s->fails)
		return error_set(err, E_UNAVAILABLE, "registry closed the connection");
	*ret_data = s->data;
	*ret_size = n;
	s->data += n;
	s->left -= n;
	return 0;
}

ssize_t text_read(void *arg, void *buf, size_t size, struct error *err)
{
	struct text_source *s = arg;
	size_t n = s->piece && s->piece < s->left ? s->piece : s->left;

	s->calls++;
	if (n == 0 && s->fails)
		return error_set(err, E_UNAVAILABLE, "registry closed the connection");
	if (n > size)
		n = size;
	if (n == 0)
		return 0;
	memcpy(buf, s->data, n);
	s->data += n;
	s->left -= n;
	return (ssize_t)n;
}
