/* SPDX-License-Identifier: MIT */
/* The keys that leave a session: how they are written, and found in what is typed. */
#include "base/cleanup.h"
#include "runtime/guest/detach_keys.h"
#include "tests/unit/test.h"

static void assert_keys(const char *text, const char *want, size_t count)
{
	struct detach_keys k;
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, detach_keys_parse(text, &k, &err));
	assert_int_equal(k.count, count);
	assert_memory_equal(k.keys, want, count);
}

TEST(keys_are_parsed)
{
	static const char *const wrong[] = { "ctrl-",   "ctrl-1", "ctrl-p,",           ",a",
					     "ctrl-pp", "ab",     "a,b,c,d,e,f,g,h,i", "\x01",
					     "Ctrl-p" };
	AUTO_ERROR err = ERROR_INIT;

	assert_keys(DETACH_KEYS_DEFAULT, "\x10\x11", 2);
	assert_keys("ctrl-P", "\x10", 1);
	assert_keys("ctrl-],q", "\x1dq", 2);
	assert_keys("ctrl-@,ctrl-\\,ctrl-^,ctrl-_,ctrl-[", "\0\x1c\x1e\x1f\x1b", 5);
	assert_keys("none", "", 0);
	assert_keys("", "", 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct detach_keys k;
		assert_error(err, E_INVALID, detach_keys_parse(wrong[i], &k, &err));
	}
}

/* @typed one byte at a time, then all at once: the same comes through. */
static void assert_passed(const char *keys, const char *typed, const char *want, bool leaves)
{
	for (size_t step = 1; step <= strlen(typed); step += strlen(typed) - 1) {
		struct detach_keys k;
		AUTO_BUFFER out = BUFFER_INIT;
		AUTO_ERROR err = ERROR_INIT;
		bool left = false;

		assert_ok(err, detach_keys_parse(keys, &k, &err));
		for (size_t at = 0; typed[at] && !left; at += step)
			left = detach_keys_scan(&k, typed + at, step, &out);
		assert_string_equal(buffer_str(&out), want);
		assert_int_equal(left, leaves);
	}
}

TEST(keys_are_found)
{
	assert_passed("ctrl-p,ctrl-q", "ls\r", "ls\r", false);
	assert_passed("ctrl-p,ctrl-q", "a\x10\x11 dropped", "a", true);
	assert_passed("ctrl-p,ctrl-q", "\x10\x10x\x11", "\x10\x10x\x11", false);
	assert_passed("ctrl-p,ctrl-q", "\x10\x10\x11 ", "\x10", true);
	assert_passed("ctrl-p,ctrl-q", "up\x10", "up", false);
	assert_passed("a,b,a,b,c", "abababc!", "ab", true);
	assert_passed("a,a,b", "aaaab", "aa", true);
	assert_passed("none", "\x10\x11", "\x10\x11", false);
}
