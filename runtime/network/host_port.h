/* SPDX-License-Identifier: MIT */
/* Looking for a port's holder in what the kernel lists (/proc/net/tcp and its sisters). */
#ifndef CTRZ_RUNTIME_NETWORK_HOST_PORT_H
#define CTRZ_RUNTIME_NETWORK_HOST_PORT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The name the switch gives itself, by which it is known in /proc. */
#define SWITCH_COMM "ctrz-switch"

/** host_port_inode() - the socket that a bind to @addr and @port would collide with, from the text
 * of such a list. Return: its inode, 0 if there is none */
uint64_t host_port_inode(const char *text, size_t size, struct in_addr addr, uint16_t port,
			 bool udp);

#endif
