/* SPDX-License-Identifier: MIT */
/* Counts quiet looks. */
#include "vminitd/agent/idle.h"

bool idle_look(struct idle *i, uint64_t used_us)
{
	/* A new container's counter begins at zero again. */
	bool quiet = used_us >= i->used_us && used_us - i->used_us <= IDLE_QUIET_US;

	i->used_us = used_us;
	if (!quiet) {
		i->quiet = 0;
		return false;
	}
	if (i->quiet == IDLE_LOOKS)
		return false;
	return ++i->quiet == IDLE_LOOKS;
}
