/* SPDX-License-Identifier: MIT */
/* One gzip member inflated piece by piece; by ISA-L or zlib, decided when ctrz is built. */
#ifndef CTRZ_RUNTIME_IMAGE_GZIP_INFLATER_H
#define CTRZ_RUNTIME_IMAGE_GZIP_INFLATER_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

/* What a step reads from and writes to; both sides move on as it goes. */
struct inflate_io {
	const uint8_t *in;
	size_t in_left;
	uint8_t *out;
	size_t out_left;
};

struct gzip_inflater;

struct gzip_inflater *gzip_inflater_new(void);
void gzip_inflater_free(struct gzip_inflater *g);
DEFINE_CLEANUP(struct gzip_inflater *, gzip_inflater_free)

/** gzip_inflater_step() - go on as far as @io allows, checking the member's CRC and length at its
 * end. Return: 1 at the end of the member, 0 if it needs more input or room, -E_INTEGRITY */
int gzip_inflater_step(struct gzip_inflater *g, struct inflate_io *io,
		       struct error *err) MUST_CHECK;

/** gzip_inflater_restart() - a further member follows */
void gzip_inflater_restart(struct gzip_inflater *g);

#endif
