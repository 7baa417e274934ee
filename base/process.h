/* SPDX-License-Identifier: MIT */
/* Child processes by argv (never a shell), watched by pidfd. */
#ifndef CTRZ_BASE_PROCESS_H
#define CTRZ_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/text.h"

enum { PROCESS_MAX_FDS = 16 };

struct process_options {
	const char *const
		*argv; /* NULL-terminated; argv[0] is looked up in PATH if it has no slash */
	const char *const *env; /* NULL = only PATH, HOME, LANG, TMPDIR, XDG_* and CTRZ_* of ours */
	const char *cwd;        /* NULL = ours */
	int stdin_fd, stdout_fd,
		stderr_fd;        /* -1 = /dev/null for stdin, ours for the other two; lent */
	int fds[PROCESS_MAX_FDS]; /* passed on as 3, 4, ... in this order; lent */
	size_t fd_count;
	bool new_session;     /* setsid() */
	bool die_with_parent; /* SIGKILL when our thread ends */
	/* Called in the child just before exec, after descriptors are in place; async-signal-safe
	 * work only. A return of -1 with errno set fails the spawn. */
	int (*before_exec)(void *arg);
	void *arg;
};

#define PROCESS_OPTIONS_INIT \
	((struct process_options){ .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1 })

struct process {
	pid_t pid; /* 0 = none */
	int pidfd; /* -1 = none; owned */
};

#define PROCESS_INIT ((struct process){ .pidfd = -1 })

/** process_spawn() - fork and exec; a failed exec is reported here: E_NOT_FOUND, E_DENIED or
 * E_SYSTEM */
int process_spawn(const struct process_options *o, struct process *ret,
		  struct error *err) MUST_CHECK;
/** process_wait() - reap within @timeout_ms (-1 = for ever). *ret_status is an exit code, or 128 +
 * signal. Return: 0, -E_TIMEOUT, or another -code. After success @p is empty. */
int process_wait(struct process *p, int timeout_ms, int *ret_status, struct error *err) MUST_CHECK;
/** process_kill() - send a signal; a process that is gone is fine */
void process_kill(const struct process *p, int sig);
/** process_end() - SIGTERM, wait @grace_ms, SIGKILL, reap; an empty @p is fine */
void process_end(struct process *p, int grace_ms);
/** program_find() - owned path of the executable @name in PATH, /usr/local/bin or /usr/bin; NULL if
 * there is none */
char *program_find(const char *name);
/** process_run() - spawn, collect at most @max bytes of stdout into @out (may be NULL), wait. A
 * status other than 0 is E_SYSTEM with the last line of stderr in the message */
int process_run(const char *const *argv, struct buffer *out, size_t max,
		struct error *err) MUST_CHECK;
/** process_ask() - spawn with all of our environment, write @question to its stdin, collect at most
 * @max bytes of its stdout into @out and wait, each within @timeout_ms. One that reads no question
 * may answer all the same. *ret_status is as of process_wait(). Return: 0, -E_TIMEOUT, or another
 * -code; nothing is left running */
int process_ask(const char *const *argv, const struct buffer *question, size_t max, int timeout_ms,
		struct buffer *out, int *ret_status, struct error *err) MUST_CHECK;

#endif
