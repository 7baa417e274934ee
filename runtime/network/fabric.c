/* SPDX-License-Identifier: MIT */
/* The switch's decisions, frame by frame. */
#include "runtime/network/fabric.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/bytes.h"

/*
 * DOC: Theory of Operation
 *
 * The table of ports is static: a name, one MAC and one IPv4 address each, from the control socket.
 * Nothing is learned from frames, so a VM cannot take over a neighbour's traffic.
 *
 * A frame must come from its port's own MAC, and what it says in IPv4 and ARP must come from its
 * port's own address. The exceptions: an ARP probe (sender 0.0.0.0), and RARP, which QEMU sends to
 * announce a VM.
 *
 * ARP ends here: the switch knows every address and answers for all of them, so requests are not
 * flooded and a forged reply has nowhere to go. The gateway and the DNS server share one MAC, the
 * one libslirp uses.
 *
 * Unicast IPv4 goes to the port that has the MAC. Group frames go to every other port, limited per
 * sender. What is addressed to the gateway's MAC is judged by its IPv4 destination: DNS here,
 * published UDP by its flow, the public internet through the way out, all else is refused with a
 * TCP reset or ICMP, so that clients fail at once. TCP segments other than the opening SYN always
 * go to the way out, which drops those of connections it does not know: these are the answers to
 * published ports. TCP fragments never do, for the flags could hide in a later one.
 *
 * IPv6 is not carried.
 */

enum {
	BROADCAST_RATE = 100,
	BROADCAST_BURST = 200,
	CONNECT_RATE = 2000,
	CONNECT_BURST = 4000,
	/* Fragments wait up to 30 s for the rest of their packet; this bounds how much. In bytes.
	 */
	FRAGMENT_RATE = 256 << 10,
	FRAGMENT_BURST = 512 << 10,
	REFUSAL_RATE = 500,
	REFUSAL_BURST = 1000,
	DNS_PORT = 53,
};

struct range {
	uint32_t base;
	unsigned prefix;
};

/* What is not the public internet (IANA's special-purpose registry), without the documentation
 * ranges. */
static const struct range special_ranges[] = {
	{ 0x00000000, 8 },  /* this network */
	{ 0x0a000000, 8 },  /* private */
	{ 0x64400000, 10 }, /* shared by carriers */
	{ 0x7f000000, 8 },  /* loopback */
	{ 0xa9fe0000, 16 }, /* link-local, with the metadata services of clouds */
	{ 0xac100000, 12 }, /* private */
	{ 0xc0000000, 24 }, /* IETF protocol assignments */
	{ 0xc0a80000, 16 }, /* private */
	{ 0xc6120000, 15 }, /* benchmarks */
	{ 0xe0000000, 4 },  /* multicast */
	{ 0xf0000000, 4 },  /* reserved, and broadcast */
};

static const char *const fate_names[] = {
	"forwarded", "outside", "answered",    "announced", "refused",
	"malformed", "spoofed", "not-carried", "unknown",   "limited",
};
static_assert(ARRAY_SIZE(fate_names) == FATES, "every fate has a name");

const char *fabric_fate_name(enum fabric_fate fate)
{
	return fate_names[fate];
}

bool address_is_public(uint32_t address)
{
	for (size_t i = 0; i < ARRAY_SIZE(special_ranges); i++)
		if ((address ^ special_ranges[i].base) >> (32 - special_ranges[i].prefix) == 0)
			return false;
	return true;
}

bool bucket_take(struct bucket *b, uint64_t now_ms, uint64_t rate, uint64_t burst, uint64_t cost)
{
	uint64_t passed = b->filled_ms ? now_ms - b->filled_ms : UINT64_MAX;
	b->filled_ms = now_ms ? now_ms : 1;
	if (passed >= burst * 1000 / rate)
		b->tokens = burst * 1000;
	else
		b->tokens += passed * rate;
	if (b->tokens > burst * 1000)
		b->tokens = burst * 1000;
	if (b->tokens < cost * 1000)
		return false;
	b->tokens -= cost * 1000;
	return true;
}

static uint64_t mac_key(const uint8_t mac[MAC_SIZE])
{
	return (uint64_t)get_be32(mac) << 16 | get_be16(mac + 4);
}

