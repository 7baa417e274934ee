/* SPDX-License-Identifier: MIT */
/* Ports, fabric, DNS and the way out of one network. */
#include "runtime/network/switch_core.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/network/address.h"
#include "runtime/network/dns_relay.h"
#include "runtime/network/fabric.h"
#include "runtime/network/host_addresses.h"
#include "runtime/network/link.h"
#include "runtime/network/outside.h"
#include "runtime/network/published.h"
#include "runtime/network/switch_message.h"
#include "runtime/network/zone.h"

enum { ARP_REPLIES_MAX = 64 };

struct switch_core {
	struct switch_config config;
	struct subnet subnet;
	struct loop *loop;
	struct fabric fabric;
	struct link_batch *batch;
	struct outside *outside;
	struct dns_relay *relay;
	struct host_addresses *addresses;
	/* Answers to what libslirp asked; given to it once it does not run any more. */
	uint8_t arp_replies[ARP_REPLIES_MAX][REPLY_MAX];
	size_t arp_sizes[ARP_REPLIES_MAX];
	size_t arp_count;
	uint8_t frame[FRAME_MAX];
};

/* What hangs on a fabric_port. */
struct port_state {
	struct switch_core *core;
	struct fabric_port *port;
	struct link *link;
	struct published_list published;
};

static void on_frame(void *arg, const uint8_t *frame, size_t size)
{
	struct port_state *s = arg;
	s->core->fabric.now_ms = clock_ms();
	(void)fabric_input(&s->core->fabric, s->port, frame, size);
}

static void to_port(void *arg, struct fabric_port *to, const uint8_t *frame, size_t size)
{
	struct port_state *s = to->link;
	(void)arg;
	link_send(s->link, frame, size);
}

static void to_outside(void *arg, const struct packet *p)
{
	struct switch_core *s = arg;
	outside_input(s->outside, p);
}

static bool to_published(void *arg, struct fabric_port *from, const struct packet *p)
{
	struct port_state *s = from->link;
	(void)arg;
	return published_reply(&s->published, p);
}

static void dns_reply(void *arg, struct dns_client client, const uint8_t *message, size_t size)
{
	struct switch_core *s = arg;
	struct fabric *f = &s->fabric;
	struct fabric_port *to = fabric_port_by_address(f, client.address);
	if (!to || size > UDP_PAYLOAD_MAX)
		return;
	struct udp_header h = { .source = { f->gateway_mac, f->dns },
				.to_mac = to->mac,
				.to = to->address,
				.from_port = 53,
				.to_port = client.port };
	to_port(s, to, s->frame, packet_udp(&h, message, size, s->frame));
}

static void to_dns(void *arg, struct fabric_port *from, const struct packet *p)
{
	struct switch_core *s = arg;
	struct dns_client client = { from->address, p->from_port };
	uint8_t answer[DNS_ANSWER_MAX];
	struct dns_query q;
	if (!dns_parse_query(p->payload, p->payload_size, &q))
		return;
	size_t size = zone_answer(&s->fabric, &q, answer);
	if (size)
		dns_reply(s, client, answer, size);
	else
		dns_relay_ask(s->relay, client, &q, p->payload_size);
}

static void from_outside(void *arg, const uint8_t *frame, size_t size)
{
	struct switch_core *s = arg;
	uint8_t reply[REPLY_MAX];
	size_t reply_size;
	(void)fabric_from_outside(&s->fabric, frame, size, reply, &reply_size);
	if (reply_size && s->arp_count < ARP_REPLIES_MAX) {
		memcpy(s->arp_replies[s->arp_count], reply, reply_size);
		s->arp_sizes[s->arp_count++] = reply_size;
	}
}

static void on_host_addresses(void *arg, uint32_t *addresses, size_t count)
{
	struct switch_core *s = arg;
	fabric_set_host_addresses(&s->fabric, addresses, count);
}

