/* SPDX-License-Identifier: MIT */
/* Findings: collecting, sorting, printing. */
#include "spec/report/diagnostics.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json/json.h"
#include "base/text.h"
#include "spec/report/report.h"
#include "spec/report/sources.h"

enum { KEPT_MAX = 1000, TAB_WIDTH = 8, SNIPPET_MAX = 160 };

static void finding_clear(struct diagnostic *f)
{
	free(f->message);
	free(f->hint);
	free(f->help);
	free(f->other_note);
	memset(f, 0, sizeof(*f));
}

void diagnostics_release(struct diagnostics *d)
{
	/* One slot beyond the end holds what came after the list was full. */
	for (size_t i = 0; i < d->count + (d->is_flooded ? 1 : 0); i++)
		finding_clear(&d->items[i]);
	free(d->items);
	sources_unref(d->sources);
	memset(d, 0, sizeof(*d));
}

static char *safe_text(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));
static char *safe_text(const char *fmt, va_list args)
{
	AUTO_FREE char *text = xvasprintf(fmt, args);
	return text_escaped(text);
}

struct diagnostic *report(struct diagnostics *d, const char *code, struct source_pos pos,
			  unsigned width, const char *fmt, ...)
{
	if (d->room == 0) {
		d->room = 16;
		d->items = xcalloc(d->room, sizeof(*d->items));
	}
	if (d->count + 1 >= d->room && d->count < KEPT_MAX) {
		d->room *= 2;
		d->items = xreallocarray(d->items, d->room, sizeof(*d->items));
		memset(d->items + d->count, 0, (d->room - d->count) * sizeof(*d->items));
	}
	struct diagnostic *f = &d->items[d->count];
	if (d->count < KEPT_MAX)
		d->count++;
	else
		d->is_flooded = true;
	finding_clear(f);
	memcpy(f->code, code, sizeof(f->code) - 1);
	f->is_error = code[0] == 'E';
	f->pos = pos;
	f->width = width ? width : 1;
	if (f->is_error)
		d->errors++;
	else
		d->warnings++;
	va_list args;
	va_start(args, fmt);
	f->message = safe_text(fmt, args);
	va_end(args);
	return f;
}

void report_hint(struct diagnostic *f, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	free(f->hint);
	f->hint = safe_text(fmt, args);
	va_end(args);
}

void report_help(struct diagnostic *f, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	AUTO_FREE char *text = safe_text(fmt, args);
	va_end(args);
	if (!f->help) {
		f->help = TAKE_PTR(text);
		return;
	}
	char *joined = xasprintf("%s\n%s", f->help, text);
	free(f->help);
	f->help = joined;
}

void report_other(struct diagnostic *f, struct source_pos pos, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	free(f->other_note);
	f->other_note = safe_text(fmt, args);
	f->other = pos;
	va_end(args);
}

void diagnostics_truncate(struct diagnostics *d, size_t count)
{
	while (d->count > count) {
		struct diagnostic *f = &d->items[--d->count];
		if (f->is_error)
			d->errors--;
		else
			d->warnings--;
		finding_clear(f);
	}
}

static size_t file_order(const struct diagnostics *d, const char *file)
{
	for (size_t i = 0; d->sources && i < d->sources->count; i++)
		if (d->sources->items[i]->name == file)
			return i + 1;
	return 0;
}

struct keyed {
	struct diagnostic f;
	size_t file, index;
};

static int compare_keyed(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->f.pos.line != y->f.pos.line)
		return x->f.pos.line < y->f.pos.line ? -1 : 1;
	if (x->f.pos.column != y->f.pos.column)
		return x->f.pos.column < y->f.pos.column ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static bool same_finding(const struct diagnostic *a, const struct diagnostic *b)
{
	return strcmp(a->code, b->code) == 0 && a->pos.file == b->pos.file &&
	       a->pos.line == b->pos.line && a->pos.column == b->pos.column &&
	       strcmp(a->message, b->message) == 0;
}

