/* SPDX-License-Identifier: MIT */
/* Mounts and modules at boot. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "vminitd/agent/boot.h"
#include "vminitd/agent/console.h"
#include "vminitd/agent/syscalls.h"

static const struct {
	const char *target, *fstype;
	unsigned long flags;
	const char *options;
} boot_mounts[] = {
	{ "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "/dev", "devtmpfs", MS_NOSUID, "mode=755" },
	{ "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755" },
	/* With nsdelegate nobody changes the limits of a cgroup namespace from inside it. */
	{ "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, "nsdelegate" },
};

/* pivot_root() does not work in the initramfs: a root that is mounted on it is needed, for the
 * container's sake. */
static int leave_initramfs(struct error *err)
{
	if (mkdir("/t", 0755) < 0 && errno != EEXIST)
		return error_sys(err, "create a folder in the initramfs");
	if (mount("root", "/t", "tmpfs", 0, "mode=755") < 0 || chdir("/t") < 0 ||
	    mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return error_sys(err, "leave the initramfs");
	return 0;
}

int boot_mount(struct error *err)
{
	AUTO_CLOSE int initramfs = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = leave_initramfs(err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(boot_mounts); i++) {
		if (mkdir(boot_mounts[i].target, 0755) < 0 && errno != EEXIST)
			r = error_sys(err, "create %s", boot_mounts[i].target);
		else if (mount(boot_mounts[i].fstype, boot_mounts[i].target, boot_mounts[i].fstype,
			       boot_mounts[i].flags, boot_mounts[i].options) < 0)
			r = error_sys(err, "mount %s", boot_mounts[i].target);
	}
	if (r == 0 && mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL) < 0)
		r = error_sys(err, "share the mounts with the container to come");
	return r < 0 ? r : take_fd(&initramfs);
}

static void load_module(int dir, const char *name)
{
	enum { COMPRESSED_FILE = 4 };
	AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	unsigned flags = str_ends(name, ".ko") ? 0 : COMPRESSED_FILE;

	/* EEXIST: it is built in or here already. */
	if (fd < 0 || (sys_load_module(fd, "", flags) < 0 && errno != EEXIST))
		console_say("module %s: %s", name, strerror(errno));
}

void boot_load_modules(int initramfs)
{
	AUTO_STRLIST names = STRLIST_INIT;
	int dir = openat(initramfs, "modules", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;

	if (dir >= 0) {
		AUTO_DIR DIR *list = fdopendir(dir);
		while (list && (e = readdir(list)))
			if (e->d_name[0] != '.')
				strlist_add(&names, e->d_name);
		strlist_sort(&names);
		for (size_t i = 0; list && i < names.count; i++) {
			load_module(dir, names.items[i]);
			/* The memory goes back; a container would find nothing here either. */
			(void)unlinkat(dir, names.items[i], 0);
		}
	}
	(void)unlinkat(initramfs, "modules", AT_REMOVEDIR);
	(void)unlinkat(initramfs, "init", 0);
}
