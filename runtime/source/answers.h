/* SPDX-License-Identifier: MIT */
/* What was read of a commit before: the few files a spec consists of, so that reading the same
 * commit again needs neither the repository nor libgit2. */
#ifndef CTRZ_RUNTIME_SOURCE_ANSWERS_H
#define CTRZ_RUNTIME_SOURCE_ANSWERS_H

#include "base/map.h"
#include "runtime/source/source.h"

/*
 * DOC: Format
 *
 * $cache/<sha256 of the URL>/ctrz-read/<commit>, in the folder of the repository and gone with it:
 *
 *	ctrz-read 1 <sha256 of what follows>\n
 *	<kind> <bytes of the path> <bytes of the content, or -> <path>\n<content>\n ...
 *
 * A commit never changes, so an answer stays true. A file that is not exactly this is as good as
 * none, and is written anew.
 */

struct answer {
	enum source_kind kind;
	bool is_read;          /* @content is known */
	struct buffer content; /* owned */
};

struct answers {
	char *path;         /* owned: the file; NULL = nothing is kept */
	struct map by_path; /* of struct answer, owned */
	size_t bytes;       /* of the file */
	bool is_changed;
};

/** answers_load() - what is known of a commit; nothing if there is no such file or it is damaged.
 * Return: whether there was one */
bool answers_load(const char *dir, const char *commit, struct answers *ret);
/** answers_parse() - the content of such a file. Return: 0 or -E_INVALID with nothing in @ret */
int answers_parse(const char *text, size_t size, struct answers *ret, struct error *err) MUST_CHECK;
/** answers_format() - the content of the file, appended */
void answers_format(const struct answers *a, struct buffer *out);
void answers_release(struct answers *a);
/** answers_exist() - whether something was read of that commit before */
bool answers_exist(const char *dir, const char *commit);
/** answers_find() - lent until the next change; NULL = not known */
const struct answer *answers_find(const struct answers *a, const char *path);
/** answers_add() - @content NULL = only the kind. What goes beyond the bounds is not kept */
void answers_add(struct answers *a, const char *path, enum source_kind kind,
		 const struct buffer *content);
/** answers_save() - if there is something new. A cache that cannot be written stays as it is */
void answers_save(struct answers *a);

#endif
