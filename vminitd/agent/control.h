/* SPDX-License-Identifier: MIT */
/* Requests that look at the running container, signal it or hold it. */
#ifndef CTRZ_VMINITD_AGENT_CONTROL_H
#define CTRZ_VMINITD_AGENT_CONTROL_H

#include "vminitd/agent/agent.h"

/** control_request() - Return: whether @f is one of them; it is answered then */
bool control_request(struct agent *a, const struct frame *f);
/** control_thaw() - let disks that are frozen be written again; none is fine */
void control_thaw(struct agent *a);

#endif
