/* SPDX-License-Identifier: MIT */
/* Files and folders of the host that are watched for changes, folders with all that is below. */
#ifndef CTRZ_RUNTIME_MACHINE_TREE_WATCH_H
#define CTRZ_RUNTIME_MACHINE_TREE_WATCH_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/loop.h"
#include "base/text.h"

struct tree_watch;

/** typedef tree_changed_fn - something of root @root changed; @path names it, lent. Comes several
 * times for one change */
typedef void (*tree_changed_fn)(void *arg, size_t root, const char *path);

/** tree_watch_new() - nothing is watched yet. Return: owned; NULL with @err if the user has no
 * inotify instance left */
struct tree_watch *tree_watch_new(struct loop *loop, tree_changed_fn fn, void *arg,
				  struct error *err);
void tree_watch_free(struct tree_watch *w);
DEFINE_CLEANUP(struct tree_watch *, tree_watch_free)

/**
 * tree_watch_add() - watch a further root; they count from 0
 * @path: absolute; may be missing, then its folder must be there
 * @ignore: patterns (fnmatch) of names below that are not looked at, folders with their content;
 * copied
 *
 * What version control and editors write beside files is never looked at. Return: 0; -E_NOT_FOUND;
 * -E_UNAVAILABLE if the folders are more than can be watched
 */
int tree_watch_add(struct tree_watch *w, const char *path, const struct strlist *ignore,
		   struct error *err) MUST_CHECK;

#endif