void diagnostics_sort(struct diagnostics *d)
{
	if (d->count < 2)
		return;
	AUTO_FREE struct keyed *keyed = xcalloc(d->count, sizeof(*keyed));
	for (size_t i = 0; i < d->count; i++)
		keyed[i] = (struct keyed){ d->items[i], file_order(d, d->items[i].pos.file), i };
	qsort(keyed, d->count, sizeof(*keyed), compare_keyed);
	struct diagnostic flood = d->is_flooded ? d->items[d->count] : (struct diagnostic){ 0 };
	size_t kept = 0;
	for (size_t i = 0, count = d->count; i < count; i++) {
		if (kept && same_finding(&d->items[kept - 1], &keyed[i].f)) {
			if (keyed[i].f.is_error)
				d->errors--;
			else
				d->warnings--;
			finding_clear(&keyed[i].f);
			continue;
		}
		d->items[kept++] = keyed[i].f;
	}
	d->count = kept;
	memset(&d->items[kept], 0, sizeof(*d->items));
	if (d->is_flooded)
		d->items[kept] = flood;
}

/* --- printing --- */

static const char *paint(bool use_color, const char *code)
{
	return use_color ? code : "";
}

#define BOLD "\033[1m"
#define RED "\033[1;31m"
#define YELLOW "\033[1;35m"
#define BLUE "\033[1;34m"
#define PLAIN "\033[0m"

/* One code point of a source line as it is shown; returns the columns it takes. */
static unsigned show_char(struct buffer *out, const char *s, size_t size, unsigned at,
			  size_t *ret_used)
{
	uint32_t code;
	size_t used = utf8_decode(s, size, &code);
	*ret_used = used ? used : 1;
	if (*s == '\t') {
		unsigned width = TAB_WIDTH - at % TAB_WIDTH;
		for (unsigned i = 0; i < width; i++)
			buffer_add_char(out, ' ');
		return width;
	}
	size_t before = out->size;
	text_escape(out, s, *ret_used, false);
	/* What is escaped is plain ASCII; anything else is one column for one code point. */
	size_t shown = out->size - before;
	return shown == *ret_used && used ? 1 : (unsigned)shown;
}

/* The line into @out, without its beginning if that is long; where the columns [from, to) begin and
 * end on the screen. */
static void show_line(struct buffer *out, const char *line, size_t size, unsigned from, unsigned to,
		      unsigned *ret_from, unsigned *ret_to)
{
	unsigned column = 1, at = 0;
	unsigned first = from > SNIPPET_MAX * 3 / 4 ? from - SNIPPET_MAX / 4 : 1;
	*ret_from = *ret_to = 0;
	bool has_from = false, has_to = false;
	for (size_t i = 0; i < size;) {
		if (column < first) {
			uint32_t code;
			size_t used = utf8_decode(line + i, size - i, &code);
			i += used ? used : 1;
			column++;
			continue;
		}
		if (column == first && first > 1) {
			buffer_add_str(out, "...");
			at = 3;
		}
		if (column == from && (has_from = true))
			*ret_from = at;
		if (column == to && (has_to = true))
			*ret_to = at;
		if (at >= SNIPPET_MAX && column > to) {
			buffer_add_str(out, "...");
			break;
		}
		size_t used;
		at += show_char(out, line + i, size - i, at, &used);
		i += used;
		column++;
	}
	if (!has_from)
		*ret_from = at;
	if (!has_to)
		*ret_to = at;
}

static void print_snippet(const struct spec_sources *sources, struct source_pos pos, unsigned width,
			  const char *hint, bool use_color, struct buffer *out)
{
	struct source *source = sources_find(sources, pos.file);
	size_t size = 0;
	const char *line = source ? source_line(source, pos.line, &size) : NULL;
	if (!line || pos.column > 2000) {
		if (hint)
			buffer_printf(out, "   = %s\n", hint);
		return;
	}
	/* Blanks at the end are not underlined. */
	while (size && (line[size - 1] == ' ' || line[size - 1] == '\t'))
		size--;
	unsigned from, to;
	buffer_printf(out, "%s%5u |%s ", paint(use_color, BLUE), pos.line, paint(use_color, PLAIN));
	show_line(out, line, size, pos.column, pos.column + width, &from, &to);
	buffer_printf(out, "\n%s      |%s ", paint(use_color, BLUE), paint(use_color, PLAIN));
	for (unsigned i = 0; i < from; i++)
		buffer_add_char(out, ' ');
	buffer_add_str(out, paint(use_color, RED));
	buffer_add_char(out, '^');
	for (unsigned i = from + 1; i < to && i < from + SNIPPET_MAX; i++)
		buffer_add_char(out, '~');
	if (hint)
		buffer_printf(out, " %s", hint);
	buffer_printf(out, "%s\n", paint(use_color, PLAIN));
}

