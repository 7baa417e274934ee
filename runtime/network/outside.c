/* SPDX-License-Identifier: MIT */
/* One libslirp instance per network. */
#include "runtime/network/outside.h"

#include <errno.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/delay_load.h"
#include "base/log.h"

DELAY_LOAD(slirp, slirp_add_hostxfwd)
DELAY_LOAD(slirp, slirp_cleanup)
DELAY_LOAD(slirp, slirp_input)
DELAY_LOAD(slirp, slirp_new)
DELAY_LOAD(slirp, slirp_pollfds_fill)
DELAY_LOAD(slirp, slirp_pollfds_poll)
DELAY_LOAD(slirp, slirp_remove_hostxfwd)
DELAY_LOAD_LIBRARY(slirp)

/*
 * DOC: Theory of Operation
 *
 * libslirp is a TCP/IP stack that ends the guests' connections and continues them as sockets of
 * this process. Loopback of the host, DHCP, TFTP, IPv6 and its own forwarding of DNS over UDP are
 * off or never reached.
 *
 * Its descriptors change all the time, so they are asked for before every poll(). It wants to be
 * called every half second as long as it has any TCP socket, even one that only listens; an idle
 * network would wake the host for nothing. Timers matter while a connection stands or stood a short
 * time ago, so only then its time-out is honoured.
 */

enum {
	LARGEST_MTU = 65520,
	LISTEN_BACKLOG = 128,
	CHOOSE_TRIES = 16,
	LINGER_MS = 130000, /* longer than any TCP state without a descriptor lasts */
};

struct outside {
	Slirp *slirp;
	struct outside_config config;
	struct pollfd *fds; /* fds[0] is the caller's */
	size_t count, room;
	size_t listeners;
	uint64_t active_ms;
};

