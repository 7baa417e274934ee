/* SPDX-License-Identifier: MIT */
/* libgit2, loaded when a repository is first looked at. */
#ifndef CTRZ_RUNTIME_SOURCE_LIBRARY_H
#define CTRZ_RUNTIME_SOURCE_LIBRARY_H

#include <git2.h>

#include "base/cleanup.h"
#include "base/error.h"

/** git_library_load() - before any call of libgit2. Return: 0 or -E_UNAVAILABLE */
int git_library_load(struct error *err) MUST_CHECK;
/** git_library_seal() - from here on no configuration of git is read, the user's or the system's */
void git_library_seal(void);
/** git_library_unseal() - the contrary, to read what the user has set up */
void git_library_unseal(void);

/** git_failed() - an error of libgit2's last message, escaped, behind what was being done. Return:
 * -code */
int git_failed(struct error *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/** git_open_bare() - a repository of the cache, by its folder */
int git_open_bare(const char *dir, git_repository **ret, struct error *err) MUST_CHECK;

DEFINE_CLEANUP(git_repository *, git_repository_free)
DEFINE_CLEANUP(git_remote *, git_remote_free)
DEFINE_CLEANUP(git_object *, git_object_free)
DEFINE_CLEANUP(git_commit *, git_commit_free)
DEFINE_CLEANUP(git_tree *, git_tree_free)
DEFINE_CLEANUP(git_odb *, git_odb_free)
DEFINE_CLEANUP(git_blob *, git_blob_free)

#endif
