/* SPDX-License-Identifier: MIT */
/* Specs in git as the spec's loader and the apply see them: each repository has a folder on this
 * host whose path stays the same from commit to commit. What is asked about below it is answered
 * from the commit, whether or not the folder holds it already. */
#ifndef CTRZ_ORCHESTRATOR_APPLY_GIT_FILES_H
#define CTRZ_ORCHESTRATOR_APPLY_GIT_FILES_H

#include "orchestrator/state/spec_source.h"
#include "runtime/host/host_paths.h"
#include "runtime/source/source.h"
#include "spec/config.h"
#include "spec/spec.h"

struct git_files;

/**
 * git_files_new() - nothing is opened yet
 * @config:	lent; may be NULL
 * @offline:	nothing is asked of servers
 * @may_be_file: git+file:// is allowed, whatever @config says
 */
struct git_files *git_files_new(const struct host_paths *paths, const struct config *config,
				bool offline, bool may_be_file);
/** git_files_free() - NULL is fine */
void git_files_free(struct git_files *g);
DEFINE_CLEANUP(struct git_files *, git_files_free)

/** git_files_watch() - progress of fetches from here on */
void git_files_watch(struct git_files *g, source_progress_fn progress, void *arg);

/* The spec of a URL. */
struct git_spec {
	struct spec_source source;   /* owned */
	char *file;                  /* owned: where it is on this host, or will be */
	struct source_commit commit; /* owned */
};

void git_spec_release(struct git_spec *s);

/**
 * git_files_open() - resolve a URL and have its commit in the cache
 * @pinned:	see source_resolve()
 *
 * Without a path the usual names are tried. Return: as source_resolve() and source_tree_read()
 */
int git_files_open(struct git_files *g, const struct git_url *u, const char *pinned,
		   struct git_spec *ret, struct error *err) MUST_CHECK;
/**
 * git_files_include() - the same of a file that @by includes: spec_host.include
 * @pinned: the commit to take, whatever the ref means; NULL = what it means now
 *
 * @ret_path and @ret_commit are owned
 */
int git_files_include(struct git_files *g, const char *by, const char *url, const char *pinned,
		      char **ret_path, char **ret_commit, struct error *err) MUST_CHECK;

/** git_files_kind() - what is at a path of this host; false if it is in no repository that is open
 */
bool git_files_kind(struct git_files *g, const char *path, enum spec_path_kind *ret);
/** git_files_read() - at most @max bytes, appended. Return: 1 if it is in no repository that is
 * open
 */
int git_files_read(struct git_files *g, const char *path, size_t max, struct buffer *out,
		   struct error *err) MUST_CHECK;

/**
 * git_files_write() - bring the folders of what was asked for to their commits
 * @warnings:	gets what was left out
 *
 * Return: 0, or -E_CONFLICT if something in them was changed by hand
 */
int git_files_write(struct git_files *g, struct strlist *warnings, struct error *err) MUST_CHECK;

#endif
