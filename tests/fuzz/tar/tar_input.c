/* SPDX-License-Identifier: MIT */
/* Walks headers by their octal sizes and corrects the sums; inputs with other sizes keep what they
 * have. */
#include "tests/fuzz/tar/tar_input.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, AT_SIZE = 124, AT_SUM = 148, AT_FLAG = 156 };

static uint64_t size_of(const uint8_t *block)
{
	uint64_t v = 0;

	for (size_t i = AT_SIZE; i < AT_SIZE + 12; i++)
		if (block[i] >= '0' && block[i] <= '7')
			v = v << 3 | (uint64_t)(block[i] - '0');
	return v;
}

static bool is_zero(const uint8_t *block)
{
	static const uint8_t zero[BLOCK];

	return memcmp(block, zero, BLOCK) == 0;
}

void tar_input_fix(uint8_t *data, size_t size)
{
	for (size_t at = 0; size - at >= BLOCK;) {
		uint8_t *block = data + at;
		uint64_t skip =
			strchr("12345", block[AT_FLAG]) && block[AT_FLAG] ? 0 : size_of(block);
		unsigned sum = 0;
		char text[9];

		if (!is_zero(block)) {
			memset(block + AT_SUM, ' ', 8);
			for (size_t i = 0; i < BLOCK; i++)
				sum += block[i];
			(void)snprintf(text, sizeof(text), "%06o", sum);
			memcpy(block + AT_SUM, text, 7);
		}
		at += BLOCK;
		skip = (skip + BLOCK - 1) / BLOCK * BLOCK;
		if (skip > size - at)
			return;
		at += (size_t)skip;
	}
}
