/* SPDX-License-Identifier: MIT */
/* What becomes of a frame: forwarded, answered, refused or dropped. */
#include "tests/unit/network/frames.h"
#include "tests/unit/test.h"

#include "base/bytes.h"
#include "base/cleanup.h"
#include "runtime/network/fabric.h"

static const uint32_t BASE = 0x0a4d0000, GATEWAY = 0x0a4d0001, DNS = 0x0a4d0002, A = 0x0a4d000a,
		      B = 0x0a4d000b, C = 0x0a4d000c, PUBLIC = 0xc6336401;
static const uint8_t mac_a[6] = { 0x02, 0xc7, 10, 77, 0, 10 };
static const uint8_t mac_b[6] = { 0x02, 0xc7, 10, 77, 0, 11 };
static const uint8_t mac_c[6] = { 0x02, 0xc7, 10, 77, 0, 12 };
static const uint8_t mac_gateway[6] = { 0x52, 0x55, 10, 77, 0, 1 };
static const uint8_t mac_all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/* One network with three ports that writes down where frames go. */
struct net {
	struct fabric fabric;
	struct fabric_port *a, *b, *c;
	size_t to_a, to_b, to_c, outside, dns, published;
	bool takes_published;
	uint8_t last[FRAME_MAX];
	size_t last_size;
};

static void to_port(void *arg, struct fabric_port *to, const uint8_t *frame, size_t size)
{
	struct net *n = arg;
	n->to_a += to == n->a;
	n->to_b += to == n->b;
	n->to_c += to == n->c;
	memcpy(n->last, frame, size);
	n->last_size = size;
}

static void to_outside(void *arg, const struct packet *p)
{
	struct net *n = arg;
	(void)p;
	n->outside++;
}

static void to_dns(void *arg, struct fabric_port *from, const struct packet *p)
{
	struct net *n = arg;
	(void)from;
	(void)p;
	n->dns++;
}

static bool to_published(void *arg, struct fabric_port *from, const struct packet *p)
{
	struct net *n = arg;
	(void)from;
	(void)p;
	n->published += n->takes_published;
	return n->takes_published;
}

static void net_init(struct net *n, bool egress)
{
	struct strlist none = STRLIST_INIT;
	*n = (struct net){ 0 };
	fabric_init(&n->fabric, BASE, 24, egress,
		    (struct fabric_sink){ to_port, to_outside, to_dns, to_published, n });
	n->fabric.now_ms = 1000;
	n->a = fabric_set_port(&n->fabric, "a", mac_a, A, &none);
	n->b = fabric_set_port(&n->fabric, "b", mac_b, B, &none);
	n->c = fabric_set_port(&n->fabric, "c", mac_c, C, &none);
}

static void net_release(struct net *n)
{
	fabric_release(&n->fabric);
}

#define NET(name, egress)                     \
	struct net name CLEANUP(net_release); \
	net_init(&(name), egress)

struct probe {
	const uint8_t *to_mac, *from_mac;
	uint32_t from, to;
	uint16_t from_port, to_port;
};

static enum fabric_fate send_udp(struct net *n, struct probe p)
{
	uint8_t frame[128];
	struct udp_header h = { { p.from_mac, p.from }, p.to_mac, p.to, p.from_port, p.to_port };
	return fabric_input(&n->fabric, n->a, frame, packet_udp(&h, "hi", 2, frame));
}

/* A TCP segment from A's port 40000 to the gateway's MAC. */
static enum fabric_fate send_tcp(struct net *n, uint32_t to, uint16_t port, uint8_t flags)
{
	uint8_t frame[54] = { 0 };
	memcpy(frame, mac_gateway, 6);
	memcpy(frame + 6, mac_a, 6);
	put_be16(frame + 12, 0x0800);
	frame[14] = 0x45;
	put_be16(frame + 16, 40);
	frame[23] = IP_TCP;
	put_be32(frame + 26, A);
	put_be32(frame + 30, to);
	put_be16(frame + 34, 40000);
	put_be16(frame + 36, port);
	frame[46] = 0x50;
	frame[47] = flags;
	return fabric_input(&n->fabric, n->a, frame, sizeof(frame));
}

