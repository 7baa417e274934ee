/* SPDX-License-Identifier: MIT */
/* A host of its own for a test: folders below a temporary one. */
#ifndef CTRZ_TESTS_UNIT_ORCHESTRATOR_SCRATCH_H
#define CTRZ_TESTS_UNIT_ORCHESTRATOR_SCRATCH_H

#include "runtime/host/host_paths.h"

struct scratch {
	char *root;
	struct host_paths paths;
};

/** scratch_make() - fresh folders; fails the test where it cannot */
void scratch_make(struct scratch *s);
void scratch_remove(struct scratch *s);
/** scratch_write() - a file below the root; returns its owned path */
char *scratch_write(const struct scratch *s, const char *name, const char *text);

#endif
