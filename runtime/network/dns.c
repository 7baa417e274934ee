/* SPDX-License-Identifier: MIT */
/* Reading and writing DNS messages. */
#include "runtime/network/dns.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

enum {
	FLAG_RESPONSE = 0x8000,
	FLAG_AUTHORITATIVE = 0x0400,
	FLAG_RECURSION_DESIRED = 0x0100,
	FLAG_RECURSION_AVAILABLE = 0x0080,
	OPCODE_MASK = 0x7800,
	LABEL_MAX = 63,
	RECORD_A_SIZE = 16,
	NAME_POINTER = 0xc000 | DNS_HEADER, /* the name of the question */
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Append a label to @name; false if it has bytes that no host name has. */
static bool add_label(char *name, size_t *used, const uint8_t *label, size_t length)
{
	if (*used)
		name[(*used)++] = '.';
	for (size_t i = 0; i < length; i++) {
		char c = (char)label[i];
		if (c <= ' ' || c == '.' || c == 0x7f)
			return false;
		name[(*used)++] = lower(c);
	}
	return true;
}

/* The name at @at: labels only, since a question has nothing before it to point at. Return: the
 * offset behind it, 0 if it is broken. */
static size_t parse_name(const uint8_t *message, size_t size, size_t at, char *name)
{
	size_t used = 0, start = at;
	bool is_plain = true;
	while (at < size && message[at]) {
		size_t length = message[at];
		if (length > LABEL_MAX || at + 1 + length >= size ||
		    at + 1 + length - start >= DNS_NAME_MAX)
			return 0;
		if (is_plain)
			is_plain = add_label(name, &used, message + at + 1, length);
		at += 1 + length;
	}
	if (at >= size)
		return 0;
	name[is_plain ? used : 0] = '\0';
	return at + 1;
}

bool dns_parse_query(const uint8_t *message, size_t size, struct dns_query *ret)
{
	if (size < DNS_HEADER)
		return false;
	unsigned flags = get_be16(message + 2);
	if (flags & (FLAG_RESPONSE | OPCODE_MASK) || get_be16(message + 4) != 1)
		return false;
	struct dns_query q = { .message = message, .id = get_be16(message) };
	size_t at = parse_name(message, size, DNS_HEADER, q.name);
	if (at == 0 || size - at < 4)
		return false;
	q.type = get_be16(message + at);
	q.class = get_be16(message + at + 2);
	q.question_end = at + 4;
	*ret = q;
	return true;
}

static void put_header(const struct dns_query *q, enum dns_rcode rcode, size_t answers,
		       uint8_t *out)
{
	unsigned wanted = get_be16(q->message + 2) & FLAG_RECURSION_DESIRED;
	memset(out, 0, DNS_HEADER);
	put_be16(out, q->id);
	put_be16(out + 2, (uint16_t)(FLAG_RESPONSE | FLAG_AUTHORITATIVE | wanted |
				     FLAG_RECURSION_AVAILABLE | (unsigned)rcode));
	put_be16(out + 4, 1);
	put_be16(out + 6, (uint16_t)answers);
	memcpy(out + DNS_HEADER, q->message + DNS_HEADER, q->question_end - DNS_HEADER);
}

/* The head of a record for the question's own name; TTL 0, for an address can change hands at any
 * time. */
static void put_record(uint8_t *at, uint16_t type, size_t data_size)
{
	put_be16(at, NAME_POINTER);
	put_be16(at + 2, type);
	put_be16(at + 4, DNS_CLASS_IN);
	put_be32(at + 6, 0);
	put_be16(at + 10, (uint16_t)data_size);
}

size_t dns_answer(const struct dns_query *q, enum dns_rcode rcode, const uint32_t *addresses,
		  size_t count, uint8_t out[DNS_ANSWER_MAX])
{
	size_t at = q->question_end, fitting = (DNS_ANSWER_MAX - at) / RECORD_A_SIZE;
	if (count > fitting)
		count = fitting;
	put_header(q, rcode, count, out);
	for (size_t i = 0; i < count; i++, at += RECORD_A_SIZE) {
		put_record(out + at, DNS_TYPE_A, 4);
		put_be32(out + at + 12, addresses[i]);
	}
	return at;
}

/* @name as labels. Return: the size, 0 if it is no domain name. */
static size_t encode_name(const char *name, uint8_t out[DNS_NAME_MAX])
{
	size_t used = 0;
	while (*name) {
		size_t length = strcspn(name, ".");
		if (length == 0 || length > LABEL_MAX || used + 1 + length >= DNS_NAME_MAX)
			return 0;
		out[used++] = (uint8_t)length;
		memcpy(out + used, name, length);
		used += length;
		name += length;
		if (*name == '.')
			name++;
	}
	out[used++] = 0;
	return used;
}

size_t dns_answer_name(const struct dns_query *q, const char *name, uint8_t out[DNS_ANSWER_MAX])
{
	uint8_t encoded[DNS_NAME_MAX];
	size_t size = encode_name(name, encoded), at = q->question_end;
	if (size == 0 || at + 12 + size > DNS_ANSWER_MAX)
		return dns_answer(q, DNS_SERVFAIL, NULL, 0, out);
	put_header(q, DNS_NOERROR, 1, out);
	put_record(out + at, DNS_TYPE_PTR, size);
	memcpy(out + at + 12, encoded, size);
	return at + 12 + size;
}

bool dns_is_reply(const struct dns_query *q, const uint8_t *message, size_t size)
{
	size_t length = q->question_end - DNS_HEADER;
	if (size < q->question_end || !(get_be16(message + 2) & FLAG_RESPONSE) ||
	    get_be16(message + 4) != 1)
		return false;
	for (size_t i = 0; i < length; i++)
		if (lower((char)message[DNS_HEADER + i]) != lower((char)q->message[DNS_HEADER + i]))
			return false;
	return true;
}

bool dns_reverse_address(const char *name, uint32_t *ret)
{
	static const char suffix[] = ".in-addr.arpa";
	uint32_t address = 0;
	if (!str_ends(name, suffix))
		return false;
	const char *end = name + strlen(name) - strlen(suffix), *at = name;
	for (unsigned i = 0; i < 4; i++) {
		char digits[4] = "";
		uint64_t value;
		size_t length = strspn(at, "0123456789");
		if (length == 0 || length > 3)
			return false;
		memcpy(digits, at, length);
		if (!parse_u64(digits, 255, &value))
			return false;
		address |= (uint32_t)value << (8 * i);
		at += length;
		if (i < 3 && *at++ != '.')
			return false;
	}
	*ret = address;
	return at == end;
}
