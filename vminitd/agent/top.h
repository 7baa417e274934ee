/* SPDX-License-Identifier: MIT */
/* The container's processes, from proc. */
#ifndef CTRZ_VMINITD_AGENT_TOP_H
#define CTRZ_VMINITD_AGENT_TOP_H

#include "vminitd/protocol/message.h"

/** top_read() - what is in the container's cgroup or below it now, by the agent's numbers; released
 * by the caller */
void top_read(struct msg_top *ret);

#endif
