/* SPDX-License-Identifier: MIT */
/* DNS messages (RFC 1035): reading a query, writing an answer, comparing a reply with its query.
 * Pure. */
#ifndef CTRZ_RUNTIME_NETWORK_DNS_H
#define CTRZ_RUNTIME_NETWORK_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DNS_NAME_MAX = 255,
	DNS_ANSWER_MAX = 512, /* RFC 1035, 4.2.1 */
	DNS_HEADER = 12,
	DNS_TYPE_A = 1,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_ANY = 255,
	DNS_CLASS_IN = 1,
};

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4
};

/* A standard query with one question. @message is lent. */
struct dns_query {
	const uint8_t *message;
	size_t question_end; /* offset behind the question */
	uint16_t id;
	uint16_t type, class;
	/* The name in lower case, dots between labels and none at the end. A label with bytes no
	 * host name has (a dot, a NUL, controls) leaves it empty: it can only be passed on. */
	char name[DNS_NAME_MAX + 1];
};

/** dns_parse_query() - false unless @message is a standard query with exactly one question */
bool dns_parse_query(const uint8_t *message, size_t size, struct dns_query *ret);
/** dns_answer() - write an answer with @count addresses (host byte order). Return: its size */
size_t dns_answer(const struct dns_query *q, enum dns_rcode rcode, const uint32_t *addresses,
		  size_t count, uint8_t out[DNS_ANSWER_MAX]);
/** dns_answer_name() - like dns_answer(), with one PTR record; a name that does not fit gives
 * DNS_SERVFAIL */
size_t dns_answer_name(const struct dns_query *q, const char *name, uint8_t out[DNS_ANSWER_MAX]);
/** dns_is_reply() - whether @message answers the question @q (the id apart, which was ours on the
 * way out) */
bool dns_is_reply(const struct dns_query *q, const uint8_t *message, size_t size);
/** dns_reverse_address() - the address a PTR query ("10.0.77.10.in-addr.arpa") asks about; false if
 * it is none */
bool dns_reverse_address(const char *name, uint32_t *ret);

#endif
