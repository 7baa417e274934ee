/* SPDX-License-Identifier: MIT */
/* What client and switch say to each other, as JSON: one line asks, one line answers, then the
 * connection is closed. */
#ifndef CTRZ_RUNTIME_NETWORK_SWITCH_MESSAGE_H
#define CTRZ_RUNTIME_NETWORK_SWITCH_MESSAGE_H

#include "base/json/json.h"
#include "runtime/network/switch_client.h"

enum {
	SWITCH_MESSAGE_MAX = 256 << 10,
	SWITCH_CONFIG_FD = 3,
	SWITCH_READY_FD = 4,
	SWITCH_OWNER_FD = 5, /* only for an owned switch: it ends when the other end closes */
	SWITCH_NAME_MAX = 253,
	SWITCH_ALIASES_MAX = 64,
	SWITCH_PUBLISH_MAX = 256,
};

#define SWITCH_LOCK "lock"
#define SWITCH_CONTROL "control.sock"
#define SWITCH_PORTS "ports"
#define SWITCH_LOG "log"

/** switch_config_json() - owned */
struct json *switch_config_json(const struct switch_config *c);
int switch_config_parse(const struct json *v, struct switch_config *ret,
			struct error *err) MUST_CHECK;
/** switch_port_json() - owned */
struct json *switch_port_json(const struct switch_port *p);
/** switch_port_parse() - refuses names that cannot be a folder, and more aliases or published ports
 * than the limits */
int switch_port_parse(const struct json *v, struct switch_port *ret, struct error *err) MUST_CHECK;
/** switch_name_check() - whether a container's name can be a folder and a host name */
int switch_name_check(const char *name, struct error *err) MUST_CHECK;

#endif
