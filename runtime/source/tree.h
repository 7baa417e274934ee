/* SPDX-License-Identifier: MIT */
/* A commit's files, shared by reading and writing. */
#ifndef CTRZ_RUNTIME_SOURCE_TREE_H
#define CTRZ_RUNTIME_SOURCE_TREE_H

#include "runtime/source/answers.h"
#include "runtime/source/library.h"
#include "runtime/source/source.h"

struct source_tree {
	char *dir;            /* owned: the repository's; NULL = it is open from the beginning */
	struct answers known; /* what needs no repository */
	git_repository *repo; /* owned; NULL = not needed so far */
	git_tree *root;       /* owned; NULL as well */
	char commit[GIT_COMMIT_DIGITS + 1];
	size_t max_entries; /* that are walked; 0 = half a million */
};

/** source_tree_open_dir() - of a bare repository, by its folder */
int source_tree_open_dir(const char *dir, const char *commit, struct source_tree **ret,
			 struct error *err) MUST_CHECK;
/** source_tree_load() - open the repository, if it is not open yet; @root is there then */
int source_tree_load(struct source_tree *t, struct error *err) MUST_CHECK;
/** source_kind_of() - what a mode in a tree says */
enum source_kind source_kind_of(unsigned mode);
/** source_blob_read() - a file's content, appended; E_INVALID if it is over @max bytes */
int source_blob_read(const struct source_tree *t, const git_oid *id, size_t max, struct buffer *out,
		     struct error *err) MUST_CHECK;

#endif
