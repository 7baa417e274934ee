/* SPDX-License-Identifier: MIT */
/* Text helpers. */
#include "base/text.h"

#include <string.h>

#include "base/alloc.h"

void strlist_take(struct strlist *l, char *s)
{
	if (l->count + 1 >= l->room) {
		l->room = l->room ? l->room * 2 : 8;
		l->items = xreallocarray(l->items, l->room, sizeof(*l->items));
	}
	l->items[l->count++] = s;
	l->items[l->count] = NULL;
}

void strlist_add(struct strlist *l, const char *s)
{
	strlist_take(l, xstrdup(s));
}

void strlist_printf(struct strlist *l, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	strlist_take(l, xvasprintf(fmt, args));
	va_end(args);
}

void strlist_copy(struct strlist *dst, const struct strlist *src)
{
	for (size_t i = 0; i < src->count; i++)
		strlist_add(dst, src->items[i]);
}

bool strlist_has(const struct strlist *l, const char *s)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->items[i], s) == 0)
			return true;
	return false;
}

bool strlist_equal(const struct strlist *a, const struct strlist *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static int compare_items(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strlist_sort(struct strlist *l)
{
	if (l->count > 1)
		qsort(l->items, l->count, sizeof(*l->items), compare_items);
}

char *strlist_join(const struct strlist *l, const char *separator)
{
	struct buffer b = BUFFER_INIT;
	for (size_t i = 0; i < l->count; i++) {
		if (i)
			buffer_add_str(&b, separator);
		buffer_add_str(&b, l->items[i]);
	}
	return buffer_steal(&b);
}

void strlist_release(struct strlist *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = STRLIST_INIT;
}

bool str_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t a = strlen(s), b = strlen(suffix);
	return a >= b && strcmp(s + a - b, suffix) == 0;
}

bool parse_u64(const char *s, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		uint64_t digit = (uint64_t)(*s - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (value > max)
		return false;
	*ret_value = value;
	return true;
}

size_t utf8_decode(const char *s, size_t size, uint32_t *ret_code)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (!size)
		return 0;
	uint8_t first = (uint8_t)s[0];
	if (first < 0x80) {
		*ret_code = first;
		return 1;
	}
	size_t n = (first & 0xe0) == 0xc0   ? 2
		   : (first & 0xf0) == 0xe0 ? 3
		   : (first & 0xf8) == 0xf0 ? 4
					    : 0;
	if (!n || n > size)
		return 0;
	uint32_t code = first & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if (((uint8_t)s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | ((uint8_t)s[i] & 0x3f);
	}
	if (code < lowest[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return n;
}

/* C0, DEL, C1, and the characters that change the direction or the place of text around them. */
static bool is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void text_escape(struct buffer *out, const char *s, size_t size, bool keep_newline)
{
	for (size_t i = 0; i < size;) {
		uint32_t code = 0;
		size_t n = utf8_decode(s + i, size - i, &code);
		if (n == 0) {
			buffer_printf(out, "\\x%02x", (uint8_t)s[i]);
			i++;
			continue;
		}
		if (keep_newline && (code == '\n' || code == '\t'))
			buffer_add_char(out, (char)code);
		else if (!is_unsafe(code))
			buffer_add(out, s + i, n);
		else if (code < 0x100)
			buffer_printf(out, "\\x%02x", (unsigned)code);
		else
			buffer_printf(out, "\\u{%x}", (unsigned)code);
		i += n;
	}
}

char *text_escaped(const char *s)
{
	struct buffer b = BUFFER_INIT;
	text_escape(&b, s, strlen(s), false);
	return buffer_steal(&b);
}

char *text_size(uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = (double)bytes;
	size_t unit = 0;
	while (value >= 1024 && unit + 1 < ARRAY_SIZE(units)) {
		value /= 1024;
		unit++;
	}
	uint64_t tenths = (uint64_t)(value * 10 + 0.5);
	if (unit == 0 || tenths % 10 == 0 || tenths >= 1000)
		return xasprintf("%llu %s", (unsigned long long)((tenths + 5) / 10), units[unit]);
	return xasprintf("%llu.%llu %s", (unsigned long long)(tenths / 10),
			 (unsigned long long)(tenths % 10), units[unit]);
}

char *text_duration(uint64_t ms)
{
	unsigned long long s = ms / 1000;
	if (ms < 1000)
		return xasprintf("%llu ms", (unsigned long long)ms);
	if (s < 60)
		return xasprintf("%llu.%llu s", s, (unsigned long long)(ms % 1000 / 100));
	if (s < 3600)
		return xasprintf("%llum %llus", s / 60, s % 60);
	if (s < 86400)
		return xasprintf("%lluh %llum", s / 3600, s % 3600 / 60);
	return xasprintf("%llud %lluh", s / 86400, s % 86400 / 3600);
}

enum { DISTANCE_MAX = 127 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;
	return m < c ? m : c;
}

unsigned text_distance(const char *a, const char *b)
{
	size_t na = strnlen(a, DISTANCE_MAX), nb = strnlen(b, DISTANCE_MAX);
	unsigned rows[3][DISTANCE_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];
	for (size_t j = 0; j <= nb; j++) {
		before[j] = 0;
		last[j] = (unsigned)j;
	}
	for (size_t i = 1; i <= na; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= nb; j++) {
			unsigned cost = a[i - 1] != b[j - 1];
			row[j] = min3(row[j - 1] + 1, last[j] + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		unsigned *spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[nb];
}

const char *text_suggest(const char *s, const char *const *candidates, size_t count)
{
	size_t limit = strlen(s) / 3;
	unsigned best_distance = limit > 1 ? (unsigned)limit : 1;
	const char *best = NULL;
	for (size_t i = 0; i < count; i++) {
		unsigned d = text_distance(s, candidates[i]);
		if (d < best_distance || (d == best_distance && !best)) {
			best_distance = d;
			best = candidates[i];
		}
	}
	return best;
}

void hex_encode(char *out, const void *data, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;
	for (size_t i = 0; i < size; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * size] = '\0';
}
