/* SPDX-License-Identifier: MIT */
/* Becoming idle: after enough quiet looks, once, and again after work. */
#include "tests/unit/test.h"
#include "vminitd/agent/idle.h"

static unsigned looks_until_idle(struct idle *i, uint64_t *used, uint64_t each)
{
	for (unsigned n = 1; n <= 100; n++) {
		*used += each;
		if (idle_look(i, *used))
			return n;
	}
	return 0;
}

TEST(idle_is_told_once)
{
	struct idle i = { 0 };
	uint64_t used = 0;
	assert_int_equal(looks_until_idle(&i, &used, IDLE_QUIET_US), IDLE_LOOKS);
	assert_int_equal(looks_until_idle(&i, &used, 0), 0);
}

TEST(work_is_not_idle_and_counts_from_new)
{
	struct idle i = { 0 };
	uint64_t used = 5000000;
	assert_int_equal(looks_until_idle(&i, &used, IDLE_QUIET_US + 1), 0);
	assert_int_equal(looks_until_idle(&i, &used, 1), IDLE_LOOKS);
	used += IDLE_QUIET_US + 1;
	assert_false(idle_look(&i, used));
	assert_int_equal(looks_until_idle(&i, &used, 0), IDLE_LOOKS);
}

TEST(counter_that_begins_again_is_work)
{
	struct idle i = { 0 };
	uint64_t used = 5000000;
	assert_false(idle_look(&i, used));
	assert_false(idle_look(&i, used));
	used = 10;
	assert_false(idle_look(&i, used));
	assert_int_equal(looks_until_idle(&i, &used, 0), IDLE_LOOKS);
}
