/* SPDX-License-Identifier: MIT */
/* The names of one network. */
#include "runtime/network/zone.h"

static size_t answer_reverse(const struct fabric *f, const struct dns_query *q, uint32_t address,
			     uint8_t out[DNS_ANSWER_MAX])
{
	const struct fabric_port *port = fabric_port_by_address(f, address);
	if (port && q->type == DNS_TYPE_PTR)
		return dns_answer_name(q, port->name, out);
	if (port)
		return dns_answer(q, DNS_NOERROR, NULL, 0, out);
	if (!fabric_can_reach(f, address))
		return dns_answer(q, DNS_NXDOMAIN, NULL, 0, out);
	return 0;
}

size_t zone_answer(const struct fabric *f, const struct dns_query *q, uint8_t out[DNS_ANSWER_MAX])
{
	uint32_t addresses[FABRIC_NAMES_MAX], reverse;
	if (q->class != DNS_CLASS_IN)
		return dns_answer(q, DNS_NOTIMP, NULL, 0, out);
	size_t count = q->name[0] ? fabric_lookup(f, q->name, addresses) : 0;
	if (count) {
		bool wanted = q->type == DNS_TYPE_A || q->type == DNS_TYPE_ANY;
		return dns_answer(q, DNS_NOERROR, addresses, wanted ? count : 0, out);
	}
	if (dns_reverse_address(q->name, &reverse))
		return answer_reverse(f, q, reverse, out);
	return f->egress ? 0 : dns_answer(q, DNS_NXDOMAIN, NULL, 0, out);
}
