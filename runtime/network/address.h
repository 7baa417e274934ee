/* SPDX-License-Identifier: MIT */
/* Addresses of networks and containers: subnets, leases, MACs. Pure, except for host_routes_read().
 */
#ifndef CTRZ_RUNTIME_NETWORK_ADDRESS_H
#define CTRZ_RUNTIME_NETWORK_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

enum {
	SUBNET_PREFIX_MIN =
		16, /* larger networks are refused: one switch holds at most 1024 ports */
	SUBNET_PREFIX_MAX = 28, /* smaller ones have no room behind .10 */
	SUBNET_FIRST_HOST = 10, /* the first address given to a container, counted from the base */
	MAC_TEXT_SIZE = 18,
	ADDRESS_TEXT_SIZE = INET_ADDRSTRLEN,
};

/* An IPv4 network; @base is in network byte order with the host bits zero. */
struct subnet {
	struct in_addr base;
	unsigned prefix;
};

struct subnet_list {
	struct subnet *items; /* owned */
	size_t count, room;
};

/* Who has which address of a network; names are the containers'. */
struct lease {
	char *name; /* owned */
	struct in_addr address;
};

struct lease_list {
	struct lease *items; /* owned */
	size_t count, room;
};

#define SUBNET_LIST_INIT ((struct subnet_list){ 0 })
#define AUTO_SUBNET_LIST CLEANUP(subnet_list_release) struct subnet_list
#define LEASE_LIST_INIT ((struct lease_list){ 0 })
#define AUTO_LEASE_LIST CLEANUP(lease_list_release) struct lease_list

/** subnet_parse() - "10.77.3.0/24"; host bits set, a prefix outside SUBNET_PREFIX_MIN..MAX or an
 * address no host may have (0/8, 127/8, multicast, ...) is E_INVALID with what to write instead */
int subnet_parse(const char *text, struct subnet *ret, struct error *err) MUST_CHECK;
/** subnet_text() - "10.77.3.0/24"; owned */
char *subnet_text(const struct subnet *s);
bool subnet_has(const struct subnet *s, struct in_addr address);
bool subnet_overlap(const struct subnet *a, const struct subnet *b);
/** subnet_address() - the @n-th address, counted from the base; @n must lie inside */
struct in_addr subnet_address(const struct subnet *s, uint32_t n);
struct in_addr subnet_gateway(const struct subnet *s); /* .1 */
struct in_addr subnet_dns(const struct subnet *s);     /* .2 */
struct in_addr subnet_mask(const struct subnet *s);
struct in_addr subnet_broadcast(const struct subnet *s);

void subnet_list_add(struct subnet_list *l, struct subnet s);
void subnet_list_release(struct subnet_list *l);

/** host_routes_parse() - append what /proc/net/route says is in use, without the default route;
 * @text may be anything */
void host_routes_parse(const char *text, size_t size, struct subnet_list *out);
/** host_routes_read() - host_routes_parse() of this host's; a host without the file has no routes
 */
int host_routes_read(struct subnet_list *out, struct error *err) MUST_CHECK;

/**
 * subnet_pick() - a /24 for a network: 10.77.@index.0/24, or the next one after it that overlaps
 * nothing in @taken
 * @taken:	routes of the host and subnets of other networks; lent
 *
 * Looks through 10.77.0.0/16 and then 10.78.0.0/16 to 10.127.0.0/16. Return: 0, or -E_UNAVAILABLE
 * if all are taken
 */
int subnet_pick(unsigned index, const struct subnet_list *taken, struct subnet *ret,
		struct error *err) MUST_CHECK;

/** lease_take() - the address @name has, or the first free one from .10 on; recorded. Return: 0,
 * -E_UNAVAILABLE if full */
int lease_take(struct lease_list *l, const struct subnet *s, const char *name, struct in_addr *ret,
	       struct error *err) MUST_CHECK;
/** lease_claim() - give @name the address it asks for. Return: 0; -E_INVALID if it is outside @s or
 * reserved (gateway, DNS, base, broadcast), -E_CONFLICT if another has it (named) */
int lease_claim(struct lease_list *l, const struct subnet *s, const char *name,
		struct in_addr address, struct error *err) MUST_CHECK;
/** lease_find() - NULL if @name has none; lent until the next change */
const struct lease *lease_find(const struct lease_list *l, const char *name);
/** lease_drop() - an unknown name is fine */
void lease_drop(struct lease_list *l, const char *name);
void lease_list_release(struct lease_list *l);

/** mac_from_address() - 02:c7 and the four bytes of the address: locally administered, unique per
 * address */
void mac_from_address(struct in_addr address, uint8_t ret_mac[6]);
/** mac_parse() - "02:c7:0a:4d:00:0a"; false on anything else, and on group addresses and all zeros
 */
bool mac_parse(const char *text, uint8_t ret_mac[6]);
void mac_text(const uint8_t mac[6], char out[MAC_TEXT_SIZE]);
/** address_parse() - dotted quad, exactly; false on anything else */
bool address_parse(const char *text, struct in_addr *ret);
void address_text(struct in_addr address, char out[ADDRESS_TEXT_SIZE]);

#endif
