/* SPDX-License-Identifier: MIT */
/* Extent trees of every depth, read back by their definition. */
#include <sys/mman.h>

#include "base/bytes.h"
#include "runtime/image/extent_tree.h"
#include "tests/unit/test.h"

struct fixture {
	struct block_writer w;
	int fd;
	uint64_t seen;       /* extents walked */
	uint32_t next_block; /* logical, expected next */
	uint32_t step;
};

static void fixture_init(struct fixture *f)
{
	*f = (struct fixture){ .fd = memfd_create("extents", MFD_CLOEXEC) };
	assert_true(f->fd >= 0);
	block_writer_init(&f->w, f->fd);
}

static void fixture_release(struct fixture *f)
{
	block_writer_release(&f->w);
	(void)close(f->fd);
}

static void walk(struct fixture *f, const uint8_t *node, uint32_t max)
{
	AUTO_ERROR err = ERROR_INIT;
	uint32_t entries = get_le16(node + 2), depth = get_le16(node + 6);

	assert_int_equal(get_le16(node), 0xf30a);
	assert_int_equal(get_le16(node + 4), max);
	assert_true(entries <= max);
	for (uint32_t i = 0; i < entries; i++) {
		const uint8_t *e = node + 12 + i * 12;
		uint8_t block[EXT4_BLOCK];

		if (depth == 0) {
			assert_int_equal(get_le32(e), f->next_block);
			assert_int_equal(get_le32(e + 8), 1000000 + f->next_block * 2);
			f->next_block += f->step;
			f->seen++;
			continue;
		}
		assert_int_equal(get_le32(e), f->next_block);
		assert_ok(err, block_writer_read(&f->w, (uint64_t)get_le32(e + 4) * EXT4_BLOCK,
						 block, sizeof(block), &err));
		assert_int_equal(get_le16(block + 6), depth - 1);
		walk(f, block, 340);
	}
}

TEST(depth_grows_with_the_pieces)
{
	static const struct {
		uint32_t extents, depth, nodes;
	} cases[] = { { 0, 0, 0 },        { 1, 0, 0 },
		      { 4, 0, 0 },        { 5, 1, 1 },
		      { 340, 1, 1 },      { 341, 1, 2 },
		      { 1360, 1, 4 },     { 1361, 2, 6 },
		      { 115600, 2, 341 }, { 500000, 3, 1471 + 5 + 1 } };

	for (size_t c = 0; c < ARRAY_SIZE(cases); c++) {
		AUTO_ERROR err = ERROR_INIT;
		CLEANUP(fixture_release) struct fixture f;
		AUTO_EXTENTS t;
		uint8_t root[EXT4_IBLOCK];

		fixture_init(&f);
		f.step = 2;
		extent_tree_init(&t, &f.w, 12);
		for (uint32_t i = 0; i < cases[c].extents; i++)
			assert_ok(err, extent_tree_add(&t, i * 2, 1000000 + i * 4, 1, &err));
		assert_ok(err, extent_tree_finish(&t, root, &err));
		assert_int_equal(get_le16(root + 6), cases[c].depth);
		walk(&f, root, 4);
		assert_int_equal(f.seen, cases[c].extents);
		assert_int_equal(t.nodes, cases[c].nodes);
	}
}

TEST(neighbours_become_one_and_long_runs_are_divided)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_EXTENTS t;
	uint8_t root[EXT4_IBLOCK];

	extent_tree_init(&t, NULL, 12);
	assert_ok(err, extent_tree_add(&t, 0, 100, 5, &err));
	assert_ok(err, extent_tree_add(&t, 5, 105, 5, &err));
	assert_ok(err, extent_tree_add(&t, 20, 110, 70000, &err));
	assert_ok(err, extent_tree_finish(&t, root, &err));
	assert_int_equal(get_le16(root + 2), 4);
	assert_int_equal(get_le16(root + 12 + 4), 10);
	assert_int_equal(get_le16(root + 24 + 4), 32768);
	assert_int_equal(get_le32(root + 36), 20 + 32768);
	assert_int_equal(get_le32(root + 36 + 8), 110 + 32768);
	assert_int_equal(get_le16(root + 48 + 4), 70000 - 65536);
}
