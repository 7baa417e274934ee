/* SPDX-License-Identifier: MIT */
/* Taking frames apart and putting answers together. */
#include "runtime/network/packet.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"

enum {
	TYPE_IPV4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_RARP = 0x8035,
	ARP_ETHERNET = 1,
	FLAG_MORE_FRAGMENTS = 0x2000,
	FLAG_DONT_FRAGMENT = 0x4000,
	OFFSET_MASK = 0x1fff,
	HEADER_TTL = 64,
	UNREACHABLE_QUOTE = 8, /* RFC 792: the IP header and 64 bits behind it */
};

bool mac_is_group(const uint8_t mac[MAC_SIZE])
{
	return mac[0] & 1;
}

static enum packet_kind parse_arp(struct packet *p)
{
	const uint8_t *arp = p->frame + ETHER_HEADER;
	if (p->size < ETHER_HEADER + ARP_SIZE || get_be16(arp) != ARP_ETHERNET ||
	    get_be16(arp + 2) != TYPE_IPV4 || arp[4] != MAC_SIZE || arp[5] != 4)
		return PACKET_MALFORMED;
	p->size = ETHER_HEADER + ARP_SIZE;
	p->arp_operation = get_be16(arp + 6);
	p->arp_sender_mac = arp + 8;
	p->arp_sender = get_be32(arp + 14);
	p->arp_target = get_be32(arp + 24);
	return PACKET_ARP;
}

/* The transport header of an unfragmented packet or a first fragment. One that is cut off is
 * malformed: no honest sender makes it, and what reassembles it would see other ports than we do.
 */
static bool parse_transport(struct packet *p, const uint8_t *at, size_t size)
{
	p->payload = at;
	p->payload_size = size;
	if (p->protocol == IP_UDP) {
		if (size < UDP_HEADER)
			return false;
		size_t length = get_be16(at + 4);
		if (length < UDP_HEADER || (!p->is_fragment && length > size))
			return false;
		p->payload += UDP_HEADER;
		p->payload_size = (length < size ? length : size) - UDP_HEADER;
	} else if (p->protocol == IP_TCP) {
		if (size < TCP_HEADER || (size_t)(at[12] >> 4) * 4 < TCP_HEADER ||
		    (size_t)(at[12] >> 4) * 4 > size)
			return false;
		p->tcp_flags = at[13];
	} else if (p->protocol == IP_ICMP) {
		if (size < 8)
			return false;
		p->icmp_type = at[0];
	} else {
		return true;
	}
	if (p->protocol != IP_ICMP) {
		p->from_port = get_be16(at);
		p->to_port = get_be16(at + 2);
	}
	p->has_transport = true;
	return true;
}

static enum packet_kind parse_ipv4(struct packet *p)
{
	const uint8_t *ip = p->frame + ETHER_HEADER;
	size_t room = p->size - ETHER_HEADER;
	if (room < IPV4_HEADER || ip[0] >> 4 != 4)
		return PACKET_MALFORMED;
	p->ip_header = (size_t)(ip[0] & 15) * 4;
	size_t total = get_be16(ip + 2);
	if (p->ip_header < IPV4_HEADER || total < p->ip_header || total > room)
		return PACKET_MALFORMED;
	p->size = ETHER_HEADER + total;
	unsigned fragment = get_be16(ip + 6);
	p->fragment_offset = (size_t)(fragment & OFFSET_MASK) * 8;
	p->is_fragment = p->fragment_offset || fragment & FLAG_MORE_FRAGMENTS;
	if (p->fragment_offset + total - p->ip_header > 65535 - p->ip_header)
		return PACKET_MALFORMED;
	p->protocol = ip[9];
	p->from = get_be32(ip + 12);
	p->to = get_be32(ip + 16);
	if (p->fragment_offset == 0 && !parse_transport(p, ip + p->ip_header, total - p->ip_header))
		return PACKET_MALFORMED;
	return PACKET_IPV4;
}

static enum packet_kind parse_frame(struct packet *p)
{
	if (p->size < ETHER_HEADER || p->size > FRAME_MAX)
		return PACKET_MALFORMED;
	p->to_mac = p->frame;
	p->from_mac = p->frame + MAC_SIZE;
	switch (get_be16(p->frame + 12)) {
	case TYPE_IPV4:
		return parse_ipv4(p);
	case TYPE_ARP:
		return parse_arp(p);
	case TYPE_RARP:
		return PACKET_RARP;
	default:
		return PACKET_OTHER;
	}
}

enum packet_kind packet_parse(const uint8_t *frame, size_t size, struct packet *ret)
{
	*ret = (struct packet){ .frame = frame, .size = size };
	ret->kind = parse_frame(ret);
	return ret->kind;
}

static uint64_t sum_add(uint64_t sum, const uint8_t *data, size_t size)
{
	for (; size >= 4; data += 4, size -= 4)
		sum += get_be32(data);
	if (size >= 2) {
		sum += (uint64_t)get_be16(data) << 16;
		data += 2;
		size -= 2;
		if (size)
			sum += (uint64_t)data[0] << 8;
	} else if (size) {
		sum += (uint64_t)data[0] << 24;
	}
	return sum;
}

static uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put_ether(uint8_t *out, const uint8_t *to, const uint8_t *from, uint16_t type)
{
	memcpy(out, to, MAC_SIZE);
	memcpy(out + MAC_SIZE, from, MAC_SIZE);
	put_be16(out + 12, type);
}

