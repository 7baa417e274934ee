/* SPDX-License-Identifier: MIT */
/* An io_manager over pread and pwrite, without a cache. */
#include "runtime/image/fd_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"

static int fd_of(io_channel channel)
{
	return *(const int *)channel->private_data;
}

static errcode_t fd_open(const char *name, int flags, io_channel *ret);

static errcode_t fd_close(io_channel channel)
{
	free(channel->name);
	free(channel->private_data);
	free(channel);
	return 0;
}

static errcode_t fd_set_blksize(io_channel channel, int size)
{
	channel->block_size = size;
	return 0;
}

/* A negative count is one of bytes. */
static size_t size_of(io_channel channel, int count)
{
	return count < 0 ? (size_t)-count : (size_t)count * (size_t)channel->block_size;
}

static errcode_t fd_read64(io_channel channel, unsigned long long block, int count, void *data)
{
	size_t size = size_of(channel, count);
	ssize_t n = pread(fd_of(channel), data, size,
			  (off_t)(block * (unsigned long long)channel->block_size));

	if (n < 0)
		return errno;
	memset((char *)data + n, 0, size - (size_t)n); /* behind the end there are zeros */
	return 0;
}

static errcode_t write_at(int fd, const char *data, size_t size, off_t offset)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, data, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		data += n;
		size -= (size_t)n;
		offset += n;
	}
	return 0;
}

static errcode_t fd_write64(io_channel channel, unsigned long long block, int count,
			    const void *data)
{
	return write_at(fd_of(channel), data, size_of(channel, count),
			(off_t)(block * (unsigned long long)channel->block_size));
}

static errcode_t fd_read(io_channel channel, unsigned long block, int count, void *data)
{
	return fd_read64(channel, block, count, data);
}

static errcode_t fd_write(io_channel channel, unsigned long block, int count, const void *data)
{
	return fd_write64(channel, block, count, data);
}

static errcode_t fd_flush(io_channel channel)
{
	(void)channel;
	return 0;
}

static errcode_t fd_write_byte(io_channel channel, unsigned long offset, int count,
			       const void *data)
{
	return write_at(fd_of(channel), data, (size_t)count, (off_t)offset);
}

io_manager fd_io_manager(void)
{
	static struct struct_io_manager manager = {
		.magic = EXT2_ET_MAGIC_IO_MANAGER,
		.name = "descriptor",
		.open = fd_open,
		.close = fd_close,
		.set_blksize = fd_set_blksize,
		.read_blk = fd_read,
		.write_blk = fd_write,
		.flush = fd_flush,
		.write_byte = fd_write_byte,
		.read_blk64 = fd_read64,
		.write_blk64 = fd_write64,
	};

	return &manager;
}

void fd_io_name(int fd, char out[FD_IO_NAME_MAX])
{
	(void)snprintf(out, FD_IO_NAME_MAX, "%d", fd);
}

static errcode_t fd_open(const char *name, int flags, io_channel *ret)
{
	uint64_t fd = 0;
	io_channel channel;
	int *own;

	(void)flags;
	if (!parse_u64(name, INT32_MAX, &fd))
		return EBADF;
	channel = xcalloc(1, sizeof(*channel));
	own = xmalloc(sizeof(*own));
	*own = (int)fd;
	channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	channel->manager = fd_io_manager();
	channel->name = xstrdup(name);
	channel->block_size = 1024;
	channel->refcount = 1;
	channel->private_data = own;
	*ret = channel;
	return 0;
}
