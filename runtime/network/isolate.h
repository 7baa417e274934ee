/* SPDX-License-Identifier: MIT */
/* What the switch process gives up before it looks at the first frame. */
#ifndef CTRZ_RUNTIME_NETWORK_ISOLATE_H
#define CTRZ_RUNTIME_NETWORK_ISOLATE_H

#include "base/error.h"

/**
 * isolate_self() - no new privileges, no capabilities (but binding low ports, if we are root),
 * limits, no other programs, and no files but @run_dir and what name resolution reads
 *
 * What the kernel does not offer (Landlock) is left out. Return: 0 or -E_SYSTEM
 */
int isolate_self(const char *run_dir, struct error *err) MUST_CHECK;

#endif
