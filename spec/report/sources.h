/* SPDX-License-Identifier: MIT */
/* The texts of the files of a run, kept for snippets and for resolving relative paths. */
#ifndef CTRZ_SPEC_REPORT_SOURCES_H
#define CTRZ_SPEC_REPORT_SOURCES_H

#include <stddef.h>

#include "base/error.h"

struct source {
	char *name; /* owned; what source_pos.file points to */
	char *dir;  /* owned, absolute: relative paths of the file start here */
	char *text; /* owned; NUL-terminated */
	size_t size;
	size_t *lines; /* owned; offsets of line starts, made when first needed */
	size_t line_count;
};

struct spec_sources {
	unsigned refs;
	struct source **items;
	size_t count, room;
};

struct spec_sources *sources_new(void);
struct spec_sources *sources_ref(struct spec_sources *s);
/** sources_unref() - NULL is fine */
void sources_unref(struct spec_sources *s);
/** sources_add() - takes ownership of @text */
struct source *sources_add(struct spec_sources *s, const char *name, const char *dir, char *text,
			   size_t size);
/** sources_find() - by the pointer in a source_pos; NULL if it is of no file here */
struct source *sources_find(const struct spec_sources *s, const char *file);
/** source_line() - a line without its end; NULL if there is no such line. Lent */
const char *source_line(struct source *s, unsigned line, size_t *ret_size);

#endif
