/* SPDX-License-Identifier: MIT */
/* What commands print: tables, JSON, colours. Data goes to stdout, everything else to stderr. */
#ifndef CTRZ_ORCHESTRATOR_CLI_OUTPUT_H
#define CTRZ_ORCHESTRATOR_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/json/json.h"
#include "base/text.h"

enum color {
	COLOR_NONE,
	COLOR_BOLD,
	COLOR_DIM,
	COLOR_RED,
	COLOR_GREEN,
	COLOR_YELLOW,
	COLOR_BLUE,
	COLOR_MAGENTA,
	COLOR_CYAN,
	COLOR_COUNT
};

/** color_on() / color_off() - the escape sequence, or "" if not @enabled */
const char *color_on(bool enabled, enum color color);
const char *color_off(bool enabled, enum color color);
/** color_of_name() - a colour for a name, the same on every run */
enum color color_of_name(const char *name);

/* A table of text cells: columns are as wide as their widest cell, two spaces apart, trailing space
 * cut. */
struct table {
	size_t columns;
	struct strlist cells; /* row by row, the headings first */
};

#define AUTO_TABLE CLEANUP(table_release) struct table

/** table_init() - @headings: NULL-terminated */
void table_init(struct table *t, const char *const *headings);
void table_release(struct table *t);
/** table_cell() - append the next cell of the row; escaped for terminals, NULL or "" prints as "-"
 */
void table_cell(struct table *t, const char *text);
/** table_cellf() - formatted; escaped likewise */
void table_cellf(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/** table_print() - append to @out; an empty table is its headings */
void table_print(const struct table *t, struct buffer *out);

/** out_write() - a buffer to stdout; a closed pipe ends the program quietly. Return: 0 or -E_SYSTEM
 */
int out_write(const struct buffer *b, struct error *err) MUST_CHECK;
/** out_json() - a value to stdout, indented, with a newline */
int out_json(const struct json *v, struct error *err) MUST_CHECK;
/** out_table() - a table to stdout */
int out_table(const struct table *t, struct error *err) MUST_CHECK;
/** text_columns() - columns a UTF-8 string takes on a terminal, wide characters counted as one */
size_t text_columns(const char *s);
/** text_age() - "12s", "4m", "3h", "2d" from @since_unix_ms until now; "-" for 0; owned */
char *text_age(uint64_t since_unix_ms);

#endif
