/* SPDX-License-Identifier: MIT */
/* One filled message of each kind, as a frame: for golden files, round trips and the fuzzer's
 * seeds. */
#ifndef CTRZ_TESTS_UNIT_VMINITD_SAMPLES_H
#define CTRZ_TESTS_UNIT_VMINITD_SAMPLES_H

#include "vminitd/protocol/message.h"

struct sample {
	const char *name;
	int (*add)(struct buffer *out, struct error *err);
	/* Unpack a payload and pack it again. */
	int (*again)(const void *data, size_t size, struct buffer *out, struct error *err);
};

extern const struct sample samples[];
extern const size_t sample_count;

/** sample_setup() - a setup with everything in it; released by the caller */
void sample_setup(struct msg_setup *ret);
void sample_spawn(struct msg_spawn *ret);

#endif
