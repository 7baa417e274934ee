/* SPDX-License-Identifier: MIT */
/* Golden texts: what the code under test says, held in files. With CTRZ_GOLDEN_UPDATE set they are
 * written anew; see tests/golden/update. */
#ifndef CTRZ_TESTS_UNIT_GOLDEN_H
#define CTRZ_TESTS_UNIT_GOLDEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum { GOLDEN_FILE_MAX = 32 << 20, GOLDEN_SECTIONS_MAX = 8 };

/** golden_each() - call @check for each file of @dir whose name ends in @ending, in order of names;
 * the test fails if one returns false, or if there are fewer than @least */
void golden_each(const char *dir, const char *ending, size_t least,
		 bool (*check)(const char *path));

/** golden_same() - whether @path holds @made; if not, both are printed */
bool golden_same(const char *path, const struct buffer *made);

/* A case that is one file: sections that begin with a line of their name, as "@SPEC". */
struct golden_case {
	const char *path;                    /* lent */
	char *text;                          /* owned */
	char *sections[GOLDEN_SECTIONS_MAX]; /* lent from text; NULL = not there */
};

/** golden_case_read() - @names: as "@SPEC", in the order of ret->sections, NULL at the end; the
 * last one is what is expected, and stands last in the file */
void golden_case_read(const char *path, const char *const *names, struct golden_case *ret);
void golden_case_release(struct golden_case *c);
/** golden_case_same() - as golden_same(), with the last section */
bool golden_case_same(const struct golden_case *c, const char *const *names,
		      const struct buffer *made);

#endif
