/* SPDX-License-Identifier: MIT */
/* Makes random bytes look enough like a tar to get behind the header's checksum. */
#ifndef CTRZ_TESTS_FUZZ_TAR_TAR_INPUT_H
#define CTRZ_TESTS_FUZZ_TAR_TAR_INPUT_H

#include <stddef.h>
#include <stdint.h>

/** tar_input_fix() - give every block that will be read as a header the checksum it should have */
void tar_input_fix(uint8_t *data, size_t size);

#endif
