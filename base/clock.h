/* SPDX-License-Identifier: MIT */
/* Time. */
#ifndef CTRZ_BASE_CLOCK_H
#define CTRZ_BASE_CLOCK_H

#include <stdint.h>

/** clock_us() - CLOCK_MONOTONIC in microseconds */
uint64_t clock_us(void);
/** clock_ms() - CLOCK_MONOTONIC in milliseconds */
uint64_t clock_ms(void);
/** clock_unix_ms() - CLOCK_REALTIME, milliseconds since 1970 */
uint64_t clock_unix_ms(void);

#endif
