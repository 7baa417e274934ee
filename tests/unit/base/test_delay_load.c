/* SPDX-License-Identifier: MIT */
/* Libraries loaded late: all functions or none, and an error that says what is missing. */
#include <string.h>

#include "base/delay_load.h"
#include "tests/unit/test.h"

/* A table as DELAY_LOAD() makes it. */
static struct delay_symbol unresolved(const char *name)
{
	return (struct delay_symbol){ name, (void *)(uintptr_t)delay_load_missing };
}

TEST(delay_load_finds_the_functions)
{
	AUTO_ERROR err = ERROR_INIT;
	struct delay_symbol symbols[] = { unresolved("strspn"), unresolved("strcspn") };
	struct delay_library library = { symbols, symbols + 2 };

	assert_ok(err, delay_load(&library, "libc.so.6", &err));
	size_t (*span)(const char *, const char *) =
		(size_t(*)(const char *, const char *))(uintptr_t)symbols[1].address;
	assert_int_equal(span("abc", "c"), 2);
	/* The second time there is nothing left to do, whatever the name. */
	assert_ok(err, delay_load(&library, "libnone.so.0", &err));
}

TEST(delay_load_names_the_library_that_is_not_there)
{
	AUTO_ERROR err = ERROR_INIT;
	struct delay_symbol symbols[] = { unresolved("strspn") };
	struct delay_library library = { symbols, symbols + 1 };

	assert_int_equal(delay_load(&library, "libnone.so.0", &err), -E_UNAVAILABLE);
	assert_non_null(strstr(error_message(&err), "libnone.so.0"));
}

TEST(delay_load_takes_all_functions_or_none)
{
	AUTO_ERROR err = ERROR_INIT;
	struct delay_symbol symbols[] = { unresolved("strspn"), unresolved("no_such_function") };
	struct delay_library library = { symbols, symbols + 2 };

	assert_int_equal(delay_load(&library, "libc.so.6", &err), -E_UNAVAILABLE);
	assert_non_null(strstr(error_message(&err), "no_such_function"));
	assert_true((uintptr_t)symbols[0].address == (uintptr_t)delay_load_missing);
}
