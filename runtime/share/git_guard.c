/* SPDX-License-Identifier: MIT */
/*
 * DOC: Theory of Operation
 *
 * Git on the host runs what .git tells it to (hooks, filters, fsmonitor), so a guest that may write
 * to a work tree must not write there. Each .git that exists, a folder or the file of a linked work
 * tree, is covered by a read-only mount of itself in the server's namespace. A mount point cannot
 * be renamed or removed, and it moves along when a folder above it is renamed. Everything goes by
 * descriptors, so nothing can be exchanged between the look and the mount.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/share/share_internal.h"

enum { DEPTH_MAX = 3, FOLDERS_MAX = 2000, GUARDS_MAX = 200 };

struct walk {
	int root;
	struct strlist folders; /* relative; grows while it is walked, so shallow ones come first */
	size_t guards;
};

static int open_below(int root, const char *path, int flags)
{
	const struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	return (int)syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
}

/* Covers what @fd names by a read-only mount of itself. */
static int cover(int fd, struct error *err)
{
	const struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
		.propagation = MS_PRIVATE,
	};
	struct mount_attr copy = attr;
	AUTO_CLOSE int tree = open_tree(fd, "",
					OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
						(unsigned)AT_RECURSIVE);
	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &copy, sizeof(copy)) < 0 ||
	    move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_sys(err, "make a .git read-only");
	return 0;
}

static int guard_folder(struct walk *w, int folder, const char *path, struct error *err)
{
	struct stat st;
	AUTO_CLOSE int git = openat(folder, ".git", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (git < 0 && errno == ENOENT)
		return 0;
	if (git < 0 || fstat(git, &st) < 0)
		return error_sys(err, "look at the .git of '%s'", path);
	if (S_ISLNK(st.st_mode))
		return error_set(err, E_DENIED,
				 "'%s%s.git' is a symbolic link, which cannot be kept read-only: "
				 "share read-only, or with git: rw",
				 path, *path ? "/" : "");
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return 0;
	if (w->guards++ >= GUARDS_MAX)
		return error_set(err, E_DENIED,
				 "over %d repositories in one read-write share: share less of it, "
				 "or with git: rw",
				 (int)GUARDS_MAX);
	return cover(git, err);
}

static bool is_folder(int folder, const struct dirent *e)
{
	struct stat st;
	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_DIR;
	return fstatat(folder, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Notes the folders in @folder (taken) for the walk. */
static void add_folders(struct walk *w, int folder, const char *path)
{
	AUTO_DIR DIR *d = fdopendir(folder);
	if (!d) {
		(void)close(folder);
		return;
	}
	for (struct dirent *e; (e = readdir(d));) { /* NOLINT(concurrency-mt-unsafe): ours */
		if (str_equal(e->d_name, ".") || str_equal(e->d_name, "..") ||
		    str_equal(e->d_name, ".git") || !is_folder(folder, e))
			continue;
		if (w->folders.count >= FOLDERS_MAX)
			return;
		strlist_printf(&w->folders, "%s%s%s", path, *path ? "/" : "", e->d_name);
	}
}

static unsigned depth_of(const char *path)
{
	unsigned depth = *path ? 1 : 0;
	for (; *path; path++)
		depth += *path == '/';
	return depth;
}

static int walk_folder(struct walk *w, const char *path, struct error *err)
{
	int folder = open_below(w->root, path, O_RDONLY | O_DIRECTORY);
	if (folder < 0)
		return 0; /* gone, or not ours to read: the server reads with the same rights */
	int r = guard_folder(w, folder, path, err);
	if (r == 0 && depth_of(path) < DEPTH_MAX)
		add_folders(w, folder, path);
	else
		(void)close(folder);
	return r;
}

int git_guard(const char *root, struct error *err)
{
	AUTO_CLOSE int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct walk w = { .root = fd };
	if (fd < 0)
		return error_sys(err, "open '%s'", root);
	strlist_add(&w.folders, "");
	int r = 0;
	for (size_t i = 0; r == 0 && i < w.folders.count; i++) {
		AUTO_FREE char *path = xstrdup(w.folders.items[i]);
		r = walk_folder(&w, path, err);
	}
	if (r == 0 && w.folders.count >= FOLDERS_MAX)
		log_warn("share: over %d folders: only the .git of the first ones are read-only",
			 (int)FOLDERS_MAX);
	strlist_release(&w.folders);
	return r;
}
