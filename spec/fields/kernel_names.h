/* SPDX-License-Identifier: MIT */
/* Names of the kernel: signals, capabilities, limits, sysctls. */
#ifndef CTRZ_SPEC_FIELDS_KERNEL_NAMES_H
#define CTRZ_SPEC_FIELDS_KERNEL_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/** signal_number() - "SIGTERM", "TERM" or "15"; 0 if unknown */
int signal_number(const char *name);
const char *signal_suggest(const char *name);
/** capability_mask() - 1 << its number, with or without CAP_, any case; "ALL" is all of them; 0 if
 * unknown */
uint64_t capability_mask(const char *name);
const char *capability_suggest(const char *name);
/** ulimit_number() - RLIMIT_*; -1 if unknown */
int ulimit_number(const char *name);
const char *ulimit_suggest(const char *name);
bool sysctl_is_known(const char *name);

#endif