void fabric_init(struct fabric *f, uint32_t base, unsigned prefix, bool egress,
		 struct fabric_sink sink)
{
	*f = (struct fabric){ .base = base,
			      .mask = UINT32_MAX << (32 - prefix),
			      .gateway = base + 1,
			      .dns = base + 2,
			      .egress = egress,
			      .sink = sink };
	f->gateway_mac[0] = 0x52;
	f->gateway_mac[1] = 0x55;
	put_be32(f->gateway_mac + 2, f->gateway);
}

static void port_free(struct fabric_port *p)
{
	free(p->name);
	strlist_release(&p->aliases);
	free(p);
}

void fabric_release(struct fabric *f)
{
	for (size_t i = 0; i < f->port_count; i++)
		port_free(f->ports[i]);
	free(f->ports);
	free(f->macs);
	free(f->addresses);
	free(f->host_addresses);
	*f = (struct fabric){ 0 };
}

struct fabric_port *fabric_port_by_name(const struct fabric *f, const char *name)
{
	for (size_t i = 0; i < f->port_count; i++)
		if (str_equal(f->ports[i]->name, name))
			return f->ports[i];
	return NULL;
}

struct fabric_port *fabric_port_by_address(const struct fabric *f, uint32_t address)
{
	for (size_t i = 0; i < f->port_count; i++)
		if (f->addresses[i] == address)
			return f->ports[i];
	return NULL;
}

static struct fabric_port *port_by_mac(const struct fabric *f, const uint8_t mac[MAC_SIZE])
{
	uint64_t key = mac_key(mac);
	for (size_t i = 0; i < f->port_count; i++)
		if (f->macs[i] == key)
			return f->ports[i];
	return NULL;
}

const char *fabric_port_conflict(const struct fabric *f, const char *name,
				 const uint8_t mac[MAC_SIZE], uint32_t address)
{
	for (size_t i = 0; i < f->port_count; i++)
		if ((f->macs[i] == mac_key(mac) || f->addresses[i] == address) &&
		    !str_equal(f->ports[i]->name, name))
			return f->ports[i]->name;
	return NULL;
}

static void grow_ports(struct fabric *f)
{
	if (f->port_count < f->port_room)
		return;
	f->port_room = f->port_room ? f->port_room * 2 : 8;
	f->ports = xreallocarray(f->ports, f->port_room, sizeof(struct fabric_port *));
	f->macs = xreallocarray(f->macs, f->port_room, sizeof(f->macs[0]));
	f->addresses = xreallocarray(f->addresses, f->port_room, sizeof(f->addresses[0]));
}

static size_t port_index(const struct fabric *f, const struct fabric_port *port)
{
	size_t i = 0;
	while (i < f->port_count && f->ports[i] != port)
		i++;
	return i;
}

struct fabric_port *fabric_set_port(struct fabric *f, const char *name, const uint8_t mac[MAC_SIZE],
				    uint32_t address, const struct strlist *aliases)
{
	struct fabric_port *p = fabric_port_by_name(f, name);
	if (!p) {
		if (f->port_count == FABRIC_PORTS_MAX)
			return NULL;
		grow_ports(f);
		p = xcalloc(1, sizeof(*p));
		p->name = xstrdup(name);
		f->ports[f->port_count++] = p;
	}
	size_t i = port_index(f, p);
	memcpy(p->mac, mac, MAC_SIZE);
	p->address = address;
	f->macs[i] = mac_key(mac);
	f->addresses[i] = address;
	struct strlist copy = STRLIST_INIT;
	strlist_copy(&copy, aliases);
	strlist_release(&p->aliases);
	p->aliases = copy;
	return p;
}

void fabric_remove_port(struct fabric *f, struct fabric_port *port)
{
	size_t i = port_index(f, port);
	if (i == f->port_count)
		return;
	size_t last = --f->port_count;
	f->ports[i] = f->ports[last];
	f->macs[i] = f->macs[last];
	f->addresses[i] = f->addresses[last];
	port_free(port);
}

void fabric_set_host_addresses(struct fabric *f, uint32_t *addresses, size_t count)
{
	free(f->host_addresses);
	f->host_addresses = addresses;
	f->host_address_count = count;
}

static bool is_inside(const struct fabric *f, uint32_t address)
{
	return (address & f->mask) == f->base;
}

bool fabric_can_reach(const struct fabric *f, uint32_t address)
{
	if (!f->egress || is_inside(f, address) || !address_is_public(address))
		return false;
	for (size_t i = 0; i < f->host_address_count; i++)
		if (f->host_addresses[i] == address)
			return false;
	return true;
}

