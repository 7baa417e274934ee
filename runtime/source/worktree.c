/* SPDX-License-Identifier: MIT */
/* A folder with the files of a commit, written by us: names are taken from the tree one by one, and
 * every step goes through openat2(), which follows no link and leaves no folder. */
#include "runtime/source/worktree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"

enum {
	DEPTH_MAX = 64,
	ENTRIES_MAX = 500000,
	FILE_MAX_BYTES = 1 << 30,
	LINK_MAX_BYTES = 4095,
	PATH_MAX_BYTES = 4000, /* with the folder before it the system takes it */
	CONFLICTS_SHOWN = 5,
};

#define TEMP_NAME ".ctrz-being-written"

void wanted_files_release(struct wanted_files *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i].path);
	free(l->items);
	map_release(&l->by_path, NULL);
	*l = (struct wanted_files){ 0 };
}

void wanted_files_add(struct wanted_files *l, const struct wanted_file *f)
{
	GROW_ARRAY(l->items, l->count, l->room);
	l->items[l->count++] = *f;
}

/* Once complete: the items do not move any more. */
static void index_files(struct wanted_files *l)
{
	for (size_t i = 0; i < l->count; i++)
		(void)map_set(&l->by_path, l->items[i].path, &l->items[i]);
}

/* --- what the tree has --- */

bool link_stays_inside(const char *path, const char *target)
{
	size_t depth = 0;
	const char *at = target;

	for (const char *c = path; *c; c++)
		depth += *c == '/';
	if (target[0] == '/' || target[0] == '\0')
		return false;
	/* ".." only at the beginning, where it is counted from a real folder: behind another link
	 * it would mean that one's. */
	while (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0')) {
		if (depth-- == 0)
			return false;
		at += 2 + (at[2] == '/');
	}
	for (; *at; at += strcspn(at, "/"), at += *at == '/')
		if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
			return false;
	return true;
}