static enum fabric_fate send_echo(struct net *n, uint32_t to, uint8_t type)
{
	uint8_t frame[42] = { 0 };
	memcpy(frame, mac_gateway, 6);
	memcpy(frame + 6, mac_a, 6);
	put_be16(frame + 12, 0x0800);
	frame[14] = 0x45;
	put_be16(frame + 16, 28);
	frame[23] = IP_ICMP;
	put_be32(frame + 26, A);
	put_be32(frame + 30, to);
	frame[34] = type;
	return fabric_input(&n->fabric, n->a, frame, sizeof(frame));
}

static enum fabric_fate send_arp(struct net *n, unsigned operation, uint32_t sender,
				 uint32_t target)
{
	uint8_t frame[REPLY_MAX];
	size_t size =
		packet_arp_reply((struct packet_source){ mac_a, sender }, mac_all, target, frame);
	put_be16(frame + 20, (uint16_t)operation);
	return fabric_input(&n->fabric, n->a, frame, size);
}

TEST(unicast_goes_to_one)
{
	NET(n, true);
	struct probe p = { mac_b, mac_a, A, B, 1, 2 };
	assert_int_equal(send_udp(&n, p), FATE_FORWARDED);
	assert_int_equal(n.to_b, 1);
	assert_int_equal(n.to_a + n.to_c + n.outside, 0);
	p.to_mac = mac_a;
	assert_int_equal(send_udp(&n, p), FATE_UNKNOWN);
	p.to_mac = (const uint8_t[]){ 2, 0, 0, 0, 0, 1 };
	assert_int_equal(send_udp(&n, p), FATE_UNKNOWN);
	assert_int_equal(n.to_a + n.to_b + n.to_c, 1);
}

TEST(spoofed_sources_are_dropped)
{
	NET(n, true);
	struct probe wrong_mac = { mac_b, mac_c, A, B, 1, 2 },
		     wrong_address = { mac_b, mac_a, C, B, 1, 2 },
		     no_address = { mac_b, mac_a, 0, B, 1, 2 };
	assert_int_equal(send_udp(&n, wrong_mac), FATE_SPOOFED);
	assert_int_equal(send_udp(&n, wrong_address), FATE_SPOOFED);
	assert_int_equal(send_udp(&n, no_address), FATE_SPOOFED);
	assert_int_equal(send_arp(&n, ARP_REPLY, GATEWAY, B), FATE_SPOOFED);
	assert_int_equal(send_arp(&n, ARP_REQUEST, C, B), FATE_SPOOFED);
	assert_int_equal(n.to_a + n.to_b + n.to_c + n.outside, 0);
}

TEST(arp_is_answered_from_the_table)
{
	NET(n, true);
	struct packet p;
	assert_int_equal(send_arp(&n, ARP_REQUEST, A, B), FATE_ANSWERED);
	assert_int_equal(n.to_a, 1);
	assert_int_equal(packet_parse(n.last, n.last_size, &p), PACKET_ARP);
	assert_memory_equal(p.arp_sender_mac, mac_b, 6);
	assert_int_equal(p.arp_sender, B);
	assert_int_equal(send_arp(&n, ARP_REQUEST, A, GATEWAY), FATE_ANSWERED);
	assert_memory_equal(n.last + 6, mac_gateway, 6);
	assert_int_equal(send_arp(&n, ARP_REQUEST, A, DNS), FATE_ANSWERED);
	assert_int_equal(send_arp(&n, ARP_REQUEST, A, BASE + 99), FATE_UNKNOWN);
	assert_int_equal(n.to_b + n.to_c, 0);
}

