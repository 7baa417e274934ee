/* SPDX-License-Identifier: MIT */
/* Reads a blob, finds out how it is compressed, and inflates it with bounded memory. */
#include "runtime/image/layer_stream.h"

#include <inttypes.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/alloc.h"
#include "runtime/image/gzip_inflater.h"

enum {
	INPUT_SIZE = 256 * 1024,
	MAGIC_SIZE = 6,
	ZSTD_WINDOW_LOG_MAX = 25, /* 32 MiB; keeps the whole build under 64 MiB */
};

struct layer_stream {
	const struct layer_source *source;
	enum layer_compression kind; /* LAYER_AUTO until the first bytes are here */
	uint8_t *input;              /* owned */
	size_t start, end;           /* of what is unused in input */
	uint64_t consumed;
	bool source_ended, ended;
	bool in_frame; /* the gzip member or zstd frame is not complete yet */
	struct gzip_inflater *gzip;
	ZSTD_DStream *zstd;
};

struct layer_stream *layer_stream_new(const struct layer_source *source)
{
	struct layer_stream *s = xcalloc(1, sizeof(*s));

	s->source = source;
	s->kind = LAYER_AUTO;
	s->input = xmalloc(INPUT_SIZE);
	return s;
}

void layer_stream_free(struct layer_stream *s)
{
	if (!s)
		return;
	free(s->input);
	gzip_inflater_free(s->gzip);
	(void)ZSTD_freeDStream(s->zstd);
	free(s);
}

uint64_t layer_stream_consumed(const struct layer_stream *s)
{
	return s->consumed;
}

/* Read from the source, holding it to the size it announced. Return: bytes, 0 at the end, -code */
static ssize_t read_source(struct layer_stream *s, void *buf, size_t size, struct error *err)
{
	const struct layer_source *from = s->source;
	ssize_t n;

	if (s->source_ended || size == 0)
		return 0;
	n = from->read ? from->read(from->arg, buf, size, err) : 0;
	if (n < 0)
		return n;
	if (n == 0) {
		s->source_ended = true;
		if (from->size > 0 && s->consumed < from->size)
			return error_set(err, E_INTEGRITY,
					 "blob is cut short: %" PRIu64 " of %" PRIu64 " bytes",
					 s->consumed, from->size);
		return 0;
	}
	s->consumed += (uint64_t)n;
	if (from->size > 0 && s->consumed > from->size)
		return error_set(err, E_INTEGRITY,
				 "blob is longer than the %" PRIu64 " bytes announced", from->size);
	return n;
}

/* More input behind what is unused. Return: bytes added, 0 at the end, -code */
static ssize_t refill(struct layer_stream *s, struct error *err)
{
	ssize_t n;

	if (s->start > 0) {
		memmove(s->input, s->input + s->start, s->end - s->start);
		s->end -= s->start;
		s->start = 0;
	}
	n = read_source(s, s->input + s->end, INPUT_SIZE - s->end, err);
	if (n > 0)
		s->end += (size_t)n;
	return n;
}

static bool has_magic(const struct layer_stream *s, const char *magic, size_t size)
{
	return s->end >= size && memcmp(s->input, magic, size) == 0;
}

static int set_up_zstd(struct layer_stream *s, struct error *err)
{
	s->zstd = ZSTD_createDStream();
	if (!s->zstd ||
	    ZSTD_isError(ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)))
		return error_set(err, E_NO_MEMORY, "zstd cannot be set up");
	return 0;
}

