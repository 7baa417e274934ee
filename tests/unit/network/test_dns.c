/* SPDX-License-Identifier: MIT */
/* DNS messages and the names of a network. */
#include "tests/unit/network/frames.h"
#include "tests/unit/test.h"

#include <netinet/in.h>

#include "base/cleanup.h"
#include "runtime/network/dns_relay.h"
#include "runtime/network/zone.h"

/* "Web.Shop", type A, recursion desired, id 0xbeef */
static const char query_hex[] = "beef 0100 0001 0000 0000 0000 03576562 0453686f70 00 0001 0001";

static size_t make_query(const char *name, unsigned type, uint8_t out[512])
{
	size_t at = frame_from_hex("beef 0100 0001 0000 0000 0000", out, 512);
	while (*name) {
		size_t n = strcspn(name, ".");
		out[at++] = (uint8_t)n;
		memcpy(out + at, name, n);
		at += n;
		name += n + (name[n] == '.');
	}
	out[at++] = 0;
	out[at++] = 0;
	out[at++] = (uint8_t)type;
	out[at++] = 0;
	out[at++] = 1;
	return at;
}

TEST(query_is_read)
{
	uint8_t message[512];
	struct dns_query q;
	size_t size = frame_from_hex(query_hex, message, sizeof(message));
	assert_true(dns_parse_query(message, size, &q));
	assert_string_equal(q.name, "web.shop");
	assert_int_equal(q.id, 0xbeef);
	assert_int_equal(q.type, DNS_TYPE_A);
	assert_int_equal(q.question_end, size);
	for (size_t n = 0; n < size; n++)
		assert_false(dns_parse_query(message, n, &q));
}

TEST(odd_queries_are_refused)
{
	static const char *const bad[] = {
		"beef 8100 0001 0000 0000 0000 0161 00 0001 0001", /* an answer */
		"beef 2900 0001 0000 0000 0000 0161 00 0001 0001", /* an update */
		"beef 0100 0002 0000 0000 0000 0161 00 0001 0001", /* two questions */
		"beef 0100 0000 0000 0000 0000",                   /* none */
		"beef 0100 0001 0000 0000 0000 c00c 0001 0001",    /* a pointer to itself */
		"beef 0100 0001 0000 0000 0000 4061 00 0001 0001", /* a reserved label type */
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint8_t message[512];
		struct dns_query q;
		size_t size = frame_from_hex(bad[i], message, sizeof(message));
		assert_false(dns_parse_query(message, size, &q));
	}
}

TEST(long_names_are_bounded)
{
	uint8_t message[512] = { 0xbe, 0xef, 1, 0, 0, 1 };
	struct dns_query q;
	size_t at = 12;
	for (int i = 0; i < 127; i++) {
		message[at++] = 1;
		message[at++] = 'a';
	}
	message[at++] = 0;
	memcpy(message + at, "\0\1\0\1", 4);
	assert_true(dns_parse_query(message, at + 4, &q));
	assert_int_equal(strlen(q.name), 253);
	message[at - 1] = 1;
	message[at++] = 'a';
	message[at++] = 0;
	memcpy(message + at, "\0\1\0\1", 4);
	assert_false(dns_parse_query(message, at + 4, &q));
}

TEST(names_with_odd_bytes_match_nothing)
{
	uint8_t message[512];
	struct dns_query q;
	/* one label "web.shop", one with a NUL */
	size_t size =
		frame_from_hex("beef 0100 0001 0000 0000 0000 087765622e73686f70 00 0001 0001",
			       message, sizeof(message));
	assert_true(dns_parse_query(message, size, &q));
	assert_string_equal(q.name, "");
	size = frame_from_hex("beef 0100 0001 0000 0000 0000 0477656200 00 0001 0001", message,
			      sizeof(message));
	assert_true(dns_parse_query(message, size, &q));
	assert_string_equal(q.name, "");
}

TEST(answer_bytes)
{
	uint8_t message[512], answer[DNS_ANSWER_MAX], want[512];
	struct dns_query q;
	const uint32_t addresses[] = { 0x0a4d000a, 0x0a4d000b };
	size_t size = frame_from_hex(query_hex, message, sizeof(message));
	assert_true(dns_parse_query(message, size, &q));
	size = dns_answer(&q, DNS_NOERROR, addresses, 2, answer);
	size_t want_size = frame_from_hex("beef 8580 0001 0002 0000 0000"
					  "03576562 0453686f70 00 0001 0001"
					  "c00c 0001 0001 00000000 0004 0a4d000a"
					  "c00c 0001 0001 00000000 0004 0a4d000b",
					  want, sizeof(want));
	assert_int_equal(size, want_size);
	assert_memory_equal(answer, want, size);
	assert_true(dns_is_reply(&q, answer, size));
	answer[13] = 'w'; /* case does not matter */
	assert_true(dns_is_reply(&q, answer, size));
	answer[13] = 'x';
	assert_false(dns_is_reply(&q, answer, size));
}

