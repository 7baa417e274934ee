/* SPDX-License-Identifier: MIT */
/* Mounts the source of a share the way it is to be seen, in a mount namespace of its own. */
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "runtime/share/share_internal.h"

/* The working folder followed us into the namespace; what it holds must still be what share_spawn()
 * opened. */
static int open_same(const struct share_mount *m, struct error *err)
{
	struct stat now, then;
	AUTO_CLOSE int fd = open(*m->file ? m->file : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &now) < 0 || fstat(SHARE_SOURCE_FD, &then) < 0)
		return error_sys(err, "open the source again");
	if (now.st_dev != then.st_dev || now.st_ino != then.st_ino)
		return error_set(err, E_CONFLICT, "the source was exchanged meanwhile");
	return take_fd(&fd);
}

static int clone_source(const struct share_mount *m, struct error *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    (m->read_only ? MOUNT_ATTR_RDONLY : 0),
		/* What the host mounts below it later must not appear, least of all writable. */
		.propagation = MS_PRIVATE,
	};
	AUTO_CLOSE int source = open_same(m, err);
	if (source < 0)
		return source;
	AUTO_CLOSE int tree = open_tree(source, "",
					OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
						(unsigned)AT_RECURSIVE);
	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return error_sys(err, "copy the mounts of the source");
	return take_fd(&tree);
}

/* A small tmpfs to put the mount point in; it covers a folder that every system has. */
static int mount_stage(const struct share_mount *m, struct error *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return error_sys(err, "detach from the host's mounts");
	if (mount("ctrz", SHARE_STAGE, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=0755,size=64k,nr_inodes=16") < 0)
		return error_sys(err, "mount a tmpfs");
	if (mkdir(SHARE_ROOT, 0755) < 0)
		return error_sys(err, "create '%s'", SHARE_ROOT);
	if (!*m->file)
		return 0;
	AUTO_FREE char *path = path_join(SHARE_ROOT, m->file);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_sys(err, "create '%s'", path);
	return 0;
}

int share_mount_source(const struct share_mount *m, struct error *err)
{
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	AUTO_FREE char *target = *m->file ? path_join(SHARE_ROOT, m->file) : path_clean(SHARE_ROOT);
	AUTO_CLOSE int tree = clone_source(m, err);
	if (tree < 0)
		return tree;
	int r = mount_stage(m, err);
	if (r < 0)
		return r;
	if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_sys(err, "mount the source");
	if (mount_setattr(AT_FDCWD, SHARE_STAGE, 0, &read_only, sizeof(read_only)) < 0)
		return error_sys(err, "make '%s' read-only", SHARE_STAGE);
	if (!m->read_only && !m->git_writable && !*m->file)
		return git_guard(SHARE_ROOT, err);
	return 0;
}