size_t fabric_lookup(const struct fabric *f, const char *name, uint32_t ret[FABRIC_NAMES_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < f->port_count && count < FABRIC_NAMES_MAX; i++) {
		const struct fabric_port *p = f->ports[i];
		bool match = strcasecmp(p->name, name) == 0;
		for (size_t a = 0; a < p->aliases.count && !match; a++)
			match = strcasecmp(p->aliases.items[a], name) == 0;
		if (match)
			ret[count++] = p->address;
	}
	if (count == 0 && strcasecmp(name, "gateway") == 0)
		ret[count++] = f->gateway;
	return count;
}

static void send_to(const struct fabric *f, struct fabric_port *to, const uint8_t *frame,
		    size_t size)
{
	f->sink.to_port(f->sink.arg, to, frame, size);
}

static enum fabric_fate refuse(struct fabric *f, struct fabric_port *from, const struct packet *p,
			       uint8_t code)
{
	uint8_t reply[REPLY_MAX];
	size_t size;
	/* RFC 1122, 3.2.2: no ICMP error about an ICMP error or a later fragment. */
	bool is_silent = p->fragment_offset || (p->protocol == IP_TCP && p->tcp_flags & TCP_RST) ||
			 (p->protocol == IP_ICMP && p->icmp_type != ICMP_TYPE_ECHO);
	if (is_silent || !bucket_take(&from->refusals, f->now_ms, REFUSAL_RATE, REFUSAL_BURST, 1))
		return FATE_REFUSED;
	if (p->protocol == IP_TCP)
		size = packet_tcp_reset(p, f->gateway_mac, reply);
	else
		size = packet_icmp_unreachable(
			p, code, (struct packet_source){ f->gateway_mac, f->gateway }, reply);
	send_to(f, from, reply, size);
	return FATE_REFUSED;
}

static enum fabric_fate arp_input(struct fabric *f, struct fabric_port *from,
				  const struct packet *p)
{
	uint8_t reply[REPLY_MAX];
	if (mac_key(p->arp_sender_mac) != mac_key(from->mac))
		return FATE_SPOOFED;
	if (p->arp_sender != from->address && p->arp_sender != 0)
		return FATE_SPOOFED;
	if (p->arp_operation != ARP_REQUEST || p->arp_target == from->address)
		return FATE_ANNOUNCED;
	struct packet_source owner = { .address = p->arp_target };
	if (p->arp_target == f->gateway || p->arp_target == f->dns) {
		owner.mac = f->gateway_mac;
	} else {
		const struct fabric_port *port = fabric_port_by_address(f, p->arp_target);
		if (!port)
			return FATE_UNKNOWN;
		owner.mac = port->mac;
	}
	send_to(f, from, reply, packet_arp_reply(owner, from->mac, p->arp_sender, reply));
	return FATE_ANSWERED;
}

static enum fabric_fate flood(struct fabric *f, struct fabric_port *from, const struct packet *p)
{
	if (!bucket_take(&from->broadcasts, f->now_ms, BROADCAST_RATE, BROADCAST_BURST, 1))
		return FATE_LIMITED;
	for (size_t i = 0; i < f->port_count; i++)
		if (f->ports[i] != from)
			send_to(f, f->ports[i], p->frame, p->size);
	return FATE_FORWARDED;
}

static enum fabric_fate leave(struct fabric *f, const struct packet *p)
{
	f->sink.to_outside(f->sink.arg, p);
	return FATE_OUTSIDE;
}

