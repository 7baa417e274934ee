/* SPDX-License-Identifier: MIT */
/* What this network's DNS server says by itself: names and addresses of its ports. Pure. */
#ifndef CTRZ_RUNTIME_NETWORK_ZONE_H
#define CTRZ_RUNTIME_NETWORK_ZONE_H

#include "runtime/network/dns.h"
#include "runtime/network/fabric.h"

/**
 * zone_answer() - answer a query about this network, or one that must not go further
 *
 * Names of ports and their aliases have A records (an alias of several ports has several) and
 * nothing else; addresses of the network have PTR records. Other names do not exist where there is
 * no egress; private addresses are never asked outside. Return: the answer's size, or 0 if the
 * query is for the host's resolvers
 */
size_t zone_answer(const struct fabric *f, const struct dns_query *q, uint8_t out[DNS_ANSWER_MAX]);

#endif
