/* SPDX-License-Identifier: MIT */
/* Changing the published ports of a container. */
#include "runtime/network/published.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "runtime/network/address.h"

static void stop_one(const struct publish_host *host, struct published *p)
{
	if (p->want.udp)
		udp_publish_close(p->udp);
	else
		outside_unpublish(host->outside, p->want.host_addr, p->host_port);
	*p = (struct published){ 0 };
}

static int start_tcp(const struct publish_host *host, struct published *p)
{
	int port = outside_publish(host->outside, p->want.host_addr, p->host_port, p->guest,
				   p->want.guest_port);
	if (port < 0)
		return port;
	p->host_port = (uint16_t)port;
	return 0;
}

/* Return: 0 or -errno */
static int start_one(const struct publish_host *host, struct published *p)
{
	p->host_port = p->want.host_port;
	if (!p->want.udp)
		return start_tcp(host, p);
	return udp_publish_open(host->loop, host->fabric, p->want.host_addr, p->want.host_port,
				&p->udp, &p->host_port);
}

static int explain(int number, const struct switch_publish *want, struct error *err)
{
	char address[ADDRESS_TEXT_SIZE];
	const char *protocol = want->udp ? "udp" : "tcp";
	address_text(want->host_addr, address);
	if (number == EADDRINUSE)
		return error_set(err, E_CONFLICT, "host port %s:%u/%s is taken", address,
				 want->host_port, protocol);
	if (number == EACCES || number == EPERM)
		return error_set(err, E_DENIED,
				 "host port %s:%u/%s may only be opened by root; choose one from "
				 "1024 on, or "
				 "lower net.ipv4.ip_unprivileged_port_start",
				 address, want->host_port, protocol);
	if (number == EADDRNOTAVAIL)
		return error_set(err, E_INVALID,
				 "this host does not have the address %s to publish on", address);
	errno = number;
	return error_sys(err, "publish host port %s:%u/%s", address, want->host_port, protocol);
}

static bool is_same_place(const struct switch_publish *a, const struct switch_publish *b)
{
	return a->host_addr.s_addr == b->host_addr.s_addr && a->host_port == b->host_port &&
	       a->udp == b->udp;
}

static bool is_kept_by(const struct published *have, const struct switch_publish *want)
{
	return is_same_place(&have->want, want) &&
	       (want->host_port || have->want.guest_port == want->guest_port);
}

static int check_twice(const struct switch_port *p, struct error *err)
{
	for (size_t i = 0; i < p->publish_count; i++)
		for (size_t j = 0; j < i; j++)
			if (p->publish[i].host_port &&
			    is_same_place(&p->publish[i], &p->publish[j]))
				return error_set(err, E_INVALID,
						 "host port %u is published twice by '%s'",
						 p->publish[i].host_port, p->name);
	return 0;
}

/* Aim what is kept at the guest's present port and address; TCP has to be listened for anew. */
static int retarget(const struct publish_host *host, struct published *have,
		    const struct switch_publish *want, struct in_addr guest, struct error *err)
{
	bool is_changed =
		have->guest.s_addr != guest.s_addr || have->want.guest_port != want->guest_port;
	have->guest = guest;
	have->want = *want;
	if (!is_changed || want->udp)
		return 0;
	outside_unpublish(host->outside, want->host_addr, have->host_port);
	int r = start_tcp(host, have);
	return r < 0 ? explain(-r, want, err) : 0;
}

/* Take over from @l what @p still wants. Return: the new list, with what is to be started unset
 * (host_port 0) */
static struct published *match(struct published_list *l, const struct switch_port *p, bool *is_kept)
{
	struct published *next = xcalloc(p->publish_count + 1, sizeof(*next));
	for (size_t i = 0; i < p->publish_count; i++) {
		next[i].want = p->publish[i];
		next[i].guest = p->address;
		for (size_t j = 0; j < l->count; j++) {
			if (is_kept[j] || !is_kept_by(&l->items[j], &p->publish[i]))
				continue;
			is_kept[j] = true;
			next[i] = l->items[j];
			break;
		}
	}
	return next;
}

int published_change(struct published_list *l, const struct publish_host *host,
		     const struct switch_port *p, uint16_t *ret_ports,
		     const struct switch_publish **ret_taken, struct error *err)
{
	int r = check_twice(p, err);
	if (r < 0)
		return r;
	AUTO_FREE bool *is_kept = xcalloc(l->count + 1, sizeof(*is_kept));
	AUTO_FREE bool *is_new = xcalloc(p->publish_count + 1, sizeof(*is_new));
	AUTO_FREE struct published *next = match(l, p, is_kept);
	for (size_t i = 0; i < p->publish_count; i++) {
		if (next[i].host_port)
			continue;
		int number = start_one(host, &next[i]);
		if (number == 0) {
			is_new[i] = true;
			continue;
		}
		for (size_t j = 0; j < i; j++)
			if (is_new[j])
				stop_one(host, &next[j]);
		if (number == -EADDRINUSE)
			*ret_taken = &p->publish[i];
		return explain(-number, &p->publish[i], err);
	}
	for (size_t j = 0; j < l->count; j++)
		if (!is_kept[j])
			stop_one(host, &l->items[j]);
	free(l->items);
	l->host = *host;
	l->items = TAKE_PTR(next);
	l->count = p->publish_count;
	for (size_t i = 0; i < l->count; i++) {
		r = retarget(host, &l->items[i], &p->publish[i], p->address, err);
		if (r < 0)
			return r;
		ret_ports[i] = l->items[i].host_port;
	}
	return 0;
}

void published_aim(struct published_list *l, struct fabric_port *port)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].udp)
			udp_publish_aim(l->items[i].udp, port, l->items[i].want.guest_port);
}

bool published_reply(const struct published_list *l, const struct packet *p)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->items[i].udp && udp_publish_reply(l->items[i].udp, p))
			return true;
	return false;
}

const struct switch_publish *published_find_taken(const struct published_list *l,
						  const struct switch_publish *want, size_t count)
{
	for (size_t i = 0; i < l->count; i++) {
		struct switch_publish have = l->items[i].want;
		have.host_port = l->items[i].host_port;
		for (size_t j = 0; j < count; j++)
			if (want[j].host_port && is_same_place(&have, &want[j]))
				return &want[j];
	}
	return NULL;
}

void published_release(struct published_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		stop_one(&l->host, &l->items[i]);
	free(l->items);
	*l = (struct published_list){ 0 };
}
