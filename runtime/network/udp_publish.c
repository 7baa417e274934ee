/* SPDX-License-Identifier: MIT */
/* Published UDP ports. */
#include "runtime/network/udp_publish.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

/*
 * DOC: Theory of Operation
 *
 * libslirp could forward UDP, but a container could then send from its published port to any
 * address of the host's networks, and clients on loopback would get no answers. So this is done
 * here, where it is simple: a datagram from a client becomes a frame, and the container may answer
 * that client for three minutes.
 *
 * The container sees the client's own address. Clients of this host itself, whose addresses mean
 * nothing in there, come from the gateway, each with a port of its own.
 */

enum {
	CLIENTS_MAX = 256,
	CLIENT_MS = 180000,
	BATCH = 16,
};

struct client {
	struct in_addr address; /* real; with its port in network byte order */
	in_port_t port;
	uint32_t seen_address; /* as the container sees it, host byte order */
	uint16_t seen_port;
	uint64_t used_ms;
};

struct udp_publish {
	struct loop *loop;
	struct fabric *fabric;
	struct fabric_port *port;
	uint16_t guest_port;
	int fd;
	struct client clients[CLIENTS_MAX];
	size_t count;
	uint8_t payload[UDP_PAYLOAD_MAX];
	uint8_t frame[FRAME_MAX];
};

static struct client *client_by_seen(struct udp_publish *u, uint32_t address, uint16_t port)
{
	for (size_t i = 0; i < u->count; i++)
		if (u->clients[i].seen_port == port && u->clients[i].seen_address == address)
			return &u->clients[i];
	return NULL;
}

static struct client *client_by_address(struct udp_publish *u, const struct sockaddr_in *from)
{
	for (size_t i = 0; i < u->count; i++)
		if (u->clients[i].port == from->sin_port &&
		    u->clients[i].address.s_addr == from->sin_addr.s_addr)
			return &u->clients[i];
	return NULL;
}

static bool is_own_address(const struct fabric *f, uint32_t address)
{
	for (size_t i = 0; i < f->host_address_count; i++)
		if (f->host_addresses[i] == address)
			return true;
	return address >> 24 == 127 || (address & f->mask) == f->base;
}

static struct client *oldest_client(struct udp_publish *u)
{
	struct client *oldest = &u->clients[0];
	for (size_t i = 1; i < u->count; i++)
		if (u->clients[i].used_ms < oldest->used_ms)
			oldest = &u->clients[i];
	return oldest;
}

static struct client *client_add(struct udp_publish *u, const struct sockaddr_in *from)
{
	uint32_t address = ntohl(from->sin_addr.s_addr);
	uint16_t port = ntohs(from->sin_port);
	if (is_own_address(u->fabric, address))
		address = u->fabric->gateway;
	while (client_by_seen(u, address, port) || port == 0)
		port++;
	struct client *c = u->count < CLIENTS_MAX ? &u->clients[u->count++] : oldest_client(u);
	*c = (struct client){ .address = from->sin_addr,
			      .port = from->sin_port,
			      .seen_address = address,
			      .seen_port = port };
	return c;
}

static void pass_in(struct udp_publish *u, const struct sockaddr_in *from, size_t size)
{
	struct fabric *f = u->fabric;
	struct client *c = client_by_address(u, from);
	if (!c)
		c = client_add(u, from);
	c->used_ms = clock_ms();
	struct udp_header h = { .source = { f->gateway_mac, c->seen_address },
				.to_mac = u->port->mac,
				.to = u->port->address,
				.from_port = c->seen_port,
				.to_port = u->guest_port };
	f->sink.to_port(f->sink.arg, u->port, u->frame, packet_udp(&h, u->payload, size, u->frame));
}

static void on_readable(void *arg, uint32_t events)
{
	struct udp_publish *u = arg;
	(void)events;
	for (int i = 0; i < BATCH; i++) {
		struct sockaddr_in from;
		socklen_t from_size = sizeof(from);
		ssize_t n = recvfrom(u->fd, u->payload, sizeof(u->payload), MSG_DONTWAIT,
				     (struct sockaddr *)&from, &from_size);
		if (n < 0)
			return; /* nothing there, or an ICMP error about an answer */
		if (from.sin_family == AF_INET && u->port)
			pass_in(u, &from, (size_t)n);
	}
}

int udp_publish_open(struct loop *loop, struct fabric *f, struct in_addr host, uint16_t host_port,
		     struct udp_publish **ret, uint16_t *ret_port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(host_port),
				       .sin_addr = host };
	socklen_t size = sizeof(address);
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	struct udp_publish *u = xcalloc(1, sizeof(*u));
	u->loop = loop;
	u->fabric = f;
	u->fd = take_fd(&fd);
	loop_watch(loop, u->fd, EPOLLIN, on_readable, u);
	*ret_port = ntohs(address.sin_port);
	*ret = u;
	return 0;
}

void udp_publish_close(struct udp_publish *u)
{
	if (!u)
		return;
	loop_unwatch(u->loop, u->fd);
	(void)close(u->fd);
	free(u);
}

void udp_publish_aim(struct udp_publish *u, struct fabric_port *port, uint16_t guest_port)
{
	if (u->port != port || u->guest_port != guest_port)
		u->count = 0;
	u->port = port;
	u->guest_port = guest_port;
}

bool udp_publish_reply(struct udp_publish *u, const struct packet *p)
{
	if (p->from_port != u->guest_port)
		return false;
	struct client *c = client_by_seen(u, p->to, p->to_port);
	if (!c || clock_ms() - c->used_ms > CLIENT_MS)
		return false;
	c->used_ms = clock_ms();
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = c->port,
				  .sin_addr = c->address };
	(void)sendto(u->fd, p->payload, p->payload_size, MSG_DONTWAIT | MSG_NOSIGNAL,
		     (struct sockaddr *)&to, sizeof(to));
	return true;
}
