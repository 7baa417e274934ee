/* SPDX-License-Identifier: MIT */
/* What the container uses, from its cgroup, and the machine around it. */
#ifndef CTRZ_VMINITD_AGENT_STATS_H
#define CTRZ_VMINITD_AGENT_STATS_H

#include "vminitd/agent/root.h"

void stats_read(const struct root *root, struct msg_stats *ret);
/** stats_cpu_us() - processor time the container has used, ever */
uint64_t stats_cpu_us(void);
/** stats_oom_kills() - processes of the container that were killed for memory, ever */
uint64_t stats_oom_kills(void);

#endif
