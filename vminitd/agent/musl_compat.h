/* SPDX-License-Identifier: MIT */
/* Included before every source when it is compiled with musl: what base/ expects of glibc. */
#ifndef CTRZ_VMINITD_AGENT_MUSL_COMPAT_H
#define CTRZ_VMINITD_AGENT_MUSL_COMPAT_H

#include <string.h>

/* glibc's form returns the text; the agent has one thread. */
static inline const char *compat_strerror_r(int number, char *text, size_t size)
{
	(void)text;
	(void)size;
	return strerror(number);
}
#define strerror_r compat_strerror_r

#endif
