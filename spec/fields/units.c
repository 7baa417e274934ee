/* SPDX-License-Identifier: MIT */
/* Sizes, durations, modes and numbers as they are written in the file. */
#include "spec/fields/units.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"

struct unit {
	const char *name;
	int64_t scale;
};

static const struct unit size_units[] = {
	{ "TiB", (int64_t)1 << 40 },
	{ "GiB", 1 << 30 },
	{ "MiB", 1 << 20 },
	{ "KiB", 1 << 10 },
	{ "TB", 1000000000000 },
	{ "GB", 1000000000 },
	{ "MB", 1000000 },
	{ "KB", 1000 },
	{ "kB", 1000 },
	{ "B", 1 },
};

static const struct unit time_units[] = {
	{ "ms", 1 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits with at most one point, times @scale; moves @s behind it. */
static const char *scaled(const char **s, size_t digits, int64_t scale, int64_t *ret)
{
	int64_t whole = 0, part = 0, divisor = 1;
	bool has_point = false;
	for (size_t i = 0; i < digits; i++) {
		char c = (*s)[i];
		if (c == '.') {
			has_point = true;
		} else if (!has_point) {
			if (whole > (INT64_MAX - 9) / 10)
				return "the number is too large";
			whole = whole * 10 + (c - '0');
		} else if (divisor < 1000000) {
			part = part * 10 + (c - '0');
			divisor *= 10;
		} else if (c != '0') {
			return "at most six digits after the point";
		}
	}
	int64_t value;
	if (__builtin_mul_overflow(whole, scale, &value))
		return "the number is too large";
	if (part) {
		int64_t fraction;
		if (__builtin_mul_overflow(part, scale, &fraction))
			return "the number is too large";
		if (fraction % divisor)
			return "this is not a whole number of the smallest unit";
		if (__builtin_add_overflow(value, fraction / divisor, &value))
			return "the number is too large";
	}
	*ret = value;
	return NULL;
}

static size_t number_length(const char *s)
{
	size_t n = 0, points = 0;
	while (is_digit(s[n]) || (s[n] == '.' && n && !points && is_digit(s[n + 1])))
		points += s[n++] == '.';
	return n;
}

const char *units_size(const char *text, int64_t *ret_bytes)
{
	size_t digits = number_length(text);
	if (!digits)
		return "a size is a number and a unit, as 512MiB";
	const char *unit = text + digits;
	if (*unit == ' ')
		unit++;
	for (size_t i = 0; i < ARRAY_SIZE(size_units); i++)
		if (strcmp(unit, size_units[i].name) == 0)
			return scaled(&text, digits, size_units[i].scale, ret_bytes);
	if (!*unit)
		return "a size needs a unit";
	return "unknown unit; use KiB, MiB, GiB, TiB or KB, MB, GB, TB";
}

const char *units_duration(const char *text, int64_t *ret_ms)
{
	int64_t total = 0, last_scale = INT64_MAX;
	if (strcmp(text, "0") == 0) {
		*ret_ms = 0;
		return NULL;
	}
	if (!*text)
		return "a duration is a number and a unit, as 1m30s";
	for (const char *s = text; *s;) {
		size_t digits = number_length(s);
		if (!digits)
			return "a duration is a number and a unit, as 1m30s";
		const struct unit *u = NULL;
		for (size_t i = 0; !u && i < ARRAY_SIZE(time_units); i++)
			if (strncmp(s + digits, time_units[i].name, strlen(time_units[i].name)) ==
			    0)
				u = &time_units[i];
		if (!u)
			return s[digits] ? "unknown unit; use h, m, s or ms"
					 : "a duration needs a unit: h, m, s or ms";
		if (u->scale >= last_scale)
			return "larger units come first, each once";
		last_scale = u->scale;
		int64_t value;
		const char *problem = scaled(&s, digits, u->scale, &value);
		if (problem)
			return problem;
		if (__builtin_add_overflow(total, value, &total))
			return "the duration is too long";
		s += digits + strlen(u->name);
	}
	*ret_ms = total;
	return NULL;
}

const char *units_mode(const char *text, int64_t *ret_mode)
{
	int64_t mode = 0;
	size_t n = strlen(text);
	if (n < 3 || n > 4 || text[strspn(text, "01234567")])
		return "a mode is three or four octal digits in quotes, as \"0644\"";
	for (size_t i = 0; i < n; i++)
		mode = mode * 8 + (text[i] - '0');
	*ret_mode = mode;
	return NULL;
}

const char *units_number(const char *text, int64_t *ret_value)
{
	bool is_negative = *text == '-';
	const char *s = text + (is_negative || *text == '+');
	if (!*s || s[strspn(s, "0123456789")])
		return "expected a whole number";
	if (s[0] == '0' && s[1])
		return "a number has no leading zero";
	int64_t value = 0;
	for (; *s; s++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *s - '0', &value))
			return "the number is too large";
	*ret_value = is_negative ? -value : value;
	return NULL;
}

char *units_size_text(int64_t bytes)
{
	if (bytes == 0)
		return xstrdup("0B");
	static const struct unit exact[] = { { "TiB", (int64_t)1 << 40 }, { "TB", 1000000000000 },
					     { "GiB", 1 << 30 },          { "GB", 1000000000 },
					     { "MiB", 1 << 20 },          { "MB", 1000000 },
					     { "KiB", 1 << 10 },          { "KB", 1000 } };
	for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
		if (bytes % exact[i].scale == 0)
			return xasprintf("%lld%s", (long long)(bytes / exact[i].scale),
					 exact[i].name);
	return xasprintf("%lldB", (long long)bytes);
}

char *units_duration_text(int64_t ms)
{
	int64_t h = ms / 3600000, m = ms / 60000 % 60, s = ms / 1000 % 60, rest = ms % 1000;
	char out[80] = "";
	size_t n = 0;
	const struct {
		int64_t value;
		const char *unit;
	} parts[] = { { h, "h" }, { m, "m" }, { s, "s" }, { rest, "ms" } };
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!parts[i].value)
			continue;
		int used = snprintf(out + n, sizeof(out) - n, "%lld%s", (long long)parts[i].value,
				    parts[i].unit);
		n += (size_t)used;
	}
	return xstrdup(n ? out : "0s");
}