/* The tree's own names may be anything. */
static bool name_is_good(const char *name)
{
	if (strchr(name, '/') || strcasecmp(name, ".git") == 0 || strcmp(name, TEMP_NAME) == 0)
		return false;
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	return name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

struct walking {
	const struct source_tree *tree;
	struct wanted_files *out;
	struct strlist *warnings;
	size_t seen; /* entries, also of folders that are there many times and hold nothing */
};

static void warn(struct walking *w, const char *path, const char *why)
{
	AUTO_FREE char *shown = text_escaped(path);

	strlist_printf(w->warnings, "%s: left out: %s", shown, why);
}

static int take_link(struct walking *w, struct wanted_file *f, struct error *err)
{
	AUTO_BUFFER target = BUFFER_INIT;
	int r = source_blob_read(w->tree, &f->id, LINK_MAX_BYTES, &target, err);

	if (r < 0)
		return r;
	if (strlen(buffer_str(&target)) != target.size ||
	    !link_stays_inside(f->path, buffer_str(&target))) {
		warn(w, f->path, "a link that leads out of the repository");
		return 0;
	}
	wanted_files_add(w->out, f);
	f->path = NULL;
	return 0;
}

static int walk(struct walking *w, const git_tree *tree, const char *above, unsigned depth,
		struct error *err);

static int walk_down(struct walking *w, const git_oid *id, const char *path, unsigned depth,
		     struct error *err)
{
	CLEANUP(git_tree_free_p) git_tree *tree = NULL;
	int r = git_tree_lookup(&tree, w->tree->repo, id);

	return r < 0 ? git_failed(err, r, "read '%s'", path) : walk(w, tree, path, depth + 1, err);
}

static int walk_entry(struct walking *w, const git_tree_entry *e, const char *above, unsigned depth,
		      struct error *err)
{
	const char *name = git_tree_entry_name(e);
	AUTO_FREE char *path = *above ? xasprintf("%s/%s", above, name) : xstrdup(name);
	struct wanted_file f = { .mode = (unsigned)git_tree_entry_filemode(e),
				 .id = *git_tree_entry_id(e) };
	size_t max = w->tree->max_entries ? w->tree->max_entries : ENTRIES_MAX;

	if (++w->seen > max)
		return error_set(err, E_INVALID, "commit %.7s has more than %zu files and folders",
				 w->tree->commit, max);
	if (!name_is_good(name)) {
		warn(w, path, "no such name may come out of a repository");
		return 0;
	}
	if (strlen(path) > PATH_MAX_BYTES) {
		warn(w, path, "a path that is too long");
		return 0;
	}
	switch (source_kind_of(f.mode)) {
	case SOURCE_DIR:
		return walk_down(w, &f.id, path, depth, err);
	case SOURCE_FILE:
		f.path = TAKE_PTR(path);
		wanted_files_add(w->out, &f);
		return 0;
	case SOURCE_LINK:
		f.path = path;
		if (take_link(w, &f, err) < 0)
			return -(int)err->code;
		path = f.path;
		return 0;
	case SOURCE_MODULE:
		warn(w, path, "a submodule");
		return 0;
	case SOURCE_MISSING:
	default:
		warn(w, path, "of an unknown kind");
		return 0;
	}
}

static int walk(struct walking *w, const git_tree *tree, const char *above, unsigned depth,
		struct error *err)
{
	size_t count = git_tree_entrycount(tree);
	int r = 0;

	if (depth > DEPTH_MAX)
		return error_set(err, E_INVALID, "'%.200s' is more than %d folders deep", above,
				 DEPTH_MAX);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = walk_entry(w, git_tree_entry_byindex(tree, i), above, depth, err);
	return r;
}

int wanted_files_of(const struct source_tree *t, struct wanted_files *ret, struct strlist *warnings,
		    struct error *err)
{
	struct walking w = { .tree = t, .out = ret, .warnings = warnings };
	int r = walk(&w, t->root, "", 0, err);

	index_files(ret);
	return r;
}

/* --- the folder --- */

static int open_below(int root, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* The folder a path is in; made if @make. */
static int open_parent(int root, const char *path, bool make)
{
	AUTO_FREE char *dir = path_dirname(path);
	int fd = open_below(root, dir, O_PATH | O_DIRECTORY, 0), up;

	if (fd >= 0 || errno != ENOENT || !make)
		return fd;
	up = open_parent(root, dir, true);
	if (up < 0)
		return up;
	if (mkdirat(up, path_basename(dir), 0755) < 0 && errno != EEXIST) {
		(void)close(up);
		return -1;
	}
	(void)close(up);
	return open_below(root, dir, O_PATH | O_DIRECTORY, 0);
}

/* Content of a file or link on disk as git would name it; false if it cannot be told. */
static bool id_on_disk(const struct worktree *w, int parent, const char *name,
		       const struct stat *st, git_oid *ret)
{
	AUTO_BUFFER content = BUFFER_INIT;
	AUTO_ERROR ignored = ERROR_INIT;
	AUTO_CLOSE int fd = -1;

	if (S_ISLNK(st->st_mode)) {
		char *at = buffer_reserve(&content, LINK_MAX_BYTES + 1);
		ssize_t n = readlinkat(parent, name, at, LINK_MAX_BYTES);

		return n >= 0 && git_odb_hash(ret, at, (size_t)n, GIT_OBJECT_BLOB) == 0;
	}
	fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fd_read_all(fd, &content, FILE_MAX_BYTES, &ignored) < 0) {
		error_ignore(&ignored, "read a file of a working copy");
		return false;
	}
	(void)w;
	return git_odb_hash(ret, buffer_str(&content), content.size, GIT_OBJECT_BLOB) == 0;
}

static uint64_t time_ns(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec;
}

static unsigned mode_of(const struct stat *st)
{
	return S_ISLNK(st->st_mode)    ? GIT_FILEMODE_LINK
	       : !S_ISREG(st->st_mode) ? 0
	       : st->st_mode & 0100    ? GIT_FILEMODE_BLOB_EXECUTABLE
				       : GIT_FILEMODE_BLOB;
}

enum on_disk { DISK_NOTHING, DISK_AS_WRITTEN, DISK_CHANGED };

/* What is at the place of @f, against what was written there or was going to be. */
static enum on_disk look_at(const struct worktree *w, const char *path,
			    const struct wanted_file *const *known, size_t count)
{
	AUTO_CLOSE int parent = open_parent(w->root, path, false);
	const char *name = path_basename(path);
	struct stat st;
	git_oid id;
	bool has_id = false;

	if (parent < 0)
		return errno == ENOENT ? DISK_NOTHING : DISK_CHANGED;
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? DISK_NOTHING : DISK_CHANGED;
	for (size_t i = 0; i < count; i++) {
		const struct wanted_file *f = known[i];

		if (!f || f->mode != mode_of(&st))
			continue;
		if (f->time_ns && f->time_ns == time_ns(&st) && f->size == (uint64_t)st.st_size)
			return DISK_AS_WRITTEN;
		if (!has_id && !id_on_disk(w, parent, name, &st, &id))
			return DISK_CHANGED;
		has_id = true;
		if (memcmp(id.id, f->id.id, sizeof(id.id)) == 0)
			return DISK_AS_WRITTEN;
	}
	return DISK_CHANGED;
}

static void check_one(const struct worktree *w, const char *path, struct strlist *conflicts)
{
	const struct wanted_file *known[] = { map_get(&w->was.by_path, path),
					      map_get(&w->pending.by_path, path),
					      map_get(&w->want->by_path, path) };

	if (look_at(w, path, known, ARRAY_SIZE(known)) == DISK_CHANGED)
		strlist_add(conflicts, path);
}

static int check_clean(const struct worktree *w, struct error *err)
{
	AUTO_STRLIST conflicts = STRLIST_INIT;
	AUTO_STRLIST shown = STRLIST_INIT;
	AUTO_FREE char *names = NULL;

	for (size_t i = 0; i < w->want->count; i++)
		check_one(w, w->want->items[i].path, &conflicts);
	for (size_t i = 0; i < w->was.count; i++)
		if (!map_has(&w->want->by_path, w->was.items[i].path))
			check_one(w, w->was.items[i].path, &conflicts);
	if (!conflicts.count)
		return 0;
	for (size_t i = 0; i < conflicts.count && i < CONFLICTS_SHOWN; i++)
		strlist_take(&shown, text_escaped(conflicts.items[i]));
	names = strlist_join(&shown, ", ");
	return error_set(
		err, E_CONFLICT,
		"in '%s' changed since it was written from git: %s%s; commit it and push it "
		"from a clone of your own, or move it away, then run this again",
		w->dir, names, conflicts.count > CONFLICTS_SHOWN ? ", ..." : "");
}

static int write_content(int parent, const struct wanted_file *f, const struct buffer *content,
			 struct error *err)
{
	AUTO_CLOSE int fd = -1;
	mode_t mode = f->mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644;

	if (f->mode == GIT_FILEMODE_LINK) {
		if (symlinkat(buffer_str(content), parent, TEMP_NAME) < 0)
			return error_sys(err, "make the link '%s'", f->path);
		return 0;
	}
	fd = openat(parent, TEMP_NAME, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return error_sys(err, "write '%s'", f->path);
	return fd_write_full(fd, content->size ? content->data : "", content->size, err);
}

static int write_one(const struct worktree *w, struct wanted_file *f, struct error *err)
{
	AUTO_CLOSE int parent = open_parent(w->root, f->path, true);
	const char *name = path_basename(f->path);
	AUTO_BUFFER content = BUFFER_INIT;
	AUTO_CLOSE int dir = -1;
	struct stat st;
	int r;

	if (parent < 0)
		return error_sys(err, "make the folder of '%s'", f->path);
	dir = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_sys(err, "open the folder of '%s'", f->path);
	r = source_blob_read(w->tree, &f->id, FILE_MAX_BYTES, &content, err);
	if (r < 0)
		return r;
	(void)unlinkat(dir, TEMP_NAME, 0);
	r = write_content(dir, f, &content, err);
	if (r == 0 && renameat(dir, TEMP_NAME, dir, name) < 0)
		r = error_sys(err, "put '%s' in place", f->path);
	if (r < 0) {
		(void)unlinkat(dir, TEMP_NAME, 0);
		return r;
	}
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "look at '%s'", f->path);
	f->time_ns = time_ns(&st);
	f->size = (uint64_t)st.st_size;
	return 0;
}

/* What is in place already keeps its time: a build in a container goes by it. */
static int bring_one(const struct worktree *w, struct wanted_file *f, struct error *err)
{
	const struct wanted_file *old = map_get(&w->was.by_path, f->path);
	const struct wanted_file *known[] = { f };

	if (old && old->mode == f->mode && memcmp(old->id.id, f->id.id, sizeof(f->id.id)) == 0) {
		f->time_ns = old->time_ns;
		f->size = old->size;
	}
	if (look_at(w, f->path, known, 1) == DISK_AS_WRITTEN)
		return 0;
	f->time_ns = 0;
	return write_one(w, f, err);
}

/* A file and the folders that are empty without it. */
static int remove_one(const struct worktree *w, const char *path, struct error *err)
{
	AUTO_FREE char *at = xstrdup(path);
	int flags = 0;

	for (;;) {
		AUTO_CLOSE int parent = open_parent(w->root, at, false);
		char *slash = strrchr(at, '/');

		if (parent < 0 || unlinkat(parent, path_basename(at), flags) < 0) {
			if (errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST)
				return 0;
			return error_sys(err, "remove '%s'", path);
		}
		if (!slash)
			return 0;
		*slash = '\0';
		flags = AT_REMOVEDIR;
	}
}

static int bring(struct worktree *w, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->was.count + w->pending.count; i++) {
		const char *path = i < w->was.count ? w->was.items[i].path
						    : w->pending.items[i - w->was.count].path;

		if (!map_has(&w->want->by_path, path))
			r = remove_one(w, path, err);
	}
	for (size_t i = 0; r == 0 && i < w->want->count; i++)
		r = bring_one(w, &w->want->items[i], err);
	return r;
}

