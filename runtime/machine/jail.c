/* SPDX-License-Identifier: MIT */
/* Builds a jail out of namespaces and executes a program in it. */
/*
 * DOC: Theory of Operation
 *
 * Under software emulation QEMU is no security boundary by its own account: who breaks out of the
 * guest runs as QEMU. This jail is the boundary then, and the second wall with KVM.
 *
 * The child is made by clone() with namespaces of its own for mounts, processes, network, IPC and
 * host name. Started as root it takes a user id nobody else has, derived from the keeper's process
 * id; otherwise a user namespace gives it the means to build the rest, and in that namespace it is
 * not root. Its root is a tmpfs that holds nothing but bind mounts of single files, all read-only;
 * the host's tree is unmounted from it. Only the files with the machine's memory can be written to,
 * which are on a tmpfs of its own: the child makes them and sends the first's descriptor to the
 * parent over the report socket. It has no network, not even a loopback that is up. All descriptors
 * but those handed over are closed, all capabilities dropped, no_new_privs is set.
 *
 * The child is process 1 of its process namespace, so whatever it may start dies with it, and
 * PR_SET_PDEATHSIG makes it die with its parent. Its end of the report socket shows whether the
 * parent died before that was set.
 */
#include "runtime/machine/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "runtime/machine/jail_libraries.h"

enum {
	/* A range of user ids that no distribution and no container engine hands out. */
	JAIL_FIRST_UID = 0x70000000,
	JAIL_INNER_UID = 1000,
	JAIL_OPEN_FILES = 4096,
	UID_MAP_MAX = 64 * 1024,
	MEMORY_SLACK = 1024 * 1024,
	KVM_MAJOR = 10,
	KVM_MINOR = 232,
};

/* Everything the child needs, worked out before it is made. */
struct plan {
	const struct jail *jail;
	struct jail_libraries libraries;
	bool user_namespace;
	uid_t uid; /* to become as root */
	uid_t outer_uid;
	gid_t outer_gid;
	int report_fd;
};

/* What the child says when it cannot go on, or beside the descriptor of the memory. */
struct report {
	int number; /* errno; 0 = all is well */
	char step[240];
};

static _Noreturn void fail(const struct plan *p, const char *step, const char *what)
{
	struct report r = { .number = errno };

	(void)snprintf(r.step, sizeof(r.step), "%s%s%s", step, what ? " " : "", what ? what : "");
	ssize_t n = send(p->report_fd, &r, sizeof(r), MSG_NOSIGNAL);
	_exit(n < 0 ? 126 : 127);
}

static void write_map(const struct plan *p, const char *path, const char *text)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail(p, "write", path);
}

/* One user, and it is not root in there either. */
static void map_user(const struct plan *p)
{
	char text[64];

	write_map(p, "/proc/self/setgroups", "deny");
	(void)snprintf(text, sizeof(text), "%d %u 1\n", JAIL_INNER_UID, (unsigned)p->outer_uid);
	write_map(p, "/proc/self/uid_map", text);
	(void)snprintf(text, sizeof(text), "%d %u 1\n", JAIL_INNER_UID, (unsigned)p->outer_gid);
	write_map(p, "/proc/self/gid_map", text);
}

/* @target's folder in the new root. */
static void make_folder_of(const struct plan *p, const char *full)
{
	const char *root = p->jail->mount_point;
	char path[PATH_MAX];

	size_t size = strlen(full) + 1;
	if (size > sizeof(path)) {
		errno = ENAMETOOLONG;
		fail(p, "make a folder for", full);
	}
	memcpy(path, full, size);
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			fail(p, "make the folder", path);
		*slash = '/';
	}
}

static void bind_file(const struct plan *p, const char *source, const char *target)
{
	char full[PATH_MAX];
	int n = snprintf(full, sizeof(full), "%s%s", p->jail->mount_point, target);

	if (n < 0 || (size_t)n >= sizeof(full)) {
		errno = ENAMETOOLONG;
		fail(p, "bind", target);
	}
	make_folder_of(p, full);
	int fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		fail(p, "create", target);
	(void)close(fd);
	if (mount(source, full, NULL, MS_BIND, NULL) < 0)
		fail(p, "bind", source);
}

