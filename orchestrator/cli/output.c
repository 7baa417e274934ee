/* SPDX-License-Identifier: MIT */
/* Tables, JSON and colours. */
#include "orchestrator/cli/output.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"

static const char *const color_codes[] = {
	[COLOR_NONE] = "",         [COLOR_BOLD] = "\033[1m",     [COLOR_DIM] = "\033[2m",
	[COLOR_RED] = "\033[31m",  [COLOR_GREEN] = "\033[32m",   [COLOR_YELLOW] = "\033[33m",
	[COLOR_BLUE] = "\033[34m", [COLOR_MAGENTA] = "\033[35m", [COLOR_CYAN] = "\033[36m",
};
static_assert(ARRAY_SIZE(color_codes) == COLOR_COUNT, "every colour has a code");

const char *color_on(bool enabled, enum color color)
{
	return enabled ? color_codes[color] : "";
}

const char *color_off(bool enabled, enum color color)
{
	return enabled && color != COLOR_NONE ? "\033[0m" : "";
}

enum color color_of_name(const char *name)
{
	static const enum color cycle[] = { COLOR_CYAN, COLOR_YELLOW, COLOR_GREEN, COLOR_MAGENTA,
					    COLOR_BLUE };
	unsigned hash = 2166136261u;

	for (const char *p = name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	return cycle[hash % ARRAY_SIZE(cycle)];
}

void table_init(struct table *t, const char *const *headings)
{
	*t = (struct table){ 0 };
	for (; headings[t->columns]; t->columns++)
		strlist_add(&t->cells, headings[t->columns]);
}

void table_release(struct table *t)
{
	strlist_release(&t->cells);
	*t = (struct table){ 0 };
}

void table_cell(struct table *t, const char *text)
{
	strlist_take(&t->cells, text && *text ? text_escaped(text) : xstrdup("-"));
}

void table_cellf(struct table *t, const char *fmt, ...)
{
	AUTO_FREE char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	table_cell(t, text);
}

size_t text_columns(const char *s)
{
	size_t count = 0;

	for (; *s; s++)
		count += ((unsigned char)*s & 0xc0) != 0x80;
	return count;
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < t->cells.count; i += t->columns) {
		size_t cell = text_columns(t->cells.items[i]);

		width = cell > width ? cell : width;
	}
	return width;
}

void table_print(const struct table *t, struct buffer *out)
{
	AUTO_FREE size_t *widths = xcalloc(t->columns + 1, sizeof(*widths));

	assert(t->columns && t->cells.count % t->columns == 0);
	for (size_t c = 0; c < t->columns; c++)
		widths[c] = column_width(t, c);
	for (size_t i = 0; i < t->cells.count; i++) {
		const char *cell = t->cells.items[i];
		size_t c = i % t->columns;

		buffer_add_str(out, cell);
		if (c + 1 == t->columns)
			buffer_add_char(out, '\n');
		else
			buffer_printf(out, "%*s", (int)(widths[c] - text_columns(cell) + 2), "");
	}
}

int out_write(const struct buffer *b, struct error *err)
{
	int r;

	if (!b->size)
		return 0;
	r = fd_write_full(STDOUT_FILENO, b->data, b->size, err);
	if (r < 0 && err->sys_errno == EPIPE)
		_exit(128 + SIGPIPE);
	return r < 0 ? error_wrap(err, "write to stdout") : 0;
}

int out_json(const struct json *v, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	json_print(v, 2, false, &b);
	buffer_add_char(&b, '\n');
	return out_write(&b, err);
}

int out_table(const struct table *t, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	table_print(t, &b);
	return out_write(&b, err);
}

char *text_age(uint64_t since_unix_ms)
{
	uint64_t now = clock_unix_ms();
	uint64_t seconds;

	if (!since_unix_ms)
		return xstrdup("-");
	seconds = now > since_unix_ms ? (now - since_unix_ms) / 1000 : 0;
	if (seconds < 120)
		return xasprintf("%us", (unsigned)seconds);
	if (seconds < 120 * 60)
		return xasprintf("%um", (unsigned)(seconds / 60));
	if (seconds < 48 * 3600)
		return xasprintf("%uh", (unsigned)(seconds / 3600));
	return xasprintf("%ud", (unsigned)(seconds / 86400));
}
