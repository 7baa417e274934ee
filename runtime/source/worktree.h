/* SPDX-License-Identifier: MIT */
/* A folder that is kept equal to a commit, and the list beside it of what was written. */
#ifndef CTRZ_RUNTIME_SOURCE_WORKTREE_H
#define CTRZ_RUNTIME_SOURCE_WORKTREE_H

#include "base/map.h"
#include "runtime/source/tree.h"

/* A file or link as it is to be on disk. */
struct wanted_file {
	char *path;             /* owned */
	unsigned mode;          /* as in a tree of git */
	git_oid id;             /* of the content */
	uint64_t size, time_ns; /* as written; time 0 = not written yet */
};

struct wanted_files {
	struct wanted_file *items;
	size_t count, room;
	struct map by_path; /* values lent from items */
};

struct worktree {
	const struct source_tree *tree;     /* lent */
	const char *dir;                    /* lent */
	struct wanted_files *want;          /* lent */
	int root;                           /* owned; of dir */
	char commit[GIT_COMMIT_DIGITS + 1]; /* that was written, "" = none */
	bool is_pending;                    /* somebody was interrupted */
	struct wanted_files was, pending;   /* what was written, and what was going to be */
};

void wanted_files_release(struct wanted_files *l);
/** wanted_files_add() - takes f->path */
void wanted_files_add(struct wanted_files *l, const struct wanted_file *f);
/** wanted_files_of() - all files of a tree; @warnings gets what is left out */
int wanted_files_of(const struct source_tree *t, struct wanted_files *ret, struct strlist *warnings,
		    struct error *err) MUST_CHECK;
/** link_stays_inside() - whether a link at @path of a folder leads to something in it; pure */
bool link_stays_inside(const char *path, const char *target);

/** worktree_list_read() - DIR.files into commit, was and pending; none is fine */
int worktree_list_read(struct worktree *w, struct error *err) MUST_CHECK;
/** worktree_list_parse() - its text; pure. @what names it in messages */
int worktree_list_parse(struct worktree *w, const char *text, const char *what,
			struct error *err) MUST_CHECK;
/** worktree_list_write() - before (@pending) or after the files are written */
int worktree_list_write(const struct worktree *w, bool pending, struct error *err) MUST_CHECK;

#endif
