/* SPDX-License-Identifier: MIT */
/* Headers of a registry's answers. */
#include "runtime/oci/http_header.h"
#include "tests/unit/test.h"

static void take(struct http_response *r, const char *line)
{
	http_response_line(r, line, strlen(line));
}

TEST(headers_are_kept_by_name)
{
	struct http_response r = HTTP_RESPONSE_INIT;
	take(&r, "HTTP/1.1 200 OK\r\n");
	take(&r, "content-TYPE: \t application/json \r\n");
	take(&r, "Content-Length: 12\r\n");
	take(&r, "Content-Lengthy: 13\r\n");
	take(&r, "Location:\r\n");
	take(&r, "X-Location: /elsewhere\r\n");
	assert_string_equal(r.content_type, "application/json");
	assert_true(r.content_length == 12);
	assert_string_equal(r.location, "");
	take(&r, "Location: /v2/\r\n");
	assert_string_equal(r.location, "/v2/");
	take(&r, "Content-Length: -1\r\n");
	assert_true(r.content_length == 12);
	http_response_release(&r);
}

TEST(a_new_status_line_forgets)
{
	struct http_response r = HTTP_RESPONSE_INIT;
	take(&r, "HTTP/1.1 100 Continue\r\n");
	take(&r, "Location: /first\r\n");
	take(&r, "WWW-Authenticate: Basic realm=\"a\"\r\n");
	take(&r, "HTTP/1.1 202 Accepted\r\n");
	assert_null(r.location);
	assert_int_equal(r.challenges.count, 0);
	assert_true(r.content_length == UINT64_MAX);
	for (int i = 0; i < 20; i++)
		take(&r, "WWW-Authenticate: Bearer realm=\"https://a.example\"\r\n");
	assert_int_equal(r.challenges.count, 16);
	http_response_release(&r);
}

TEST(retry_after_is_a_number_or_a_date)
{
	const int64_t now = 1700000000; /* Tue, 14 Nov 2023 22:13:20 GMT */
	assert_true(http_retry_after_s(NULL, now) == 0);
	assert_true(http_retry_after_s("", now) == 0);
	assert_true(http_retry_after_s("soon", now) == 0);
	assert_true(http_retry_after_s("-5", now) == 0);
	assert_true(http_retry_after_s("120", now) == 120);
	assert_true(http_retry_after_s("Tue, 14 Nov 2023 22:14:20 GMT", now) == 60);
	assert_true(http_retry_after_s("Tue, 14 Nov 2023 22:12:20 GMT", now) == 0);
}

TEST(a_range_begins_where_it_says)
{
	assert_true(http_range_begins("bytes 100-199/200", 100));
	assert_true(http_range_begins("bytes 0-0/*", 0));
	assert_false(http_range_begins("bytes 100-199/200", 0));
	assert_false(http_range_begins("bytes -5/6", 0));
	assert_false(http_range_begins("octets 0-1/2", 0));
	assert_false(http_range_begins(NULL, 0));
}
