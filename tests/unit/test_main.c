/* SPDX-License-Identifier: MIT */
/* Runs every TEST() linked into the program. */
#include <signal.h>

#include "tests/unit/test.h"

enum { MAX_TESTS = 512 };

static struct CMUnitTest tests[MAX_TESTS];
static size_t test_count;

void test_register(const char *name, void (*fn)(void **state))
{
	if (test_count < MAX_TESTS)
		tests[test_count++] = (struct CMUnitTest){ name, fn, NULL, NULL, NULL };
	else
		abort();
}

int main(void)
{
	(void)signal(SIGPIPE, SIG_IGN); /* as the program does */
	return _cmocka_run_group_tests("ctrz", tests, test_count, NULL, NULL);
}
