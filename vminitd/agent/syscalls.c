/* SPDX-License-Identifier: MIT */
/* System calls without a wrapper in musl. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "vminitd/agent/syscalls.h"

/* From the kernel's mount.h and sched.h, which cannot be included beside libc's. */
enum {
	MOVE_F_EMPTY_PATH = 0x04,
	MOVE_T_EMPTY_PATH = 0x40,
	TREE_CLONE = 1,
	ATTR_RDONLY = 1,
	ATTR_NOSUID = 2,
	ATTR_NODEV = 4,
	ATTR_NOEXEC = 8,
};
#define CLONE_INTO_CGROUP_FLAG UINT64_C(0x200000000)

struct mount_attributes {
	uint64_t set, clear, propagation, userns_fd;
};

struct clone_arguments {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};

int sys_open_in_root(int root, const char *path, int flags, mode_t mode)
{
	return fd_open_in_root(root, path, flags, mode);
}

int sys_clone_tree(int dir, const char *path)
{
	return (int)syscall(SYS_open_tree, dir, path,
			    TREE_CLONE | O_CLOEXEC | (path[0] ? 0 : AT_EMPTY_PATH));
}

int sys_set_mount_flags(int tree, unsigned flags)
{
	struct mount_attributes a = { 0 };

	a.set |= flags & BIND_READ_ONLY ? ATTR_RDONLY : 0;
	a.set |= flags & BIND_NO_EXEC ? ATTR_NOEXEC : 0;
	a.set |= flags & BIND_NO_DEV ? ATTR_NODEV : 0;
	a.set |= flags & BIND_NO_SUID ? ATTR_NOSUID : 0;
	return (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &a, sizeof(a));
}

int sys_attach_tree(int tree, int target)
{
	return (int)syscall(SYS_move_mount, tree, "", target, "",
			    MOVE_F_EMPTY_PATH | MOVE_T_EMPTY_PATH);
}

int sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

pid_t sys_fork(uint64_t namespaces, int cgroup_fd)
{
	struct clone_arguments a = { .flags = namespaces, .exit_signal = SIGCHLD };

	if (cgroup_fd >= 0) {
		a.flags |= CLONE_INTO_CGROUP_FLAG;
		a.cgroup = (uint64_t)cgroup_fd;
	}
	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

int sys_set_limit(unsigned resource, uint64_t soft, uint64_t hard)
{
	const uint64_t limits[2] = { soft, hard };

	return (int)syscall(SYS_prlimit64, 0, resource, limits, NULL);
}

int sys_load_module(int fd, const char *options, unsigned flags)
{
	return (int)syscall(SYS_finit_module, fd, options, flags);
}

int sys_cloexec_from(unsigned first)
{
	enum { CLOSE_CLOEXEC = 4 };

	return (int)syscall(SYS_close_range, first, ~0U, CLOSE_CLOEXEC);
}

int sys_close_from(unsigned first)
{
	return (int)syscall(SYS_close_range, first, ~0U, 0);
}

int sys_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}
