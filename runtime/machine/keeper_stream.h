/* SPDX-License-Identifier: MIT */
/* One guest process as the keeper relays it: bytes between the guest and a client, with credit on
 * either side; no I/O. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_STREAM_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "vminitd/protocol/message.h"

/*
 * Each side is paid for by its own credit: the keeper holds at most CREDIT_WINDOW bytes of each
 * channel, whatever the two ends do. A side that exceeds its credit breaks the protocol.
 */
struct stream_channel {
	struct buffer pending; /* received, not yet sent on */
	struct credit_receiver from;
	struct credit_sender to;
	bool ended;       /* the source said end of file */
	bool end_is_sent; /* and it was sent on, after the last byte */
};

struct stream {
	uint32_t id; /* the guest's number; a client knows its stream as STREAM_MAIN */
	struct buffer
		*client; /* frames to the client; NULL = nobody: output is consumed at once. Lent */
	struct stream_channel channels[CHANNEL_COUNT]; /* CHANNEL_STDIN runs towards the guest */
	bool has_exited;
	struct msg_exited exited;
	bool exit_is_sent;
};

void stream_init(struct stream *s, uint32_t id, struct buffer *client);
void stream_release(struct stream *s);

/**
 * stream_from_guest() - a MSG_DATA, MSG_END_OF_FILE, MSG_CREDIT or MSG_EXITED frame of this stream
 * @guest: receives frames for the guest
 *
 * Return: 0, or -E_INTEGRITY if the guest broke the protocol
 */
int stream_from_guest(struct stream *s, const struct frame *f, struct buffer *guest,
		      struct error *err) MUST_CHECK;
/** stream_from_client() - a MSG_DATA, MSG_END_OF_FILE or MSG_CREDIT frame. Return: 0 or
 * -E_INTEGRITY */
int stream_from_client(struct stream *s, const struct frame *f, struct buffer *guest,
		       struct error *err) MUST_CHECK;
/** stream_join() - from now on @client reads the output; it starts with fresh credit */
void stream_join(struct stream *s, struct buffer *client);
/** stream_leave() - the client is gone: what it has not read is dropped */
void stream_leave(struct stream *s, struct buffer *guest);
/** stream_kill() - the guest ended the process with everything else and does not tell about each:
 * as by SIGKILL */
void stream_kill(struct stream *s, struct buffer *guest);
/** stream_is_over() - the process ended and whoever listened was told */
bool stream_is_over(const struct stream *s);

#endif