static int open_root(struct worktree *w, struct error *err)
{
	int r = dir_make(w->dir, 0755, err);

	if (r < 0)
		return r;
	w->root = open(w->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return w->root < 0 ? error_sys(err, "open '%s'", w->dir) : 0;
}

static void worktree_release(struct worktree *w)
{
	wanted_files_release(&w->was);
	wanted_files_release(&w->pending);
	if (w->root >= 0)
		(void)close(w->root);
}

int source_tree_write(struct source_tree *t, const char *dir, struct strlist *warnings,
		      struct error *err)
{
	CLEANUP(wanted_files_release) struct wanted_files want = { 0 };
	CLEANUP(worktree_release)
	struct worktree w = { .tree = t, .dir = dir, .want = &want, .root = -1 };
	int r = worktree_list_read(&w, err);

	if (r == 0 && strcmp(w.commit, t->commit) == 0 && !w.is_pending && file_exists(dir))
		return 0;
	index_files(&w.was);
	index_files(&w.pending);
	if (r == 0)
		r = source_tree_load(t, err);
	if (r == 0)
		r = wanted_files_of(t, &want, warnings, err);
	if (r == 0)
		r = open_root(&w, err);
	if (r == 0)
		r = check_clean(&w, err);
	/* Written down before: what an interrupted run wrote is then known as ours. */
	if (r == 0)
		r = worktree_list_write(&w, true, err);
	if (r == 0)
		r = bring(&w, err);
	if (r == 0)
		r = worktree_list_write(&w, false, err);
	return r;
}
