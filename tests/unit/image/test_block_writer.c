/* SPDX-License-Identifier: MIT */
/* Blocks: handed out in order, written in few calls, read back as they were put. */
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "runtime/image/block_writer.h"
#include "runtime/image/ext4_format.h"
#include "tests/unit/test.h"

struct fixture {
	struct block_writer w;
	int fd;
};

static void fixture_init(struct fixture *f)
{
	f->fd = memfd_create("blocks", MFD_CLOEXEC);
	assert_true(f->fd >= 0);
	block_writer_init(&f->w, f->fd);
}

static void fixture_release(struct fixture *f)
{
	block_writer_release(&f->w);
	(void)close(f->fd);
}

TEST(small_writes_are_gathered)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	char text[16];

	fixture_init(&f);
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t at = 0;

		assert_ok(err, block_writer_alloc(&f.w, 1, &at, &err));
		assert_int_equal(at, EXT4_FIRST_FREE_BLOCK + i);
		assert_ok(err,
			  block_writer_put(&f.w, (uint64_t)at * EXT4_BLOCK, &i, sizeof(i), &err));
	}
	for (uint32_t i = 0; i < 2000; i += 111) {
		uint64_t at = (uint64_t)(EXT4_FIRST_FREE_BLOCK + i) * EXT4_BLOCK;

		assert_ok(err, block_writer_read(&f.w, at, text, sizeof(text), &err));
		assert_memory_equal(text, &i, sizeof(i));
		assert_memory_equal(text + 4, "\0\0\0\0\0\0\0\0", 8);
	}
	assert_true(f.w.writes <= 2000 * EXT4_BLOCK / (1 << 20) + 2);
}

TEST(large_writes_go_out_as_they_are)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	size_t size = (3 << 20) + 77;
	AUTO_FREE char *data = xmalloc(size), *back = xmalloc(size);
	uint32_t at = 0;

	fixture_init(&f);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 7 + i / 1000);
	assert_ok(err, block_writer_alloc(&f.w, 1000, &at, &err));
	assert_ok(err, block_writer_put(&f.w, (uint64_t)at * EXT4_BLOCK, data, 100, &err));
	assert_ok(err, block_writer_put(&f.w, (uint64_t)at * EXT4_BLOCK + 100, data + 100,
					size - 100, &err));
	assert_ok(err, block_writer_read(&f.w, (uint64_t)at * EXT4_BLOCK, back, size, &err));
	assert_memory_equal(data, back, size);
	assert_int_equal(f.w.writes, 2);
}

TEST(what_is_given_back_is_free_and_zero)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	AUTO_FREE char *data = xmalloc(100 * EXT4_BLOCK);
	uint32_t at = 0;
	struct stat st;
	char text[8];

	fixture_init(&f);
	memset(data, 1, 100 * EXT4_BLOCK);
	assert_ok(err, block_writer_alloc(&f.w, 100, &at, &err));
	assert_ok(err,
		  block_writer_put(&f.w, (uint64_t)at * EXT4_BLOCK, data, 100 * EXT4_BLOCK, &err));
	assert_int_equal(f.w.in_use, 100);
	assert_ok(err, block_writer_free(&f.w, at + 3, 90, &err));
	assert_int_equal(f.w.in_use, 10);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(f.w.used[(at + i) / 8] >> ((at + i) % 8) & 1, i < 3 || i >= 93);
	assert_ok(err, block_writer_read(&f.w, (uint64_t)(at + 50) * EXT4_BLOCK, text, sizeof(text),
					 &err));
	assert_memory_equal(text, "\0\0\0\0\0\0\0\0", 8);
	assert_int_equal(fstat(f.fd, &st), 0);
	assert_true(st.st_blocks * 512 <= 11 * EXT4_BLOCK);
}

TEST(there_is_an_end)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	uint32_t at = 0;

	fixture_init(&f);
	assert_error(err, E_INTEGRITY, block_writer_alloc(&f.w, UINT64_MAX, &at, &err));
	assert_error(err, E_INTEGRITY, block_writer_alloc(&f.w, UINT64_C(1) << 27, &at, &err));
	assert_ok(err, block_writer_alloc(&f.w, 1, &at, &err));
}