TEST(arp_probe_and_announcements)
{
	NET(n, true);
	assert_int_equal(send_arp(&n, ARP_REQUEST, 0, B), FATE_ANSWERED);
	assert_int_equal(send_arp(&n, ARP_REQUEST, 0, A), FATE_ANNOUNCED);
	assert_int_equal(send_arp(&n, ARP_REQUEST, A, A), FATE_ANNOUNCED);
	assert_int_equal(send_arp(&n, ARP_REPLY, A, B), FATE_ANNOUNCED);
	assert_int_equal(n.to_a, 1);
	assert_int_equal(n.to_b, 0);
	/* QEMU's, with a MAC of its own */
	uint8_t rarp[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52,
			     0x54, 0,    0x12, 0x34, 0x56, 0x80, 0x35 };
	assert_int_equal(fabric_input(&n.fabric, n.a, rarp, sizeof(rarp)), FATE_ANNOUNCED);
}

TEST(other_protocols_are_not_carried)
{
	NET(n, true);
	uint8_t frame[60] = { 0 };
	memcpy(frame, mac_b, 6);
	memcpy(frame + 6, mac_a, 6);
	const uint16_t types[] = { 0x86dd, 0x8100, 0x88a8, 0x0000, 0x88cc };
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		put_be16(frame + 12, types[i]);
		assert_int_equal(fabric_input(&n.fabric, n.a, frame, sizeof(frame)),
				 FATE_NOT_CARRIED);
	}
	assert_int_equal(fabric_input(&n.fabric, n.a, frame, 13), FATE_MALFORMED);
	assert_int_equal(n.fabric.fates[FATE_NOT_CARRIED], 5);
}

TEST(broadcasts_reach_others_and_are_limited)
{
	NET(n, true);
	struct probe p = { mac_all, mac_a, A, 0xffffffff, 68, 67 };
	size_t passed = 0;
	for (int i = 0; i < 1000; i++)
		passed += send_udp(&n, p) == FATE_FORWARDED;
	assert_int_equal(passed, 200);
	assert_int_equal(n.to_b, 200);
	assert_int_equal(n.to_c, 200);
	assert_int_equal(n.to_a + n.outside, 0);
	n.fabric.now_ms += 1000;
	for (int i = 0; i < 1000; i++)
		passed += send_udp(&n, p) == FATE_FORWARDED;
	assert_int_equal(passed, 300);
}

TEST(the_public_internet_only)
{
	NET(n, true);
	static const struct {
		uint32_t address;
		bool open;
	} places[] = {
		{ 0x01010101, true },  { 0xc6336401, true },  { 0x0a000001, false },
		{ 0x0a4e000a, false }, { 0xac100001, false }, { 0xac200001, true },
		{ 0xc0a80101, false }, { 0xa9fea9fe, false }, { 0x64400001, false },
		{ 0x64800001, true },  { 0x7f000001, false }, { 0x00000000, false },
		{ 0xe0000001, false }, { 0xffffffff, false }, { 0xc6120001, false },
		{ 0xdfffffff, true },
	};
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		bool open = places[i].open;
		size_t before = n.outside, told = n.to_a;
		struct probe p = { mac_gateway, mac_a, A, places[i].address, 40000, 123 };
		assert_int_equal(send_tcp(&n, places[i].address, 443, TCP_SYN),
				 open ? FATE_OUTSIDE : FATE_REFUSED);
		assert_int_equal(send_udp(&n, p), open ? FATE_OUTSIDE : FATE_REFUSED);
		assert_int_equal(send_echo(&n, places[i].address, ICMP_TYPE_ECHO),
				 open ? FATE_OUTSIDE : FATE_REFUSED);
		assert_int_equal(n.outside - before, open ? 3 : 0);
		assert_int_equal(n.to_a - told, open ? 0 : 3);
	}
}

TEST(this_host_is_not_reached)
{
	NET(n, true);
	uint32_t *own = malloc(2 * sizeof(*own));
	own[0] = 0x08080808;
	own[1] = PUBLIC;
	assert_int_equal(send_tcp(&n, PUBLIC, 22, TCP_SYN), FATE_OUTSIDE);
	fabric_set_host_addresses(&n.fabric, own, 2);
	assert_int_equal(send_tcp(&n, PUBLIC, 22, TCP_SYN), FATE_REFUSED);
	assert_int_equal(send_tcp(&n, GATEWAY, 22, TCP_SYN), FATE_REFUSED);
	assert_int_equal(n.last[47], TCP_RST | TCP_ACK);
	assert_int_equal(n.outside, 1);
}

