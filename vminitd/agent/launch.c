/* SPDX-License-Identifier: MIT */
/* The child's side of starting a process. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "vminitd/agent/copy.h"
#include "vminitd/agent/launch.h"
#include "vminitd/agent/mounts.h"
#include "vminitd/agent/passwd.h"
#include "vminitd/agent/phases.h"
#include "vminitd/agent/root.h"
#include "vminitd/agent/search.h"
#include "vminitd/agent/syscalls.h"
#include "vminitd/agent/sysfile.h"

enum { CAPABILITY_LAST = 63, TTY_GROUP = 5, NOFILE_SOFT = 65536, NOFILE_HARD = 1048576 };

struct child {
	const struct launch *l;
	enum spawn_failure kind; /* of the failure that may come next */
	struct identity id;
	struct strlist env;
};

static const char *find_env(const struct strlist *env, const char *name)
{
	size_t size = strlen(name);

	for (size_t i = env->count; i-- > 0;)
		if (strncmp(env->items[i], name, size) == 0 && env->items[i][size] == '=')
			return env->items[i] + size + 1;
	return NULL;
}

static void default_env(struct strlist *env, const char *name, const char *value)
{
	if (!find_env(env, name))
		strlist_printf(env, "%s=%s", name, value);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Ours is the agent's, whom the kernel must not kill; a process of the container starts from the
 * neutral one. */
static int set_oom_score(int score, struct error *err)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", score);
	return sysfile_write("/proc/self/oom_score_adj", text, err);
}

static int enter(struct child *c, struct error *err)
{
	enum { JOINED = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP };
	const struct launch *l = c->l;

	c->kind = SPAWN_SYSTEM;
	if (setsid() < 0 && errno != EPERM)
		return error_sys(err, "start a session");
	if (l->join_pidfd < 0)
		return mounts_enter(ROOT_PATH, l->setup, err);
	if (setns(l->join_pidfd, JOINED) < 0) {
		c->kind = SPAWN_NO_CONTAINER;
		return error_sys(err, "join the container, whose main process is gone");
	}
	return 0;
}

static int bind_console(unsigned number, struct error *err)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/dev/pts/%u", number);
	int fd = open("/dev/console", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0 || mount(path, "/dev/console", NULL, MS_BIND, NULL) < 0)
		return error_sys(err, "make the terminal the console");
	(void)close(fd);
	return 0;
}

/* A terminal of the container's own, its master sent to the agent. */
static int open_terminal(const struct launch *l, int *ret_slave, struct error *err)
{
	struct winsize size = { .ws_row = (unsigned short)(l->spawn->rows ? l->spawn->rows : 24),
				.ws_col = (unsigned short)(l->spawn->columns ? l->spawn->columns
									     : 80) };
	uint8_t first = LAUNCH_REPORT_TERMINAL;
	unsigned number;
	int unlock = 0;
	AUTO_CLOSE int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (master < 0 || sys_ioctl(master, TIOCSPTLCK, &unlock) < 0 ||
	    sys_ioctl(master, TIOCGPTN, &number) < 0 || sys_ioctl(master, TIOCSWINSZ, &size) < 0)
		return error_sys(err, "open a terminal in the container");
	AUTO_CLOSE int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
		return error_sys(err, "take the terminal as the controlling one");
	if (l->spawn->is_main && bind_console(number, err) < 0)
		return -(int)err->code;
	if (unix_send(l->report, &first, 1, &master, 1, err) < 0)
		return error_wrap(err, "hand the terminal over");
	*ret_slave = take_fd(&slave);
	return 0;
}

static int connect_stdio(struct child *c, struct error *err)
{
	int fds[3] = { c->l->stdio[0], c->l->stdio[1], c->l->stdio[2] };
	AUTO_CLOSE int own = -1;

	if (c->l->spawn->tty) {
		if (open_terminal(c->l, &own, err) < 0)
			return -(int)err->code;
		fds[0] = fds[1] = fds[2] = own;
	} else if (fds[0] < 0) {
		own = open("/dev/null", O_RDWR | O_CLOEXEC);
		fds[0] = own;
	}
	for (int i = 0; i < 3; i++) {
		if (dup2(fds[i], i) < 0)
			return error_sys(err, "connect descriptor %d", i);
		/* /dev/stdout opened by name must let the user in. */
		if ((fds[i] != own || c->l->spawn->tty) &&
		    fchown(i, c->id.uid, c->l->spawn->tty ? TTY_GROUP : c->id.gid) < 0)
			return error_sys(err, "give descriptor %d to the user", i);
	}
	return 0;
}

