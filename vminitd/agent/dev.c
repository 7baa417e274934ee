/* SPDX-License-Identifier: MIT */
/* The container's /dev. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vminitd/agent/dev.h"
#include "vminitd/agent/inroot.h"
#include "vminitd/agent/syscalls.h"

enum { FD_PATH_ROOM = 64, DEV_MODE = 0755 };

static const struct {
	const char *name;
	unsigned major, minor;
} devices[] = {
	{ "null", 1, 3 },   { "zero", 1, 5 },    { "full", 1, 7 },
	{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static const struct {
	const char *name, *to;
} links[] = {
	{ "fd", "/proc/self/fd" },       { "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
	{ "ptmx", "pts/ptmx" },          { "core", "/proc/kcore" },
};

static int mount_on(int root, const char *target, const char *fstype, unsigned long flags,
		    const char *options, struct error *err)
{
	char path[FD_PATH_ROOM];
	AUTO_CLOSE int at = inroot_make_dir(root, target, DEV_MODE, NULL, err);

	if (at < 0)
		return at;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", at);
	if (mount(fstype, path, fstype, flags, options) < 0)
		return error_sys(err, "mount %s on '%s' in the container", fstype, target);
	return 0;
}

static int fill(int dev, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		if (mknodat(dev, devices[i].name, S_IFCHR | 0666,
			    makedev(devices[i].major, devices[i].minor)) < 0 ||
		    fchmodat(dev, devices[i].name, 0666, 0) < 0)
			return error_sys(err, "create '/dev/%s' in the container", devices[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlinkat(links[i].to, dev, links[i].name) < 0)
			return error_sys(err, "create '/dev/%s' in the container", links[i].name);
	return 0;
}

int dev_make(int root, struct error *err)
{
	struct stat st;

	/* What is no folder in the image would be in the way. */
	if (fstatat(root, "dev", &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
		(void)unlinkat(root, "dev", 0);
	int r = mount_on(root, "/dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k",
			 err);
	if (r < 0)
		return r;
	AUTO_CLOSE int dev = sys_open_in_root(root, "/dev", O_RDONLY | O_DIRECTORY, 0);
	if (dev < 0)
		return error_sys(err, "open '/dev' in the container");
	r = fill(dev, err);
	return r < 0 ? r
		     : mount_on(root, "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
				"newinstance,ptmxmode=0666,mode=0620,gid=5", err);
}

static void shm_options(uint64_t size_bytes, char *ret, size_t room)
{
	if (size_bytes > 0)
		(void)snprintf(ret, room, "mode=1777,size=%llu", (unsigned long long)size_bytes);
	else
		(void)snprintf(ret, room, "mode=1777,size=50%%");
}

int dev_make_shm(int root, uint64_t size_bytes, struct error *err)
{
	char options[FD_PATH_ROOM];

	shm_options(size_bytes, options, sizeof(options));
	return mount_on(root, "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options, err);
}

int dev_resize_shm(int root, uint64_t size_bytes, struct error *err)
{
	char options[FD_PATH_ROOM], path[FD_PATH_ROOM];
	AUTO_CLOSE int at = sys_open_in_root(root, "/dev/shm", O_PATH | O_DIRECTORY, 0);

	shm_options(size_bytes, options, sizeof(options));
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", at);
	if (at < 0 ||
	    mount(NULL, path, NULL, MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		return error_sys(err, "set the size of '/dev/shm'");
	return 0;
}
