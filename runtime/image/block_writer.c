/* SPDX-License-Identifier: MIT */
/* Hands out blocks, tracks which are in use, and gathers small writes. */
#include "runtime/image/block_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "runtime/image/ext4_format.h"

enum {
	STAGE_SIZE = 1 << 20,
	DIRECT_SIZE = 128 * 1024, /* from here on a copy into the stage costs more than a call */
};

/* The last group may not be filled by data: its own tables come behind. */
static const uint64_t blocks_max = (uint64_t)(EXT4_GROUPS_MAX - 64) * EXT4_GROUP_BLOCKS;

void block_writer_init(struct block_writer *w, int fd)
{
	*w = (struct block_writer){ .fd = fd, .next = EXT4_FIRST_FREE_BLOCK };
	w->stage = xmalloc(STAGE_SIZE);
}

void block_writer_release(struct block_writer *w)
{
	free(w->stage);
	free(w->used);
	*w = (struct block_writer){ .fd = -1 };
}

static void set_bits(uint8_t *map, uint64_t start, uint64_t count, bool on)
{
	uint64_t end = start + count;

	while (start < end && start % 8 != 0) {
		uint8_t bit = (uint8_t)(1U << (start % 8));

		map[start / 8] = on ? map[start / 8] | bit : map[start / 8] & (uint8_t)~bit;
		start++;
	}
	if (end - start >= 8) {
		memset(map + start / 8, on ? 0xff : 0, (end - start) / 8);
		start += (end - start) / 8 * 8;
	}
	for (; start < end; start++) {
		uint8_t bit = (uint8_t)(1U << (start % 8));

		map[start / 8] = on ? map[start / 8] | bit : map[start / 8] & (uint8_t)~bit;
	}
}

int block_writer_alloc(struct block_writer *w, uint64_t count, uint32_t *ret_start,
		       struct error *err)
{
	size_t need;

	if (count > blocks_max || w->next + count > blocks_max)
		return error_set(err, E_INTEGRITY,
				 "image is larger than %" PRIu64 " GiB, which is refused",
				 blocks_max * EXT4_BLOCK >> 30);
	need = (w->next + count) / 8 + 1;
	if (need > w->used_room) {
		size_t room = w->used_room ? w->used_room : 4096;

		while (room < need)
			room *= 2;
		w->used = xrealloc(w->used, room);
		memset(w->used + w->used_room, 0, room - w->used_room);
		w->used_room = room;
	}
	set_bits(w->used, w->next, count, true);
	w->in_use += count;
	*ret_start = w->next;
	w->next += (uint32_t)count;
	return 0;
}

int block_writer_free(struct block_writer *w, uint32_t start, uint64_t count, struct error *err)
{
	int rc;

	if (count == 0)
		return 0;
	rc = block_writer_flush(w, err);
	if (rc < 0)
		return rc;
	set_bits(w->used, start, count, false);
	w->in_use -= count;
	w->writes++;
	/* Where the host cannot punch, the old bytes stay in blocks that are marked free: harmless.
	 */
	if (fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start * EXT4_BLOCK,
		      (off_t)count * EXT4_BLOCK) < 0 &&
	    errno != EOPNOTSUPP && errno != ENOSYS)
		return error_sys(err, "give back blocks of the disk");
	return 0;
}

static int write_at(struct block_writer *w, const uint8_t *data, size_t size, uint64_t offset,
		    struct error *err)
{
	while (size > 0) {
		ssize_t n = pwrite(w->fd, data, size, (off_t)offset);

		w->writes++;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "write disk");
		data += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int block_writer_flush(struct block_writer *w, struct error *err)
{
	size_t size = w->stage_size;

	w->stage_size = 0;
	return size > 0 ? write_at(w, w->stage, size, w->stage_at, err) : 0;
}

int block_writer_put(struct block_writer *w, uint64_t offset, const void *data, size_t size,
		     struct error *err)
{
	const uint8_t *from = data;
	uint64_t end = w->stage_at + w->stage_size;

	/* The rest of a block between two files is filled with zeros rather than skipped. */
	if (w->stage_size > 0 && offset >= end && offset - end < EXT4_BLOCK &&
	    w->stage_size + (offset - end) < STAGE_SIZE) {
		memset(w->stage + w->stage_size, 0, offset - end);
		w->stage_size += offset - end;
		end = offset;
	}
	while (size > 0) {
		size_t room, part;

		if (w->stage_size == STAGE_SIZE ||
		    (w->stage_size > 0 && (offset != end || size >= DIRECT_SIZE))) {
			int rc = block_writer_flush(w, err);

			if (rc < 0)
				return rc;
		}
		if (w->stage_size == 0 && size >= DIRECT_SIZE)
			return write_at(w, from, size, offset, err);
		if (w->stage_size == 0)
			w->stage_at = offset;
		room = STAGE_SIZE - w->stage_size;
		part = size < room ? size : room;
		memcpy(w->stage + w->stage_size, from, part);
		w->stage_size += part;
		from += part;
		size -= part;
		offset += part;
		end = offset;
	}
	return 0;
}

int block_writer_read(struct block_writer *w, uint64_t offset, void *data, size_t size,
		      struct error *err)
{
	int rc = block_writer_flush(w, err);
	ssize_t n;

	if (rc < 0)
		return rc;
	n = pread(w->fd, data, size, (off_t)offset);
	if (n < 0)
		return error_sys(err, "read disk");
	/* A block whose last bytes were never put may lie at the end of the file. */
	memset((uint8_t *)data + n, 0, size - (size_t)n);
	return 0;
}
