/* SPDX-License-Identifier: MIT */
/* How long what the agent does takes, for a host that asks. */
#ifndef CTRZ_VMINITD_AGENT_PHASES_H
#define CTRZ_VMINITD_AGENT_PHASES_H

#include <stdint.h>

#include "vminitd/protocol/message.h"

/** phases_booted() - the agent begins; phases_spoke() - and speaks for the first time. Kept for a
 * host that asks later; phases_forget_boot() - it was another machine's: this one is restored */
void phases_booted(void);
void phases_spoke(void);
void phases_forget_boot(void);
/** phases_start() - MSG_TRACE: note phases from now on, also those of children to come */
void phases_start(uint32_t request);
/** phase_done() - what went on since the last phase had this name; nothing if nobody asked */
void phase_done(const char *name);
/** phase_after() - the same behind a step. Return: @r */
int phase_after(const char *name, int r);
/** phases_in_child() - what is noted from here on is the container's process's */
void phases_in_child(void);
/** phases_answer() - a child was executed, or is not to be: append MSG_TRACED to @out, once */
void phases_answer(struct buffer *out);

#endif
