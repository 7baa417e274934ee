/* SPDX-License-Identifier: MIT */
/* A client's end of one guest process: its terminal or pipes carried over a keeper's socket. */
#ifndef CTRZ_RUNTIME_GUEST_SESSION_H
#define CTRZ_RUNTIME_GUEST_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "runtime/guest/detach_keys.h"
#include "vminitd/protocol/message.h"

/* In the place of descriptors. */
struct session_io {
	/* Fills in up to @room bytes of input. Return: how many, 0 at the end */
	size_t (*read)(void *arg, void *data, size_t room);
	/* Takes output. Return: false to leave the process */
	bool (*write)(void *arg, enum msg_channel channel, const void *data, size_t size);
	void *arg;
};

struct session_options {
	int stdin_fd; /* -1 = send end of file at once */
	int stdout_fd;
	int stderr_fd;
	bool tty;             /* raw mode on stdin, window size followed; restored on any end */
	bool forward_signals; /* SIGINT, SIGTERM, ... go to the guest's process */
	bool joins; /* the process is not ours: its input stays open when ours ends, and its
		       screen is to be drawn anew */
	struct detach_keys detach;   /* with a terminal */
	bool *ret_oom_killed;        /* whether it was killed for want of memory; may be NULL */
	const struct session_io *io; /* NULL = the descriptors; its input if read is set. A signal
					that would end us is -E_CANCELED then */
};

enum { SESSION_DETACHED = 1 };

/**
 * session_run() - relay until the guest's process ends
 * @sock: from machine_exec() or machine_start(); taken, closed at the end
 * @ret_exit_code: its exit code, or 128 + signal
 *
 * Output is drained before the exit code is given. The guest's bytes are passed as they are (the
 * user asked for them). Return: 0; SESSION_DETACHED if the user left it, and the process goes on;
 * -E_UNAVAILABLE if the machine went away first
 */
int session_run(int sock, const struct session_options *o, int *ret_exit_code,
		struct error *err) MUST_CHECK;

/** session_terminal_size() - of the terminal on stdin or stdout. Return: false if there is none, or
 * it does not know */
bool session_terminal_size(int stdin_fd, int stdout_fd, uint32_t *ret_rows, uint32_t *ret_columns);

#endif
