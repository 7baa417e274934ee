/* SPDX-License-Identifier: MIT */
/* Paths inside the container's tree. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "vminitd/agent/inroot.h"
#include "vminitd/agent/syscalls.h"

static int make_dirs(int root, const char *clean, mode_t mode, bool *made, struct error *err)
{
	AUTO_FREE char *path = xstrdup(clean);
	int at = sys_open_in_root(root, "/", O_PATH | O_DIRECTORY, 0);

	for (char *p = path; at >= 0 && *p;) {
		char *name = p + strspn(p, "/"), *end = name + strcspn(name, "/");
		char saved = *end;
		*end = '\0';
		if (*name == '\0')
			break;
		/* From the top each time: a symbolic link may lead anywhere in the tree. */
		int next = sys_open_in_root(root, path, O_PATH | O_DIRECTORY, 0);
		if (next < 0 && errno == ENOENT && mkdirat(at, name, mode) == 0) {
			*made = true;
			next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		}
		int saved_errno = errno;
		(void)close(at);
		errno = saved_errno;
		at = next;
		*end = saved;
		p = end;
	}
	if (at < 0)
		return error_sys(err, "create '%s' in the container", clean);
	return at;
}

int inroot_make_dir(int root, const char *path, mode_t mode, bool *ret_made, struct error *err)
{
	AUTO_FREE char *clean = path_clean(path);
	bool made = false;
	int fd = make_dirs(root, clean, mode, &made, err);

	if (ret_made)
		*ret_made = made;
	return fd;
}

/* The folder of @path as a descriptor, and the last name in *ret_name, lent from @clean. */
static int open_parent(int root, const char *clean, const char **ret_name, struct error *err)
{
	AUTO_FREE char *dir = path_dirname(clean);
	bool made;

	*ret_name = path_basename(clean);
	if (!**ret_name || str_equal(*ret_name, "/") || str_equal(*ret_name, ".."))
		return error_set(err, E_INVALID, "'%s' is not the path of a file", clean);
	return make_dirs(root, dir, 0755, &made, err);
}

int inroot_make_file(int root, const char *path, struct error *err)
{
	AUTO_FREE char *clean = path_clean(path);
	const char *name = NULL;
	int fd = sys_open_in_root(root, clean, O_PATH, 0);

	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return error_sys(err, "open '%s' in the container", clean);
	AUTO_CLOSE int dir = open_parent(root, clean, &name, err);
	if (dir < 0)
		return dir;
	AUTO_CLOSE int made = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (made < 0)
		return error_sys(err, "create '%s' in the container", clean);
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? error_sys(err, "open '%s' in the container", clean) : fd;
}

int inroot_replace_file(int root, const char *path, const void *data, size_t size, mode_t mode,
			uid_t uid, gid_t gid, struct error *err)
{
	AUTO_FREE char *clean = path_clean(path);
	const char *name = NULL;
	AUTO_CLOSE int dir = open_parent(root, clean, &name, err);

	if (dir < 0)
		return dir;
	AUTO_FREE char *draft = xasprintf(".%.200s.ctrz-new", name);
	(void)unlinkat(dir, draft, 0);
	AUTO_CLOSE int fd =
		openat(dir, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_sys(err, "create '%s' in the container", clean);
	int r = fd_write_full(fd, data, size, err);
	if (r == 0 && (fchown(fd, uid, gid) < 0 || fchmod(fd, mode) < 0 ||
		       renameat(dir, draft, dir, name) < 0))
		r = error_sys(err, "write '%s' in the container", clean);
	if (r < 0)
		(void)unlinkat(dir, draft, 0);
	return r;
}

int inroot_replace_link(int root, const char *path, const char *to, struct error *err)
{
	AUTO_FREE char *clean = path_clean(path);
	const char *name = NULL;
	AUTO_CLOSE int dir = open_parent(root, clean, &name, err);
	struct stat st;

	if (dir < 0)
		return dir;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return error_set(err, E_CONFLICT, "'%s' is a folder in the container", clean);
	AUTO_FREE char *draft = xasprintf(".%.200s.ctrz-new", name);
	(void)unlinkat(dir, draft, 0);
	if (symlinkat(to, dir, draft) < 0 || renameat(dir, draft, dir, name) < 0) {
		int r = error_sys(err, "make the link '%s' in the container", clean);
		(void)unlinkat(dir, draft, 0);
		return r;
	}
	return 0;
}

int inroot_append_file(int root, const char *path, const void *data, size_t size, struct error *err)
{
	AUTO_CLOSE int fd = sys_open_in_root(root, path, O_WRONLY | O_APPEND | O_NOFOLLOW, 0);

	if (fd < 0)
		return error_sys(err, "open '%s' in the container", path);
	return fd_write_full(fd, data, size, err);
}
