/* SPDX-License-Identifier: MIT */
/* Frames: how messages and stream data share one byte stream (virtio-serial, or a keeper's socket).
 */
#ifndef CTRZ_VMINITD_PROTOCOL_FRAME_H
#define CTRZ_VMINITD_PROTOCOL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

enum {
	FRAME_HEADER_SIZE = 12, /* be32 payload size, be16 type, be16 channel, be32 stream */
	FRAME_MARKER_SIZE = 16,
	/* Room for the largest setup (hosts of a thousand containers) and for a large environment.
	 */
	FRAME_MAX_PAYLOAD = 256 * 1024,
	/* Data frames stay within one virtio-serial write, so that streams take turns. */
	FRAME_DATA_MAX = 32 * 1024 - FRAME_HEADER_SIZE,
};

/* type 0 on the receiving side: a marker was seen, the other end starts over (see
 * frame_add_marker()) */
enum { FRAME_TYPE_MARKER = 0 };

struct frame {
	uint16_t type;       /* enum msg_type */
	uint16_t channel;    /* enum msg_channel of data, end-of-file and credit frames, else 0 */
	uint32_t stream;     /* a process, or the id of a request */
	const void *payload; /* lent until the next call on the decoder */
	size_t size;
};

enum frame_transport {
	FRAME_SOCKET, /* begins at the beginning and loses nothing: a broken header is an error */
	FRAME_SERIAL, /* may be joined half way: bytes are skipped until a marker */
};

struct frame_decoder {
	enum frame_transport transport;
	bool seeking; /* FRAME_SERIAL: no marker since the start or the last broken header */
	struct buffer pending;
	size_t used; /* bytes of pending that were handed out */
	uint64_t skipped_bytes;
};

void frame_decoder_init(struct frame_decoder *d, enum frame_transport transport);
void frame_decoder_release(struct frame_decoder *d);
/** frame_decoder_restart() - forget half a frame; FRAME_SERIAL seeks the next marker */
void frame_decoder_restart(struct frame_decoder *d);
/** frame_decoder_add() - feed received bytes; frames lent before are void */
void frame_decoder_add(struct frame_decoder *d, const void *data, size_t size);
/** frame_decoder_read() - as frame_decoder_add(), of at most @size bytes that @fd has. Return: as
 * read() */
ssize_t frame_decoder_read(struct frame_decoder *d, int fd, size_t size);
/**
 * frame_decoder_next() - the next whole frame
 *
 * Call until it returns 0 after each frame_decoder_add(): then less than one frame stays in memory.
 *
 * Return: 1 and *ret, 0 if more bytes are needed, -E_INTEGRITY for a broken header on FRAME_SOCKET
 * (the connection is of no more use)
 */
int frame_decoder_next(struct frame_decoder *d, struct frame *ret, struct error *err) MUST_CHECK;

/** frame_add() - append a whole frame; @size is at most FRAME_MAX_PAYLOAD */
void frame_add(struct buffer *out, uint16_t type, uint16_t channel, uint32_t stream,
	       const void *payload, size_t size);
/** frame_add_read() - append a frame of at most @size bytes that @fd has. Return: as read(); no
 * frame unless it is more than 0 */
ssize_t frame_add_read(struct buffer *out, uint16_t type, uint16_t channel, uint32_t stream, int fd,
		       size_t size);
/** frame_begin() - append a header whose size comes later. Return: what frame_end() wants */
size_t frame_begin(struct buffer *out, uint16_t type, uint32_t stream);
/** frame_end() - fill in the size of what was appended since. Return: 0, or -E_INVALID if it is
 * over FRAME_MAX_PAYLOAD (the frame is taken back) */
int frame_end(struct buffer *out, size_t begin, struct error *err) MUST_CHECK;
/** frame_add_marker() - the bytes that say "a frame begins after this", which no header can be
 * mistaken for */
void frame_add_marker(struct buffer *out);

#endif
