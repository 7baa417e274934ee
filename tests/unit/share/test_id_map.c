/* SPDX-License-Identifier: MIT */
/* Subordinate ids out of the text of /etc/subuid. */
#include "runtime/share/share_internal.h"
#include "tests/unit/test.h"

static void expect(const char *text, uint32_t start, uint32_t count)
{
	struct id_range r = { 0 };
	assert_true(subid_find(text, "ann", 1000, &r));
	assert_int_equal(r.start, start);
	assert_int_equal(r.count, count);
}

TEST(range_is_found_by_name_or_number)
{
	expect("ann:100000:65536\n", 100000, 65536);
	expect("bob:100000:65536\nann:165536:65536", 165536, 65536);
	expect("1000:5:6\n", 5, 6);
	expect("# x\n\nann:1:2\nann:3:4\n", 1, 2);
	expect("ann:1:2:later\n", 1, 2);
}

TEST(damaged_lines_are_passed_over)
{
	static const char *const texts[] = {
		"",
		"ann",
		"ann:",
		"ann:1",
		"ann:1:",
		"ann:x:1",
		"ann:1:x",
		"ann:-1:5",
		"ann:0:10",
		"ann:5:0",
		"ann2:1:2",
		" ann:1:2",
		"anna:1:2\nan:1:2",
		"ann:4294967295:2",
		"ann:1:4294967296",
		"10000:1:2\n",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct id_range r;
		assert_false(subid_find(texts[i], "ann", 1000, &r));
	}
	expect("ann:x:1\nann:7:8\n", 7, 8);
}
