/* SPDX-License-Identifier: MIT */
/* Two cgroups: the agent's, protected, and the container's, which it may divide further. */
#ifndef CTRZ_VMINITD_AGENT_CGROUP_H
#define CTRZ_VMINITD_AGENT_CGROUP_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/** cgroup_prepare() - at boot: make both and join the agent's. Return: a descriptor of the
 * container's or -code */
int cgroup_prepare(struct error *err) MUST_CHECK;
/** cgroup_limit() - of the container: memory in bytes and number of processes; 0 = none */
int cgroup_limit(uint64_t memory_bytes, uint64_t pids, struct error *err) MUST_CHECK;
/** cgroup_of() - the container's or one below it: where @pid is. Return: descriptor or -code */
int cgroup_of(pid_t pid, struct error *err) MUST_CHECK;
/** cgroup_clean() - take down what the last processes made below the container's; all are gone */
void cgroup_clean(void);
/** cgroup_kill() - SIGKILL everything in the container */
void cgroup_kill(void);
/** cgroup_freeze() - all processes in it and below stand still, or go on. What hangs in the kernel
 * stands still once it returns from there */
int cgroup_freeze(bool is_frozen, struct error *err) MUST_CHECK;

#endif
