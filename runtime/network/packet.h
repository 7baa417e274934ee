/* SPDX-License-Identifier: MIT */
/* Ethernet, ARP, IPv4, TCP, UDP and ICMP: reading frames that nobody vouches for, and making the
 * few we send. Pure. */
#ifndef CTRZ_RUNTIME_NETWORK_PACKET_H
#define CTRZ_RUNTIME_NETWORK_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MAC_SIZE = 6,
	ETHER_HEADER = 14,
	ARP_SIZE = 28,
	IPV4_HEADER = 20,
	TCP_HEADER = 20,
	UDP_HEADER = 8,
	FRAME_MAX = ETHER_HEADER + 65535,
	UDP_PAYLOAD_MAX = 65535 - IPV4_HEADER - UDP_HEADER,
	REPLY_MAX = 128, /* room for any answer made here, except UDP */
};

enum packet_kind {
	PACKET_MALFORMED, /* says something else than it holds */
	PACKET_ARP,
	PACKET_RARP,
	PACKET_IPV4,
	PACKET_OTHER, /* IPv6, VLAN tags, ...: not carried */
};

enum { ARP_REQUEST = 1, ARP_REPLY = 2 };
enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17 };
enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_ACK = 0x10 };
enum { ICMP_TYPE_ECHO_REPLY = 0, ICMP_TYPE_UNREACHABLE = 3, ICMP_TYPE_ECHO = 8 };
enum { UNREACHABLE_PROTOCOL = 2, UNREACHABLE_PORT = 3, UNREACHABLE_PROHIBITED = 13 };

/* A frame taken apart. Pointers are lent from the frame; addresses and ports are in host byte
 * order. What a field belongs to says when it is set. */
struct packet {
	enum packet_kind kind;
	const uint8_t *frame;
	size_t size; /* without padding, if the kind tells */
	const uint8_t *to_mac, *from_mac;
	/* ARP */
	uint16_t arp_operation;
	const uint8_t *arp_sender_mac;
	uint32_t arp_sender, arp_target;
	/* IPv4 */
	uint32_t from, to;
	uint8_t protocol;
	size_t ip_header; /* bytes, options included */
	bool is_fragment; /* the first one, too */
	size_t fragment_offset;
	/* IPv4 with a whole transport header (never in a later fragment) */
	bool has_transport;
	const uint8_t *payload; /* behind the UDP header or the ICMP type and code */
	size_t payload_size;
	uint16_t from_port, to_port;
	uint8_t tcp_flags;
	uint8_t icmp_type;
};

/** packet_parse() - take a frame apart. Return: ret->kind */
enum packet_kind packet_parse(const uint8_t *frame, size_t size, struct packet *ret);

bool mac_is_group(const uint8_t mac[MAC_SIZE]);

/* Who sends an answer. */
struct packet_source {
	const uint8_t *mac;
	uint32_t address;
};

/** packet_arp_reply() - "@source.address is at @source.mac". Return: the size in @out */
size_t packet_arp_reply(struct packet_source source, const uint8_t to_mac[MAC_SIZE], uint32_t to,
			uint8_t out[REPLY_MAX]);
/** packet_tcp_reset() - the refusal of the connection that @p, a TCP segment, asks for; it comes
 * from the address that was asked. Return: the size in @out */
size_t packet_tcp_reset(const struct packet *p, const uint8_t gateway_mac[MAC_SIZE],
			uint8_t out[REPLY_MAX]);
/** packet_icmp_unreachable() - tell the sender of @p, an IPv4 packet, why it does not get through.
 * Return: the size in
 * @out */
size_t packet_icmp_unreachable(const struct packet *p, uint8_t code, struct packet_source gateway,
			       uint8_t out[REPLY_MAX]);

struct udp_header {
	struct packet_source source;
	const uint8_t *to_mac;
	uint32_t to;
	uint16_t from_port, to_port;
};

/** packet_udp() - a datagram; @size is at most UDP_PAYLOAD_MAX. Return: the size in @out, which has
 * FRAME_MAX bytes */
size_t packet_udp(const struct udp_header *h, const void *payload, size_t size, uint8_t *out);

#endif
