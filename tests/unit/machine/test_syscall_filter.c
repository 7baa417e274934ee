/* SPDX-License-Identifier: MIT */
/* The filter of system calls, on this kernel: a child puts it on itself and tries. */
#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "runtime/guest/syscall_filter.h"
#include "tests/unit/test.h"
#include "vminitd/protocol/message.h"

enum { SYS_ADMIN = 21, NEVER_HEARD_OF = 3000 };

/* In a child with the filter on: what errno @number with @a and @b ends with; 0 if it succeeds. */
static int tried(uint64_t capabilities, long number, unsigned long a, unsigned long b)
{
	AUTO_BUFFER program = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	int status = 0;

	assert_ok(err, syscall_filter_compile(capabilities, &program, &err));
	assert_true(program.size > 0 && program.size <= FILTER_BYTES_MAX);
	assert_int_equal(program.size % sizeof(struct sock_filter), 0);
	struct sock_fprog filter = { .len = (unsigned short)(program.size /
							     sizeof(struct sock_filter)),
				     .filter = (struct sock_filter *)(void *)program.data };
	pid_t pid = fork();
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
			_exit(255);
		long r = syscall(number, a, b, 0, 0, 0);
		if (r == 0 && number == SYS_clone)
			_exit(0); /* the grandchild */
		_exit(r < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

TEST(filter_lets_programs_be_programs)
{
	assert_int_equal(tried(CAPABILITIES_DEFAULT, SYS_getpid, 0, 0), 0);
	assert_int_equal(tried(CAPABILITIES_DEFAULT, SYS_umask, 022, 0), 0);
	assert_int_equal(tried(CAPABILITIES_DEFAULT, SYS_clone, SIGCHLD, 0), 0);
}

TEST(filter_refuses_what_is_the_systems)
{
	assert_int_equal(tried(CAPABILITIES_DEFAULT, SYS_mount, 0, 0), EPERM);
	assert_int_equal(tried(CAPABILITIES_DEFAULT, SYS_unshare, CLONE_NEWUSER, 0), EPERM);
	assert_int_equal(tried(CAPABILITIES_DEFAULT, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0), EPERM);
	assert_int_equal(tried(CAPABILITIES_DEFAULT, SYS_keyctl, 0, 0), EPERM);
	assert_int_equal(tried(CAPABILITIES_DEFAULT, SYS_bpf, 0, 0), EPERM);
	/* So that libc falls back to clone(), whose flags can be seen. */
	assert_int_equal(tried(CAPABILITIES_DEFAULT, SYS_clone3, 0, 0), ENOSYS);
	assert_int_equal(tried(CAPABILITIES_DEFAULT, SYS_io_uring_setup, 0, 0), ENOSYS);
	assert_int_equal(tried(CAPABILITIES_DEFAULT, NEVER_HEARD_OF, 0, 0), ENOSYS);
}

TEST(filter_makes_room_for_capabilities)
{
	const uint64_t admin = CAPABILITIES_DEFAULT | UINT64_C(1) << SYS_ADMIN;

	/* The kernel's own answers: bad pointers and sizes, or no privilege there either. */
	assert_int_equal(tried(admin, SYS_mount, 0, 0), EFAULT);
	assert_int_equal(tried(admin, SYS_clone3, 0, 0), EINVAL);
	assert_int_equal(tried(admin, SYS_unshare, 0, 0), 0);
	assert_int_equal(tried(admin, SYS_keyctl, 0, 0), EPERM);
	assert_int_equal(tried(UINT64_MAX, SYS_kexec_load, 0, 0), EPERM);
	/* chroot() is one of the usual. */
	assert_int_equal(tried(CAPABILITIES_DEFAULT, SYS_chroot, 0, 0), EFAULT);
	assert_int_equal(tried(0, SYS_chroot, 0, 0), EPERM);
}