static int set_up(struct layer_stream *s, struct error *err)
{
	bool zstd;

	while (s->end < MAGIC_SIZE && !s->source_ended) {
		ssize_t n = refill(s, err);

		if (n < 0)
			return (int)n;
	}
	zstd = has_magic(s, "\x28\xb5\x2f\xfd", 4) ||
	       (s->end >= 4 && (s->input[0] & 0xf0) == 0x50 &&
		memcmp(s->input + 1, "\x2a\x4d\x18", 3) == 0);
	s->kind = s->source->compression;
	if (s->kind == LAYER_AUTO) {
		if (has_magic(s,
			      "\xfd"
			      "7zXZ\0",
			      6) ||
		    has_magic(s, "BZh", 3))
			return error_set(err, E_INVALID,
					 "xz and bzip2 are not layer formats of OCI; recompress "
					 "with gzip or zstd");
		s->kind = has_magic(s, "\x1f\x8b", 2) ? LAYER_GZIP
			  : zstd                      ? LAYER_ZSTD
						      : LAYER_PLAIN;
	}
	s->in_frame = s->kind != LAYER_PLAIN;
	if (s->kind == LAYER_GZIP)
		s->gzip = gzip_inflater_new();
	return s->kind == LAYER_ZSTD ? set_up_zstd(s, err) : 0;
}

static ssize_t read_plain(struct layer_stream *s, uint8_t *buf, size_t size, struct error *err)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n;

		if (s->start < s->end) {
			size_t have = s->end - s->start;
			size_t part = size - done < have ? size - done : have;

			memcpy(buf + done, s->input + s->start, part);
			s->start += part;
			done += part;
			continue;
		}
		n = read_source(s, buf + done, size - done, err);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	s->ended = done < size;
	return (ssize_t)done;
}

static int step_gzip(struct layer_stream *s, struct inflate_io *io, struct error *err)
{
	int rc;

	if (!s->in_frame) {
		gzip_inflater_restart(s->gzip);
		s->in_frame = true;
	}
	rc = gzip_inflater_step(s->gzip, io, err);
	if (rc == 1)
		s->in_frame = false;
	return rc < 0 ? rc : 0;
}

static int step_zstd(struct layer_stream *s, struct inflate_io *io, struct error *err)
{
	ZSTD_inBuffer in = { io->in, io->in_left, 0 };
	ZSTD_outBuffer out = { io->out, io->out_left, 0 };
	size_t rc = ZSTD_decompressStream(s->zstd, &out, &in);

	io->in += in.pos;
	io->in_left -= in.pos;
	io->out += out.pos;
	io->out_left -= out.pos;
	if (ZSTD_getErrorCode(rc) == ZSTD_error_frameParameter_windowTooLarge)
		return error_set(err, E_INTEGRITY,
				 "zstd stream needs a window of more than %d MiB; recompress it "
				 "without --long",
				 (1 << ZSTD_WINDOW_LOG_MAX) >> 20);
	if (ZSTD_isError(rc))
		return error_set(err, E_INTEGRITY, "zstd stream is damaged: %s",
				 ZSTD_getErrorName(rc));
	s->in_frame = rc != 0;
	return 0;
}

static ssize_t read_inflated(struct layer_stream *s, uint8_t *buf, size_t size, struct error *err)
{
	struct inflate_io io = { .out = buf, .out_left = size };

	while (io.out_left > 0) {
		size_t out_before = io.out_left, in_before;
		ssize_t n = s->start < s->end ? 1 : refill(s, err);
		int rc;

		if (n < 0)
			return n;
		if (n == 0 && !s->in_frame) {
			s->ended = true;
			break;
		}
		io.in = s->input + s->start;
		in_before = io.in_left = s->end - s->start;
		rc = s->kind == LAYER_GZIP ? step_gzip(s, &io, err) : step_zstd(s, &io, err);
		if (rc < 0)
			return rc;
		s->start = s->end - io.in_left;
		if (io.out_left == out_before && io.in_left == in_before && s->in_frame) {
			/* Neither side moved: it wants more than is there. */
			n = refill(s, err);
			if (n < 0)
				return n;
			if (n == 0)
				return error_set(err, E_INTEGRITY,
						 "compressed stream is cut short");
		}
	}
	return (ssize_t)(size - io.out_left);
}

ssize_t layer_stream_read(struct layer_stream *s, void *buf, size_t size, struct error *err)
{
	if (s->ended || size == 0)
		return 0;
	if (s->kind == LAYER_AUTO) {
		int rc = set_up(s, err);

		if (rc < 0)
			return rc;
	}
	return s->kind == LAYER_PLAIN ? read_plain(s, buf, size, err)
				      : read_inflated(s, buf, size, err);
}
