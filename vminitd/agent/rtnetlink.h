/* SPDX-License-Identifier: MIT */
/* Links, addresses and routes over the kernel's rtnetlink socket. */
#ifndef CTRZ_VMINITD_AGENT_RTNETLINK_H
#define CTRZ_VMINITD_AGENT_RTNETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct link_change {
	unsigned index;
	bool set_up, up;
	uint32_t mtu;       /* 0 = leave it */
	const uint8_t *mac; /* NULL = leave it */
	const char *name;   /* NULL = leave it */
};

/** rtnetlink_open() - Return: a socket or -code */
int rtnetlink_open(struct error *err) MUST_CHECK;
int rtnetlink_change_link(int sock, const struct link_change *c, struct error *err) MUST_CHECK;
/** rtnetlink_add_address() - @address is text, IPv4 or IPv6; usable at once. One that is there
 * already is fine */
int rtnetlink_add_address(int sock, unsigned index, const char *address, uint32_t prefix,
			  struct error *err) MUST_CHECK;
/** rtnetlink_add_default_route() - @gateway is taken as reachable on that link, whatever its
 * address */
int rtnetlink_add_default_route(int sock, unsigned index, const char *gateway,
				struct error *err) MUST_CHECK;

#endif