static void bind_all(const struct plan *p)
{
	const struct jail *j = p->jail;
	const struct jail_libraries *l = &p->libraries;
	char target[PATH_MAX];

	bind_file(p, j->program, j->argv[0]);
	if (l->interpreter)
		bind_file(p, l->interpreter, l->interpreter);
	for (size_t i = 0; i < l->names.count; i++) {
		(void)snprintf(target, sizeof(target), JAIL_LIBRARY_DIR "/%s", l->names.items[i]);
		bind_file(p, l->paths.items[i], target);
	}
	for (size_t i = 0; i < j->file_count; i++)
		bind_file(p, j->files[i].source, j->files[i].target);
}

/* As root the jail's user may not open the host's node: it gets one of its own. */
static void make_kvm_node(const struct plan *p)
{
	char path[PATH_MAX];

	if (p->user_namespace) {
		bind_file(p, "/dev/kvm", "/dev/kvm");
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/dev/kvm", p->jail->mount_point);
	make_folder_of(p, path);
	if (mknod(path, S_IFCHR | 0600, makedev(KVM_MAJOR, KVM_MINOR)) < 0 ||
	    chown(path, p->uid, (gid_t)p->uid) < 0)
		fail(p, "make", "/dev/kvm");
}

static int make_memory_file(const struct plan *p, const char *name, uint64_t size)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s%s", p->jail->mount_point, name);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    (!p->user_namespace && fchown(fd, p->uid, (gid_t)p->uid) < 0))
		fail(p, "make the machine's memory", NULL);
	return fd;
}

/* Behind the rest: it alone stays writable. The limit is the memory's own, not the host's for
 * tmpfs: a file that cannot grow would kill QEMU in the midst of the guest's work. */
