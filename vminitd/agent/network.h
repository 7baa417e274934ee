/* SPDX-License-Identifier: MIT */
/* The machine's network interfaces as the host wants them. */
#ifndef CTRZ_VMINITD_AGENT_NETWORK_H
#define CTRZ_VMINITD_AGENT_NETWORK_H

#include "vminitd/protocol/message.h"

/** network_loopback() - bring lo up */
int network_loopback(struct error *err) MUST_CHECK;
/** network_no_ipv6() - interfaces that are there or come later have none unless they are given an
 * address, and never one from a router */
void network_no_ipv6(void);
/** network_rehearse() - bring up what is there: a machine of this template gives it only its MAC
 * and addresses */
int network_rehearse(struct error *err) MUST_CHECK;
/** network_has_nic() - whether the device is there */
bool network_has_nic(const struct setup_nic *n);
/** network_configure() - name, MAC, MTU, addresses, default routes of @count NICs that are there */
int network_configure(const struct setup_nic *nics, size_t count, struct error *err) MUST_CHECK;

#endif
