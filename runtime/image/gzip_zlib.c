/* SPDX-License-Identifier: MIT */
/* gzip by zlib, for machines ISA-L is not built for. */
#include <limits.h>
#include <zlib.h>

#include "base/alloc.h"
#include "runtime/image/gzip_inflater.h"

enum { WINDOW_AND_GZIP = 15 + 16 };

struct gzip_inflater {
	z_stream stream;
};

struct gzip_inflater *gzip_inflater_new(void)
{
	struct gzip_inflater *g = xcalloc(1, sizeof(*g));

	if (inflateInit2(&g->stream, WINDOW_AND_GZIP) != Z_OK)
		abort(); /* out of memory, or a zlib other than the one built against */
	return g;
}

void gzip_inflater_free(struct gzip_inflater *g)
{
	if (!g)
		return;
	(void)inflateEnd(&g->stream);
	free(g);
}

void gzip_inflater_restart(struct gzip_inflater *g)
{
	(void)inflateReset(&g->stream);
}

int gzip_inflater_step(struct gzip_inflater *g, struct inflate_io *io, struct error *err)
{
	z_stream *z = &g->stream;
	uInt in = io->in_left < INT_MAX ? (uInt)io->in_left : INT_MAX;
	uInt out = io->out_left < INT_MAX ? (uInt)io->out_left : INT_MAX;
	union {
		const uint8_t *read_only;
		Bytef *as_zlib_wants_it; /* which reads it all the same */
	} next = { io->in };
	int code;

	z->next_in = next.as_zlib_wants_it;
	z->avail_in = in;
	z->next_out = io->out;
	z->avail_out = out;
	code = inflate(z, Z_NO_FLUSH);
	io->in = z->next_in;
	io->in_left -= in - z->avail_in;
	io->out = z->next_out;
	io->out_left -= out - z->avail_out;
	if (code == Z_STREAM_END)
		return 1;
	if (code == Z_OK || code == Z_BUF_ERROR)
		return 0;
	return error_set(err, E_INTEGRITY, "gzip stream is damaged: %s",
			 z->msg ? z->msg : "needs a dictionary");
}