static void make_memory(const struct plan *p)
{
	uint64_t size = p->jail->memory_bytes, more = p->jail->more_bytes;
	char path[PATH_MAX], options[64];
	AUTO_ERROR err = ERROR_INIT;
	struct report nothing = { 0 };

	(void)snprintf(path, sizeof(path), "%s%s", p->jail->mount_point, JAIL_MEMORY);
	(void)snprintf(options, sizeof(options), "mode=0755,nr_inodes=%d,size=%" PRIu64,
		       more > 0 ? 3 : 2, size + more + MEMORY_SLACK);
	*strrchr(path, '/') = '\0';
	if (mount("memory", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
		fail(p, "mount a tmpfs on", path);
	if (more > 0)
		(void)close(make_memory_file(p, JAIL_MORE_MEMORY, more));
	AUTO_CLOSE int fd = make_memory_file(p, JAIL_MEMORY, size);
	if (unix_send(p->report_fd, &nothing, sizeof(nothing), &fd, 1, &err) < 0)
		fail(p, "hand over the machine's memory", NULL);
}

static void build_root(const struct plan *p)
{
	const char *root = p->jail->mount_point;
	bool own_node = p->jail->kvm && !p->user_namespace;
	unsigned long no_devices = own_node ? 0 : MS_NODEV;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail(p, "make mounts private", NULL);
	if (mount("jail", root, "tmpfs", MS_NOSUID | no_devices, "mode=0755,size=1m") < 0)
		fail(p, "mount a tmpfs on", root);
	bind_all(p);
	if (p->jail->kvm)
		make_kvm_node(p);
	if (p->jail->memory_bytes > 0) {
		char path[PATH_MAX];
		(void)snprintf(path, sizeof(path), "%s%s", root, JAIL_MEMORY);
		make_folder_of(p, path);
	}
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					       (p->jail->kvm ? 0 : MOUNT_ATTR_NODEV) };
	if (mount_setattr(AT_FDCWD, root, AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		fail(p, "make read-only", root);
	if (p->jail->memory_bytes > 0)
		make_memory(p);
	if (chdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		fail(p, "change the root to", root);
	if (sethostname("vm", 2) < 0)
		fail(p, "set the host name", NULL);
}

static void drop_privileges(const struct plan *p)
{
	struct rlimit none = { 0, 0 }, files = { JAIL_OPEN_FILES, JAIL_OPEN_FILES };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (!p->user_namespace &&
	    (setgroups(0, NULL) < 0 || setresgid((gid_t)p->uid, (gid_t)p->uid, (gid_t)p->uid) < 0 ||
	     setresuid(p->uid, p->uid, p->uid) < 0))
		fail(p, "change the user", NULL);
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };
	if (syscall(SYS_capset, &head, caps) < 0)
		fail(p, "drop capabilities", NULL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail(p, "set no_new_privs", NULL);
}

static void die_with_parent(const struct plan *p)
{
	struct pollfd reader = { .fd = p->report_fd };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail(p, "bind its life to its keeper's", NULL);
	if (poll(&reader, 1, 0) < 0 || (reader.revents & (POLLERR | POLLHUP)))
		_exit(127);
}

/* Before the root changes: /dev/null is needed. */
static void place_fds(struct plan *p)
{
	const struct jail *j = p->jail;
	int wanted[JAIL_MAX_FDS + 4], moved[JAIL_MAX_FDS + 4] = { 0 };
	size_t n = 0;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	wanted[n++] = null_fd;
	wanted[n++] = null_fd;
	wanted[n++] = j->stderr_fd;
	for (size_t i = 0; i < j->fd_count; i++)
		wanted[n++] = j->fds[i];
	wanted[n++] = p->report_fd; /* last: closed by exec */
	for (size_t i = 0; i < n; i++) {
		moved[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, (int)n + 64);
		if (moved[i] < 0)
			fail(p, "pass descriptors on", NULL);
	}
	p->report_fd = moved[n - 1];
	for (size_t i = 0; i < n; i++)
		if (dup3(moved[i], (int)i, i == n - 1 ? O_CLOEXEC : 0) < 0)
			fail(p, "pass descriptors on", NULL);
	p->report_fd = (int)n - 1;
	(void)syscall(SYS_close_range, (unsigned)n, ~0U, 0);
}

static void reset_signals(void)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
}

static _Noreturn void run_child(struct plan *p)
{
	const struct jail *j = p->jail;
	char **argv, **env;

	reset_signals();
	place_fds(p);
	if (p->user_namespace)
		map_user(p);
	(void)umask(022);
	build_root(p);
	drop_privileges(p);
	die_with_parent(p);
	(void)umask(077);
	memcpy(&argv, &j->argv, sizeof(argv)); /* execve is not const-correct */
	memcpy(&env, &j->env, sizeof(env));
	(void)execve(j->argv[0], argv, env);
	fail(p, "execute", j->program);
}

/* Whether root here may take the ids of @uid: not in a container without them. */
static bool is_mapped(uid_t uid)
{
	AUTO_BUFFER map = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (file_read("/proc/self/uid_map", UID_MAP_MAX, &map, &err) < 0) {
		error_ignore(&err, "read the map of user ids");
		return false;
	}
	/* Lines of: first id in here, first id outside, count. */
	for (char *at = map.data; at && *at;) {
		unsigned long first = strtoul(at, &at, 10);
		(void)strtoul(at, &at, 10);
		unsigned long count = strtoul(at, &at, 10);
		if (uid >= first && uid - first < count)
			return true;
		if (*at != '\n')
			break;
		at++;
	}
	return false;
}

static int make_plan(const struct jail *j, struct plan *p, struct error *err)
{
	p->jail = j;
	p->outer_uid = geteuid();
	p->outer_gid = getegid();
	p->uid = (uid_t)JAIL_FIRST_UID + (uid_t)getpid();
	p->user_namespace = p->outer_uid != 0 || !is_mapped(p->uid);
	if (j->fd_count > JAIL_MAX_FDS)
		return error_set(err, E_INTERNAL, "cannot pass %zu descriptors", j->fd_count);
	if (jail_libraries_add(&p->libraries, j->program, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < j->file_count; i++) {
		const struct jail_file *f = &j->files[i];
		struct stat st;
		if (stat(f->source, &st) < 0)
			return error_sys(err, "open '%s'", f->source);
		if (!p->user_namespace && !(st.st_mode & S_IROTH))
			return error_set(err, E_DENIED,
					 "'%s' must be readable for all: QEMU runs as a user of "
					 "its own. Run: chmod o+r '%s'",
					 f->source, f->source);
		if (f->is_library && jail_libraries_add(&p->libraries, f->source, err) < 0)
			return -(int)err->code;
	}
	return 0;
}

static int explain(const struct plan *p, const struct report *r, struct error *err)
{
	errno = r->number;
	if (p->user_namespace && (r->number == EPERM || r->number == EACCES || r->number == ENOSPC))
		return error_set(
			err, E_DENIED,
			"cannot build the jail for QEMU (%s: %s): this host does not let "
			"ordinary users make namespaces. Allow it (sysctl "
			"user.max_user_namespaces, kernel.unprivileged_userns_clone, "
			"kernel.apparmor_restrict_unprivileged_userns), or run ctrz as root",
			r->step, strerror(r->number));
	return error_sys(err, "build the jail for QEMU: %s", r->step);
}

/* What the child says until it executes the program, which closes its end. Return: 0, or what it
 * failed at */
static int read_reports(const struct plan *p, int report_read, int *memory, struct error *err)
{
	struct report r = { 0 };
	ssize_t n;

	do {
		int fd = -1;
		size_t count = 1;
		n = unix_recv(report_read, &r, sizeof(r), &fd, &count, err);
		if (count == 1 && fd >= 0 && *memory < 0)
			*memory = take_fd(&fd);
		if (fd >= 0)
			(void)close(fd);
		r.step[sizeof(r.step) - 1] = '\0';
		if (n == (ssize_t)sizeof(r) && r.number != 0)
			return explain(p, &r, err);
	} while (n > 0);
	return n < 0 ? (int)n : 0;
}

static int spawn(struct plan *p, int report_read, int *report_write, int *ret_memory,
		 struct process *ret, struct error *err)
{
	unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
			      CLONE_NEWUTS | CLONE_PIDFD | SIGCHLD;
	int pidfd = -1;
	struct report r = { 0 };

	if (p->user_namespace)
		flags |= CLONE_NEWUSER;
	pid_t pid = (pid_t)syscall(SYS_clone, flags, NULL, &pidfd, NULL, NULL);
	if (pid < 0) {
		r.number = errno;
		(void)snprintf(r.step, sizeof(r.step), "make namespaces");
		return explain(p, &r, err);
	}
	if (pid == 0)
		run_child(p);
	struct process child = { .pid = pid, .pidfd = pidfd };
	(void)close(take_fd(report_write));
	AUTO_CLOSE int memory = -1;
	if (read_reports(p, report_read, &memory, err) < 0) {
		process_end(&child, 0);
		return -(int)err->code;
	}
	*ret = child;
	if (ret_memory)
		*ret_memory = take_fd(&memory);
	return 0;
}

int jail_spawn(const struct jail *j, int *ret_memory, struct process *ret, struct error *err)
{
	struct plan p = { 0 };
	int report[2];

	int r = make_plan(j, &p, err);
	if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) < 0)
		r = error_sys(err, "create a socket pair");
	if (r == 0) {
		AUTO_CLOSE int report_read = report[0];
		AUTO_CLOSE int report_write = report[1];
		p.report_fd = report_write;
		r = spawn(&p, report_read, &report_write, ret_memory, ret, err);
	}
	jail_libraries_release(&p.libraries);
	return r;
}
