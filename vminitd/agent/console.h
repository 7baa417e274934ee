/* SPDX-License-Identifier: MIT */
/* Last words: what must be heard even where no host listens. */
#ifndef CTRZ_VMINITD_AGENT_CONSOLE_H
#define CTRZ_VMINITD_AGENT_CONSOLE_H

#include "base/error.h"

/** console_open() - the kernel's log, once /dev is there; base/log goes there too */
void console_open(void);
/** console_say() - one line into the kernel's log, which the console shows */
void console_say(const char *fmt, ...) PRINTF_LIKE(1, 2);
/** console_power_off() - switch the machine off; what is not synced is lost */
__attribute__((noreturn)) void console_power_off(void);
/** console_panic() - say why and switch the machine off: process 1 must not end */
__attribute__((noreturn)) void console_panic(const char *fmt, ...) PRINTF_LIKE(1, 2);
/** console_catch_crashes() - a crash of the agent says so and switches the machine off */
void console_catch_crashes(void);

#endif
