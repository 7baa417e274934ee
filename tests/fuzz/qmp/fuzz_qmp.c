/* SPDX-License-Identifier: MIT */
/* What QEMU says, cut into pieces of the first byte's size: a QEMU that was broken into may say
 * anything. */
#include <stddef.h>
#include <stdint.h>

#include "runtime/machine/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qmp_reader r = { 0 };
	AUTO_ERROR err = ERROR_INIT;
	size_t step = size > 0 && data[0] > 0 ? data[0] : 1;
	int got = 0;

	for (size_t at = 1; at < size && got >= 0; at += step) {
		qmp_reader_add(&r, data + at, size - at < step ? size - at : step);
		struct qmp_message m = { 0 };
		while ((got = qmp_reader_next(&r, &m, &err)) > 0)
			qmp_message_release(&m);
	}
	qmp_reader_release(&r);
	return 0;
}
