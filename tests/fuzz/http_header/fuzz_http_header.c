/* SPDX-License-Identifier: MIT */
/* Header lines of a registry's answers, one per line of the input, and the values that decide how a
 * transfer goes on. */
#include <stdlib.h>
#include <string.h>

#include "runtime/oci/http_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(const char *value)
{
	const int64_t now = 1700000000;
	if (value && (strchr("\r\n\t ", value[0]) && value[0]))
		abort();
	(void)http_retry_after_s(value, now);
	if (http_range_begins(value, 100) && http_range_begins(value, 101))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_response r = HTTP_RESPONSE_INIT;
	const char *at = (const char *)data, *end = at + size;
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *next = newline ? newline + 1 : end;
		http_response_line(&r, at, (size_t)(next - at));
		at = next;
	}
	check_value(r.content_type);
	check_value(r.content_digest);
	check_value(r.content_range);
	check_value(r.location);
	check_value(r.retry_after);
	check_value(r.range);
	if (r.challenges.count > 16)
		abort();
	http_response_release(&r);
	return 0;
}