static void print_place(struct source_pos pos, struct buffer *out)
{
	if (!pos.file)
		return;
	text_escape(out, pos.file, strlen(pos.file), false);
	if (pos.line)
		buffer_printf(out, ":%u:%u", pos.line, pos.column);
	buffer_add_str(out, ": ");
}

static void print_help(const struct diagnostic *f, struct buffer *out)
{
	for (const char *at = f->help; at && *at;) {
		size_t size = strcspn(at, "\n");
		buffer_printf(out, "   = %.*s\n", (int)size, at);
		at += size + (at[size] == '\n');
	}
}

static void print_finding(const struct diagnostics *d, const struct diagnostic *f, bool use_color,
			  struct buffer *out)
{
	buffer_add_str(out, paint(use_color, BOLD));
	print_place(f->pos, out);
	buffer_printf(out, "%s%s[%s]:%s %s%s%s\n", paint(use_color, f->is_error ? RED : YELLOW),
		      f->is_error ? "error" : "warning", f->code, paint(use_color, PLAIN),
		      paint(use_color, BOLD), f->message, paint(use_color, PLAIN));
	print_snippet(d->sources, f->pos, f->width, f->hint, use_color, out);
	if (f->other.line) {
		print_place(f->other, out);
		buffer_printf(out, "note: %s\n", f->other_note);
		print_snippet(d->sources, f->other, 1, NULL, use_color, out);
	}
	print_help(f, out);
}

void diagnostics_print_most(const struct diagnostics *d, size_t max, bool use_color,
			    struct buffer *out)
{
	size_t shown = d->count < max ? d->count : max;
	for (size_t i = 0; i < shown; i++)
		print_finding(d, &d->items[i], use_color, out);
	size_t all = d->errors + d->warnings;
	if (all > shown)
		buffer_printf(out, "and %zu more; these come first\n", all - shown);
}

void diagnostics_print(const struct diagnostics *d, bool use_color, struct buffer *out)
{
	diagnostics_print_most(d, DIAGNOSTICS_SHOWN_MAX, use_color, out);
}

static struct json *place_json(struct source_pos pos)
{
	struct json *o = json_new_object();
	json_set_string(o, "file", pos.file ? pos.file : "");
	json_set_int(o, "line", pos.line);
	json_set_int(o, "column", pos.column);
	return o;
}

void diagnostics_json(const struct diagnostics *d, struct buffer *out)
{
	AUTO_JSON list = json_new_array();
	for (size_t i = 0; i < d->count; i++) {
		const struct diagnostic *f = &d->items[i];
		struct json *o = place_json(f->pos);
		json_set_int(o, "width", f->width);
		json_set_string(o, "severity", f->is_error ? "error" : "warning");
		json_set_string(o, "code", f->code);
		json_set_string(o, "message", f->message);
		if (f->hint)
			json_set_string(o, "hint", f->hint);
		if (f->help)
			json_set_string(o, "help", f->help);
		if (f->other.line) {
			struct json *other = place_json(f->other);
			json_set_string(other, "message", f->other_note);
			json_set(o, "other", other);
		}
		json_add(list, o);
	}
	json_print(list, 2, false, out);
	buffer_add_char(out, '\n');
}

void spec_print_error(const struct spec_sources *sources, const struct error *err, bool use_color,
		      struct buffer *out)
{
	if (err->pos.line)
		print_place(err->pos, out);
	AUTO_FREE char *safe = text_escaped(error_message(err));
	buffer_printf(out, "%serror:%s %s\n", paint(use_color, RED), paint(use_color, PLAIN), safe);
	if (err->pos.line)
		print_snippet(sources, err->pos, 1, NULL, use_color, out);
}
