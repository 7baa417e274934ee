/* SPDX-License-Identifier: MIT */
/* The headers of an HTTP answer we decide by, parsed from what a server sends. */
#ifndef CTRZ_RUNTIME_OCI_HTTP_HEADER_H
#define CTRZ_RUNTIME_OCI_HTTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct http_response {
	long status; /* 0 = none came */
	char *url;   /* owned: where it came from in the end */
	char *content_type, *content_digest, *content_range, *location,
		*retry_after;      /* owned, NULL */
	char *range;               /* owned; of an upload; NULL */
	struct strlist challenges; /* WWW-Authenticate, one per header line */
	uint64_t content_length;   /* UINT64_MAX = not said */
};

#define HTTP_RESPONSE_INIT ((struct http_response){ .content_length = UINT64_MAX })

void http_response_release(struct http_response *r);
/**
 * http_response_line() - take one header line, with or without its end; NUL may be in it
 *
 * A status line (100 Continue may come before another) forgets all headers so far. Of a header that
 * comes twice the last counts, but every WWW-Authenticate is kept, up to 16.
 */
void http_response_line(struct http_response *r, const char *line, size_t size);
/** http_retry_after_s() - seconds of a Retry-After, which is a number or an HTTP date; 0 if there
 * is none (@value NULL or nonsense). @now: Unix time in seconds */
uint64_t http_retry_after_s(const char *value, int64_t now);
/** http_range_begins() - whether a Content-Range ("bytes 100-199/200", NULL = none) begins at
 * @offset */
bool http_range_begins(const char *range, uint64_t offset);

#endif
