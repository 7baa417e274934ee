/* SPDX-License-Identifier: MIT */
/* The wire to one VM: two datagram sockets in a folder, a bounded queue, and no trust in what else
 * the VM puts there. */
#ifndef CTRZ_RUNTIME_NETWORK_LINK_H
#define CTRZ_RUNTIME_NETWORK_LINK_H

#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"
#include "runtime/network/packet.h"

#define LINK_SWITCH_SOCKET "switch.sock"
#define LINK_VM_SOCKET "vm.sock"

struct link;
struct link_batch;

struct link_counts {
	uint64_t received, received_bytes;
	uint64_t sent, sent_bytes;
	uint64_t dropped_full;   /* the VM does not keep up */
	uint64_t dropped_absent; /* no VM listens */
	uint64_t oversized;      /* larger than FRAME_MAX */
};

typedef void (*link_frame_fn)(void *arg, const uint8_t *frame, size_t size);

/** link_batch_new() - receive buffers that all links of a switch share; owned */
struct link_batch *link_batch_new(void);
void link_batch_free(struct link_batch *b);

/**
 * link_open() - make @dir if it is missing and bind switch.sock in it, in place of a stale one
 * @batch:	lent, must outlive the link
 * @fn:		called for each frame that arrives
 */
int link_open(struct loop *loop, struct link_batch *batch, const char *dir, link_frame_fn fn,
	      void *arg, struct link **ret, struct error *err) MUST_CHECK;
/** link_close() - free it; the files stay. NULL is fine */
void link_close(struct link *l);
/** link_send() - a frame to the VM: at once, or queued while the VM is busy, or dropped if too much
 * is queued or no VM is there. Never blocks */
void link_send(struct link *l, const uint8_t *frame, size_t size);
const struct link_counts *link_counts(const struct link *l);

#endif