TEST(without_egress_nothing_leaves_but_answers)
{
	NET(n, false);
	struct probe p = { mac_gateway, mac_a, A, PUBLIC, 40000, 123 };
	assert_int_equal(send_tcp(&n, PUBLIC, 443, TCP_SYN), FATE_REFUSED);
	assert_int_equal(send_udp(&n, p), FATE_REFUSED);
	assert_int_equal(n.last[35], UNREACHABLE_PROHIBITED);
	assert_int_equal(send_echo(&n, PUBLIC, ICMP_TYPE_ECHO), FATE_REFUSED);
	assert_int_equal(send_tcp(&n, DNS, 53, TCP_SYN), FATE_REFUSED);
	assert_int_equal(n.outside, 0);
	/* answers of published ports, to the gateway and to a client in a private network */
	assert_int_equal(send_tcp(&n, GATEWAY, 50000, TCP_SYN | TCP_ACK), FATE_OUTSIDE);
	assert_int_equal(send_tcp(&n, 0xc0a80105, 50000, TCP_ACK), FATE_OUTSIDE);
	assert_int_equal(send_echo(&n, GATEWAY, ICMP_TYPE_ECHO), FATE_OUTSIDE);
	n.takes_published = true;
	assert_int_equal(send_udp(&n, p), FATE_ANSWERED);
}

TEST(a_refusal_is_not_answered_by_a_refusal)
{
	NET(n, false);
	assert_int_equal(send_echo(&n, PUBLIC, ICMP_TYPE_UNREACHABLE), FATE_NOT_CARRIED);
	assert_int_equal(send_tcp(&n, PUBLIC, 1, TCP_SYN | TCP_RST), FATE_REFUSED);
	assert_int_equal(n.to_a, 0);
}

TEST(dns_and_the_gateway)
{
	NET(n, true);
	struct probe p = { mac_gateway, mac_a, A, DNS, 40000, 53 };
	assert_int_equal(send_udp(&n, p), FATE_ANSWERED);
	assert_int_equal(n.dns, 1);
	p.to_port = 54;
	assert_int_equal(send_udp(&n, p), FATE_REFUSED);
	assert_int_equal(n.last[35], UNREACHABLE_PORT);
	p.to = GATEWAY;
	p.to_port = 53;
	assert_int_equal(send_udp(&n, p), FATE_REFUSED);
	p.to = B; /* a neighbour, by way of the gateway */
	assert_int_equal(send_udp(&n, p), FATE_UNKNOWN);
	assert_int_equal(send_tcp(&n, DNS, 53, TCP_SYN), FATE_OUTSIDE);
	assert_int_equal(send_tcp(&n, DNS, 54, TCP_SYN), FATE_REFUSED);
}

TEST(fragments)
{
	NET(n, true);
	uint8_t frame[128];
	struct udp_header h = { { mac_a, A }, mac_gateway, PUBLIC, 40000, 123 };
	size_t size = packet_udp(&h, "0123456789", 10, frame);
	frame[20] = 0x20;
	assert_int_equal(fabric_input(&n.fabric, n.a, frame, size), FATE_OUTSIDE);
	frame[20] = 0;
	frame[21] = 2;
	assert_int_equal(fabric_input(&n.fabric, n.a, frame, size), FATE_OUTSIDE);
	put_be32(frame + 30, GATEWAY);
	assert_int_equal(fabric_input(&n.fabric, n.a, frame, size), FATE_REFUSED);
	assert_int_equal(n.to_a, 0);
	put_be32(frame + 30, PUBLIC);
	frame[23] = IP_TCP; /* whose flags nobody could check */
	assert_int_equal(fabric_input(&n.fabric, n.a, frame, size), FATE_MALFORMED);
	/* what waits for the rest of its packet is bounded */
	frame[23] = IP_UDP;
	size_t passed = 0;
	for (int i = 0; i < 100000; i++)
		passed += fabric_input(&n.fabric, n.a, frame, size) == FATE_OUTSIDE;
	assert_in_range(passed * size, 1, 512 << 10);
}

