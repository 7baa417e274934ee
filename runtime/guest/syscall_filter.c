/* SPDX-License-Identifier: MIT */
/* The filter of system calls, compiled by libseccomp. */
#include "runtime/guest/syscall_filter.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/capability.h>
#include <seccomp.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "vminitd/protocol/message.h"

enum { NAME_ROOM = 32, BINARY_TREE = 2 };

#define CAP(name) (UINT64_C(1) << CAP_##name)

/* What every process may call. */
static const char always[] =
	"_llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 "
	"arm_sync_file_range bind breakpoint brk cacheflush cachestat capget capset chdir chmod "
	"chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 "
	"clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range "
	"connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl "
	"epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve "
	"execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate "
	"fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 "
	"fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 "
	"fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait "
	"futex_waitv futex_wake futimesat get_robust_list get_thread_area get_tls getcpu getcwd "
	"getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups "
	"getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom "
	"getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname "
	"getsockopt gettid gettimeofday getuid getuid32 getxattr inotify_add_watch inotify_init "
	"inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents "
	"io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill "
	"landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 "
	"lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat "
	"lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir "
	"mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 modify_ldt mprotect mq_getsetattr "
	"mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend "
	"mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock "
	"munlockall munmap name_to_handle_at nanosleep newfstatat nice oldfstat oldlstat oldstat "
	"oldolduname olduname open openat openat2 pause personality pidfd_open pidfd_send_signal "
	"pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 "
	"preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 "
	"pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readdir readlink "
	"readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages "
	"removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction "
	"rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
	"rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min "
	"sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval "
	"sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam "
	"sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop "
	"semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list "
	"set_thread_area set_tid_address set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid "
	"setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 "
	"setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid "
	"setsockopt setuid setuid32 setxattr sgetmask shmat shmctl shmdt shmget shutdown sigaction "
	"sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend socket "
	"socketcall socketpair splice ssetmask stat stat64 statfs statfs64 statx symlink symlinkat "
	"sync sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time timer_create "
	"timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime "
	"timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime "
	"timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat "
	"utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev";

/* What is refused without one of the capabilities; the kernel asks for one as well, but is not
 * trusted alone. 0 = whoever asks. */
static const struct {
	uint64_t any_of;
	const char *names;
} guarded[] = {
	{ CAP(SYS_ADMIN),
	  "fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr "
	  "move_mount open_tree pivot_root quotactl quotactl_fd setdomainname sethostname setns "
	  "umount umount2 unshare" },
	{ CAP(SYS_ADMIN) | CAP(BPF), "bpf" },
	{ CAP(SYS_ADMIN) | CAP(PERFMON), "perf_event_open" },
	{ CAP(SYS_ADMIN) | CAP(SYSLOG), "syslog" },
	{ CAP(DAC_READ_SEARCH), "open_by_handle_at" },
	{ CAP(SYS_BOOT), "reboot" },
	{ CAP(SYS_CHROOT), "chroot" },
	{ CAP(SYS_MODULE), "delete_module finit_module init_module" },
	{ CAP(SYS_NICE), "get_mempolicy mbind set_mempolicy set_mempolicy_home_node" },
	{ CAP(SYS_PACCT), "acct" },
	{ CAP(SYS_PTRACE), "kcmp pidfd_getfd process_madvise" },
	{ CAP(SYS_RAWIO), "ioperm iopl" },
	{ CAP(SYS_TIME), "clock_settime clock_settime64 settimeofday stime" },
	{ CAP(SYS_TTY_CONFIG), "vhangup" },
	{ 0, "_sysctl add_key create_module get_kernel_syms kexec_file_load kexec_load keyctl "
	     "migrate_pages move_pages nfsservctl query_module request_key swapoff swapon sysfs "
	     "userfaultfd uselib ustat vm86 vm86old" },
};

static int failed(int r, const char *name, struct error *err)
{
	errno = -r;
	return error_sys(err, "compile the filter of system calls ('%s')", name);
}

static int add_rules(scmp_filter_ctx filter, uint32_t action, const char *names, struct error *err)
{
	while (*names) {
		char name[NAME_ROOM];
		size_t size = strcspn(names, " ");

		(void)snprintf(name, sizeof(name), "%.*s", (int)size, names);
		names += size + (names[size] == ' ');
		int number = seccomp_syscall_resolve_name(name);
		/* One that this libseccomp has never heard of stays unknown. */
		int r = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(filter, action, number, 0);
		if (r < 0)
			return failed(r, name, err);
	}
	return 0;
}

/* New threads and processes for all; new namespaces for some. clone3() hides its flags in memory,
 * where no filter sees them: without it libc uses clone(). */
static int add_clone(scmp_filter_ctx filter, bool with_namespaces, struct error *err)
{
	static const unsigned kinds[] = { CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
					  CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP };
	uint64_t any = 0;
	int r = 0;

	if (with_namespaces)
		return add_rules(filter, SCMP_ACT_ALLOW, "clone clone3", err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kinds); i++) {
		any |= kinds[i];
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, kinds[i], kinds[i]));
	}
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, any, 0));
	return r < 0 ? failed(r, "clone", err) : 0;
}

static int set_up(scmp_filter_ctx filter, struct error *err)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, BINARY_TREE);

	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (r == 0 && seccomp_arch_native() == SCMP_ARCH_X86_64)
		r = seccomp_arch_add(filter, SCMP_ARCH_X86);
	if (r == 0 && seccomp_arch_native() == SCMP_ARCH_AARCH64)
		r = seccomp_arch_add(filter, SCMP_ARCH_ARM);
	return r < 0 ? failed(r, "architecture", err) : 0;
}

static int add_all(scmp_filter_ctx filter, uint64_t capabilities, struct error *err)
{
	int r = set_up(filter, err);

	if (r == 0)
		r = add_rules(filter, SCMP_ACT_ALLOW, always, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(guarded); i++)
		r = add_rules(filter,
			      guarded[i].any_of & capabilities ? SCMP_ACT_ALLOW
							       : SCMP_ACT_ERRNO(EPERM),
			      guarded[i].names, err);
	return r < 0 ? r : add_clone(filter, capabilities & CAP(SYS_ADMIN), err);
}

/* This libseccomp writes to descriptors only. */
static int export(scmp_filter_ctx filter, struct buffer *out, struct error *err)
{
	AUTO_CLOSE int fd = memfd_create("filter", MFD_CLOEXEC);

	if (fd < 0)
		return error_sys(err, "make room for the filter of system calls");
	int r = seccomp_export_bpf(filter, fd);
	if (r < 0)
		return failed(r, "export", err);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_sys(err, "read the filter of system calls");
	return fd_read_all(fd, out, FILTER_BYTES_MAX, err);
}

int syscall_filter_compile(uint64_t capabilities, struct buffer *out, struct error *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

	if (!filter)
		return error_set(err, E_SYSTEM, "libseccomp makes no filter");
	int r = add_all(filter, capabilities, err);
	if (r == 0)
		r = export(filter, out, err);
	seccomp_release(filter);
	return r;
}
