/* SPDX-License-Identifier: MIT */
/* The list of all located findings of a run, and their printing for people, editors and programs.
 */
#ifndef CTRZ_SPEC_REPORT_DIAGNOSTICS_H
#define CTRZ_SPEC_REPORT_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"

struct spec_sources;

enum { DIAGNOSTICS_SHOWN_MAX = 20 };

struct diagnostic {
	char code[5]; /* "E104", "W302" */
	bool is_error;
	struct source_pos pos;   /* file lent from the sources */
	unsigned width;          /* code points to underline; 1 = just the caret */
	char *message;           /* owned; safe to print */
	char *hint;              /* owned, short, beside the caret; may be NULL */
	char *help;              /* owned, "= ..." line; may be NULL */
	struct source_pos other; /* second place (duplicate, cycle); line 0 = none */
	char *other_note;        /* owned: what is there */
};

struct diagnostics {
	struct diagnostic *items; /* sorted by file, line, column after loading */
	size_t count, room;
	size_t errors, warnings;
	bool is_flooded;              /* more were found than are kept */
	struct spec_sources *sources; /* counted reference */
};

#define DIAGNOSTICS_INIT ((struct diagnostics){ 0 })
#define AUTO_DIAGNOSTICS CLEANUP(diagnostics_release) struct diagnostics

void diagnostics_release(struct diagnostics *d);

/** diagnostics_print() - GNU style with snippet, caret and help; at most DIAGNOSTICS_SHOWN_MAX,
 * then how many more there are */
void diagnostics_print(const struct diagnostics *d, bool use_color, struct buffer *out);
/** diagnostics_print_most() - the same, at most @max of them */
void diagnostics_print_most(const struct diagnostics *d, size_t max, bool use_color,
			    struct buffer *out);
/** diagnostics_json() - an array of all findings */
void diagnostics_json(const struct diagnostics *d, struct buffer *out);

/** spec_print_error() - a failure with a place (err->pos) like a diagnostic with its source line;
 * one line "error: ..." if it has none. @sources may be NULL */
void spec_print_error(const struct spec_sources *sources, const struct error *err, bool use_color,
		      struct buffer *out);

#endif
