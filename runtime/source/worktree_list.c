/* SPDX-License-Identifier: MIT */
/* DIR.files: a line "commit ID", then a line per file, "MODE ID SIZE TIME PATH"; those of a commit
 * that is being written begin with "+". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "runtime/source/worktree.h"

enum { LIST_MAX_BYTES = 256 << 20 };

static char *list_path(const char *dir)
{
	return xasprintf("%s.files", dir);
}

/* openat2() holds it as well; this is so that damage is told. */
static bool stays_below(const char *path)
{
	AUTO_FREE char *framed = xasprintf("/%s/", path);

	return *path && !strstr(framed, "//") && !strstr(framed, "/../") && !strstr(framed, "/./");
}

/* Here, as the list is read to find out whether libgit2 is needed at all. */
static void read_id(const char *digits, git_oid *ret)
{
	for (size_t i = 0; i < sizeof(ret->id); i++) {
		char two[3] = { digits[2 * i], digits[2 * i + 1], '\0' };

		ret->id[i] = (unsigned char)strtoul(two, NULL, 16);
	}
}

static int read_line(struct worktree *w, const char *line)
{
	bool is_pending = line[0] == '+';
	struct wanted_file f = { 0 };
	unsigned long long size = 0, time_ns = 0;
	char id[GIT_COMMIT_DIGITS + 1] = "";
	int at = 0;

	if (sscanf(line + is_pending, "%o %40s %llu %llu %n", &f.mode, id, &size, &time_ns, &at) !=
		    4 ||
	    at == 0 || !git_is_commit(id) || !stays_below(line + is_pending + at))
		return -1;
	read_id(id, &f.id);
	f.size = size;
	f.time_ns = time_ns;
	f.path = xstrdup(line + is_pending + at);
	wanted_files_add(is_pending ? &w->pending : &w->was, &f);
	w->is_pending = w->is_pending || is_pending;
	return 0;
}

int worktree_list_parse(struct worktree *w, const char *text, const char *what, struct error *err)
{
	for (const char *at = text; *at;) {
		size_t size = strcspn(at, "\n");
		AUTO_FREE char *line = xstrndup(at, size);
		bool is_first = at == text;

		if (is_first && strncmp(line, "commit ", 7) == 0 && git_is_commit(line + 7))
			memcpy(w->commit, line + 7, sizeof(w->commit));
		else if (is_first ? strcmp(line, "commit -") != 0 : read_line(w, line) < 0)
			return error_set(err, E_INTEGRITY, "'%s' is damaged: '%.80s'", what, line);
		at += size + (at[size] == '\n');
	}
	/* With nothing written and nothing listed, a run ended before it began. */
	w->is_pending = w->is_pending || !w->commit[0];
	return 0;
}

int worktree_list_read(struct worktree *w, struct error *err)
{
	AUTO_FREE char *path = list_path(w->dir);
	AUTO_BUFFER text = BUFFER_INIT;
	int r = file_read(path, LIST_MAX_BYTES, &text, err);

	if (r == -E_NOT_FOUND) {
		error_clear(err);
		return 0;
	}
	return r < 0 ? r : worktree_list_parse(w, buffer_str(&text), path, err);
}

static void add_files(const struct wanted_files *l, const char *mark, struct buffer *out)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct wanted_file *f = &l->items[i];
		char id[GIT_COMMIT_DIGITS + 1];

		(void)git_oid_tostr(id, sizeof(id), &f->id);
		buffer_printf(out, "%s%o %s %llu %llu %s\n", mark, f->mode, id,
			      (unsigned long long)f->size, (unsigned long long)f->time_ns, f->path);
	}
}

int worktree_list_write(const struct worktree *w, bool pending, struct error *err)
{
	AUTO_FREE char *path = list_path(w->dir);
	AUTO_BUFFER out = BUFFER_INIT;
	const char *commit = pending ? w->commit : w->tree->commit;

	buffer_printf(&out, "commit %s\n", commit[0] ? commit : "-");
	add_files(pending ? &w->was : w->want, "", &out);
	if (pending) {
		add_files(&w->pending, "+", &out);
		add_files(w->want, "+", &out);
	}
	return file_write_atomic(path, out.data, out.size, 0600, err);
}
