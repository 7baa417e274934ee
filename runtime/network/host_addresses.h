/* SPDX-License-Identifier: MIT */
/* This machine's own IPv4 addresses, kept up to date. */
#ifndef CTRZ_RUNTIME_NETWORK_HOST_ADDRESSES_H
#define CTRZ_RUNTIME_NETWORK_HOST_ADDRESSES_H

#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

struct host_addresses;

/* @addresses (host byte order) are handed over. */
typedef void (*host_addresses_fn)(void *arg, uint32_t *addresses, size_t count);

/** host_addresses_watch() - call @fn now and after each change; owned. Without netlink there are no
 * changes seen */
struct host_addresses *host_addresses_watch(struct loop *loop, host_addresses_fn fn, void *arg);
void host_addresses_free(struct host_addresses *h);

#endif
