/* SPDX-License-Identifier: MIT */
/* The way out and in through libslirp: TCP, UDP and echo to the outside, published TCP ports.
 * Judges nothing: what may leave was decided before. */
#ifndef CTRZ_RUNTIME_NETWORK_OUTSIDE_H
#define CTRZ_RUNTIME_NETWORK_OUTSIDE_H

#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/network/packet.h"

struct outside;

/* A frame for the network; it is lent for the call. */
typedef void (*outside_frame_fn)(void *arg, const uint8_t *frame, size_t size);

struct outside_config {
	struct in_addr base, mask, gateway, dns; /* network byte order */
	bool egress;
	size_t fds_max; /* beyond this many descriptors in use no new connection is taken out */
	outside_frame_fn to_network;
	void *arg;
};

/** outside_library_load() - before anything else here, and before the process is isolated. Return:
 * 0, or -E_UNAVAILABLE */
int outside_library_load(struct error *err) MUST_CHECK;
/** outside_new() - owned; never NULL */
struct outside *outside_new(const struct outside_config *c);
void outside_free(struct outside *o);
DEFINE_CLEANUP(struct outside *, outside_free)

/** outside_input() - a packet that leaves; a new connection too many is dropped */
void outside_input(struct outside *o, const struct packet *p);
/** outside_input_frame() - an ARP reply for what libslirp asked */
void outside_input_frame(struct outside *o, const uint8_t *frame, size_t size);

/** outside_publish() - listen on a host's TCP port for a guest's. @host_port (host byte order) may
 * be 0: choose. Return: the host port, or -errno */
int outside_publish(struct outside *o, struct in_addr host, uint16_t host_port,
		    struct in_addr guest, uint16_t guest_port);
/** outside_unpublish() - connections that stand go on */
void outside_unpublish(struct outside *o, struct in_addr host, uint16_t host_port);

/** outside_fill() - say what to poll for: fds[0] is the caller's, the rest is filled in.
 * Return: the array, lent until the next call; *ret_count and *timeout_ms (-1 = for ever) are set
 */
struct pollfd *outside_fill(struct outside *o, size_t *ret_count, int *timeout_ms);
/** outside_poll() - after poll() over what outside_fill() gave */
void outside_poll(struct outside *o, bool poll_failed);

#endif
