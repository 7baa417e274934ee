/* SPDX-License-Identifier: MIT */
/* From a mounted tree to a container's file system view. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vminitd/agent/mounts.h"
#include "vminitd/agent/syscalls.h"
#include "vminitd/agent/sysctl.h"

struct default_mount {
	const char *target, *fstype;
	unsigned long flags;
	const char *options;
};

static const struct default_mount default_mounts[] = {
	{ "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	/* Its own cgroup is its own to divide; the limits on it are not (boot.c: nsdelegate). */
	{ "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
};

/* Hidden and read-only as container runtimes have it; a missing one is fine. */
static const char *const hidden[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/sys/firmware",
	"/sys/devices/virtual/powercap",
};
static const char *const read_only_paths[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static int enter_root(const char *root, struct error *err)
{
	/* What the agent mounts below the root later comes in; nothing goes out. */
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0 || chdir(root) < 0 ||
	    sys_pivot_root(".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_sys(err, "make the container's tree the root");
	return 0;
}

static int mount_defaults(struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(default_mounts); i++) {
		const struct default_mount *m = &default_mounts[i];
		struct stat st;

		/* A target that is a link in the image would hide where it leads. */
		if (lstat(m->target, &st) == 0 && !S_ISDIR(st.st_mode))
			(void)unlink(m->target);
		if (mkdir(m->target, 0755) < 0 && errno != EEXIST)
			return error_sys(err, "create '%s' in the container", m->target);
		if (mount(m->fstype, m->target, m->fstype, m->flags, m->options) == 0)
			continue;
		/* A kernel without message queues is fine. */
		if (errno == ENODEV)
			continue;
		return error_sys(err, "mount %s on '%s' in the container", m->fstype, m->target);
	}
	return 0;
}

static int hide(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	int r = S_ISDIR(st.st_mode)
			? mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "size=0")
			: mount("/dev/null", path, NULL, MS_BIND, NULL);
	return r < 0 ? error_sys(err, "hide '%s' in the container", path) : 0;
}

static int make_read_only(const char *path, struct error *err)
{
	AUTO_CLOSE int at = open(path, O_PATH | O_CLOEXEC);

	if (at < 0)
		return 0;
	AUTO_CLOSE int tree = sys_clone_tree(at, "");
	if (tree < 0 || sys_set_mount_flags(tree, BIND_READ_ONLY) < 0 ||
	    sys_attach_tree(tree, at) < 0)
		return error_sys(err, "make '%s' read-only in the container", path);
	return 0;
}

static int confine_paths(struct error *err)
{
	int r = 0;

	if (mount(NULL, "/sys", NULL,
		  MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return error_sys(err, "make '/sys' read-only in the container");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(hidden); i++)
		r = hide(hidden[i], err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(read_only_paths); i++)
		r = make_read_only(read_only_paths[i], err);
	return r;
}

int mounts_enter(const char *root, const struct msg_setup *s, struct error *err)
{
	/* Not with clone: there it would be the cgroup of the agent that becomes the root of the
	 * view. */
	if (unshare(CLONE_NEWCGROUP) < 0)
		return error_sys(err, "enter a cgroup namespace");
	int r = enter_root(root, err);
	if (r == 0)
		r = mount_defaults(err);
	if (r == 0 && sethostname(s->hostname, strlen(s->hostname)) < 0)
		r = error_sys(err, "set the host name '%s'", s->hostname);
	if (r == 0)
		r = sysctls_set(s, SYSCTL_NAMESPACES, err);
	if (r == 0 && !s->shows_system_paths)
		r = confine_paths(err);
	if (r == 0 && s->read_only_root &&
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		r = error_sys(err, "make the root read-only");
	return r;
}
