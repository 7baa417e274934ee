/* SPDX-License-Identifier: MIT */
/* Errors, buffers, text, maps. */
#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"
#include "tests/unit/test.h"

TEST(error_keeps_code_and_chain)
{
	AUTO_ERROR err = ERROR_INIT;
	assert_int_equal(error_set(&err, E_INVALID, "bad %d", 7), -E_INVALID);
	assert_int_equal(error_wrap(&err, "outer"), -E_INVALID);
	assert_string_equal(error_message(&err), "outer: bad 7");
	AUTO_ERROR other = ERROR_INIT;
	assert_int_equal(error_move(&other, &err), -E_INVALID);
	assert_false(error_is_set(&err));
	assert_true(error_is_set(&other));
}

TEST(error_maps_errno)
{
	AUTO_ERROR err = ERROR_INIT;
	errno = ENOENT;
	assert_int_equal(error_sys(&err, "open"), -E_NOT_FOUND);
	assert_int_equal(err.sys_errno, ENOENT);
	assert_string_equal(error_message(&err), "open: No such file or directory");
	error_clear(&err);
	errno = EPERM;
	assert_int_equal(error_sys(&err, "open"), -E_DENIED);
}

TEST(buffer_grows_and_stays_terminated)
{
	AUTO_BUFFER b = BUFFER_INIT;
	assert_string_equal(buffer_str(&b), "");
	for (int i = 0; i < 1000; i++)
		buffer_printf(&b, "%d,", i);
	assert_int_equal(strlen(b.data), b.size);
	assert_int_equal(b.size, 10 * 2 + 90 * 3 + 900 * 4);
	buffer_drop(&b, b.size - 4);
	assert_string_equal(buffer_str(&b), "999,");
	buffer_drop(&b, 100);
	assert_int_equal(b.size, 0);
	AUTO_FREE char *s = buffer_steal(&b);
	assert_string_equal(s, "");
}

TEST(strlist_is_ready_for_argv)
{
	AUTO_STRLIST l = STRLIST_INIT;
	for (int i = 20; i > 0; i--)
		strlist_printf(&l, "%02d", i);
	assert_null(l.items[20]);
	strlist_sort(&l);
	assert_string_equal(l.items[0], "01");
	assert_true(strlist_has(&l, "07"));
	AUTO_STRLIST copy = STRLIST_INIT;
	strlist_copy(&copy, &l);
	assert_true(strlist_equal(&l, &copy));
	strlist_add(&copy, "x");
	assert_false(strlist_equal(&l, &copy));
}

TEST(escape_leaves_nothing_a_terminal_obeys)
{
	static const char text[] = "a\x1b[31m\n\t\xc2\x9b\xe2\x80\xae\xff\xc3\xa9";
	AUTO_FREE char *s = text_escaped(text);
	assert_string_equal(s, "a\\x1b[31m\\x0a\\x09\\x9b\\u{202e}\\xff\xc3\xa9");
	AUTO_BUFFER b = BUFFER_INIT;
	text_escape(&b, "x\ny", 3, true);
	assert_string_equal(buffer_str(&b), "x\ny");
}

TEST(utf8_refuses_overlong_and_surrogates)
{
	uint32_t code = 0;
	assert_int_equal(utf8_decode("\xc0\x80", 2, &code), 0);
	assert_int_equal(utf8_decode("\xed\xa0\x80", 3, &code), 0);
	assert_int_equal(utf8_decode("\xf4\x90\x80\x80", 4, &code), 0);
	assert_int_equal(utf8_decode("\xe2\x82", 2, &code), 0);
	assert_int_equal(utf8_decode("\xf0\x9f\x98\x80", 4, &code), 4);
	assert_int_equal(code, 0x1f600);
}

TEST(parse_u64_takes_digits_only)
{
	uint64_t v = 0;
	assert_true(parse_u64("18446744073709551615", UINT64_MAX, &v));
	assert_true(v == UINT64_MAX);
	assert_false(parse_u64("18446744073709551616", UINT64_MAX, &v));
	assert_false(parse_u64("", 9, &v));
	assert_false(parse_u64("+1", 9, &v));
	assert_false(parse_u64("1 ", 9, &v));
	assert_false(parse_u64("10", 9, &v));
}

TEST(sizes_and_durations_read_well)
{
	static const struct {
		uint64_t value;
		const char *size;
	} cases[] = {
		{ 0, "0 B" },        { 1023, "1023 B" },          { 1024, "1 KiB" },
		{ 1536, "1.5 KiB" }, { 512ULL << 20, "512 MiB" }, { 3ULL << 29, "1.5 GiB" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_FREE char *s = text_size(cases[i].value);
		assert_string_equal(s, cases[i].size);
	}
	AUTO_FREE char *ms = text_duration(812), *s = text_duration(4250),
		       *m = text_duration(190000);
	assert_string_equal(ms, "812 ms");
	assert_string_equal(s, "4.2 s");
	assert_string_equal(m, "3m 10s");
	free(TAKE_PTR(s));
	free(TAKE_PTR(m));
}

TEST(suggestions_are_near)
{
	static const char *const words[] = { "image", "mounts", "command", "env" };
	assert_int_equal(text_distance("imgae", "image"), 1);
	assert_int_equal(text_distance("", "abc"), 3);
	assert_string_equal(text_suggest("imgae", words, 4), "image");
	assert_string_equal(text_suggest("comand", words, 4), "command");
	assert_null(text_suggest("zzzz", words, 4));
}

TEST(map_keeps_insertion_order)
{
	struct map m = MAP_INIT;
	char key[16];
	assert_null(map_get(&m, "x"));
	for (intptr_t i = 1; i <= 1000; i++) {
		(void)snprintf(key, sizeof(key), "k%d", (int)i);
		assert_null(map_set(&m, key, (void *)i));
	}
	assert_int_equal(m.count, 1000);
	assert_string_equal(m.entries[999].key, "k1000");
	assert_int_equal((intptr_t)map_get(&m, "k77"), 77);
	assert_int_equal((intptr_t)map_set(&m, "k77", NULL), 77);
	assert_true(map_has(&m, "k77"));
	assert_false(map_has(&m, "k1001"));
	map_release(&m, NULL);
}
