/* SPDX-License-Identifier: MIT */
/* Frames taken apart and put together, byte for byte. */
#include "tests/unit/network/frames.h"
#include "tests/unit/test.h"

#include "base/text.h"

static const uint8_t mac_a[6] = { 0x02, 0xc7, 10, 77, 0, 10 };
static const uint8_t mac_gateway[6] = { 0x52, 0x55, 10, 77, 0, 1 };
static const uint32_t ADDRESS_A = 0x0a4d000a, GATEWAY = 0x0a4d0001, OUTSIDE = 0xc6336401;

/* A SYN from 10.77.0.10:40000 to 198.51.100.1:443, sequence 0x01020304, no payload; checksums as
 * the kernel makes them. */
static const char syn_hex[] = "52550a4d0001 02c70a4d000a 0800"
			      "45000028 00004000 40060645 0a4d000a c6336401"
			      "9c4001bb 01020304 00000000 5002faf0 de640000";

static void assert_hex(const uint8_t *data, size_t size, const char *want)
{
	uint8_t bytes[2048];
	char is[4097], should[4097];
	size_t want_size = frame_from_hex(want, bytes, sizeof(bytes));
	hex_encode(is, data, size);
	hex_encode(should, bytes, want_size);
	assert_string_equal(is, should);
}

TEST(parse_tcp_syn)
{
	uint8_t frame[128];
	struct packet p;
	size_t size = frame_from_hex(syn_hex, frame, sizeof(frame));
	assert_int_equal(packet_parse(frame, size, &p), PACKET_IPV4);
	assert_int_equal(p.from, ADDRESS_A);
	assert_int_equal(p.to, OUTSIDE);
	assert_int_equal(p.protocol, IP_TCP);
	assert_int_equal(p.from_port, 40000);
	assert_int_equal(p.to_port, 443);
	assert_int_equal(p.tcp_flags, TCP_SYN);
	assert_false(p.is_fragment);
	assert_true(p.has_transport);
}

TEST(parse_removes_padding)
{
	uint8_t frame[128] = { 0 };
	struct packet p;
	size_t size = frame_from_hex(syn_hex, frame, sizeof(frame));
	assert_int_equal(packet_parse(frame, 60, &p), PACKET_IPV4);
	assert_int_equal(p.size, size);
}

TEST(parse_refuses_every_truncation)
{
	uint8_t frame[128];
	struct packet p;
	size_t size = frame_from_hex(syn_hex, frame, sizeof(frame));
	for (size_t n = 0; n < size; n++)
		assert_int_equal(packet_parse(frame, n, &p), PACKET_MALFORMED);
}

TEST(parse_refuses_what_lies)
{
	static const struct {
		size_t at;
		uint8_t value;
	} lies[] = {
		{ 14, 0x65 }, /* version 6 */
		{ 14, 0x44 }, /* a header of 16 bytes */
		{ 14, 0x4f }, /* a header longer than the packet leaves for TCP */
		{ 17, 0x29 }, /* one byte longer than the frame */
		{ 17, 0x13 }, /* shorter than its header */
		{ 46, 0x40 }, /* TCP header of 16 bytes */
		{ 46, 0x60 }, /* TCP header longer than the packet */
	};
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		uint8_t frame[128];
		struct packet p;
		size_t size = frame_from_hex(syn_hex, frame, sizeof(frame));
		frame[lies[i].at] = lies[i].value;
		assert_int_equal(packet_parse(frame, size, &p), PACKET_MALFORMED);
	}
}

TEST(parse_fragments)
{
	uint8_t frame[128];
	struct packet p;
	size_t size = frame_from_hex(syn_hex, frame, sizeof(frame));
	frame[20] = 0x20; /* more fragments */
	assert_int_equal(packet_parse(frame, size, &p), PACKET_IPV4);
	assert_true(p.is_fragment);
	assert_int_equal(p.fragment_offset, 0);
	assert_true(p.has_transport);
	frame[20] = 0x00;
	frame[21] = 0x01; /* the second eight bytes: flags of a TCP header hidden here */
	assert_int_equal(packet_parse(frame, size, &p), PACKET_IPV4);
	assert_true(p.is_fragment);
	assert_int_equal(p.fragment_offset, 8);
	assert_false(p.has_transport);
	frame[20] = 0x1f;
	frame[21] = 0xff; /* ends behind 65535 */
	assert_int_equal(packet_parse(frame, size, &p), PACKET_MALFORMED);
}

