/* SPDX-License-Identifier: MIT */
/* Child processes by argv, watched by pidfd. */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"

extern char **environ;

static bool env_allowed(const char *entry)
{
	static const char *const exact[] = {
		"PATH=", "HOME=", "LANG=",         "TMPDIR=",        "USER=",
		"XDG_",  "CTRZ_", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="
	};
	for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
		if (str_starts(entry, exact[i]))
			return true;
	return false;
}

/* The environment for a child: an allow-list of ours. The strings are lent. */
static char **child_environment(void)
{
	size_t count = 0, kept = 0;
	while (environ[count])
		count++;
	char **env = xcalloc(count + 1, sizeof(*env));
	for (size_t i = 0; i < count; i++)
		if (env_allowed(environ[i]))
			env[kept++] = environ[i];
	return env;
}

/* What the child needs, prepared before the fork: after it only async-signal-safe calls are made.
 */
struct plan {
	const struct process_options *o;
	char *path; /* of the program, candidates separated as in PATH; NULL if argv[0] has a slash
		     */
	char **argv;
	char **env;
	int report_fd;
	pid_t parent;
};

static int place_fds(const struct plan *p)
{
	const struct process_options *o = p->o;
	int moved[PROCESS_MAX_FDS + 3];
	int wanted[PROCESS_MAX_FDS + 3];
	size_t n = 0;
	int null_fd = -1;
	if (o->stdin_fd < 0 && (null_fd = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
		return -1;
	wanted[n++] = o->stdin_fd < 0 ? null_fd : o->stdin_fd;
	wanted[n++] = o->stdout_fd < 0 ? 1 : o->stdout_fd;
	wanted[n++] = o->stderr_fd < 0 ? 2 : o->stderr_fd;
	for (size_t i = 0; i < o->fd_count; i++)
		wanted[n++] = o->fds[i];
	/* First out of the way of every target, then into place. */
	for (size_t i = 0; i < n; i++) {
		moved[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, (int)n + 64);
		if (moved[i] < 0 && (i == 0 || i > 2))
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (moved[i] >= 0 && dup2(moved[i], (int)i) < 0)
			return -1;
	/* Whatever else our own parent left open stays here (Linux 5.11; older kernels know no such
	 * flag). */
	(void)syscall(SYS_close_range, (unsigned)n, ~0U, CLOSE_RANGE_CLOEXEC);
	return 0;
}

static void exec_from_path(const struct plan *p)
{
	const char *name = p->argv[0];
	if (!p->path) {
		(void)execve(name, p->argv, p->env);
		return;
	}
	int found = ENOENT;
	for (const char *at = p->path;;) {
		char full[4096];
		size_t n = strcspn(at, ":"), m = strlen(name);
		if (n > 0 && n + 1 + m < sizeof(full)) {
			memcpy(full, at, n);
			full[n] = '/';
			memcpy(full + n + 1, name, m + 1);
			(void)execve(full, p->argv, p->env);
			if (errno != ENOENT && errno != ENOTDIR)
				found = errno;
		}
		if (!at[n])
			break;
		at += n + 1;
	}
	errno = found;
}

static int prepare_child(const struct plan *p)
{
	const struct process_options *o = p->o;
	sigset_t none;
	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return -1;
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL); /* SIGKILL and SIGSTOP cannot be, nor do they need to */
	if (o->new_session && setsid() < 0)
		return -1;
	if (o->die_with_parent) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
			return -1;
		if (getppid() != p->parent) {
			errno = ESRCH;
			return -1;
		}
	}
	if (place_fds(p) < 0)
		return -1;
	if (o->cwd && chdir(o->cwd) < 0)
		return -1;
	return o->before_exec ? o->before_exec(o->arg) : 0;
}

static _Noreturn void run_child(const struct plan *p)
{
	int report = fcntl(p->report_fd, F_DUPFD_CLOEXEC, 256);
	if (report >= 0 && prepare_child(p) == 0)
		exec_from_path(p);
	int number = errno;
	ssize_t n = write(report < 0 ? p->report_fd : report, &number, sizeof(number));
	_exit(n < 0 ? 126 : 127);
}

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

int process_spawn(const struct process_options *o, struct process *ret, struct error *err)
{
	int report[2];
	if (o->fd_count > PROCESS_MAX_FDS)
		return error_set(err, E_INTERNAL, "cannot pass %zu descriptors", o->fd_count);
	if (pipe2(report, O_CLOEXEC) < 0)
		return error_sys(err, "create a pipe");
	AUTO_CLOSE int report_read = report[0];
	AUTO_CLOSE int report_write = report[1];
	AUTO_FREE char **env = o->env ? NULL : child_environment();
	struct plan plan = { .o = o, .report_fd = report_write, .parent = getpid() };
	memcpy(&plan.argv, &o->argv, sizeof(plan.argv)); /* execve is not const-correct */
	plan.env = env;
	if (o->env)
		memcpy(&plan.env, &o->env, sizeof(plan.env));
	const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): nothing sets it */
	AUTO_FREE char *path_copy = strchr(o->argv[0], '/')
					    ? NULL
					    : xstrdup(path ? path : "/usr/local/bin:/usr/bin:/bin");
	plan.path = path_copy;
	pid_t pid = fork();
	if (pid < 0)
		return error_sys(err, "fork for '%s'", o->argv[0]);
	if (pid == 0)
		run_child(&plan);
	(void)close(take_fd(&report_write));
	int number = 0;
	ssize_t n;
	do
		n = read(report_read, &number, sizeof(number));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(number)) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		errno = number;
		return error_sys(err, "run '%s'", o->argv[0]);
	}
	struct process p = { .pid = pid, .pidfd = open_pidfd(pid) };
	if (p.pidfd < 0) {
		int r = error_sys(err, "watch '%s'", o->argv[0]);
		(void)kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return r;
	}
	*ret = p;
	return 0;
}