static int64_t clock_ns(void *arg)
{
	struct timespec t;
	(void)arg;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t now_ms(void)
{
	return (uint64_t)clock_ns(NULL) / 1000000;
}

static ssize_t on_packet(const void *frame, size_t size, void *arg)
{
	struct outside *o = arg;
	o->config.to_network(o->config.arg, frame, size);
	return (ssize_t)size;
}

static void on_guest_error(const char *text, void *arg)
{
	(void)arg;
	log_debug("libslirp: %s", text);
}

/* The only timer of libslirp is for IPv6 router advertisements, which are off. */
static void *timer_new(SlirpTimerCb fn, void *fn_arg, void *arg)
{
	(void)fn;
	(void)fn_arg;
	return arg;
}

static void timer_free(void *timer, void *arg)
{
	(void)timer;
	(void)arg;
}

static void timer_mod(void *timer, int64_t at, void *arg)
{
	(void)timer;
	(void)at;
	(void)arg;
}

static void ignore_fd(int fd, void *arg)
{
	(void)fd;
	(void)arg;
}

/* The loop comes round to outside_fill() anyway. */
static void ignore_notify(void *arg)
{
	(void)arg;
}

static const SlirpCb callbacks = {
	.send_packet = on_packet,
	.guest_error = on_guest_error,
	.clock_get_ns = clock_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = ignore_fd,
	.unregister_poll_fd = ignore_fd,
	.notify = ignore_notify,
};

int outside_library_load(struct error *err)
{
	return delay_load(&library_of_slirp, SLIRP_SONAME, err);
}

struct outside *outside_new(const struct outside_config *c)
{
	struct outside *o = xcalloc(1, sizeof(*o));
	SlirpConfig config = {
		.version = 4,
		.restricted = !c->egress,
		.in_enabled = true,
		.vnetwork = c->base,
		.vnetmask = c->mask,
		.vhost = c->gateway,
		.vnameserver = c->dns,
		.vdhcp_start =
			c->dns, /* never given out; where a forward without an address would go */
		.if_mtu = LARGEST_MTU,
		.if_mru = LARGEST_MTU,
		.disable_host_loopback = true,
		.disable_dhcp = true,
	};
	o->config = *c;
	o->room = 8;
	o->count = 1;
	o->fds = xcalloc(o->room, sizeof(*o->fds));
	o->slirp = slirp_new(&config, &callbacks, o);
	if (!o->slirp)
		abort(); /* only a bad configuration can fail, and this one is constant */
	return o;
}

void outside_free(struct outside *o)
{
	if (!o)
		return;
	slirp_cleanup(o->slirp);
	free(o->fds);
	free(o);
}

void outside_input(struct outside *o, const struct packet *p)
{
	bool is_opening = p->protocol != IP_TCP || (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	if (is_opening && o->count > o->config.fds_max)
		return;
	o->active_ms = now_ms();
	slirp_input(o->slirp, p->frame, (int)p->size);
}

void outside_input_frame(struct outside *o, const uint8_t *frame, size_t size)
{
	o->active_ms = now_ms();
	slirp_input(o->slirp, frame, (int)size);
}

static int add_poll(int fd, int events, void *arg)
{
	struct outside *o = arg;
	short wanted = 0;
	if (events & SLIRP_POLL_IN)
		wanted |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		wanted |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		wanted |= POLLPRI;
	GROW_ARRAY(o->fds, o->count, o->room);
	o->fds[o->count] = (struct pollfd){ .fd = fd, .events = wanted };
	return (int)o->count++;
}

static int get_events(int index, void *arg)
{
	const struct outside *o = arg;
	short got = o->fds[index].revents;
	int events = 0;
	if (got & POLLIN)
		events |= SLIRP_POLL_IN;
	if (got & POLLOUT)
		events |= SLIRP_POLL_OUT;
	if (got & POLLPRI)
		events |= SLIRP_POLL_PRI;
	if (got & (POLLERR | POLLNVAL))
		events |= SLIRP_POLL_ERR;
	if (got & POLLHUP)
		events |= SLIRP_POLL_HUP;
	return events;
}

struct pollfd *outside_fill(struct outside *o, size_t *ret_count, int *timeout_ms)
{
	uint32_t timeout = UINT32_MAX;
	o->count = 1;
	slirp_pollfds_fill(o->slirp, &timeout, add_poll, o);
	bool has_connections = o->count > 1 + o->listeners;
	if (has_connections || (o->active_ms && now_ms() - o->active_ms < LINGER_MS))
		*timeout_ms = timeout > INT32_MAX ? -1 : (int)timeout;
	else
		*timeout_ms = -1;
	*ret_count = o->count;
	return o->fds;
}

void outside_poll(struct outside *o, bool poll_failed)
{
	slirp_pollfds_poll(o->slirp, poll_failed, get_events, o);
}

static struct sockaddr_in socket_address(struct in_addr address, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr = address };
}

/* A port that is free now; 0 with errno set if there is none. */
static uint16_t choose_port(struct in_addr host)
{
	struct sockaddr_in address = socket_address(host, 0);
	socklen_t size = sizeof(address);
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return 0;
	return ntohs(address.sin_port);
}

/* libslirp listens with room for one connection, so that a burst of clients waits for their
 * retransmission. Find its socket and listen again with more. */
static void widen_backlog(struct outside *o, struct in_addr host, uint16_t port)
{
	size_t count;
	int timeout;
	struct pollfd *fds = outside_fill(o, &count, &timeout);
	for (size_t i = 1; i < count; i++) {
		struct sockaddr_in address = { 0 };
		socklen_t size = sizeof(address), flag_size = sizeof(int);
		int is_listening = 0;
		if (getsockopt(fds[i].fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &flag_size) ==
			    0 &&
		    is_listening &&
		    getsockname(fds[i].fd, (struct sockaddr *)&address, &size) == 0 &&
		    address.sin_port == htons(port) && address.sin_addr.s_addr == host.s_addr)
			(void)listen(fds[i].fd, LISTEN_BACKLOG);
	}
}

int outside_publish(struct outside *o, struct in_addr host, uint16_t host_port,
		    struct in_addr guest, uint16_t guest_port)
{
	for (int try = 0; try < CHOOSE_TRIES; try++) {
		uint16_t port = host_port ? host_port : choose_port(host);
		if (port == 0)
			return -errno;
		struct sockaddr_in from = socket_address(host, port);
		struct sockaddr_in to = socket_address(guest, guest_port);
		if (slirp_add_hostxfwd(o->slirp, (struct sockaddr *)&from, sizeof(from),
				       (struct sockaddr *)&to, sizeof(to), 0) == 0) {
			o->listeners++;
			widen_backlog(o, host, port);
			return port;
		}
		if (host_port || errno != EADDRINUSE)
			return errno ? -errno : -EADDRINUSE;
	}
	return -EADDRINUSE;
}

void outside_unpublish(struct outside *o, struct in_addr host, uint16_t host_port)
{
	struct sockaddr_in from = socket_address(host, host_port);
	if (slirp_remove_hostxfwd(o->slirp, (struct sockaddr *)&from, sizeof(from), 0) == 0 &&
	    o->listeners)
		o->listeners--;
}
