/* SPDX-License-Identifier: MIT */
/* The published ports of one container, changed as a whole. */
#ifndef CTRZ_RUNTIME_NETWORK_PUBLISHED_H
#define CTRZ_RUNTIME_NETWORK_PUBLISHED_H

#include "runtime/network/outside.h"
#include "runtime/network/switch_client.h"
#include "runtime/network/udp_publish.h"

/* What publishing needs; all lent, and outliving every list made with it. */
struct publish_host {
	struct loop *loop;
	struct outside *outside;
	struct fabric *fabric;
};

struct published {
	struct switch_publish want; /* host_port 0 if it was to be chosen */
	uint16_t host_port;         /* the one in use */
	struct in_addr guest;       /* what TCP is forwarded to */
	struct udp_publish *udp;    /* NULL for TCP */
};

struct published_list {
	struct publish_host host;
	struct published *items; /* owned */
	size_t count;
};

/**
 * published_change() - publish what @p says, stop what it does not say; what stays is not
 * interrupted
 * @ret_ports: room for p->publish_count
 * @ret_taken: the one that another process has, if that is why it failed
 *
 * Return: 0; on any failure the list is as before: -E_CONFLICT (taken), -E_DENIED (a privileged
 * port), -E_INVALID (listed twice, or an address this host does not have), -E_SYSTEM
 */
int published_change(struct published_list *l, const struct publish_host *host,
		     const struct switch_port *p, uint16_t *ret_ports,
		     const struct switch_publish **ret_taken, struct error *err) MUST_CHECK;
/** published_aim() - which fabric port UDP goes to, once it is known */
void published_aim(struct published_list *l, struct fabric_port *port);
/** published_reply() - a UDP datagram from the container. Return: whether it answers a client of a
 * published port */
bool published_reply(const struct published_list *l, const struct packet *p);
/** published_find_taken() - the first of @want that the list has, or NULL */
const struct switch_publish *published_find_taken(const struct published_list *l,
						  const struct switch_publish *want, size_t count);
void published_release(struct published_list *l);

#endif
