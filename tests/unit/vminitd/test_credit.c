/* SPDX-License-Identifier: MIT */
/* Flow control: no byte beyond the window, and no standstill. */
#include "tests/unit/test.h"
#include "vminitd/protocol/credit.h"

TEST(credit_never_exceeds_the_window)
{
	struct credit_sender s = CREDIT_SENDER_INIT;

	assert_false(credit_granted(&s, 1));
	credit_sent(&s, CREDIT_WINDOW);
	assert_int_equal(s.available, 0);
	assert_false(credit_granted(&s, CREDIT_WINDOW + 1));
	assert_false(credit_granted(&s, UINT32_MAX));
	assert_true(credit_granted(&s, CREDIT_WINDOW));
}

TEST(credit_refuses_data_nobody_granted)
{
	struct credit_receiver r = CREDIT_RECEIVER_INIT;

	assert_true(credit_received(&r, CREDIT_WINDOW));
	assert_false(credit_received(&r, 1));
	assert_int_equal(credit_consumed(&r, CREDIT_WINDOW), CREDIT_WINDOW);
	assert_true(credit_received(&r, 1));
	assert_false(credit_received(&r, SIZE_MAX));
}

TEST(credit_gathers_small_amounts)
{
	struct credit_receiver r = CREDIT_RECEIVER_INIT;
	uint32_t granted = 0;

	assert_true(credit_received(&r, 70000));
	assert_int_equal(credit_consumed(&r, 1), 0);
	granted = credit_consumed(&r, 69999);
	assert_int_equal(granted, 70000);
}

/* Whatever the sizes, both ends stay in step and all data arrives. */
TEST(credit_keeps_both_ends_in_step)
{
	struct credit_sender s = CREDIT_SENDER_INIT;
	struct credit_receiver r = CREDIT_RECEIVER_INIT;
	uint32_t seed = 1, in_memory = 0, total = 0;

	while (total < 50 * CREDIT_WINDOW) {
		seed = seed * 1664525 + 1013904223;
		uint32_t size = seed % 40000;
		size = size < s.available ? size : s.available;
		credit_sent(&s, size);
		assert_true(credit_received(&r, size));
		in_memory += size;
		total += size;
		assert_true(in_memory <= CREDIT_WINDOW);
		seed = seed * 1664525 + 1013904223;
		uint32_t eaten = s.available == 0 ? in_memory : seed % (in_memory + 1);
		in_memory -= eaten;
		uint32_t grant = credit_consumed(&r, eaten);
		assert_true(grant == 0 || credit_granted(&s, grant));
		assert_true(in_memory > 0 || s.available > 0);
	}
}
