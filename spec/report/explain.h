/* SPDX-License-Identifier: MIT */
/* Every finding explained, for ctrz explain and the manual. */
#ifndef CTRZ_SPEC_REPORT_EXPLAIN_H
#define CTRZ_SPEC_REPORT_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct explanation {
	const char *code; /* "E104", "W302" */
	const char *what, *why, *mend;
	const char *bad, *good; /* examples; may be NULL */
};

/** spec_explanations() - all, sorted by code */
const struct explanation *spec_explanations(size_t *ret_count);
/** spec_explanation() - of one code, any case; NULL if there is none */
const struct explanation *spec_explanation(const char *code);
/** spec_explain() - append the text for people; false if there is no such code */
bool spec_explain(const char *code, struct buffer *out);

#endif
