/* SPDX-License-Identifier: MIT */
/* The switch's control socket: only the same user may speak, one bounded request a connection. */
#ifndef CTRZ_RUNTIME_NETWORK_SWITCH_CONTROL_H
#define CTRZ_RUNTIME_NETWORK_SWITCH_CONTROL_H

#include "base/loop.h"
#include "runtime/network/switch_core.h"

struct switch_control;

/** switch_control_new() - serve @core on @path; "stop" ends the loop with code 0; owned */
int switch_control_new(struct loop *loop, struct switch_core *core, const char *path,
		       struct switch_control **ret, struct error *err) MUST_CHECK;
void switch_control_free(struct switch_control *c);
DEFINE_CLEANUP(struct switch_control *, switch_control_free)

/** switch_control_answer() - what a request, any bytes, is answered; owned. *ret_stop says whether
 * it asked for the end */
struct json *switch_control_answer(struct switch_core *core, const char *request, size_t size,
				   bool *ret_stop);

#endif
