/* SPDX-License-Identifier: MIT */
/* gzip by ISA-L: about twice as fast as zlib on x86. */
#include <isa-l/igzip_lib.h>
#include <limits.h>

#include "base/alloc.h"
#include "runtime/image/gzip_inflater.h"

struct gzip_inflater {
	struct inflate_state state;
};

struct gzip_inflater *gzip_inflater_new(void)
{
	struct gzip_inflater *g = xmalloc(sizeof(*g));

	isal_inflate_init(&g->state);
	g->state.crc_flag = ISAL_GZIP;
	return g;
}

void gzip_inflater_free(struct gzip_inflater *g)
{
	free(g);
}

void gzip_inflater_restart(struct gzip_inflater *g)
{
	isal_inflate_reset(&g->state);
	g->state.crc_flag = ISAL_GZIP;
}

static int explain(int code, struct error *err)
{
	switch (code) {
	case ISAL_INVALID_WRAPPER:
		return error_set(err, E_INTEGRITY, "no gzip header where one should be");
	case ISAL_UNSUPPORTED_METHOD:
		return error_set(err, E_INTEGRITY, "gzip stream of an unknown method");
	case ISAL_INCORRECT_CHECKSUM:
		return error_set(err, E_INTEGRITY, "gzip stream does not match its checksum");
	default:
		return error_set(err, E_INTEGRITY, "gzip stream is damaged (code %d)", code);
	}
}

int gzip_inflater_step(struct gzip_inflater *g, struct inflate_io *io, struct error *err)
{
	struct inflate_state *s = &g->state;
	uint32_t in = io->in_left < INT_MAX ? (uint32_t)io->in_left : INT_MAX;
	uint32_t out = io->out_left < INT_MAX ? (uint32_t)io->out_left : INT_MAX;
	union {
		const uint8_t *read_only;
		uint8_t *as_isal_wants_it; /* which reads it all the same */
	} next = { io->in };
	int code;

	s->next_in = next.as_isal_wants_it;
	s->avail_in = in;
	s->next_out = io->out;
	s->avail_out = out;
	code = isal_inflate(s);
	io->in = s->next_in;
	io->in_left -= in - s->avail_in;
	io->out = s->next_out;
	io->out_left -= out - s->avail_out;
	if (code < 0)
		return explain(code, err);
	return s->block_state == ISAL_BLOCK_FINISH ? 1 : 0;
}
