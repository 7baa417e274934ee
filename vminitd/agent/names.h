/* SPDX-License-Identifier: MIT */
/* The text of resolv.conf and hosts; pure. */
#ifndef CTRZ_VMINITD_AGENT_NAMES_H
#define CTRZ_VMINITD_AGENT_NAMES_H

#include "vminitd/protocol/message.h"

/** names_resolv_conf() - append resolv.conf. Return: 0, or -E_INVALID for a value that is not one
 * word */
int names_resolv_conf(const struct msg_names *n, struct buffer *out, struct error *err) MUST_CHECK;
/** names_hosts() - append hosts: localhost, @hostname on @address (may be ""), then the entries */
int names_hosts(const struct msg_names *n, const char *hostname, const char *address,
		struct buffer *out, struct error *err) MUST_CHECK;

#endif
