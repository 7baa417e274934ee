/* SPDX-License-Identifier: MIT */
/* Watching this machine's addresses over netlink. */
#include "runtime/network/host_addresses.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"

struct host_addresses {
	struct loop *loop;
	int fd; /* -1 = no netlink */
	host_addresses_fn fn;
	void *arg;
};

static void report(const struct host_addresses *h)
{
	struct ifaddrs *list = NULL;
	uint32_t *addresses = NULL;
	size_t count = 0, room = 0;
	if (getifaddrs(&list) < 0)
		return;
	for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
		struct sockaddr_in address;
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		memcpy(&address, i->ifa_addr, sizeof(address));
		GROW_ARRAY(addresses, count, room);
		addresses[count++] = ntohl(address.sin_addr.s_addr);
	}
	freeifaddrs(list);
	h->fn(h->arg, addresses, count);
}

static void on_change(void *arg, uint32_t events)
{
	const struct host_addresses *h = arg;
	char ignored[8192];
	(void)events;
	/* What changed does not matter, nor what was lost when too much did. */
	while (recv(h->fd, ignored, sizeof(ignored), MSG_DONTWAIT | MSG_TRUNC) > 0)
		;
	report(h);
}

struct host_addresses *host_addresses_watch(struct loop *loop, host_addresses_fn fn, void *arg)
{
	struct host_addresses *h = xcalloc(1, sizeof(*h));
	struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR };
	*h = (struct host_addresses){ .loop = loop, .fn = fn, .arg = arg };
	h->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (h->fd >= 0 && bind(h->fd, (struct sockaddr *)&group, sizeof(group)) < 0)
		(void)close(take_fd(&h->fd));
	if (h->fd >= 0)
		loop_watch(loop, h->fd, EPOLLIN, on_change, h);
	report(h);
	return h;
}

void host_addresses_free(struct host_addresses *h)
{
	if (!h)
		return;
	if (h->fd >= 0) {
		loop_unwatch(h->loop, h->fd);
		(void)close(h->fd);
	}
	free(h);
}
