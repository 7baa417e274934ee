/* SPDX-License-Identifier: MIT */
/* Frames written as hexadecimal, and an independent check of their sums. */
#ifndef CTRZ_TESTS_UNIT_NETWORK_FRAMES_H
#define CTRZ_TESTS_UNIT_NETWORK_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/network/packet.h"

static inline unsigned hex_value(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* Blanks are left out; aborts on more than @room bytes. */
static inline size_t frame_from_hex(const char *hex, uint8_t *out, size_t room)
{
	size_t n = 0;
	while (*hex) {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		if (n == room || !hex[1])
			abort();
		out[n++] = (uint8_t)(hex_value(hex[0]) << 4 | hex_value(hex[1]));
		hex += 2;
	}
	return n;
}

/* The sum of 16-bit words, RFC 1071, as plainly as possible. */
static inline unsigned plain_sum(unsigned sum, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		sum += i % 2 ? data[i] : (unsigned)data[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* Whether the sums of an IPv4 packet without options come out as all ones. */
static inline bool frame_checksums_hold(const uint8_t *frame, size_t size)
{
	const uint8_t *ip = frame + ETHER_HEADER;
	size_t length = size - ETHER_HEADER - IPV4_HEADER;
	if (plain_sum(0, ip, IPV4_HEADER) != 0xffff)
		return false;
	unsigned sum = 0;
	if (ip[9] != IP_ICMP) {
		const uint8_t pseudo[4] = { 0, ip[9], (uint8_t)(length >> 8), (uint8_t)length };
		sum = plain_sum(plain_sum(0, ip + 12, 8), pseudo, 4);
	}
	return plain_sum(sum, ip + IPV4_HEADER, length) == 0xffff;
}

#endif
