/* SPDX-License-Identifier: MIT */
/* Frames of a hostile VM through the whole path: source checks, ARP, forwarding, DNS, the way out.
 * What must hold whatever comes in is asserted. */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "runtime/network/fabric.h"
#include "runtime/network/outside.h"
#include "runtime/network/zone.h"

/*
 * The input is a byte of options, then frames: two bytes of size, big-endian, and the bytes. Bit 0
 * of the options is egress, bit 1 gives libslirp what leaves, too (without egress only: a fuzzer
 * must not talk to anybody).
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t BASE = 0x0a4d0000, A = 0x0a4d000a, B = 0x0a4d000b;
static const uint8_t mac_a[6] = { 0x02, 0xc7, 10, 77, 0, 10 };
static const uint8_t mac_b[6] = { 0x02, 0xc7, 10, 77, 0, 11 };

struct world {
	struct fabric fabric;
	struct fabric_port *a, *b;
	struct outside *outside;
	bool is_inbound; /* frames come from outside now */
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void to_port(void *arg, struct fabric_port *to, const uint8_t *frame, size_t size)
{
	const struct world *w = arg;
	struct packet p;
	must(to == w->a || to == w->b);
	must(packet_parse(frame, size, &p) != PACKET_MALFORMED);
	must(p.kind == PACKET_IPV4 || p.kind == PACKET_ARP);
	if (w->is_inbound) { /* to whom it is addressed */
		must(memcmp(p.to_mac, to->mac, MAC_SIZE) == 0 && p.to == to->address);
	} else if (to == w->b) { /* from the VM: in its own name */
		must(memcmp(p.from_mac, mac_a, MAC_SIZE) == 0);
		must(p.kind == PACKET_IPV4 && p.from == A);
	} else { /* an answer */
		must(memcmp(p.to_mac, mac_a, MAC_SIZE) == 0 || p.kind == PACKET_ARP);
	}
}

static void to_outside(void *arg, const struct packet *p)
{
	struct world *w = arg;
	bool opens = p->protocol == IP_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
	must(p->kind == PACKET_IPV4 && p->from == A);
	must(p->size <= FRAME_MAX && p->ip_header == IPV4_HEADER);
	must(p->protocol != IP_TCP || !p->is_fragment);
	if (opens && p->to != w->fabric.dns)
		must(w->fabric.egress && address_is_public(p->to));
	if (p->protocol == IP_UDP)
		must(w->fabric.egress && address_is_public(p->to));
	if (w->outside && !w->fabric.egress)
		outside_input(w->outside, p);
}

static void to_dns(void *arg, struct fabric_port *from, const struct packet *p)
{
	const struct world *w = arg;
	struct dns_query q;
	uint8_t answer[DNS_ANSWER_MAX];
	must(from == w->a);
	if (!dns_parse_query(p->payload, p->payload_size, &q))
		return;
	must(q.question_end <= p->payload_size && strlen(q.name) <= DNS_NAME_MAX);
	size_t size = zone_answer(&w->fabric, &q, answer);
	must(size <= DNS_ANSWER_MAX);
	if (size)
		must(dns_is_reply(&q, answer, size));
	/* a resolver's reply may be anything, too */
	(void)dns_is_reply(&q, p->payload, p->payload_size);
}

static bool to_published(void *arg, struct fabric_port *from, const struct packet *p)
{
	const struct world *w = arg;
	must(from == w->a && p->protocol == IP_UDP && p->has_transport);
	return p->from_port == 53;
}

static void to_network(void *arg, const uint8_t *frame, size_t size)
{
	struct world *w = arg;
	uint8_t reply[REPLY_MAX];
	size_t reply_size;
	w->is_inbound = true;
	(void)fabric_from_outside(&w->fabric, frame, size, reply, &reply_size);
	w->is_inbound = false;
}

static struct outside *new_outside(struct world *w)
{
	must(outside_library_load(NULL) == 0);
	return outside_new(&(struct outside_config){ .base = { htonl(BASE) },
						     .mask = { htonl(0xffffff00) },
						     .gateway = { htonl(BASE + 1) },
						     .dns = { htonl(BASE + 2) },
						     .fds_max = 16,
						     .to_network = to_network,
						     .arg = w });
}

static void one_frame(struct world *w, const uint8_t *frame, size_t size)
{
	uint8_t reply[REPLY_MAX];
	size_t reply_size;
	/* An exact copy, so that a read behind its end is seen. */
	uint8_t *copy = malloc(size ? size : 1);
	must(copy != NULL);
	memcpy(copy, frame, size);
	w->fabric.now_ms += 10;
	must(fabric_input(&w->fabric, w->a, copy, size) < FATES);
	w->is_inbound = true;
	must(fabric_from_outside(&w->fabric, copy, size, reply, &reply_size) < FATES);
	w->is_inbound = false;
	must(reply_size <= REPLY_MAX);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { 0 };
	struct strlist aliases = STRLIST_INIT;
	if (size < 1)
		return 0;
	strlist_add(&aliases, "db.shop");
	fabric_init(&w.fabric, BASE, 24, data[0] & 1,
		    (struct fabric_sink){ to_port, to_outside, to_dns, to_published, &w });
	w.a = fabric_set_port(&w.fabric, "web", mac_a, A, &aliases);
	w.b = fabric_set_port(&w.fabric, "db", mac_b, B, &aliases);
	if (data[0] & 2)
		w.outside = new_outside(&w);
	for (size_t at = 1; size - at >= 2;) {
		size_t length = get_be16(data + at), left = size - at - 2;
		if (length > left)
			length = left;
		one_frame(&w, data + at + 2, length);
		at += 2 + length;
	}
	outside_free(w.outside);
	fabric_release(&w.fabric);
	strlist_release(&aliases);
	return 0;
}