int process_wait(struct process *p, int timeout_ms, int *ret_status, struct error *err)
{
	uint64_t deadline = timeout_ms < 0 ? 0 : clock_ms() + (uint64_t)timeout_ms;
	for (;;) {
		uint64_t now = clock_ms();
		int left = timeout_ms < 0 ? -1 : now >= deadline ? 0 : (int)(deadline - now);
		struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };
		int r = poll(&pfd, 1, left);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return error_sys(err, "wait for process %d", (int)p->pid);
		if (r == 0)
			return error_set(err, E_TIMEOUT, "process %d still runs after %d ms",
					 (int)p->pid, timeout_ms);
		break;
	}
	int status = 0;
	while (waitpid(p->pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_sys(err, "wait for process %d", (int)p->pid);
	(void)close(p->pidfd);
	*p = PROCESS_INIT;
	if (ret_status)
		*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return 0;
}

void process_kill(const struct process *p, int sig)
{
	if (p->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0);
}

void process_end(struct process *p, int grace_ms)
{
	if (p->pidfd < 0)
		return;
	AUTO_ERROR err = ERROR_INIT;
	if (grace_ms > 0) {
		process_kill(p, SIGTERM);
		if (process_wait(p, grace_ms, NULL, &err) == 0)
			return;
		error_ignore(&err, "wait for a process to end");
	}
	process_kill(p, SIGKILL);
	if (process_wait(p, -1, NULL, &err) < 0)
		error_ignore(&err, "reap a process");
}

/* The last line that is not empty, escaped; owned. */
static char *last_line(const struct buffer *b)
{
	const char *s = buffer_str(b);
	size_t end = strlen(s);
	while (end > 0 && (s[end - 1] == '\n' || s[end - 1] == ' '))
		end--;
	size_t start = end;
	while (start > 0 && s[start - 1] != '\n')
		start--;
	struct buffer out = BUFFER_INIT;
	text_escape(&out, s + start, end - start, false);
	return buffer_steal(&out);
}

/* Read both pipes to their end; stderr keeps its last 4 KiB. */
static int drain(int out_fd, int err_fd, struct buffer *out, size_t max, struct buffer *errors,
		 struct error *err)
{
	struct pollfd fds[2] = { { .fd = out_fd, .events = POLLIN },
				 { .fd = err_fd, .events = POLLIN } };
	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return error_sys(err, "poll");
		}
		for (int i = 0; i < 2; i++) {
			char chunk[4096];
			if (fds[i].fd < 0 || !fds[i].revents)
				continue;
			ssize_t n = read(fds[i].fd, chunk, sizeof(chunk));
			if (n < 0 && errno == EINTR)
				continue;
			if (n <= 0) {
				fds[i].fd = -1;
				continue;
			}
			struct buffer *to = i ? errors : out;
			if (i == 0 && to->size + (size_t)n > max)
				return error_set(err, E_INVALID, "output is larger than %zu bytes",
						 max);
			buffer_add(to, chunk, (size_t)n);
			if (i == 1 && to->size > 8192)
				buffer_drop(to, to->size - 4096);
		}
	}
	return 0;
}

