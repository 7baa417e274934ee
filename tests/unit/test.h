/* SPDX-License-Identifier: MIT */
/* A thin wrapper over cmocka: TEST(name) { ... } registers itself, assert_ok() prints the error
 * chain. */
#ifndef CTRZ_TESTS_UNIT_TEST_H
#define CTRZ_TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

void test_register(const char *name, void (*fn)(void **state));

#define TEST(name)                                                     \
	static void test_##name(void **state);                         \
	__attribute__((constructor)) static void register_##name(void) \
	{                                                              \
		test_register(#name, test_##name);                     \
	}                                                              \
	static void test_##name(void **state __attribute__((unused)))

/* assert_ok(err, call): the call must succeed; prints the error's message where it does not. */
#define assert_ok(e, call)                                              \
	do {                                                            \
		if ((call) < 0)                                         \
			fail_msg("%s: %s", #call, error_message(&(e))); \
	} while (0)

/* assert_error(err, code, call): the call must fail with that code; clears the error. */
#define assert_error(e, want, call)                     \
	do {                                            \
		assert_int_equal((call), -(int)(want)); \
		error_clear(&(e));                      \
	} while (0)

#endif
