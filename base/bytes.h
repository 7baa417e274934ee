/* SPDX-License-Identifier: MIT */
/* Explicit packing and unpacking of integers: structs never go on a wire. */
#ifndef CTRZ_BASE_BYTES_H
#define CTRZ_BASE_BYTES_H

#include <stdint.h>

static inline void put_be16(void *at, uint16_t v)
{
	uint8_t *p = at;
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_be32(void *at, uint32_t v)
{
	put_be16(at, (uint16_t)(v >> 16));
	put_be16((uint8_t *)at + 2, (uint16_t)v);
}

static inline void put_be64(void *at, uint64_t v)
{
	put_be32(at, (uint32_t)(v >> 32));
	put_be32((uint8_t *)at + 4, (uint32_t)v);
}

static inline uint16_t get_be16(const void *at)
{
	const uint8_t *p = at;
	return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t get_be32(const void *at)
{
	return (uint32_t)get_be16(at) << 16 | get_be16((const uint8_t *)at + 2);
}

static inline uint64_t get_be64(const void *at)
{
	return (uint64_t)get_be32(at) << 32 | get_be32((const uint8_t *)at + 4);
}

static inline uint16_t get_le16(const void *at)
{
	const uint8_t *p = at;
	return (uint16_t)((unsigned)p[1] << 8 | p[0]);
}

static inline uint32_t get_le32(const void *at)
{
	return (uint32_t)get_le16((const uint8_t *)at + 2) << 16 | get_le16(at);
}

static inline uint64_t get_le64(const void *at)
{
	return (uint64_t)get_le32((const uint8_t *)at + 4) << 32 | get_le32(at);
}

static inline void put_le16(void *at, uint16_t v)
{
	uint8_t *p = at;
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void put_le32(void *at, uint32_t v)
{
	put_le16(at, (uint16_t)v);
	put_le16((uint8_t *)at + 2, (uint16_t)(v >> 16));
}

#endif
