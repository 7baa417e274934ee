/* SPDX-License-Identifier: MIT */
/* Credit-based flow control of one channel of a stream: who sends keeps one half, who receives the
 * other. */
#ifndef CTRZ_VMINITD_PROTOCOL_CREDIT_H
#define CTRZ_VMINITD_PROTOCOL_CREDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of data a fresh channel may send before the first credit frame; never more than this is
 * under way. */
enum { CREDIT_WINDOW = 256 * 1024 };

struct credit_sender {
	uint32_t available; /* bytes that may still be sent */
};

struct credit_receiver {
	uint32_t granted; /* bytes the sender may still send */
	uint32_t owed;    /* bytes consumed here and not granted again yet */
};

#define CREDIT_SENDER_INIT ((struct credit_sender){ CREDIT_WINDOW })
#define CREDIT_RECEIVER_INIT ((struct credit_receiver){ CREDIT_WINDOW, 0 })

/** credit_sent() - note @size bytes as sent; at most what was available */
void credit_sent(struct credit_sender *s, size_t size);
/** credit_granted() - a credit frame came. Return: false if it would exceed the window: the other
 * end is broken */
bool credit_granted(struct credit_sender *s, uint32_t bytes);
/** credit_received() - a data frame came. Return: false if the sender had no credit for it: it is
 * broken or hostile */
bool credit_received(struct credit_receiver *r, size_t size);
/** credit_consumed() - @size received bytes left memory. Return: what to grant now by a credit
 * frame, 0 for nothing yet (small amounts are gathered) */
uint32_t credit_consumed(struct credit_receiver *r, size_t size);

#endif
