/* SPDX-License-Identifier: MIT */
/* What a network's switch does with a frame: a static table, source checks, answers of the gateway,
 * the way out. No input or output of its own; time is given. */
#ifndef CTRZ_RUNTIME_NETWORK_FABRIC_H
#define CTRZ_RUNTIME_NETWORK_FABRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "runtime/network/packet.h"

enum { FABRIC_PORTS_MAX = 1024, FABRIC_NAMES_MAX = 16 };

/* What became of a frame; counted. */
enum fabric_fate {
	FATE_FORWARDED, /* to another port */
	FATE_OUTSIDE,   /* to the way out */
	FATE_ANSWERED,  /* ARP, DNS, a published UDP port */
	FATE_ANNOUNCED, /* RARP and gratuitous ARP of a port's own address: nothing to do */
	FATE_REFUSED,   /* a destination out of bounds; the sender was told */
	FATE_MALFORMED,
	FATE_SPOOFED,     /* a source that is not the port's own */
	FATE_NOT_CARRIED, /* IPv6, VLAN, other protocols */
	FATE_UNKNOWN,     /* nobody has the destination */
	FATE_LIMITED,     /* too many of a kind that costs others */
	FATES
};

/** fabric_fate_name() - "forwarded", ... */
const char *fabric_fate_name(enum fabric_fate fate);

/* Refills at a rate; see bucket_take(). */
struct bucket {
	uint64_t filled_ms;
	uint64_t tokens; /* in thousandths */
};

struct fabric_port {
	char *name; /* owned; the container's */
	struct strlist aliases;
	uint8_t mac[MAC_SIZE];
	uint32_t address; /* host byte order, as everywhere in here */
	void *link;       /* the caller's */
	struct bucket broadcasts, connects, fragments, refusals;
};

struct fabric;

/* Where frames go from here. @frame is lent for the call. */
struct fabric_sink {
	void (*to_port)(void *arg, struct fabric_port *to, const uint8_t *frame, size_t size);
	/* To the way out; IPv4 only, checked, without padding. */
	void (*to_outside)(void *arg, const struct packet *p);
	/* A DNS message for this network's server. */
	void (*to_dns)(void *arg, struct fabric_port *from, const struct packet *p);
	/* A UDP datagram that may belong to a published port. Return: whether it was taken. */
	bool (*to_published)(void *arg, struct fabric_port *from, const struct packet *p);
	void *arg;
};

struct fabric {
	uint32_t base, mask, gateway, dns;
	uint8_t gateway_mac[MAC_SIZE];
	bool egress; /* the public internet can be reached */
	struct fabric_sink sink;
	uint64_t now_ms;            /* set by the caller before frames are put in */
	struct fabric_port **ports; /* owned */
	uint64_t *macs;             /* of ports, same order: what is searched for every frame */
	uint32_t *addresses;
	size_t port_count, port_room;
	uint32_t *host_addresses; /* owned; this machine's own: never reached */
	size_t host_address_count;
	uint64_t fates[FATES];
};

/** fabric_init() - @base in host byte order; gateway and DNS are .1 and .2 */
void fabric_init(struct fabric *f, uint32_t base, unsigned prefix, bool egress,
		 struct fabric_sink sink);
void fabric_release(struct fabric *f);

/** fabric_set_port() - add a port or change it (found by name). NULL if there are too many; MAC and
 * address must be free (fabric_port_conflict()) */
struct fabric_port *fabric_set_port(struct fabric *f, const char *name, const uint8_t mac[MAC_SIZE],
				    uint32_t address, const struct strlist *aliases);
/** fabric_port_conflict() - the name of another port with this MAC or address, or NULL */
const char *fabric_port_conflict(const struct fabric *f, const char *name,
				 const uint8_t mac[MAC_SIZE], uint32_t address);
/** fabric_remove_port() - what @link points at stays the caller's */
void fabric_remove_port(struct fabric *f, struct fabric_port *port);
struct fabric_port *fabric_port_by_name(const struct fabric *f, const char *name);
struct fabric_port *fabric_port_by_address(const struct fabric *f, uint32_t address);

/** fabric_set_host_addresses() - takes ownership of @addresses */
void fabric_set_host_addresses(struct fabric *f, uint32_t *addresses, size_t count);
/** fabric_can_reach() - whether a packet to @address may leave: the public internet, if there is
 * egress at all */
bool fabric_can_reach(const struct fabric *f, uint32_t address);
/** address_is_public() - neither private, link-local, shared, loopback, multicast nor reserved */
bool address_is_public(uint32_t address);

/** fabric_input() - a frame from a port. Return: what became of it */
enum fabric_fate fabric_input(struct fabric *f, struct fabric_port *from, const uint8_t *frame,
			      size_t size);
/** fabric_from_outside() - a frame that the way in brings. ARP requests for ports are answered into
 * @ret_reply (its size in *ret_reply_size, else 0) */
enum fabric_fate fabric_from_outside(struct fabric *f, const uint8_t *frame, size_t size,
				     uint8_t ret_reply[REPLY_MAX], size_t *ret_reply_size);

/** fabric_lookup() - addresses of a name of this network, without regard to case. Return: how many,
 * at most FABRIC_NAMES_MAX; 0 if nobody has it */
size_t fabric_lookup(const struct fabric *f, const char *name, uint32_t ret[FABRIC_NAMES_MAX]);

/** bucket_take() - whether @cost fits into a bucket of @burst that refills by @rate a second */
bool bucket_take(struct bucket *b, uint64_t now_ms, uint64_t rate, uint64_t burst, uint64_t cost);

#endif
