/* SPDX-License-Identifier: MIT */
/* Looking a program up in the container's PATH and executing it. */
#ifndef CTRZ_VMINITD_AGENT_SEARCH_H
#define CTRZ_VMINITD_AGENT_SEARCH_H

#include "vminitd/protocol/message.h"

#define SEARCH_PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** search_exec() - returns only on failure, with *kind saying which. Return: -code */
int search_exec(char *const *argv, char *const *env, const char *path, enum spawn_failure *kind,
		struct error *err) MUST_CHECK;

#endif
