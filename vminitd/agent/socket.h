/* SPDX-License-Identifier: MIT */
/* Unix sockets that lead to the host, and connections to those of the container. */
#ifndef CTRZ_VMINITD_AGENT_SOCKET_H
#define CTRZ_VMINITD_AGENT_SOCKET_H

#include "vminitd/agent/process.h"

struct listener;

struct sockets {
	struct loop *loop;
	struct port *port;
	struct processes *processes;
	struct container *container;
	struct listener *list;
	unsigned next_number;
	uint32_t next_stream;
};

void sockets_init(struct sockets *s, struct loop *loop, struct port *port,
		  struct processes *processes, struct container *container);
/** sockets_add() - a socket at its target in the container: who connects to it is connected to the
 * host's. Return: 0, -E_EXISTS if something is mounted there, another -code */
int sockets_add(struct sockets *s, const struct setup_socket *m, struct error *err) MUST_CHECK;
/** sockets_remove() - after its mount is gone; none on @target is fine */
void sockets_remove(struct sockets *s, const char *target);
/** sockets_connect() - connect @stream to a socket of the container; a failure ends the stream */
void sockets_connect(struct sockets *s, uint32_t stream, const struct msg_connect *m);

#endif
