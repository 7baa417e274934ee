/* SPDX-License-Identifier: MIT */
/* Which fields and classes of change the golden plans show. */
#ifndef CTRZ_TESTS_UNIT_ORCHESTRATOR_PLAN_COVERAGE_H
#define CTRZ_TESTS_UNIT_ORCHESTRATOR_PLAN_COVERAGE_H

#include "orchestrator/plan/plan.h"

/** coverage_note() - remember the changes of a golden plan */
void coverage_note(const struct plan *p);

#endif