int process_run(const char *const *argv, struct buffer *out, size_t max, struct error *err)
{
	int out_pipe[2], err_pipe[2];
	if (pipe2(out_pipe, O_CLOEXEC) < 0)
		return error_sys(err, "create a pipe");
	AUTO_CLOSE int out_read = out_pipe[0];
	AUTO_CLOSE int out_write = out_pipe[1];
	if (pipe2(err_pipe, O_CLOEXEC) < 0)
		return error_sys(err, "create a pipe");
	AUTO_CLOSE int err_read = err_pipe[0];
	AUTO_CLOSE int err_write = err_pipe[1];
	struct process_options o = PROCESS_OPTIONS_INIT;
	o.argv = argv;
	o.stdout_fd = out_write;
	o.stderr_fd = err_write;
	struct process p = PROCESS_INIT;
	int r = process_spawn(&o, &p, err);
	if (r < 0)
		return r;
	(void)close(take_fd(&out_write));
	(void)close(take_fd(&err_write));
	AUTO_BUFFER errors = BUFFER_INIT;
	AUTO_BUFFER unwanted = BUFFER_INIT;
	r = drain(out_read, err_read, out ? out : &unwanted, max, &errors, err);
	if (r < 0) {
		process_end(&p, 0);
		return error_wrap(err, "run '%s'", argv[0]);
	}
	int status = 0;
	r = process_wait(&p, -1, &status, err);
	if (r < 0)
		return r;
	if (status != 0) {
		AUTO_FREE char *said = last_line(&errors);
		return error_set(err, E_SYSTEM, "'%s' failed with status %d%s%s", argv[0], status,
				 *said ? ": " : "", said);
	}
	return 0;
}

int process_ask(const char *const *argv, const struct buffer *question, size_t max, int timeout_ms,
		struct buffer *out, int *ret_status, struct error *err)
{
	struct process_options o = PROCESS_OPTIONS_INIT;
	struct process p = PROCESS_INIT;
	AUTO_ERROR ignored = ERROR_INIT;
	int in[2], back[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return error_sys(err, "make a pipe");
	AUTO_CLOSE int in_read = in[0];
	AUTO_CLOSE int in_write = in[1];
	if (pipe2(back, O_CLOEXEC) < 0)
		return error_sys(err, "make a pipe");
	AUTO_CLOSE int back_read = back[0];
	AUTO_CLOSE int back_write = back[1];
	o.argv = argv;
	o.env = (const char *const *)environ;
	o.stdin_fd = in_read;
	o.stdout_fd = back_write;
	int r = process_spawn(&o, &p, err);
	(void)close(take_fd(&in_read));
	(void)close(take_fd(&back_write));
	if (r < 0)
		return r;
	if (fd_write_full(in_write, question->data, question->size, &ignored) < 0)
		error_ignore(&ignored, "ask a program");
	(void)close(take_fd(&in_write));
	r = fd_read_within(back_read, out, max, timeout_ms, err);
	if (r == 0)
		r = process_wait(&p, timeout_ms, ret_status, err);
	process_end(&p, 0);
	return r;
}

char *program_find(const char *name)
{
	const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): nothing sets it */
	AUTO_FREE char *folders = xasprintf("%s:/usr/local/bin:/usr/bin", path ? path : "");
	char *rest = NULL;
	for (char *at = strtok_r(folders, ":", &rest); at; at = strtok_r(NULL, ":", &rest)) {
		AUTO_FREE char *full = path_join(at, name);
		if (at[0] == '/' && access(full, X_OK) == 0)
			return TAKE_PTR(full);
	}
	return NULL;
}
