/* SPDX-License-Identifier: MIT */
/* Headers of HTTP answers. */
#include "runtime/oci/http_header.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cleanup.h"

enum { MAX_CHALLENGES = 16 };

void http_response_release(struct http_response *r)
{
	free(r->url);
	free(r->content_type);
	free(r->content_digest);
	free(r->content_range);
	free(r->location);
	free(r->retry_after);
	free(r->range);
	strlist_release(&r->challenges);
	*r = HTTP_RESPONSE_INIT;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The value of a header line if it has this name, owned. */
static char *header_value(const char *line, size_t size, const char *name)
{
	size_t n = strlen(name);
	if (size <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return NULL;
	const char *start = line + n + 1, *end = line + size;
	while (start < end && is_blank(*start))
		start++;
	while (end > start && is_blank(end[-1]))
		end--;
	return xstrndup(start, (size_t)(end - start));
}

static void keep_header(struct http_response *r, const char *line, size_t size)
{
	const struct {
		const char *name;
		char **slot;
	} kept[] = {
		{ "Content-Type", &r->content_type },
		{ "Docker-Content-Digest", &r->content_digest },
		{ "Content-Range", &r->content_range },
		{ "Location", &r->location },
		{ "Retry-After", &r->retry_after },
		{ "Range", &r->range },
	};
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		char *value = header_value(line, size, kept[i].name);
		if (!value)
			continue;
		free(*kept[i].slot);
		*kept[i].slot = value;
		return;
	}
	char *value = header_value(line, size, "WWW-Authenticate");
	if (value && r->challenges.count < MAX_CHALLENGES)
		strlist_take(&r->challenges, value);
	else
		free(value);
	AUTO_FREE char *length = header_value(line, size, "Content-Length");
	uint64_t n;
	if (length && parse_u64(length, UINT64_MAX - 1, &n))
		r->content_length = n;
}

void http_response_line(struct http_response *r, const char *line, size_t size)
{
	if (size > 5 && strncmp(line, "HTTP/", 5) == 0)
		http_response_release(r);
	else
		keep_header(r, line, size);
}

uint64_t http_retry_after_s(const char *value, int64_t now)
{
	uint64_t seconds;
	if (!value)
		return 0;
	if (parse_u64(value, UINT64_MAX, &seconds))
		return seconds;
	struct tm tm = { 0 };
	if (!strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		return 0;
	int64_t at = timegm(&tm);
	return at > now ? (uint64_t)(at - now) : 0;
}

bool http_range_begins(const char *range, uint64_t offset)
{
	static const char unit[] = "bytes ";
	const char *dash = range && str_starts(range, unit) ? strchr(range, '-') : NULL;
	if (!dash)
		return false;
	AUTO_FREE char *first =
		xstrndup(range + strlen(unit), (size_t)(dash - range) - strlen(unit));
	uint64_t from;
	return parse_u64(first, UINT64_MAX, &from) && from == offset;
}