struct switch_core *switch_core_new(struct loop *loop, const struct switch_config *c,
				    size_t fds_max)
{
	struct switch_core *s = xcalloc(1, sizeof(*s));
	bool egress = c->egress == EGRESS_FULL;
	s->config = *c;
	s->config.name = xstrdup(c->name);
	s->config.run_dir = xstrdup(c->run_dir);
	s->subnet = (struct subnet){ c->subnet, c->prefix };
	s->loop = loop;
	fabric_init(&s->fabric, ntohl(c->subnet.s_addr), c->prefix, egress,
		    (struct fabric_sink){ .to_port = to_port,
					  .to_outside = to_outside,
					  .to_dns = to_dns,
					  .to_published = to_published,
					  .arg = s });
	s->batch = link_batch_new();
	s->outside = outside_new(&(struct outside_config){ .base = c->subnet,
							   .mask = subnet_mask(&s->subnet),
							   .gateway = subnet_gateway(&s->subnet),
							   .dns = subnet_dns(&s->subnet),
							   .egress = egress,
							   .fds_max = fds_max,
							   .to_network = from_outside,
							   .arg = s });
	s->relay = dns_relay_new(loop, "/etc/resolv.conf", dns_reply, s);
	s->addresses = host_addresses_watch(loop, on_host_addresses, s);
	return s;
}

static void port_state_free(struct port_state *p)
{
	if (!p)
		return;
	published_release(&p->published);
	link_close(p->link);
	free(p);
}

void switch_core_free(struct switch_core *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->fabric.port_count; i++)
		port_state_free(s->fabric.ports[i]->link);
	host_addresses_free(s->addresses);
	dns_relay_free(s->relay);
	outside_free(s->outside);
	link_batch_free(s->batch);
	fabric_release(&s->fabric);
	switch_config_release(&s->config);
	free(s);
}

/* Return: whether libslirp was given something it waited for */
static bool feed_arp_replies(struct switch_core *s)
{
	bool is_fed = s->arp_count > 0;
	for (size_t i = 0; i < s->arp_count; i++)
		outside_input_frame(s->outside, s->arp_replies[i], s->arp_sizes[i]);
	s->arp_count = 0;
	return is_fed;
}

void switch_core_turn(struct switch_core *s)
{
	size_t count;
	int timeout;
	bool is_due = feed_arp_replies(s);
	struct pollfd *fds = outside_fill(s->outside, &count, &timeout);
	fds[0] = (struct pollfd){ .fd = loop_fd(s->loop), .events = POLLIN };
	int n = poll(fds, (nfds_t)count, is_due ? 0 : loop_timeout(s->loop, timeout));
	outside_poll(s->outside, n < 0);
	loop_turn(s->loop, 0);
}

static int check_port(const struct switch_core *s, const struct switch_port *p, struct error *err)
{
	char text[ADDRESS_TEXT_SIZE];
	uint32_t address = ntohl(p->address.s_addr);
	address_text(p->address, text);
	if (!subnet_has(&s->subnet, p->address) || address <= s->fabric.dns ||
	    p->address.s_addr == subnet_broadcast(&s->subnet).s_addr) {
		AUTO_FREE char *subnet = subnet_text(&s->subnet);
		return error_set(err, E_INVALID,
				 "address %s of '%s' is not one for containers of %s", text,
				 p->name, subnet);
	}
	const char *other = fabric_port_conflict(&s->fabric, p->name, p->mac, address);
	if (other || memcmp(p->mac, s->fabric.gateway_mac, MAC_SIZE) == 0)
		return error_set(err, E_CONFLICT, "address %s or the MAC of '%s' is taken by '%s'",
				 text, p->name, other ? other : "the gateway");
	/* What another container of this network has published is told by its name. */
	for (size_t i = 0; i < s->fabric.port_count; i++) {
		const struct port_state *o = s->fabric.ports[i]->link;
		if (str_equal(o->port->name, p->name))
			continue;
		const struct switch_publish *taken =
			published_find_taken(&o->published, p->publish, p->publish_count);
		if (taken) {
			address_text(taken->host_addr, text);
			return error_set(err, E_CONFLICT,
					 "host port %s:%u/%s is published by '%s' of network '%s'; "
					 "choose another one for '%s'",
					 text, taken->host_port, taken->udp ? "udp" : "tcp",
					 o->port->name, s->config.name, p->name);
		}
	}
	return 0;
}

