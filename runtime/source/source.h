/* SPDX-License-Identifier: MIT */
/* Files out of git repositories: what a URL means now, fetched into a cache and read from there. No
 * checkout is ever made: no hook, filter, attribute or submodule of a repository has an effect. */
#ifndef CTRZ_RUNTIME_SOURCE_SOURCE_H
#define CTRZ_RUNTIME_SOURCE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/git_url.h"
#include "base/text.h"

/* Called while a fetch goes on; @objects of @all are here, with so many bytes; @all 0 = not known
 * yet. @url is lent. */
typedef void (*source_progress_fn)(void *arg, const char *url, uint64_t objects, uint64_t all,
				   uint64_t bytes);

struct source_options {
	const char *cache; /* lent: the folder for all repositories; made when needed */
	const char *ca;    /* lent: PEM file of the authorities to trust; NULL = the system's */
	bool is_offline;   /* no socket is opened */
	bool may_be_file;  /* git+file:// is allowed */
	unsigned stall_seconds;      /* silence that ends a fetch; 0 = 60 */
	uint64_t max_bytes;          /* of one fetch; 0 = 2 GiB */
	source_progress_fn progress; /* may be NULL */
	void *arg;
};

/* How a commit that was asked for lies to what its ref points to now. */
enum source_moved {
	SOURCE_NOT_ASKED, /* offline, or a commit was asked for by its id */
	SOURCE_SAME,
	SOURCE_AHEAD,     /* the ref has @ahead more commits */
	SOURCE_REWRITTEN, /* the ref does not lead to the commit any more */
	SOURCE_GONE,      /* there is no such ref any more */
	SOURCE_UNKNOWN,   /* the server did not answer; @problem says why */
};

/* A commit that is in the cache. */
struct source_commit {
	char id[GIT_COMMIT_DIGITS + 1];
	enum source_moved moved;
	size_t ahead;
	char tip[GIT_COMMIT_DIGITS + 1]; /* what the ref points to now; "" = not known */
	char *problem;                   /* owned; NULL = none */
};

void source_commit_release(struct source_commit *c);

/**
 * source_resolve() - what the ref of a URL means, with its commit fetched
 * @pinned:	the commit it meant when it was used last; NULL = none. It is kept, and compared
 * with what the ref points to now
 *
 * Return: 0; -E_NOT_FOUND no such repository, ref or commit; -E_CONFLICT a ref that means two
 * things; -E_DENIED; -E_UNAVAILABLE; -E_TIMEOUT; -E_INVALID a scheme that is not allowed
 */
int source_resolve(const struct source_options *o, const struct git_url *u, const char *pinned,
		   struct source_commit *ret, struct error *err) MUST_CHECK;

/** source_fetch() - have one commit of a repository in the cache, whatever the URL's ref means now;
 * no network if it is there. Return: as source_resolve() */
int source_fetch(const struct source_options *o, const struct git_url *u, const char *commit,
		 struct source_commit *ret, struct error *err) MUST_CHECK;

/* --- reading a commit --- */

enum source_kind {
	SOURCE_MISSING,
	SOURCE_FILE,
	SOURCE_DIR,
	SOURCE_LINK,
	SOURCE_MODULE, /* of another repository, which is not fetched */
};

struct source_tree;

/** source_tree_open() - the files of a commit that is in the cache; no network. What was read of it
 * before is not looked up again */
int source_tree_open(const struct source_options *o, const struct git_url *u, const char *commit,
		     struct source_tree **ret, struct error *err) MUST_CHECK;
void source_tree_close(struct source_tree *t);
DEFINE_CLEANUP(struct source_tree *, source_tree_close)

/** source_tree_kind() - what is at @path ("" = the top). A link on the way there is not followed:
 * what is behind it is missing */
enum source_kind source_tree_kind(struct source_tree *t, const char *path);
/** source_tree_read() - a file, at most @max bytes, appended. Return: 0; -E_NOT_FOUND; -E_DENIED if
 * it is a link or is behind one; -E_INVALID */
int source_tree_read(struct source_tree *t, const char *path, size_t max, struct buffer *out,
		     struct error *err) MUST_CHECK;

/**
 * source_tree_write() - make or bring up to date a folder with the files of the tree
 * @dir:	absolute; beside it DIR.files remembers what was written
 * @warnings:	gets what was left out: submodules, links that lead out of the folder
 *
 * Files that were changed or added by others are never touched: if one is in the way, nothing is
 * written and the return is -E_CONFLICT with their names. What another commit had and this one has
 * not is removed. Interrupted, the next call goes on
 */
int source_tree_write(struct source_tree *t, const char *dir, struct strlist *warnings,
		      struct error *err) MUST_CHECK;

/* --- the cache --- */

struct source_cached {
	char *url;      /* owned */
	uint64_t bytes; /* on disk */
	uint64_t used_unix_ms;
	char *dir; /* owned */
};

struct source_cache_list {
	struct source_cached *items; /* the one used last first */
	size_t count;
};

void source_cache_list_release(struct source_cache_list *l);
int source_cache_list(const char *cache, struct source_cache_list *ret,
		      struct error *err) MUST_CHECK;
/**
 * source_cache_prune() - remove repositories, the one used longest ago first
 * @max_bytes:	so much may stay
 * @ret_freed:	bytes; may be NULL
 *
 * One that is being fetched stays; what a fetch left that was killed goes
 */
int source_cache_prune(const char *cache, uint64_t max_bytes, uint64_t *ret_freed,
		       struct error *err) MUST_CHECK;

#endif