/* @total counts the IP header, too. */
static void put_ipv4(uint8_t *ip, uint8_t protocol, size_t total, uint32_t from, uint32_t to)
{
	memset(ip, 0, IPV4_HEADER);
	ip[0] = 0x45;
	put_be16(ip + 2, (uint16_t)total);
	put_be16(ip + 6, FLAG_DONT_FRAGMENT);
	ip[8] = HEADER_TTL;
	ip[9] = protocol;
	put_be32(ip + 12, from);
	put_be32(ip + 16, to);
	put_be16(ip + 10, sum_fold(sum_add(0, ip, IPV4_HEADER)));
}

/* The checksum of TCP and UDP over the pseudo header and @size bytes behind the IP header. */
static uint16_t transport_sum(const uint8_t *ip, size_t size)
{
	uint64_t sum = sum_add(0, ip + 12, 8) + ip[9] + size;
	return sum_fold(sum_add(sum, ip + IPV4_HEADER, size));
}

size_t packet_arp_reply(struct packet_source source, const uint8_t to_mac[MAC_SIZE], uint32_t to,
			uint8_t out[REPLY_MAX])
{
	uint8_t *arp = out + ETHER_HEADER;
	put_ether(out, to_mac, source.mac, TYPE_ARP);
	put_be16(arp, ARP_ETHERNET);
	put_be16(arp + 2, TYPE_IPV4);
	arp[4] = MAC_SIZE;
	arp[5] = 4;
	put_be16(arp + 6, ARP_REPLY);
	memcpy(arp + 8, source.mac, MAC_SIZE);
	put_be32(arp + 14, source.address);
	memcpy(arp + 18, to_mac, MAC_SIZE);
	put_be32(arp + 24, to);
	return ETHER_HEADER + ARP_SIZE;
}

size_t packet_tcp_reset(const struct packet *p, const uint8_t gateway_mac[MAC_SIZE],
			uint8_t out[REPLY_MAX])
{
	const uint8_t *asked = p->frame + ETHER_HEADER + p->ip_header;
	uint8_t *ip = out + ETHER_HEADER, *tcp = ip + IPV4_HEADER;
	/* RFC 9293, 3.10.7.1: without an ACK the reset acknowledges the segment, SYN and FIN count
	 * one each. */
	size_t segment = p->size - ETHER_HEADER - p->ip_header - (size_t)(asked[12] >> 4) * 4;
	uint32_t next = get_be32(asked + 4) + (uint32_t)segment + !!(p->tcp_flags & TCP_SYN) +
			!!(p->tcp_flags & TCP_FIN);
	bool has_ack = p->tcp_flags & TCP_ACK;

	put_ether(out, p->from_mac, gateway_mac, TYPE_IPV4);
	put_ipv4(ip, IP_TCP, IPV4_HEADER + TCP_HEADER, p->to, p->from);
	memset(tcp, 0, TCP_HEADER);
	put_be16(tcp, p->to_port);
	put_be16(tcp + 2, p->from_port);
	put_be32(tcp + 4, has_ack ? get_be32(asked + 8) : 0);
	put_be32(tcp + 8, has_ack ? 0 : next);
	tcp[12] = TCP_HEADER / 4 << 4;
	tcp[13] = has_ack ? TCP_RST : TCP_RST | TCP_ACK;
	put_be16(tcp + 16, transport_sum(ip, TCP_HEADER));
	return ETHER_HEADER + IPV4_HEADER + TCP_HEADER;
}

size_t packet_icmp_unreachable(const struct packet *p, uint8_t code, struct packet_source gateway,
			       uint8_t out[REPLY_MAX])
{
	size_t quote = p->ip_header + UNREACHABLE_QUOTE, have = p->size - ETHER_HEADER;
	uint8_t *ip = out + ETHER_HEADER, *icmp = ip + IPV4_HEADER;
	if (quote > have)
		quote = have;
	put_ether(out, p->from_mac, gateway.mac, TYPE_IPV4);
	put_ipv4(ip, IP_ICMP, IPV4_HEADER + 8 + quote, gateway.address, p->from);
	memset(icmp, 0, 8);
	icmp[0] = ICMP_TYPE_UNREACHABLE;
	icmp[1] = code;
	memcpy(icmp + 8, p->frame + ETHER_HEADER, quote);
	put_be16(icmp + 2, sum_fold(sum_add(0, icmp, 8 + quote)));
	return ETHER_HEADER + IPV4_HEADER + 8 + quote;
}

size_t packet_udp(const struct udp_header *h, const void *payload, size_t size, uint8_t *out)
{
	uint8_t *ip = out + ETHER_HEADER, *udp = ip + IPV4_HEADER;
	assert(size <= UDP_PAYLOAD_MAX);
	put_ether(out, h->to_mac, h->source.mac, TYPE_IPV4);
	put_ipv4(ip, IP_UDP, IPV4_HEADER + UDP_HEADER + size, h->source.address, h->to);
	put_be16(udp, h->from_port);
	put_be16(udp + 2, h->to_port);
	put_be16(udp + 4, (uint16_t)(UDP_HEADER + size));
	put_be16(udp + 6, 0);
	if (size)
		memcpy(udp + UDP_HEADER, payload, size);
	uint16_t sum = transport_sum(ip, UDP_HEADER + size);
	put_be16(udp + 6, sum ? sum : 0xffff); /* RFC 768: 0 means there is none */
	return ETHER_HEADER + IPV4_HEADER + UDP_HEADER + size;
}