TEST(answers_fit)
{
	uint8_t message[512], answer[DNS_ANSWER_MAX];
	uint32_t addresses[64] = { 0 };
	struct dns_query q;
	char name[254];
	memset(name, 'a', 253);
	name[63] = name[127] = name[191] = '.';
	name[253] = '\0';
	size_t size = make_query(name, DNS_TYPE_A, message);
	assert_true(dns_parse_query(message, size, &q));
	size = dns_answer(&q, DNS_NOERROR, addresses, 64, answer);
	assert_in_range(size, q.question_end + 16, DNS_ANSWER_MAX);
	assert_true(dns_answer_name(&q, name, answer) ==
		    q.question_end); /* does not fit: SERVFAIL */
	assert_int_equal(answer[3] & 15, DNS_SERVFAIL);
}

TEST(reverse_names)
{
	uint32_t address;
	assert_true(dns_reverse_address("10.0.77.10.in-addr.arpa", &address));
	assert_int_equal(address, 0x0a4d000a);
	const char *const bad[] = { "",
				    "in-addr.arpa",
				    ".in-addr.arpa",
				    "1.2.3.in-addr.arpa",
				    "1.2.3.4.5.in-addr.arpa",
				    "256.2.3.4.in-addr.arpa",
				    "1..3.4.in-addr.arpa",
				    "1.2.3.4.in-addr.arpa.x",
				    "1.2.3.4x.in-addr.arpa",
				    "a.1.2.3.4.in-addr.arpa",
				    "1.2.3.4..in-addr.arpa",
				    "0001.2.3.4.in-addr.arpa" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(dns_reverse_address(bad[i], &address));
}

static void zone_of(struct fabric *f, bool egress)
{
	struct strlist aliases = STRLIST_INIT;
	strlist_add(&aliases, "web.shop");
	fabric_init(f, 0x0a4d0000, 24, egress, (struct fabric_sink){ 0 });
	(void)fabric_set_port(f, "web", (const uint8_t[]){ 2, 0, 0, 0, 0, 1 }, 0x0a4d000a,
			      &aliases);
	strlist_release(&aliases);
}

/* The answer's code and count of records as code * 100 + count; -1 if it goes outside. */
static int zone_says(const struct fabric *f, const char *name, unsigned type)
{
	uint8_t message[512], answer[DNS_ANSWER_MAX];
	struct dns_query q;
	size_t size = make_query(name, type, message);
	assert_true(dns_parse_query(message, size, &q));
	size = zone_answer(f, &q, answer);
	return size ? (answer[3] & 15) * 100 + answer[7] : -1;
}

TEST(zone_knows_its_own)
{
	struct fabric f CLEANUP(fabric_release);
	zone_of(&f, true);
	assert_int_equal(zone_says(&f, "web", DNS_TYPE_A), 1);
	assert_int_equal(zone_says(&f, "WEB.SHOP", DNS_TYPE_A), 1);
	assert_int_equal(zone_says(&f, "web", DNS_TYPE_AAAA), 0);
	assert_int_equal(zone_says(&f, "gateway", DNS_TYPE_A), 1);
	assert_int_equal(zone_says(&f, "example.org", DNS_TYPE_A), -1);
	assert_int_equal(zone_says(&f, "10.0.77.10.in-addr.arpa", DNS_TYPE_PTR), 1);
	assert_int_equal(zone_says(&f, "11.0.77.10.in-addr.arpa", DNS_TYPE_PTR), 300);
	assert_int_equal(zone_says(&f, "1.1.168.192.in-addr.arpa", DNS_TYPE_PTR), 300);
	assert_int_equal(zone_says(&f, "1.1.1.1.in-addr.arpa", DNS_TYPE_PTR), -1);
}

TEST(zone_without_egress_asks_nobody)
{
	struct fabric f CLEANUP(fabric_release);
	zone_of(&f, false);
	assert_int_equal(zone_says(&f, "web", DNS_TYPE_A), 1);
	assert_int_equal(zone_says(&f, "example.org", DNS_TYPE_A), 300);
	assert_int_equal(zone_says(&f, "1.1.1.1.in-addr.arpa", DNS_TYPE_PTR), 300);
}

TEST(resolv_conf_is_read)
{
	static const char text[] = "# nameserver 9.9.9.9\nsearch x\nnameserver 127.0.0.53\n"
				   "nameserver\tfe80::1%lo trailing\nnameservers 1.1.1.1\n"
				   "nameserver nonsense\nnameserver 10.0.0.1\nnameserver 10.0.0.2";
	struct resolvers r;
	resolvers_parse(text, sizeof(text) - 1, &r);
	assert_int_equal(r.count, 3);
	assert_int_equal(r.items[0].ss_family, AF_INET);
	assert_int_equal(r.items[1].ss_family, AF_INET6);
	assert_int_equal(r.items[2].ss_family, AF_INET);
	resolvers_parse("", 0, &r);
	assert_int_equal(r.count, 0);
}
