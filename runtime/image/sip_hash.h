/* SPDX-License-Identifier: MIT */
/* SipHash-1-3: a keyed hash whose collisions cannot be guessed (Aumasson and Bernstein, 2012). */
#ifndef CTRZ_RUNTIME_IMAGE_SIP_HASH_H
#define CTRZ_RUNTIME_IMAGE_SIP_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct sip_state {
	uint64_t a, b, c, d;
};

static inline uint64_t sip_rotate(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static inline void sip_round(struct sip_state *s)
{
	s->a += s->b;
	s->c += s->d;
	s->b = sip_rotate(s->b, 13) ^ s->a;
	s->d = sip_rotate(s->d, 16) ^ s->c;
	s->a = sip_rotate(s->a, 32);
	s->c += s->b;
	s->a += s->d;
	s->b = sip_rotate(s->b, 17) ^ s->c;
	s->d = sip_rotate(s->d, 21) ^ s->a;
	s->c = sip_rotate(s->c, 32);
}

static inline uint64_t sip_hash(const uint64_t key[2], const void *data, size_t size)
{
	struct sip_state s = { key[0] ^ 0x736f6d6570736575U, key[1] ^ 0x646f72616e646f6dU,
			       key[0] ^ 0x6c7967656e657261U, key[1] ^ 0x7465646279746573U };
	const uint8_t *p = data;
	uint64_t last = (uint64_t)size << 56;
	size_t whole = size & ~(size_t)7;

	for (size_t i = 0; i < whole; i += 8) {
		uint64_t m = get_le64(p + i);

		s.d ^= m;
		sip_round(&s);
		s.a ^= m;
	}
	for (size_t i = whole; i < size; i++)
		last |= (uint64_t)p[i] << (8 * (i - whole));
	s.d ^= last;
	sip_round(&s);
	s.a ^= last;
	s.c ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}

#endif
