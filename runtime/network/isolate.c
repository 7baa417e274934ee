/* SPDX-License-Identifier: MIT */
/* Privileges, limits, system calls and files of the switch process. */
#include "runtime/network/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

/*
 * DOC: Theory of Operation
 *
 * The switch parses what hostile VMs send, and so does libslirp. A hole there must not become a
 * shell or a read of the user's files. The process keeps its own user, for it has to bind what the
 * user may bind; it loses everything else:
 *
 * - set-user-id programs give it nothing (no_new_privs), and it cannot start any program or process
 * (seccomp);
 * - of root's capabilities it keeps the one for ports below 1024;
 * - it cannot trace, mount, load code into the kernel or change namespaces (seccomp);
 * - it reads and writes below its own folder; it reads /etc (resolvers), the folder the resolver
 * configuration really lies in, and /proc (its own descriptors); nothing else (Landlock);
 * - what it writes to its log is bounded, whatever a VM provokes (RLIMIT_FSIZE).
 */

enum { LOG_MAX = 1 << 20 };

/* Not under AddressSanitizer: its check for leaks traces the process from a clone of it. */
#ifdef __has_feature
#define IS_SANITIZED __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

#if defined(__x86_64__) && !IS_SANITIZED
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && !IS_SANITIZED
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

static int drop_capabilities(struct error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	if (syscall(SYS_capget, &header, data) < 0)
		return error_sys(err, "ask for capabilities");
	data[0].permitted &= 1U << CAP_NET_BIND_SERVICE;
	data[0].effective = data[0].permitted;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){ 0 };
	if (syscall(SYS_capset, &header, data) < 0)
		return error_sys(err, "drop capabilities");
	return 0;
}

static int set_limit(int what, rlim_t limit, struct error *err)
{
	struct rlimit l = { limit, limit };
	if (setrlimit((__rlimit_resource_t)what, &l) < 0)
		return error_sys(err, "set a limit");
	return 0;
}

/* Paths that are there may be used as @access says. */
static void allow_path(int ruleset, const char *path, uint64_t access)
{
	AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };
	if (fd >= 0)
		(void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static int restrict_files(const char *run_dir, struct error *err)
{
	const uint64_t reads = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	/* The thirteen rights of the first version, which every kernel with Landlock knows. */
	struct landlock_ruleset_attr attr = { .handled_access_fs = (1ULL << 13) - 1 };
	AUTO_CLOSE int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return 0; /* not in this kernel, or switched off */
	allow_path(ruleset, run_dir, attr.handled_access_fs & ~LANDLOCK_ACCESS_FS_EXECUTE);
	allow_path(ruleset, "/etc", reads);
	allow_path(ruleset, "/proc", reads);
	AUTO_FREE char *resolv_conf = realpath("/etc/resolv.conf", NULL);
	if (resolv_conf) {
		AUTO_FREE char *dir = path_dirname(resolv_conf);
		allow_path(ruleset, dir, reads);
	}
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return error_sys(err, "restrict files");
	return 0;
}

#ifdef OUR_ARCH
static const int forbidden_calls[] = {
	SYS_execve,
	SYS_execveat,
	SYS_clone,
	SYS_clone3,
#ifdef SYS_fork
	SYS_fork,
	SYS_vfork,
#endif
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_unshare,
	SYS_setns,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_add_key,
	SYS_request_key,
	SYS_keyctl,
	SYS_swapon,
	SYS_swapoff,
	SYS_reboot,
	SYS_personality,
	SYS_open_by_handle_at,
	SYS_memfd_create,
};

static int restrict_calls(struct error *err)
{
	enum { COUNT = ARRAY_SIZE(forbidden_calls), SIZE = COUNT + 7 };
	struct sock_filter code[SIZE];
	size_t n = 0;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < COUNT; i++)
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (unsigned)forbidden_calls[i],
							 (uint8_t)(COUNT - i), 0);
	/* x86's second table, x32, has the same calls under other numbers. */
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { .len = (unsigned short)n, .filter = code };
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
		return error_sys(err, "restrict system calls");
	return 0;
}
#else
static int restrict_calls(struct error *err)
{
	(void)err;
	return 0;
}
#endif

int isolate_self(const char *run_dir, struct error *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_sys(err, "give up new privileges");
	int r = drop_capabilities(err);
	if (r < 0)
		return r;
	r = set_limit(RLIMIT_CORE, 0, err);
	if (r < 0)
		return r;
	r = set_limit(RLIMIT_FSIZE, LOG_MAX, err);
	if (r < 0)
		return r;
	r = restrict_files(run_dir, err);
	return r < 0 ? r : restrict_calls(err);
}