static char *port_dir(const struct switch_core *s, const char *name)
{
	return xasprintf("%s/%s/%s", s->config.run_dir, SWITCH_PORTS, name);
}

/* Return: NULL with @err set if it cannot be */
static struct port_state *add_port(struct switch_core *s, const char *dir, struct error *err)
{
	if (s->fabric.port_count == FABRIC_PORTS_MAX) {
		(void)error_set(err, E_UNAVAILABLE, "network '%s' has %d ports, which is the limit",
				s->config.name, FABRIC_PORTS_MAX);
		return NULL;
	}
	struct port_state *state = xcalloc(1, sizeof(*state));
	state->core = s;
	if (link_open(s->loop, s->batch, dir, on_frame, state, &state->link, err) < 0) {
		port_state_free(state);
		return NULL;
	}
	return state;
}

int switch_core_set_port(struct switch_core *s, const struct switch_port *p, uint16_t *ret_ports,
			 const struct switch_publish **ret_taken, struct error *err)
{
	struct fabric_port *known = fabric_port_by_name(&s->fabric, p->name);
	AUTO_FREE char *dir = port_dir(s, p->name);
	bool had_dir = file_exists(dir);
	*ret_taken = NULL;
	int r = check_port(s, p, err);
	if (r < 0)
		return r;
	struct port_state *state = known ? known->link : add_port(s, dir, err);
	if (!state)
		return -(int)err->code;
	struct publish_host host = { s->loop, s->outside, &s->fabric };
	r = published_change(&state->published, &host, p, ret_ports, ret_taken, err);
	if (r < 0) {
		if (!known)
			port_state_free(state);
		AUTO_ERROR left = ERROR_INIT;
		if (!had_dir && dir_remove_tree(dir, &left) < 0)
			error_ignore(&left, "remove the folder of a port");
		return r;
	}
	state->port =
		fabric_set_port(&s->fabric, p->name, p->mac, ntohl(p->address.s_addr), &p->aliases);
	state->port->link = state;
	published_aim(&state->published, state->port);
	return 0;
}

int switch_core_remove_port(struct switch_core *s, const char *name, struct error *err)
{
	struct fabric_port *port = fabric_port_by_name(&s->fabric, name);
	if (port) {
		port_state_free(port->link);
		fabric_remove_port(&s->fabric, port);
	}
	AUTO_FREE char *dir = port_dir(s, name);
	return dir_remove_tree(dir, err);
}

static struct json *port_status(const struct port_state *p)
{
	const struct link_counts *c = link_counts(p->link);
	struct json *v = json_new_object();
	json_set_string(v, "name", p->port->name);
	json_set_int(v, "received", (int64_t)c->received);
	json_set_int(v, "received_bytes", (int64_t)c->received_bytes);
	json_set_int(v, "sent", (int64_t)c->sent);
	json_set_int(v, "sent_bytes", (int64_t)c->sent_bytes);
	json_set_int(v, "dropped_full", (int64_t)c->dropped_full);
	json_set_int(v, "dropped_absent", (int64_t)c->dropped_absent);
	json_set_int(v, "oversized", (int64_t)c->oversized);
	return v;
}

struct json *switch_core_status(const struct switch_core *s)
{
	struct json *v = json_new_object(), *fates = json_new_object(), *ports = json_new_array();
	for (size_t i = 0; i < FATES; i++)
		json_set_int(fates, fabric_fate_name((enum fabric_fate)i),
			     (int64_t)s->fabric.fates[i]);
	for (size_t i = 0; i < s->fabric.port_count; i++)
		json_add(ports, port_status(s->fabric.ports[i]->link));
	json_set(v, "config", switch_config_json(&s->config));
	json_set(v, "frames", fates);
	json_set(v, "ports", ports);
	return v;
}
