/* SPDX-License-Identifier: MIT */
/* What a server says it has, and which of it a ref means. Pure. */
#ifndef CTRZ_RUNTIME_SOURCE_REFS_H
#define CTRZ_RUNTIME_SOURCE_REFS_H

#include <stddef.h>

#include "base/error.h"
#include "base/git_url.h"

enum { SOURCE_REFS_MAX = 1 << 20 };

/* One line of what a server advertises. */
struct advertised {
	const char *name;   /* lent: "refs/heads/main", "refs/tags/v1^{}", "HEAD" */
	const char *symref; /* lent: of HEAD, the branch it stands for; NULL = not told */
	char id[GIT_COMMIT_DIGITS + 1];
};

/* What is to be fetched. */
struct ref_choice {
	const struct advertised *ref;       /* lent: to ask for; NULL = only the commit is known */
	char commit[GIT_COMMIT_DIGITS + 1]; /* peeled */
};

/**
 * ref_choose() - exactly one of what is advertised, never by its ending
 * @ref: as git_ref_problem() lets it pass: a branch, a tag, pull/N/head, a full name from refs/ on,
 * a full commit; NULL = HEAD
 *
 * A branch and a tag of one name are an error that names both. Return: 0, -E_CONFLICT,
 * -E_NOT_FOUND with the nearest name there is
 */
int ref_choose(const struct advertised *all, size_t count, const char *ref, struct ref_choice *ret,
	       struct error *err) MUST_CHECK;

#endif