static enum fabric_fate tcp_to_gateway(struct fabric *f, struct fabric_port *from,
				       const struct packet *p, bool can_leave)
{
	if (p->is_fragment)
		return FATE_MALFORMED;
	bool is_opening = (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	if (!is_opening)
		return leave(f, p);
	if (!can_leave)
		return refuse(f, from, p, UNREACHABLE_PROHIBITED);
	if (!bucket_take(&from->connects, f->now_ms, CONNECT_RATE, CONNECT_BURST, 1))
		return FATE_LIMITED;
	return leave(f, p);
}

static enum fabric_fate udp_to_gateway(struct fabric *f, struct fabric_port *from,
				       const struct packet *p, bool can_leave)
{
	if (!p->is_fragment && f->sink.to_published(f->sink.arg, from, p))
		return FATE_ANSWERED;
	if (!can_leave)
		return refuse(f, from, p,
			      is_inside(f, p->to) ? UNREACHABLE_PORT : UNREACHABLE_PROHIBITED);
	if (p->is_fragment &&
	    !bucket_take(&from->fragments, f->now_ms, FRAGMENT_RATE, FRAGMENT_BURST, p->size))
		return FATE_LIMITED;
	return leave(f, p);
}

/* What is addressed to the gateway's MAC, by its IPv4 destination. */
static enum fabric_fate gateway_input(struct fabric *f, struct fabric_port *from,
				      const struct packet *p)
{
	bool to_dns = p->to == f->dns, to_gateway = p->to == f->gateway;
	bool can_leave = fabric_can_reach(f, p->to);

	if (p->ip_header != IPV4_HEADER)
		return FATE_NOT_CARRIED; /* no honest use for IP options, source routes least of all
					  */
	if (is_inside(f, p->to) && !to_dns && !to_gateway)
		return FATE_UNKNOWN;
	if (to_dns && p->protocol == IP_UDP && p->has_transport && !p->is_fragment &&
	    p->to_port == DNS_PORT) {
		f->sink.to_dns(f->sink.arg, from, p);
		return FATE_ANSWERED;
	}
	if (p->protocol == IP_TCP)
		return tcp_to_gateway(f, from, p,
				      can_leave || (to_dns && f->egress && p->to_port == DNS_PORT));
	if (p->protocol == IP_UDP)
		return udp_to_gateway(f, from, p, can_leave);
	if (p->protocol != IP_ICMP)
		return refuse(f, from, p, UNREACHABLE_PROTOCOL);
	if (p->is_fragment || p->icmp_type != ICMP_TYPE_ECHO)
		return FATE_NOT_CARRIED;
	if (!to_dns && !to_gateway && !can_leave)
		return refuse(f, from, p, UNREACHABLE_PROHIBITED);
	return leave(f, p);
}

static enum fabric_fate ipv4_input(struct fabric *f, struct fabric_port *from,
				   const struct packet *p)
{
	if (p->from != from->address)
		return FATE_SPOOFED;
	if (mac_is_group(p->to_mac))
		return flood(f, from, p);
	if (mac_key(p->to_mac) == mac_key(f->gateway_mac))
		return gateway_input(f, from, p);
	struct fabric_port *to = port_by_mac(f, p->to_mac);
	if (!to || to == from)
		return FATE_UNKNOWN;
	send_to(f, to, p->frame, p->size);
	return FATE_FORWARDED;
}

static enum fabric_fate judge(struct fabric *f, struct fabric_port *from, const struct packet *p)
{
	if (p->kind == PACKET_MALFORMED)
		return FATE_MALFORMED;
	/* QEMU announces a VM with its own idea of the MAC; nobody acts on it. */
	if (p->kind == PACKET_RARP)
		return FATE_ANNOUNCED;
	if (mac_key(p->from_mac) != mac_key(from->mac))
		return FATE_SPOOFED;
	if (p->kind == PACKET_ARP)
		return arp_input(f, from, p);
	if (p->kind == PACKET_IPV4)
		return ipv4_input(f, from, p);
	return FATE_NOT_CARRIED;
}

enum fabric_fate fabric_input(struct fabric *f, struct fabric_port *from, const uint8_t *frame,
			      size_t size)
{
	struct packet p;
	(void)packet_parse(frame, size, &p);
	enum fabric_fate fate = judge(f, from, &p);
	f->fates[fate]++;
	return fate;
}

enum fabric_fate fabric_from_outside(struct fabric *f, const uint8_t *frame, size_t size,
				     uint8_t ret_reply[REPLY_MAX], size_t *ret_reply_size)
{
	struct packet p;
	*ret_reply_size = 0;
	enum packet_kind kind = packet_parse(frame, size, &p);
	if (kind == PACKET_ARP) {
		const struct fabric_port *port = fabric_port_by_address(f, p.arp_target);
		if (!port || p.arp_operation != ARP_REQUEST)
			return FATE_UNKNOWN;
		struct packet_source owner = { port->mac, port->address };
		*ret_reply_size =
			packet_arp_reply(owner, p.arp_sender_mac, p.arp_sender, ret_reply);
		return FATE_ANSWERED;
	}
	if (kind != PACKET_IPV4)
		return FATE_NOT_CARRIED;
	struct fabric_port *to = fabric_port_by_address(f, p.to);
	if (!to || mac_key(p.to_mac) != mac_key(to->mac))
		return FATE_UNKNOWN;
	send_to(f, to, p.frame, p.size);
	return FATE_FORWARDED;
}
