/* SPDX-License-Identifier: MIT */
/* Thin wrappers of system calls musl has no function for. */
#ifndef CTRZ_VMINITD_AGENT_SYSCALLS_H
#define CTRZ_VMINITD_AGENT_SYSCALLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { BIND_READ_ONLY = 1, BIND_NO_EXEC = 2, BIND_NO_DEV = 4, BIND_NO_SUID = 8 };

/** sys_open_in_root() - openat2() that cannot leave the tree of @root. Return: descriptor or -1 */
int sys_open_in_root(int root, const char *path, int flags, mode_t mode);
/** sys_clone_tree() - a detached bind mount of @path below @dir ("" = @dir itself). Return:
 * descriptor or -1 */
int sys_clone_tree(int dir, const char *path);
/** sys_set_mount_flags() - BIND_* for the whole mount behind @tree */
int sys_set_mount_flags(int tree, unsigned flags);
/** sys_attach_tree() - put a detached mount on @target */
int sys_attach_tree(int tree, int target);
int sys_pivot_root(const char *new_root, const char *put_old);
/** sys_fork() - fork with new namespaces (CLONE_NEW*), straight into the cgroup behind @cgroup_fd
 * (-1 = ours) */
pid_t sys_fork(uint64_t namespaces, int cgroup_fd);
/** sys_ioctl() - requests are unsigned, whatever type libc gives them */
int sys_ioctl(int fd, unsigned long request, void *arg);
/** sys_set_limit() - of this process; values as the kernel has them, UINT64_MAX = unlimited */
int sys_set_limit(unsigned resource, uint64_t soft, uint64_t hard);
int sys_load_module(int fd, const char *options, unsigned flags);
/** sys_cloexec_from() - no descriptor from @first on survives an exec */
int sys_cloexec_from(unsigned first);
int sys_close_from(unsigned first);
int sys_pidfd_open(pid_t pid);

#endif
