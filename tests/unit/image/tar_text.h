/* SPDX-License-Identifier: MIT */
/* Small tars made in memory. */
#ifndef CTRZ_TESTS_UNIT_IMAGE_TAR_TEXT_H
#define CTRZ_TESTS_UNIT_IMAGE_TAR_TEXT_H

#include <stddef.h>

#include "base/buffer.h"
#include "runtime/archive/tar_reader.h"
#include "runtime/image/disk_build.h"

/** tar_text_add() - one entry of type @flag; @data may be NULL */
void tar_text_add(struct buffer *out, char flag, const char *name, const char *link,
		  const char *data);
/** tar_text_end() - the two zero blocks */
void tar_text_end(struct buffer *out);

/* Bytes handed out in pieces. */
struct text_source {
	const char *data;
	size_t left, piece;
	size_t calls;
	bool fails; /* at the end, instead of ending */
};

/** text_next() - a byte_source over a text_source */
int text_next(void *arg, const void **ret_data, size_t *ret_size, struct error *err);
/** text_read() - a layer_source's read over a text_source */
ssize_t text_read(void *arg, void *buf, size_t size, struct error *err);

#endif
