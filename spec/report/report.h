/* SPDX-License-Identifier: MIT */
/* Adding findings. The text of a message may hold anything: it is made safe here. */
#ifndef CTRZ_SPEC_REPORT_REPORT_H
#define CTRZ_SPEC_REPORT_REPORT_H

#include "spec/report/diagnostics.h"

/** report() - add a finding; the code's letter says whether it is an error (E) or a warning (W).
 * Return: it, until the next one is added, for report_hint() and friends */
struct diagnostic *report(struct diagnostics *d, const char *code, struct source_pos pos,
			  unsigned width, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* A spec_value as position and width. */
#define AT(value) (value).pos, (value).width

/** report_hint() - a few words beside the caret */
void report_hint(struct diagnostic *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
/** report_help() - one more sentence below; may be called several times */
void report_help(struct diagnostic *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
/** report_other() - a second place */
void report_other(struct diagnostic *f, struct source_pos pos, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
/** diagnostics_sort() - by file (in order of reading), line, column; equal ones are dropped */
void diagnostics_sort(struct diagnostics *d);
/** diagnostics_drop() - remove findings of a code from @from on; for trying things out */
void diagnostics_truncate(struct diagnostics *d, size_t count);

#endif
