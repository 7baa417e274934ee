/* SPDX-License-Identifier: MIT */
/* The initramfs format, byte by byte where the kernel looks. */
#include <stdio.h>

#include "runtime/archive/cpio.h"
#include "tests/unit/test.h"

enum { HEADER = 110 };

static void write_sample(struct buffer *out)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(cpio_free_p) struct cpio *c = cpio_new(out);
	assert_ok(err, cpio_add_file(c, "init", 0500, "hello", 5, &err));
	assert_ok(err, cpio_add_dir(c, "modules", 0700, &err));
	assert_ok(err, cpio_add_file(c, "modules/empty", 0400, NULL, 0, &err));
	assert_ok(err, cpio_finish(c, &err));
}

/* The hexadecimal field number @index of the header at @at. */
static unsigned long field(const char *at, unsigned index)
{
	char text[9] = "";
	memcpy(text, at + 6 + 8 * (size_t)index, 8);
	return strtoul(text, NULL, 16);
}

TEST(entries_are_where_the_kernel_looks)
{
	AUTO_BUFFER out = BUFFER_INIT;
	write_sample(&out);
	const char *at = out.data;
	assert_memory_equal(at, "070701", 6);
	assert_int_equal(field(at, 1), 0100500); /* mode */
	assert_int_equal(field(at, 2), 0);       /* uid */
	assert_int_equal(field(at, 5), 0);       /* mtime */
	assert_int_equal(field(at, 6), 5);       /* size */
	assert_int_equal(field(at, 11), 5);      /* name with its NUL */
	assert_string_equal(at + HEADER, "init");
	assert_memory_equal(at + 116, "hello", 5);
	at += 116 + 8;
	assert_memory_equal(at, "070701", 6);
	assert_int_equal(field(at, 1), 040700);
	assert_non_null(memmem(out.data, out.size, "TRAILER!!!", 11));
}

TEST(same_calls_same_bytes)
{
	AUTO_BUFFER a = BUFFER_INIT;
	AUTO_BUFFER b = BUFFER_INIT;
	write_sample(&a);
	write_sample(&b);
	assert_int_equal(a.size, b.size);
	assert_memory_equal(a.data, b.data, a.size);
	assert_int_equal(a.size % 4, 0);
}

TEST(empty_archive_has_its_trailer)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER out = BUFFER_INIT;
	CLEANUP(cpio_free_p) struct cpio *c = cpio_new(&out);
	assert_ok(err, cpio_finish(c, &err));
	assert_non_null(memmem(out.data, out.size, "TRAILER!!!", 11));
}
