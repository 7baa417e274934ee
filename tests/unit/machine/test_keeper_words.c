/* SPDX-License-Identifier: MIT */
/* Last words: what is told of a guest that died. */
#include "base/cleanup.h"
#include "runtime/machine/keeper_words.h"
#include "tests/unit/test.h"

static char *tell(const char *text)
{
	AUTO_BUFFER words = BUFFER_INIT;
	words_add(&words, text, strlen(text));
	return words_tell(&words);
}

TEST(a_panic_ends_what_is_told)
{
	AUTO_FREE char *said =
		tell("[    1.500000] vminitd: no module 'virtio_blk'\r\n"
		     "[    1.600000] Kernel panic - not syncing: Attempted to kill init!\r\n"
		     "[    1.610000] CPU: 0 PID: 1 Comm: init Not tainted\r\n"
		     "[    1.620000] Call Trace:\r\n");
	assert_string_equal(said, "vminitd: no module 'virtio_blk'; Kernel panic - not syncing: "
				  "Attempted to kill init!");
}

TEST(only_the_last_lines_count)
{
	AUTO_FREE char *said = tell("1\n2\n\n3\n4\n5\n6\n7\n8\n");
	assert_string_equal(said, "3; 4; 5; 6; 7; 8");
}

TEST(silence_is_nothing)
{
	AUTO_BUFFER none = BUFFER_INIT;
	assert_null(words_tell(&none));
	assert_null(tell("\r\n \n"));
}

TEST(escapes_and_length_are_tamed)
{
	AUTO_BUFFER words = BUFFER_INIT;
	AUTO_FREE char *said = tell("\033[2Jred\n");
	char chunk[1000];

	assert_string_equal(said, "\\x1b[2Jred");
	memset(chunk, 'x', sizeof(chunk));
	for (int i = 0; i < 100; i++)
		words_add(&words, chunk, sizeof(chunk));
	assert_int_equal(words.size, WORDS_MAX);
	AUTO_FREE char *cut = words_tell(&words);
	assert_in_range(strlen(cut), 1, 400);
}
