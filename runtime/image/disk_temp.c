/* SPDX-License-Identifier: MIT */
/* The lock tells a build that is running from one that died: the kernel drops it with its holder.
 */
#include "runtime/image/disk_temp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/file.h"
#include "base/text.h"

static const char temp_prefix[] = ".disk-";
static const char temp_suffix[] = ".building";

enum { TRIES = 16 };

static void remove_if_dead(int folder, const char *name)
{
	AUTO_CLOSE int fd = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(folder, name, 0);
}

static void sweep(const char *folder)
{
	AUTO_DIR DIR *dir = opendir(folder);
	const struct dirent *e;

	/* Tidying up only: a folder that cannot be listed is reported by what comes next. */
	while (dir && (e = readdir(dir)))
		if (str_starts(e->d_name, temp_prefix) && str_ends(e->d_name, temp_suffix))
			remove_if_dead(dirfd(dir), e->d_name);
}

/* Between creating and locking it, a sweep may have taken it for a dead one. */
static bool is_still_there(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

int disk_temp_open(const char *final_path, struct disk_temp *ret, struct error *err)
{
	AUTO_FREE char *folder = path_dirname(final_path);

	sweep(folder);
	for (int i = 0; i < TRIES; i++) {
		uint64_t number = 0;
		AUTO_FREE char *path = NULL;
		AUTO_CLOSE int fd = -1;

		random_bytes(&number, sizeof(number));
		path = xasprintf("%s/%s%016" PRIx64 "%s", folder, temp_prefix, number, temp_suffix);
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return error_sys(err, "create '%s'", path);
		if (flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_still_there(fd))
			continue;
		ret->fd = take_fd(&fd);
		ret->path = TAKE_PTR(path);
		return 0;
	}
	return error_set(err, E_CONFLICT, "cannot create a temporary file in '%s'", folder);
}

int disk_temp_commit(struct disk_temp *t, const char *final_path, bool replace, bool sync,
		     struct error *err)
{
	AUTO_FREE char *folder = path_dirname(final_path);

	if (sync && fsync(t->fd) < 0)
		return error_sys(err, "write '%s' to the medium", final_path);
	if (replace) {
		if (rename(t->path, final_path) < 0)
			return error_sys(err, "rename a finished disk to '%s'", final_path);
	} else {
		if (link(t->path, final_path) < 0)
			return error_sys(err, "give a finished disk the name '%s'", final_path);
		(void)unlink(t->path);
	}
	free(t->path);
	t->path = NULL;
	return sync ? dir_sync(folder, err) : 0;
}

void disk_temp_release(struct disk_temp *t)
{
	if (t->path)
		(void)unlink(t->path);
	free(t->path);
	if (t->fd >= 0)
		(void)close(t->fd);
	*t = DISK_TEMP_INIT;
}
