/* SPDX-License-Identifier: MIT */
/* Sparse copies. */
#include "runtime/machine/memory_copy.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"

/* The chunk stays in the processor's cache between reading and writing. */
enum { CHUNK = 256 * 1024, PAGE = 4096 };

static bool is_zero(const char *page, size_t size)
{
	return size == 0 || (page[0] == 0 && memcmp(page, page + 1, size - 1) == 0);
}

static int write_at(int fd, const char *data, size_t size, off_t at, struct error *err)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, data, size, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "write a machine's memory");
		data += n;
		size -= (size_t)n;
		at += n;
	}
	return 0;
}

/* Return: the bytes written, which are those between pages of zeros */
static int64_t write_chunk(int fd, const char *data, size_t size, off_t at, struct error *err)
{
	int64_t written = 0;
	size_t from = 0;

	for (size_t i = 0; i <= size; i += PAGE) {
		size_t page = size - i < PAGE ? size - i : PAGE;
		if (page > 0 && !is_zero(data + i, page))
			continue;
		size_t end = i < size ? i : size;
		if (end > from && write_at(fd, data + from, end - from, at + (off_t)from, err) < 0)
			return -(int)err->code;
		written += (int64_t)(end - from);
		from = i + PAGE;
	}
	return written;
}

static int64_t copy_extent(int from, int to, off_t at, off_t end, char *chunk, struct error *err)
{
	int64_t written = 0;

	while (at < end) {
		size_t want = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		ssize_t n = pread(from, chunk, want, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "read a machine's memory");
		if ((size_t)n < want)
			return error_set(err, E_INTEGRITY, "a machine's memory is cut off");
		int64_t r = write_chunk(to, chunk, want, at, err);
		if (r < 0)
			return r;
		written += r;
		at += n;
	}
	return written;
}

int64_t memory_copy(int from, int to, uint64_t size, struct error *err)
{
	AUTO_FREE char *chunk = xmalloc(CHUNK);
	off_t end = (off_t)size, at = 0;
	int64_t written = 0;
	struct stat st;

	if (fstat(from, &st) < 0)
		return error_sys(err, "look at a machine's memory");
	if (st.st_size < end)
		return error_set(err, E_INTEGRITY, "a machine's memory is cut off");
	while (at < end) {
		off_t data = lseek(from, at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break; /* only a hole is left */
		off_t hole = data < 0 ? -1 : lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			return error_sys(err, "find a machine's memory");
		int64_t r = copy_extent(from, to, data, hole < end ? hole : end, chunk, err);
		if (r < 0)
			return r;
		written += r;
		at = hole;
	}
	return written;
}
