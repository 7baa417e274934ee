/* SPDX-License-Identifier: MIT */
/* What a machine costs its host: its keeper with everything below it, as proc tells. */
#ifndef CTRZ_RUNTIME_MACHINE_MACHINE_COST_H
#define CTRZ_RUNTIME_MACHINE_MACHINE_COST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct machine_cost {
	uint64_t memory_bytes; /* PSS: of what is shared with others, its part */
	uint64_t cpu_ms;       /* of all of them since they were started */
	size_t processes;      /* keeper, QEMU, file servers and what holds them in their jails */
	size_t hidden;         /* of those whose memory we may not see, and which is not counted */
};

/** machine_cost_read() - @keeper: its process id, of machine_observe(). Return: 0; -E_NOT_FOUND if
 * it is gone */
int machine_cost_read(pid_t keeper, struct machine_cost *ret, struct error *err) MUST_CHECK;

#endif
