/* SPDX-License-Identifier: MIT */
/* When a container does nothing: decided from the processor time it has used; pure. */
#ifndef CTRZ_VMINITD_AGENT_IDLE_H
#define CTRZ_VMINITD_AGENT_IDLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	IDLE_LOOK_MS = 5000,    /* between two looks */
	IDLE_LOOKS = 3,         /* quiet ones in a row make it idle */
	IDLE_QUIET_US = 100000, /* of processor time between two looks are still nothing */
};

/* All zero to begin with. */
struct idle {
	uint64_t used_us; /* at the last look */
	unsigned quiet;   /* looks in a row; stays at IDLE_LOOKS */
};

/** idle_look() - every IDLE_LOOK_MS, with the processor time used so far. Return: true once each
 * time the container becomes idle */
bool idle_look(struct idle *i, uint64_t used_us);

#endif
