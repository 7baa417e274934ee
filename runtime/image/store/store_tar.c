/* SPDX-License-Identifier: MIT */
/* The few bytes around the content of a tar. */
#include "runtime/image/store/store_tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"

enum { BLOCK = 512, COPY_CHUNK = 1024 * 1024, NAME_MAX_BYTES = 99 };

/* POSIX ustar. All fields are text; sizes of 8 GiB and more are in base 256 (GNU). */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
	char magic[8], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

static void put_size(char field[12], uint64_t size)
{
	if (size < (1ULL << 33)) {
		(void)snprintf(field, 12, "%011llo", (unsigned long long)size);
		return;
	}
	field[0] = (char)0x80;
	for (int i = 11; i > 3; i--, size >>= 8)
		field[i] = (char)(size & 0xff);
}

static int put_header(int fd, const char *name, uint64_t size, struct error *err)
{
	struct header h = { .mode = "0000644", .uid = "0000000", .gid = "0000000", .type = '0' };
	if (strlen(name) > NAME_MAX_BYTES)
		return error_set(err, E_INTERNAL, "the name '%s' is too long for a tar", name);
	memcpy(h.name, name, strlen(name));
	memcpy(h.mtime, "00000000000", 12);
	memcpy(h.magic, "ustar\00000", 8);
	put_size(h.size, size);
	memset(h.checksum, ' ', sizeof(h.checksum));
	unsigned sum = 0;
	const unsigned char *p = (const unsigned char *)&h;
	for (size_t i = 0; i < sizeof(h); i++)
		sum += p[i];
	(void)snprintf(h.checksum, 7, "%06o", sum & 0777777);
	return fd_write_full(fd, &h, sizeof(h), err);
}

static int put_padding(int fd, uint64_t size, struct error *err)
{
	static const char zeros[BLOCK];
	size_t rest = (size_t)(size % BLOCK);
	return rest ? fd_write_full(fd, zeros, BLOCK - rest, err) : 0;
}

int tar_add_bytes(int fd, const char *name, const void *data, size_t size, struct error *err)
{
	int rc = put_header(fd, name, size, err);
	if (rc == 0)
		rc = fd_write_full(fd, data, size, err);
	return rc == 0 ? put_padding(fd, size, err) : rc;
}

int tar_add_file(int fd, const char *name, int source, uint64_t size, struct error *err)
{
	AUTO_FREE char *chunk = xmalloc(COPY_CHUNK);
	int rc = put_header(fd, name, size, err);
	for (uint64_t left = size; rc == 0 && left > 0;) {
		ssize_t n = read(source, chunk, left < COPY_CHUNK ? (size_t)left : COPY_CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "read '%s'", name);
		if (n == 0)
			return error_set(err, E_INTEGRITY, "'%s' is shorter than %llu bytes", name,
					 (unsigned long long)size);
		rc = fd_write_full(fd, chunk, (size_t)n, err);
		left -= (uint64_t)n;
	}
	return rc == 0 ? put_padding(fd, size, err) : rc;
}

int tar_finish(int fd, struct error *err)
{
	static const char zeros[2 * BLOCK];
	return fd_write_full(fd, zeros, sizeof(zeros), err);
}
