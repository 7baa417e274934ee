/* SPDX-License-Identifier: MIT */
/* The child's side of starting a process: into the container, become the user, exec. */
#ifndef CTRZ_VMINITD_AGENT_LAUNCH_H
#define CTRZ_VMINITD_AGENT_LAUNCH_H

#include "vminitd/protocol/message.h"

enum {
	LAUNCH_TEXT_MAX = 1024,
	LAUNCH_REPORT_TERMINAL =
		0xff, /* first byte of a report that carries the terminal's master */
};

struct launch {
	const struct msg_spawn *spawn;
	const struct msg_copy *copy; /* done in the place of a program; NULL = none */
	int stdio[3];   /* the child's ends; -1 = /dev/null, or all three with a terminal */
	int report;     /* SOCK_SEQPACKET; end of file there means that exec succeeded */
	int join_pidfd; /* of a process of the container; -1 = this is its process 1 */
	const struct msg_setup *setup;
	const struct buffer *filter; /* struct sock_filter[]; empty = none was sent */
};

/** launch_child() - in the forked child. A failure is reported as one byte enum spawn_failure and
 * its text */
__attribute__((noreturn)) void launch_child(const struct launch *l);
/** launch_init() - in the forked child that becomes the container's process 1 and only reaps. A
 * report of one byte LAUNCH_REPORT_TERMINAL without a descriptor says that the container's tree
 * stands; each later one is the number of a signal that it was sent */
__attribute__((noreturn)) void launch_init(const struct launch *l);

#endif
