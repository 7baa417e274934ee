/* SPDX-License-Identifier: MIT */
/* Memory that only caches files goes back to the host when the container does nothing. */
#ifndef CTRZ_VMINITD_AGENT_TRIM_H
#define CTRZ_VMINITD_AGENT_TRIM_H

#include "base/loop.h"
#include "vminitd/agent/idle.h"

struct trim {
	struct loop *loop; /* lent */
	struct idle idle;
};

/** trim_start() - from now on, as long as @loop runs */
void trim_start(struct trim *t, struct loop *loop);

#endif
