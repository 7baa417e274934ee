/* SPDX-License-Identifier: MIT */
/* The switch of one network put together: ports with their sockets, the fabric, DNS, the way out.
 */
#ifndef CTRZ_RUNTIME_NETWORK_SWITCH_CORE_H
#define CTRZ_RUNTIME_NETWORK_SWITCH_CORE_H

#include "base/json/json.h"
#include "base/loop.h"
#include "runtime/network/switch_client.h"

struct switch_core;

/** switch_core_new() - @c is copied; owned */
struct switch_core *switch_core_new(struct loop *loop, const struct switch_config *c,
				    size_t fds_max);
/** switch_core_free() - the sockets' files stay; NULL is fine */
void switch_core_free(struct switch_core *s);
DEFINE_CLEANUP(struct switch_core *, switch_core_free)

/** switch_core_turn() - wait for something to do, and do it */
void switch_core_turn(struct switch_core *s);

/**
 * switch_core_set_port() - add a port or change it; on failure it is as before
 * @ret_ports: host ports in the order of p->publish, room for publish_count
 * @ret_taken: set to the published port that is taken by another process, if that is why it failed
 * (-E_CONFLICT)
 */
int switch_core_set_port(struct switch_core *s, const struct switch_port *p, uint16_t *ret_ports,
			 const struct switch_publish **ret_taken, struct error *err) MUST_CHECK;
/** switch_core_remove_port() - with its folder; an unknown name is fine */
int switch_core_remove_port(struct switch_core *s, const char *name, struct error *err) MUST_CHECK;
/** switch_core_status() - the configuration, counters of fates and ports; owned */
struct json *switch_core_status(const struct switch_core *s);

#endif
