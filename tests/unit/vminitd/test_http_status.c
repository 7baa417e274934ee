/* SPDX-License-Identifier: MIT */
/* The status line of an HTTP answer. */
#include <string.h>

#include "tests/unit/test.h"
#include "vminitd/agent/http_status.h"

static enum http_status_result parse(const char *text, unsigned *status)
{
	return http_status_parse(text, strlen(text), status);
}

TEST(answers_have_a_status)
{
	unsigned status = 0;

	assert_int_equal(parse("HTTP/1.1 200 OK\r\n", &status), HTTP_STATUS_OK);
	assert_int_equal(status, 200);
	assert_int_equal(parse("HTTP/1.0 404\r\n", &status), HTTP_STATUS_OK);
	assert_int_equal(status, 404);
	assert_int_equal(parse("HTTP/1.1 599 ", &status), HTTP_STATUS_OK);
	assert_int_equal(status, 599);
}

TEST(what_is_cut_off_may_become_one)
{
	static const char whole[] = "HTTP/1.1 200";
	unsigned status = 7;

	for (size_t i = 0; i < sizeof(whole); i++)
		assert_int_equal(http_status_parse(whole, i, &status), HTTP_STATUS_MORE);
	assert_int_equal(status, 7);
}

TEST(other_answers_are_none)
{
	static const char *const bad[] = { "SSH-2.0-OpenSSH", "HTTP/x.1 200 ", "HTTP/1.1 2x0 ",
					   "HTTP/1.1 2000 ",  "http/1.1 200 ", "\x15\x03\x01" };
	unsigned status = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse(bad[i], &status), HTTP_STATUS_BAD);
}