TEST(ip_options_do_not_leave)
{
	NET(n, true);
	uint8_t frame[128] = { 0 };
	struct udp_header h = { { mac_a, A }, mac_gateway, PUBLIC, 40000, 123 };
	size_t size = packet_udp(&h, "0123456789", 10, frame);
	frame[14] = 0x46;
	frame[38] = 0; /* where UDP's length is now */
	frame[43] = 10;
	frame[42] = 0;
	assert_int_equal(fabric_input(&n.fabric, n.a, frame, size), FATE_NOT_CARRIED);
}

TEST(from_outside_only_to_its_owner)
{
	NET(n, true);
	uint8_t frame[128], reply[REPLY_MAX];
	size_t reply_size;
	struct udp_header h = { { mac_gateway, PUBLIC }, mac_a, A, 123, 40000 };
	size_t size = packet_udp(&h, "hi", 2, frame);
	assert_int_equal(fabric_from_outside(&n.fabric, frame, size, reply, &reply_size),
			 FATE_FORWARDED);
	assert_int_equal(n.to_a, 1);
	h.to_mac = mac_b;
	size = packet_udp(&h, "hi", 2, frame);
	assert_int_equal(fabric_from_outside(&n.fabric, frame, size, reply, &reply_size),
			 FATE_UNKNOWN);
	size = packet_arp_reply((struct packet_source){ mac_gateway, GATEWAY }, mac_all, B, frame);
	put_be16(frame + 20, ARP_REQUEST);
	assert_int_equal(fabric_from_outside(&n.fabric, frame, size, reply, &reply_size),
			 FATE_ANSWERED);
	assert_memory_equal(reply + 22, mac_b, 6);
	put_be32(frame + 38, BASE + 99);
	assert_int_equal(fabric_from_outside(&n.fabric, frame, size, reply, &reply_size),
			 FATE_UNKNOWN);
	assert_int_equal(reply_size, 0);
}

TEST(ports_change_and_go)
{
	NET(n, true);
	struct strlist aliases CLEANUP(strlist_release) = STRLIST_INIT;
	struct probe p = { mac_b, mac_a, A, B, 1, 2 };
	uint32_t found[FABRIC_NAMES_MAX];
	strlist_add(&aliases, "web");
	strlist_add(&aliases, "web.shop");
	assert_string_equal(fabric_port_conflict(&n.fabric, "new", mac_b, BASE + 50), "b");
	assert_string_equal(fabric_port_conflict(&n.fabric, "a", mac_a, B), "b");
	assert_null(fabric_port_conflict(&n.fabric, "b", mac_b, B));
	assert_ptr_equal(fabric_set_port(&n.fabric, "b", mac_b, BASE + 50, &aliases), n.b);
	assert_ptr_equal(fabric_set_port(&n.fabric, "c", mac_c, C, &aliases), n.c);
	assert_int_equal(fabric_lookup(&n.fabric, "WEB.shop", found), 2);
	assert_int_equal(found[0], BASE + 50);
	assert_int_equal(found[1], C);
	assert_int_equal(fabric_lookup(&n.fabric, "nobody", found), 0);
	assert_int_equal(fabric_lookup(&n.fabric, "gateway", found), 1);
	assert_int_equal(found[0], GATEWAY);
	fabric_remove_port(&n.fabric, n.b);
	n.b = NULL;
	assert_int_equal(send_udp(&n, p), FATE_UNKNOWN);
	p.to_mac = mac_c;
	p.to = C;
	assert_int_equal(send_udp(&n, p), FATE_FORWARDED);
	assert_int_equal(n.to_c, 1);
}

TEST(bucket_refills)
{
	struct bucket b = { 0 };
	for (int i = 0; i < 10; i++)
		assert_true(bucket_take(&b, 5000, 5, 10, 1));
	assert_false(bucket_take(&b, 5000, 5, 10, 1));
	assert_false(bucket_take(&b, 5199, 5, 10, 1));
	assert_true(bucket_take(&b, 5200, 5, 10, 1));
	assert_false(bucket_take(&b, 5200, 5, 10, 1));
	assert_true(bucket_take(&b, UINT64_MAX, 5, 10, 10));
}
