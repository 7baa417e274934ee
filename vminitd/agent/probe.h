/* SPDX-License-Identifier: MIT */
/* Looking at ports of the container from inside: does it accept, does it answer well. */
#ifndef CTRZ_VMINITD_AGENT_PROBE_H
#define CTRZ_VMINITD_AGENT_PROBE_H

#include "base/loop.h"
#include "vminitd/agent/port.h"

enum { PROBES_MAX = 64 };

struct probe;

struct probes {
	struct loop *loop;
	struct port *port;
	struct probe *list;
	size_t count;
};

void probes_init(struct probes *ps, struct loop *loop, struct port *port);
/** probes_begin() - a MSG_PROBE frame; its answer is MSG_PROBED in at most its timeout, or
 * MSG_ERROR
 */
void probes_begin(struct probes *ps, const struct frame *f);
/** probes_forget() - another host is there: nobody waits for answers */
void probes_forget(struct probes *ps);

#endif
