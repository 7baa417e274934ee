/* SPDX-License-Identifier: MIT */
/*
 * DOC: Theory of Operation
 *
 * The guest's root is an ordinary user of the host's files, or the host's root. What it creates in
 * a read-write share must not become a way up for anybody on the host: a file with the setuid or
 * setgid bit, or a device node. The kernel has no mount flag that forbids to create those, so a
 * filter looks at the mode argument of every call that could. It stays in force when virtiofsd adds
 * its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "runtime/share/share_internal.h"

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#else
#error "the share filter does not know this architecture"
#endif

enum { SYSCALL_FCHMODAT2 = 452, X32_BIT = 0x40000000, RULE_SIZE_MAX = 10, RULES_MAX = 16 };

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define LOAD_ARG(n)                        \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, \
		 (unsigned)(offsetof(struct seccomp_data, args) + sizeof(uint64_t) * (n)))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))
#define REFUSE(number) RETURN(SECCOMP_RET_ERRNO | (number))
#define SKIP_UNLESS_EQUAL(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (n))
#define SKIP_IF_EQUAL(value, n) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (n), 0)
#define SKIP_UNLESS_BITS(bits, n) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), 0, (n))

struct program {
	struct sock_filter code[RULES_MAX * RULE_SIZE_MAX];
	unsigned short size;
};

static void append(struct program *p, const struct sock_filter *code, size_t count)
{
	for (size_t i = 0; i < count; i++)
		p->code[p->size++] = code[i];
}
#define APPEND(p, ...)                                           \
	append((p), (const struct sock_filter[]){ __VA_ARGS__ }, \
	       sizeof((const struct sock_filter[]){ __VA_ARGS__ }) / sizeof(struct sock_filter))

/* A call whose argument @mode_arg is the mode a file gets. */
static void refuse_set_ids(struct program *p, unsigned number, unsigned mode_arg)
{
	APPEND(p, LOAD(nr), SKIP_UNLESS_EQUAL(number, 3), LOAD_ARG(mode_arg),
	       SKIP_UNLESS_BITS(S_ISUID | S_ISGID, 1), REFUSE(EPERM));
}

/* open and openat: there is a mode only with the flags that create. */
static void refuse_set_ids_if_creating(struct program *p, unsigned number, unsigned flags_arg)
{
	APPEND(p, LOAD(nr), SKIP_UNLESS_EQUAL(number, 5), LOAD_ARG(flags_arg),
	       SKIP_UNLESS_BITS(O_CREAT | (O_TMPFILE & ~O_DIRECTORY), 3), LOAD_ARG(flags_arg + 1),
	       SKIP_UNLESS_BITS(S_ISUID | S_ISGID, 1), REFUSE(EPERM));
}

static void refuse_devices(struct program *p, unsigned number, unsigned mode_arg)
{
	APPEND(p, LOAD(nr), SKIP_UNLESS_EQUAL(number, 5), LOAD_ARG(mode_arg),
	       BPF_STMT(BPF_ALU | BPF_AND | BPF_K, S_IFMT), SKIP_IF_EQUAL(S_IFCHR, 1),
	       SKIP_UNLESS_EQUAL(S_IFBLK, 1), REFUSE(EPERM));
	refuse_set_ids(p, number, mode_arg);
}

static void build(struct program *p, bool fake_setgroups)
{
	APPEND(p, LOAD(arch), SKIP_IF_EQUAL(THIS_ARCH, 1), REFUSE(ENOSYS));
#if defined(__x86_64__)
	APPEND(p, LOAD(nr), SKIP_UNLESS_BITS(X32_BIT, 1), REFUSE(ENOSYS));
	refuse_set_ids(p, SYS_chmod, 1);
	refuse_set_ids(p, SYS_creat, 1);
	refuse_set_ids_if_creating(p, SYS_open, 1);
	refuse_devices(p, SYS_mknod, 1);
#endif
	refuse_set_ids(p, SYS_fchmod, 1);
	refuse_set_ids(p, SYS_fchmodat, 2);
	refuse_set_ids(p, SYSCALL_FCHMODAT2, 2);
	refuse_set_ids_if_creating(p, SYS_openat, 2);
	refuse_devices(p, SYS_mknodat, 2);
	/* Takes its mode from memory, where a filter cannot look. */
	APPEND(p, LOAD(nr), SKIP_UNLESS_EQUAL(SYS_openat2, 1), REFUSE(ENOSYS));
	if (fake_setgroups)
		APPEND(p, LOAD(nr), SKIP_UNLESS_EQUAL(SYS_setgroups, 1), REFUSE(0));
	APPEND(p, RETURN(SECCOMP_RET_ALLOW));
}

int share_filter_install(bool fake_setgroups, struct error *err)
{
	struct program p = { .size = 0 };
	build(&p, fake_setgroups);
	const struct sock_fprog fprog = { .len = p.size, .filter = p.code };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog) < 0)
		return error_sys(err, "install the system call filter of a share");
	return 0;
}
