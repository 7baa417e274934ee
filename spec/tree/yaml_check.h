/* SPDX-License-Identifier: MIT */
/* What is looked at beside libyaml: bytes it must not see, and its problems put in plain words. */
#ifndef CTRZ_SPEC_TREE_YAML_CHECK_H
#define CTRZ_SPEC_TREE_YAML_CHECK_H

#include <stdbool.h>

#include "spec/report/diagnostics.h"
#include "spec/report/sources.h"
#include "spec/tree/yaml_tree.h"

/* A failure of the parser. */
struct yaml_problem {
	const char *problem, *context; /* as libyaml says it; may be NULL */
	struct source_pos at, context_at;
};

/** yaml_check_bytes() - UTF-8, no NUL, no mark of byte order inside, none of the line separators
 * that YAML 1.1 and 1.2 read differently; size */
bool yaml_check_bytes(const struct source *source, struct diagnostics *diags);
/* An event of the parser, as far as its text is looked at. */
struct yaml_span {
	size_t start, end; /* in code points from the start of the file */
	struct source_pos pos;
	bool is_block_text; /* | or > */
	bool is_quoted;
	const char *anchor; /* without its &, NULL = none */
	const char *plain;  /* text of a plain scalar inside [ ] or { } */
	bool is_alias;
	bool is_collection; /* the start of one */
	bool is_end;        /* of a collection, or of a document */
};

/* How far the source has been looked at. */
struct yaml_reader {
	const struct source *source;
	struct diagnostics *diags;
	size_t index, offset;  /* the same place in code points and in bytes */
	unsigned line, column; /* of it */
	size_t end;            /* of the event before, in code points */
	bool ends_in_block_text;
};

/** yaml_reader_init() - at the start, behind a byte order mark */
void yaml_reader_init(struct yaml_reader *r, const struct source *source,
		      struct diagnostics *diags);
/** yaml_check_span() - what libyaml accepts and YAML 1.2 reads differently, or not at all, between
 * the event before and the end of this one. Return: false if there was a finding */
bool yaml_check_span(struct yaml_reader *r, const struct yaml_span *span);
/** yaml_check_end() - the end of the file. Return: false if there was a finding */
bool yaml_check_end(struct yaml_reader *r);
/** yaml_say_problem() - a problem with its likely cause */
void yaml_say_problem(const struct source *source, const struct yaml_problem *p,
		      struct diagnostics *diags);

#endif
