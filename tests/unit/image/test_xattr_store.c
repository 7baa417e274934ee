/* SPDX-License-Identifier: MIT */
/* Attributes: what is shared, what goes where, what is refused. */
#include <sys/mman.h>

#include "base/bytes.h"
#include "runtime/image/ext4_format.h"
#include "runtime/image/xattr_store.h"
#include "tests/unit/test.h"

struct fixture {
	struct block_writer w;
	struct xattr_store s;
	int fd;
};

static void fixture_init(struct fixture *f)
{
	f->fd = memfd_create("xattrs", MFD_CLOEXEC);
	assert_true(f->fd >= 0);
	block_writer_init(&f->w, f->fd);
	xattr_store_init(&f->s, &f->w);
}

static void fixture_release(struct fixture *f)
{
	xattr_store_release(&f->s);
	block_writer_release(&f->w);
	(void)close(f->fd);
}

TEST(equal_sets_are_one)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	struct tar_xattr ab[] = { { "user.a", "1", 1 }, { "user.b", "22", 2 } };
	struct tar_xattr ba[] = { ab[1], ab[0] };
	uint32_t one = 0, two = 0, other = 0;

	fixture_init(&f);
	assert_ok(err, xattr_store_add(&f.s, ab, 2, &one, &err));
	assert_ok(err, xattr_store_add(&f.s, ba, 2, &two, &err));
	assert_ok(err, xattr_store_add(&f.s, ab, 1, &other, &err));
	assert_int_equal(one, two);
	assert_int_not_equal(one, other);
	assert_int_equal(xattr_store_get(&f.s, one)->users, 2);
	assert_int_equal(xattr_store_get(&f.s, one)->block, 0);
	assert_null(xattr_store_get(&f.s, 0));
}

TEST(names_linux_has_no_place_for_are_left_out)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	struct tar_xattr none[] = { { "com.apple.quarantine", "1", 1 },
				    { "user.", "1", 1 },
				    { "system.data", "x", 1 } };
	uint32_t set = 7;

	fixture_init(&f);
	assert_ok(err, xattr_store_add(&f.s, none, 3, &set, &err));
	assert_int_equal(set, 0);
}

TEST(a_block_counts_its_users_and_goes_with_the_last)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	static char value[1000];
	struct tar_xattr big = { "trusted.big", value, sizeof(value) };
	struct tar_xattr gone = { "trusted.gone", value, sizeof(value) };
	uint32_t set = 0, unused = 0;
	uint8_t block[EXT4_BLOCK];

	fixture_init(&f);
	memset(value, 'v', sizeof(value));
	for (int i = 0; i < 3; i++)
		assert_ok(err, xattr_store_add(&f.s, &big, 1, &set, &err));
	assert_ok(err, xattr_store_add(&f.s, &gone, 1, &unused, &err));
	xattr_store_drop(&f.s, set);
	xattr_store_drop(&f.s, unused);
	assert_int_equal(f.w.in_use, 2);
	assert_ok(err, xattr_store_finish(&f.s, &err));
	assert_int_equal(f.w.in_use, 1);
	assert_ok(err,
		  block_writer_read(&f.w, (uint64_t)xattr_store_get(&f.s, set)->block * EXT4_BLOCK,
				    block, sizeof(block), &err));
	assert_int_equal(get_le32(block), 0xea020000);
	assert_int_equal(get_le32(block + 4), 2);
	assert_int_equal(xattr_store_get(&f.s, set)->inline_size, 0);
}

TEST(more_than_fits_is_refused)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	static char value[5000];
	struct tar_xattr three[] = { { "user.a", value, 2000 },
				     { "user.b", value, 2000 },
				     { "user.c", value, 2000 } };
	struct tar_xattr one = { "user.a", value, sizeof(value) };
	uint32_t set = 0;

	fixture_init(&f);
	assert_error(err, E_INTEGRITY, xattr_store_add(&f.s, three, 3, &set, &err));
	assert_error(err, E_INTEGRITY, xattr_store_add(&f.s, &one, 1, &set, &err));
	assert_int_equal(set, 0);
}
