/* SPDX-License-Identifier: MIT */
/* Files and paths. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/text.h"

int file_read(const char *path, size_t max, struct buffer *out, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "open '%s'", path);
	if (fd_read_all(fd, out, max, err) < 0)
		return error_wrap(err, "read '%s'", path);
	return 0;
}

int file_read_plain(const char *path, size_t max, struct buffer *out, struct error *err)
{
	AUTO_CLOSE int fd = fd_open_plain(path, O_RDONLY | O_NONBLOCK);
	struct stat st;
	if (fd < 0 && errno == ELOOP)
		return error_set(err, E_DENIED,
				 "'%s' is a symbolic link or behind one that was not there before",
				 path);
	if (fd < 0)
		return error_sys(err, "open '%s'", path);
	if (fstat(fd, &st) < 0)
		return error_sys(err, "look at '%s'", path);
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return error_set(err, E_INVALID, "'%s' is no file", path);
	if (fd_read_all(fd, out, max, err) < 0)
		return error_wrap(err, "read '%s'", path);
	return 0;
}

static int write_and_sync(int fd, const char *path, const void *data, size_t size,
			  struct error *err)
{
	if (fd_write_full(fd, data, size, err) < 0)
		return error_wrap(err, "write '%s'", path);
	if (fsync(fd) < 0)
		return error_sys(err, "sync '%s'", path);
	return 0;
}

int file_write_atomic(const char *path, const void *data, size_t size, mode_t mode,
		      struct error *err)
{
	AUTO_FREE char *temp = xasprintf("%s.tmp-XXXXXX", path);
	AUTO_FREE char *dir = path_dirname(path);
	AUTO_CLOSE int fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "create a file beside '%s'", path);
	int r = write_and_sync(fd, path, data, size, err);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = error_sys(err, "set the mode of '%s'", path);
	if (r == 0 && rename(temp, path) < 0)
		r = error_sys(err, "rename '%s' to '%s'", temp, path);
	if (r < 0) {
		(void)unlink(temp);
		return r;
	}
	return dir_sync(dir, err);
}

bool file_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

int file_remove(const char *path, struct error *err)
{
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(err, "remove '%s'", path);
	return 0;
}

int dir_make(const char *path, mode_t mode, struct error *err)
{
	AUTO_FREE char *p = xstrdup(path);
	for (char *at = p + 1; *p; at++) {
		if (*at != '/' && *at != '\0')
			continue;
		char saved = *at;
		*at = '\0';
		struct stat st;
		if (mkdir(p, mode) < 0 && (errno != EEXIST || stat(p, &st) < 0))
			return error_sys(err, "create the folder '%s'", p);
		*at = saved;
		if (!saved)
			break;
	}
	struct stat st;
	if (stat(path, &st) < 0)
		return error_sys(err, "look at '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, E_EXISTS, "'%s' is there but is no folder", path);
	return 0;
}

static int remove_at(int dir_fd, const char *name, dev_t dev, unsigned depth, struct error *err);

/* Empty the folder behind @fd (taken). */
static int empty_dir(int fd, const char *name, dev_t dev, unsigned depth, struct error *err)
{
	AUTO_DIR DIR *dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return error_sys(err, "read the folder '%s'", name);
	}
	for (;;) {
		errno = 0;
		struct dirent *e =
			readdir(dir); /* NOLINT(concurrency-mt-unsafe): the stream is ours */
		if (!e)
			break;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		int r = remove_at(dirfd(dir), e->d_name, dev, depth + 1, err);
		if (r < 0)
			return error_wrap(err, "%s", name);
	}
	return errno ? error_sys(err, "read the folder '%s'", name) : 0;
}

enum { DEPTH_MAX = 512 };

static int remove_at(int dir_fd, const char *name, dev_t dev, unsigned depth, struct error *err)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_sys(err, "look at '%s'", name);
	if (!S_ISDIR(st.st_mode)) {
		if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
			return error_sys(err, "remove '%s'", name);
		return 0;
	}
	if (depth > 0 && st.st_dev != dev)
		return error_set(err, E_CONFLICT, "'%s' is a mount point", name);
	if (depth > DEPTH_MAX)
		return error_set(err, E_INVALID, "'%s' is nested too deeply", name);
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "open the folder '%s'", name);
	int r = empty_dir(fd, name, st.st_dev, depth, err);
	if (r < 0)
		return r;
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return error_sys(err, "remove the folder '%s'", name);
	return 0;
}

int dir_remove_tree(const char *path, struct error *err)
{
	return remove_at(AT_FDCWD, path, 0, 0, err);
}

int dir_sync(const char *path, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "open the folder '%s'", path);
	if (fsync(fd) < 0)
		return error_sys(err, "sync the folder '%s'", path);
	return 0;
}

char *path_join(const char *a, const char *b)
{
	if (b[0] == '/')
		return xstrdup(b);
	return xasprintf("%s%s%s", a, str_ends(a, "/") ? "" : "/", b);
}

char *path_clean(const char *path)
{
	bool absolute = path[0] == '/';
	AUTO_STRLIST parts = STRLIST_INIT;
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");
		bool dots = n == 2 && p[0] == '.' && p[1] == '.';
		bool can_go_up = parts.count > 0 && strcmp(parts.items[parts.count - 1], "..") != 0;
		if (dots && can_go_up) {
			free(parts.items[--parts.count]);
			parts.items[parts.count] = NULL;
		} else if (n > 0 && !(n == 1 && p[0] == '.') && !(dots && absolute)) {
			strlist_take(&parts, xstrndup(p, n));
		}
		p += n;
		p += strspn(p, "/");
	}
	AUTO_FREE char *joined = strlist_join(&parts, "/");
	if (!absolute && !*joined)
		return xstrdup(".");
	return xasprintf("%s%s", absolute ? "/" : "", joined);
}

bool path_is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);
	if (n == 1)
		return true;
	return strncmp(path, folder, n) == 0 && (!path[n] || path[n] == '/');
}

char *path_dirname(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return xstrdup(".");
	return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

const char *path_basename(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}