TEST(arp_reply_bytes)
{
	uint8_t out[REPLY_MAX];
	size_t size = packet_arp_reply((struct packet_source){ mac_gateway, GATEWAY }, mac_a,
				       ADDRESS_A, out);
	assert_hex(out, size,
		   "02c70a4d000a 52550a4d0001 0806 0001 0800 06 04 0002"
		   "52550a4d0001 0a4d0001 02c70a4d000a 0a4d000a");
	struct packet p;
	assert_int_equal(packet_parse(out, size, &p), PACKET_ARP);
	assert_int_equal(p.arp_operation, ARP_REPLY);
	assert_int_equal(p.arp_sender, GATEWAY);
	assert_int_equal(p.arp_target, ADDRESS_A);
}

TEST(tcp_reset_bytes)
{
	uint8_t frame[128], out[REPLY_MAX];
	struct packet p;
	size_t size = frame_from_hex(syn_hex, frame, sizeof(frame));
	assert_int_equal(packet_parse(frame, size, &p), PACKET_IPV4);
	size = packet_tcp_reset(&p, mac_gateway, out);
	/* It acknowledges the SYN: 0x01020305. */
	assert_hex(out, size,
		   "02c70a4d000a 52550a4d0001 0800"
		   "45000028 00004000 40060645 c6336401 0a4d000a"
		   "01bb9c40 00000000 01020305 50140000 d9420000");
	assert_true(frame_checksums_hold(out, size));
}

TEST(icmp_unreachable_bytes)
{
	uint8_t frame[128], out[REPLY_MAX];
	struct packet p;
	size_t size = frame_from_hex(syn_hex, frame, sizeof(frame));
	assert_int_equal(packet_parse(frame, size, &p), PACKET_IPV4);
	size = packet_icmp_unreachable(&p, UNREACHABLE_PROHIBITED,
				       (struct packet_source){ mac_gateway, GATEWAY }, out);
	assert_hex(out, size,
		   "02c70a4d000a 52550a4d0001 0800"
		   "45000038 00004000 40012621 0a4d0001 0a4d000a"
		   "030d5af1 00000000"
		   "45000028 00004000 40060645 0a4d000a c6336401 9c4001bb 01020304");
	assert_true(frame_checksums_hold(out, size));
}

TEST(udp_round_trip)
{
	static uint8_t out[FRAME_MAX], payload[UDP_PAYLOAD_MAX];
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	const size_t sizes[] = { 0, 1, 2, 3, 512, 65491, UDP_PAYLOAD_MAX };
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct udp_header h = { .source = { mac_gateway, GATEWAY },
					.to_mac = mac_a,
					.to = ADDRESS_A,
					.from_port = 53,
					.to_port = 40000 };
		struct packet p;
		size_t size = packet_udp(&h, payload, sizes[i], out);
		assert_int_equal(packet_parse(out, size, &p), PACKET_IPV4);
		assert_int_equal(p.payload_size, sizes[i]);
		assert_memory_equal(p.payload, payload, sizes[i]);
		assert_int_equal(p.from_port, 53);
		assert_true(frame_checksums_hold(out, size));
	}
}

TEST(udp_length_must_hold)
{
	uint8_t frame[128];
	struct packet p;
	const char hex[] = "52550a4d0001 02c70a4d000a 0800"
			   "4500001d 00004000 40110000 0a4d000a c6336401"
			   "9c400035 00090000 41";
	size_t size = frame_from_hex(hex, frame, sizeof(frame));
	assert_int_equal(packet_parse(frame, size, &p), PACKET_IPV4);
	assert_int_equal(p.payload_size, 1);
	frame[39] = 10;
	assert_int_equal(packet_parse(frame, size, &p), PACKET_MALFORMED);
	frame[39] = 7;
	assert_int_equal(packet_parse(frame, size, &p), PACKET_MALFORMED);
}
