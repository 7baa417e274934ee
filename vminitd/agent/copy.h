/* SPDX-License-Identifier: MIT */
/* Copying into and out of the container: what a process of the agent's own does there. */
#ifndef CTRZ_VMINITD_AGENT_COPY_H
#define CTRZ_VMINITD_AGENT_COPY_H

#include "vminitd/protocol/message.h"

/** copy_run() - in a forked child that is inside the container: frames of vminitd/protocol/copy.h
 * on standard input or output. A failure is told on standard error, and by its code as exit code */
__attribute__((noreturn)) void copy_run(const struct msg_copy *m);

#endif
