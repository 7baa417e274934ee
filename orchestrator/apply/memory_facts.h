/* SPDX-License-Identifier: MIT */
/* How much memory this host has. */
#ifndef CTRZ_ORCHESTRATOR_APPLY_MEMORY_FACTS_H
#define CTRZ_ORCHESTRATOR_APPLY_MEMORY_FACTS_H

#include <stdint.h>

struct memory_facts {
	uint64_t total_bytes, available_bytes; /* 0 = unknown */
};

/** memory_facts_read() - from /proc/meminfo */
void memory_facts_read(struct memory_facts *ret);

#endif