static int read_identity(struct child *c, struct error *err)
{
	AUTO_BUFFER passwd = BUFFER_INIT;
	AUTO_BUFFER group = BUFFER_INIT;
	AUTO_ERROR why = ERROR_INIT;

	if (file_read("/etc/passwd", PASSWD_BYTES_MAX, &passwd, &why) < 0)
		error_clear(&why);
	if (file_read("/etc/group", PASSWD_BYTES_MAX, &group, &why) < 0)
		error_clear(&why);
	c->kind = SPAWN_NO_USER;
	return identity_resolve(c->l->spawn->user, &c->l->spawn->groups, buffer_str(&passwd),
				buffer_str(&group), &c->id, err);
}

static int set_limits(const struct msg_spawn *s, struct error *err)
{
	static const struct spawn_rlimit usual[] = {
		{ RLIMIT_NOFILE, NOFILE_SOFT, NOFILE_HARD },
		{ RLIMIT_CORE, 0, UINT64_MAX },
		{ RLIMIT_NPROC, UINT64_MAX, UINT64_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if (sys_set_limit(usual[i].resource, usual[i].soft, usual[i].hard) < 0)
			return error_sys(err, "set resource limit %u", usual[i].resource);
	for (size_t i = 0; i < s->rlimit_count; i++) {
		const struct spawn_rlimit *w = &s->rlimits[i];
		if (sys_set_limit(w->resource, w->soft, w->hard) < 0)
			return error_sys(err, "set resource limit %u", w->resource);
	}
	return 0;
}

static int set_filter(const struct child *c, struct error *err)
{
	const struct buffer *f = c->l->filter;
	struct sock_fprog program = {
		.len = (unsigned short)(f->size / FILTER_INSTRUCTION_BYTES),
		.filter = (struct sock_filter *)(void *)f->data,
	};

	if (!c->l->spawn->is_filtered)
		return 0;
	if (f->size == 0)
		return error_set(err, E_INVALID, "no filter of system calls was sent");
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
		return error_sys(err, "filter system calls (is the kernel built with "
				      "CONFIG_SECCOMP_FILTER?)");
	return 0;
}

/* Beyond root, capabilities outlive an exec only if they are inheritable and ambient. */
static int keep_ambient(uint64_t wanted, struct error *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const uint32_t low = (uint32_t)wanted, high = (uint32_t)(wanted >> 32);
	const struct __user_cap_data_struct sets[2] = { { low, low, low }, { high, high, high } };

	if (syscall(SYS_capset, &head, sets) < 0)
		return error_sys(err, "keep capabilities");
	for (unsigned i = 0; i <= CAPABILITY_LAST; i++)
		if (wanted & UINT64_C(1) << i &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return error_sys(err, "keep capability %u", i);
	return 0;
}

static int become_user(struct child *c, struct error *err)
{
	const struct msg_spawn *s = c->l->spawn;
	uint64_t keep = s->set_capabilities ? s->capabilities : CAPABILITIES_DEFAULT;
	uint64_t ambient = c->id.uid == 0 ? 0 : s->ambient & keep;
	gid_t groups[IDENTITY_GROUPS_MAX];
	int r = set_filter(c, err); /* while we may */

	if (r < 0)
		return r;
	/* A root process gets the bounding set at its exec, any other user what is ambient. */
	for (unsigned i = 0; i <= CAPABILITY_LAST; i++)
		if (!(keep & UINT64_C(1) << i) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 &&
		    errno != EINVAL)
			return error_sys(err, "drop capability %u", i);
	for (size_t i = 0; i < c->id.group_count; i++)
		groups[i] = c->id.groups[i];
	if ((ambient && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) ||
	    setgroups(c->id.group_count, groups) < 0 ||
	    setresgid(c->id.gid, c->id.gid, c->id.gid) < 0 ||
	    setresuid(c->id.uid, c->id.uid, c->id.uid) < 0)
		return error_sys(err, "become user %u of group %u", c->id.uid, c->id.gid);
	if (ambient && keep_ambient(ambient, err) < 0)
		return -(int)err->code;
	if (s->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_sys(err, "give up new privileges");
	return 0;
}

static int change_dir(struct child *c, struct error *err)
{
	const char *dir = c->l->spawn->working_dir[0] ? c->l->spawn->working_dir : "/";

	c->kind = SPAWN_BAD_WORKING_DIR;
	if (dir[0] != '/')
		return error_set(err, E_INVALID, "working directory '%s' is not absolute", dir);
	if (chdir(dir) == 0)
		return 0;
	if (errno == ENOENT && dir_make(dir, 0755, err) < 0)
		return error_wrap(err, "create the working directory");
	return chdir(dir) < 0 ? error_sys(err, "enter the working directory '%s'", dir) : 0;
}

static void fill_env(struct child *c)
{
	strlist_copy(&c->env, &c->l->spawn->env);
	default_env(&c->env, "PATH", SEARCH_PATH_DEFAULT);
	default_env(&c->env, "HOME", c->id.home);
	default_env(&c->env, "HOSTNAME", c->l->setup->hostname);
	/* What systemd as process 1 looks for: without it, it takes the machine for its own. */
	if (c->l->join_pidfd < 0)
		default_env(&c->env, "container", "ctrz");
	if (c->l->spawn->tty)
		default_env(&c->env, "TERM", "xterm");
}

static int start(struct child *c, struct error *err)
{
	const struct msg_spawn *s = c->l->spawn;
	phases_in_child();
	int r = set_oom_score(s->oom_score_adj, err);

	if (r == 0)
		r = phase_after("enter the container", enter(c, err));
	if (r == 0)
		r = read_identity(c, err);
	c->kind = r == 0 ? SPAWN_SYSTEM : c->kind;
	if (r == 0)
		r = connect_stdio(c, err);
	if (r == 0)
		r = set_limits(s, err);
	if (r == 0)
		r = phase_after("user, streams, limits", change_dir(c, err));
	c->kind = r == 0 ? SPAWN_SYSTEM : c->kind;
	if (r == 0)
		r = phase_after("become the user", become_user(c, err));
	if (r < 0)
		return r;
	fill_env(c);
	(void)sys_cloexec_from(3);
	(void)umask(022);
	return search_exec(s->argv.items, c->env.items, find_env(&c->env, "PATH"), &c->kind, err);
}

/* No program: this process itself copies, as root and with what the container's processes may do.
 */
static int start_copy(struct child *c, struct error *err)
{
	int r = set_oom_score(0, err);

	if (r == 0)
		r = enter(c, err);
	if (r == 0)
		r = connect_stdio(c, err);
	if (r == 0)
		r = set_limits(c->l->spawn, err);
	if (r < 0)
		return r;
	(void)sys_close_from(3);
	(void)umask(0);
	copy_run(c->l->copy);
}

static void report_failure(const struct launch *l, enum spawn_failure kind, const char *text)
{
	AUTO_FREE char *report = xasprintf("%c%.*s", (int)kind + 1, LAUNCH_TEXT_MAX - 2, text);
	AUTO_ERROR err = ERROR_INIT;

	if (unix_send(l->report, report, strlen(report), NULL, 0, &err) < 0)
		error_ignore(&err, "report a failed start");
}

void launch_child(const struct launch *l)
{
	struct child c = { .l = l, .kind = SPAWN_SYSTEM };
	AUTO_ERROR err = ERROR_INIT;

	reset_signals();
	if ((l->copy ? start_copy(&c, &err) : start(&c, &err)) < 0)
		report_failure(l, c.kind, error_message(&err));
	_exit(127);
}

void launch_init(const struct launch *l)
{
	struct child c = { .l = l, .kind = SPAWN_SYSTEM };
	AUTO_ERROR err = ERROR_INIT;
	uint8_t ready = LAUNCH_REPORT_TERMINAL;
	sigset_t all;

	(void)prctl(PR_SET_NAME, "ctrz-init", 0, 0, 0);
	if (set_oom_score(-999, &err) < 0 || enter(&c, &err) < 0) {
		report_failure(l, c.kind, error_message(&err));
		_exit(127);
	}
	if (unix_send(l->report, &ready, 1, NULL, 0, &err) < 0)
		_exit(127);
	(void)dup2(l->report, 0);
	(void)sys_close_from(1);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	for (;;) {
		int sig = sigwaitinfo(&all, NULL);
		uint8_t word = (uint8_t)sig;

		/* What is meant for the container goes to the main process, which is not our child.
		 */
		if (sig > 0 && sig != SIGCHLD)
			(void)send(0, &word, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
}
