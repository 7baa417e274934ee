/* SPDX-License-Identifier: MIT */
/* Settings of the kernel: of the whole machine, and those that each IPC or UTS namespace has. */
#ifndef CTRZ_VMINITD_AGENT_SYSCTL_H
#define CTRZ_VMINITD_AGENT_SYSCTL_H

#include "vminitd/protocol/message.h"

enum sysctl_scope { SYSCTL_MACHINE, SYSCTL_NAMESPACES };

/** sysctls_set_usual() - what images expect of a kernel; at boot, so that a setup can say otherwise
 */
void sysctls_set_usual(void);
/** sysctls_set() - those of @s that are of @scope. Return: 0, -E_INVALID for a name that is none,
 * another -code */
int sysctls_set(const struct msg_setup *s, enum sysctl_scope scope, struct error *err) MUST_CHECK;

#endif
