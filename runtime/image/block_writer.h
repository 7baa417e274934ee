/* SPDX-License-Identifier: MIT */
/* Blocks of the image file: handed out one behind the other, written in large pieces. */
#ifndef CTRZ_RUNTIME_IMAGE_BLOCK_WRITER_H
#define CTRZ_RUNTIME_IMAGE_BLOCK_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

struct block_writer {
	int fd;            /* lent */
	uint32_t next;     /* first block never handed out */
	uint32_t data_end; /* what next was when the last layer was through */
	uint64_t in_use;   /* blocks handed out and not given back */
	uint8_t *used;     /* owned; bit per block below next */
	size_t used_room;
	uint8_t *stage; /* owned; bytes on their way to the file */
	uint64_t stage_at;
	size_t stage_size;
	uint64_t writes; /* system calls made, for tests of the work done */
};

void block_writer_init(struct block_writer *w, int fd);
void block_writer_release(struct block_writer *w);

/** block_writer_alloc() - @count blocks in one run. Return: 0, or -E_INTEGRITY if the image grows
 * beyond what the descriptors have room for */
int block_writer_alloc(struct block_writer *w, uint64_t count, uint32_t *ret_start,
		       struct error *err) MUST_CHECK;

/** block_writer_free() - give a run back: it reads as zeros and takes no space on the host */
int block_writer_free(struct block_writer *w, uint32_t start, uint64_t count,
		      struct error *err) MUST_CHECK;

/** block_writer_put() - bytes at an offset of the file; what is written upwards and close together
 * goes out in one piece. Bytes never put are zero */
int block_writer_put(struct block_writer *w, uint64_t offset, const void *data, size_t size,
		     struct error *err) MUST_CHECK;

/** block_writer_read() - read back what was put */
int block_writer_read(struct block_writer *w, uint64_t offset, void *data, size_t size,
		      struct error *err) MUST_CHECK;

/** block_writer_flush() - everything put so far is in the file */
int block_writer_flush(struct block_writer *w, struct error *err) MUST_CHECK;

#endif
