/* SPDX-License-Identifier: MIT */
/* The frame codec. */
/*
 * DOC: Theory of Operation
 *
 * A frame is a 12-byte header and at most FRAME_MAX_PAYLOAD bytes. On a socket that is all. A
 * virtio-serial port has no connections: bytes of a former peer, or half a frame of it, may still
 * be on their way when a new one begins. So each end begins with a marker, whose first bytes are an
 * impossible payload size; a reader that has no marker yet, or that finds a broken header, skips
 * bytes until it has seen a whole marker. Should a reader sit in the middle of a payload when the
 * other end starts over unnoticed, then that one finds no answer to its first message and sends
 * FRAME_MAX_PAYLOAD bytes of 0xff followed by another marker: the first 0xff after the old payload
 * is a broken header.
 */
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "vminitd/protocol/frame.h"

static const uint8_t marker[FRAME_MARKER_SIZE] = {
	0xff, 0xff, 0xff, 0xff, 'c', 't', 'r', 'z', '-', 'f', 'r', 'a', 'm', 'e', 's', '\n',
};

void frame_decoder_init(struct frame_decoder *d, enum frame_transport transport)
{
	*d = (struct frame_decoder){ .transport = transport, .seeking = transport == FRAME_SERIAL };
}

void frame_decoder_release(struct frame_decoder *d)
{
	buffer_release(&d->pending);
	*d = (struct frame_decoder){ .transport = d->transport };
}

void frame_decoder_restart(struct frame_decoder *d)
{
	buffer_clear(&d->pending);
	d->used = 0;
	d->seeking = d->transport == FRAME_SERIAL;
}

static void drop_used(struct frame_decoder *d)
{
	if (d->used == 0)
		return;
	buffer_drop(&d->pending, d->used);
	d->used = 0;
}

void frame_decoder_add(struct frame_decoder *d, const void *data, size_t size)
{
	drop_used(d);
	buffer_add(&d->pending, data, size);
}

ssize_t frame_decoder_read(struct frame_decoder *d, int fd, size_t size)
{
	drop_used(d);
	ssize_t n = read(fd, buffer_reserve(&d->pending, size), size);
	buffer_grow(&d->pending, n > 0 ? (size_t)n : 0);
	return n;
}

/* Skip to the end of the next marker. Return: whether there was one. */
static bool seek_marker(struct frame_decoder *d)
{
	const char *at = d->pending.data + d->used, *end = d->pending.data + d->pending.size;

	while ((size_t)(end - at) >= sizeof(marker)) {
		if (memcmp(at, marker, sizeof(marker)) == 0) {
			d->used = (size_t)(at - d->pending.data) + sizeof(marker);
			d->seeking = false;
			return true;
		}
		at++;
		const char *next = memchr(at, 0xff, (size_t)(end - at));
		at = next ? next : end;
	}
	size_t used = (size_t)(at - d->pending.data);
	d->skipped_bytes += used - d->used;
	d->used = used;
	return false;
}

int frame_decoder_next(struct frame_decoder *d, struct frame *ret, struct error *err)
{
	if (d->pending.size == d->used) {
		drop_used(d);
		return 0;
	}
	if (d->seeking) {
		if (!seek_marker(d))
			return 0;
		*ret = (struct frame){ .type = FRAME_TYPE_MARKER };
		return 1;
	}
	size_t have = d->pending.size - d->used;
	if (have < FRAME_HEADER_SIZE)
		return 0;
	const char *p = d->pending.data + d->used;
	uint32_t size = get_be32(p);
	uint16_t type = get_be16(p + 4);
	if (size > FRAME_MAX_PAYLOAD || type == FRAME_TYPE_MARKER) {
		if (d->transport == FRAME_SOCKET)
			return error_set(err, E_INTEGRITY,
					 "broken frame header (%u bytes, type %u): the other "
					 "end speaks another protocol",
					 size, type);
		d->seeking = true;
		return frame_decoder_next(d, ret, err);
	}
	if (have < FRAME_HEADER_SIZE + (size_t)size)
		return 0;
	*ret = (struct frame){ .type = type,
			       .channel = get_be16(p + 6),
			       .stream = get_be32(p + 8),
			       .payload = p + FRAME_HEADER_SIZE,
			       .size = size };
	d->used += FRAME_HEADER_SIZE + (size_t)size;
	return 1;
}

static void put_header(void *header, uint16_t type, uint16_t channel, uint32_t stream, size_t size)
{
	char *at = header;

	put_be32(at, (uint32_t)size);
	put_be16(at + 4, type);
	put_be16(at + 6, channel);
	put_be32(at + 8, stream);
}

static void add_header(struct buffer *out, uint16_t type, uint16_t channel, uint32_t stream,
		       size_t size)
{
	uint8_t header[FRAME_HEADER_SIZE];

	put_header(header, type, channel, stream, size);
	buffer_add(out, header, sizeof(header));
}

void frame_add(struct buffer *out, uint16_t type, uint16_t channel, uint32_t stream,
	       const void *payload, size_t size)
{
	assert(size <= FRAME_MAX_PAYLOAD && type != FRAME_TYPE_MARKER);
	add_header(out, type, channel, stream, size);
	if (size > 0)
		buffer_add(out, payload, size);
}

ssize_t frame_add_read(struct buffer *out, uint16_t type, uint16_t channel, uint32_t stream, int fd,
		       size_t size)
{
	assert(size <= FRAME_MAX_PAYLOAD && type != FRAME_TYPE_MARKER);
	char *at = buffer_reserve(out, FRAME_HEADER_SIZE + size);
	ssize_t n = read(fd, at + FRAME_HEADER_SIZE, size);

	if (n > 0)
		put_header(at, type, channel, stream, (size_t)n);
	buffer_grow(out, n > 0 ? FRAME_HEADER_SIZE + (size_t)n : 0);
	return n;
}

size_t frame_begin(struct buffer *out, uint16_t type, uint32_t stream)
{
	size_t begin = out->size;

	assert(type != FRAME_TYPE_MARKER);
	add_header(out, type, 0, stream, 0);
	return begin;
}

int frame_end(struct buffer *out, size_t begin, struct error *err)
{
	size_t size = out->size - begin - FRAME_HEADER_SIZE;

	if (size > FRAME_MAX_PAYLOAD) {
		out->size = begin;
		out->data[begin] = '\0';
		return error_set(err, E_INVALID,
				 "message of %zu bytes is over the limit of %d bytes", size,
				 FRAME_MAX_PAYLOAD);
	}
	put_be32(out->data + begin, (uint32_t)size);
	return 0;
}

void frame_add_marker(struct buffer *out)
{
	buffer_add(out, marker, sizeof(marker));
}
