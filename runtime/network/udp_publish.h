/* SPDX-License-Identifier: MIT */
/* A UDP port of the host published from a container: one socket, and a bounded table of the clients
 * seen lately. */
#ifndef CTRZ_RUNTIME_NETWORK_UDP_PUBLISH_H
#define CTRZ_RUNTIME_NETWORK_UDP_PUBLISH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "runtime/network/fabric.h"

struct udp_publish;

/**
 * udp_publish_open() - bind the host's port (0 = choose one); udp_publish_aim() says for whom
 * @f:	lent; frames to the container go through its sink
 * @ret_port: the host port, host byte order
 *
 * Return: 0 or -errno
 */
int udp_publish_open(struct loop *loop, struct fabric *f, struct in_addr host, uint16_t host_port,
		     struct udp_publish **ret, uint16_t *ret_port);
/** udp_publish_close() - NULL is fine */
void udp_publish_close(struct udp_publish *u);
/** udp_publish_aim() - which container's port datagrams go to; @port is lent */
void udp_publish_aim(struct udp_publish *u, struct fabric_port *port, uint16_t guest_port);
/** udp_publish_reply() - a datagram from the container: to the client, if it answers one. Return:
 * whether it did */
bool udp_publish_reply(struct udp_publish *u, const struct packet *p);

#endif
