/* SPDX-License-Identifier: MIT */
/* The container's own view, made by its first process: pivoted root, /proc, /sys, what is hidden.
 */
#ifndef CTRZ_VMINITD_AGENT_MOUNTS_H
#define CTRZ_VMINITD_AGENT_MOUNTS_H

#include "vminitd/protocol/message.h"

/** mounts_enter() - turn the tree at @root into the container of this process, which is process 1
 * of fresh mount, pid, ipc and uts namespaces and the first of its cgroup */
int mounts_enter(const char *root, const struct msg_setup *s, struct error *err) MUST_CHECK;

#endif
