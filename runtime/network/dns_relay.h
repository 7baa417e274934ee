/* SPDX-License-Identifier: MIT */
/* Passing DNS queries to the host's resolvers and their replies back. */
#ifndef CTRZ_RUNTIME_NETWORK_DNS_RELAY_H
#define CTRZ_RUNTIME_NETWORK_DNS_RELAY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "runtime/network/dns.h"

enum { RESOLVERS_MAX = 3 };

/* Who to ask, in order. */
struct resolvers {
	struct sockaddr_storage items[RESOLVERS_MAX];
	size_t count;
};

/** resolvers_parse() - the nameserver lines of a resolv.conf, IPv4 and IPv6; @text may be anything
 */
void resolvers_parse(const char *text, size_t size, struct resolvers *ret);

struct dns_relay;

/* Who asked: opaque to the relay. */
struct dns_client {
	uint32_t address;
	uint16_t port;
};

typedef void (*dns_reply_fn)(void *arg, struct dns_client client, const uint8_t *message,
			     size_t size);

/** dns_relay_new() - @resolv_conf is read again when it changed; owned */
struct dns_relay *dns_relay_new(struct loop *loop, const char *resolv_conf, dns_reply_fn fn,
				void *arg);
void dns_relay_free(struct dns_relay *r);
DEFINE_CLEANUP(struct dns_relay *, dns_relay_free)
/** dns_relay_ask() - the reply, or DNS_SERVFAIL when no resolver answers, comes through the
 * function; a client with too many open queries is not served, as a busy server would not */
void dns_relay_ask(struct dns_relay *r, struct dns_client client, const struct dns_query *q,
		   size_t size);

#endif
