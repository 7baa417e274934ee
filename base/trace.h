/* SPDX-License-Identifier: MIT */
/* Where the time of one command goes: every process that works for it notes its phases in one
 * place. */
#ifndef CTRZ_BASE_TRACE_H
#define CTRZ_BASE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

/**
 * trace_to() - note phases from now on
 * @fd: lent; appended to, one line per phase: what works, the thread of it, the phase, begin and
 * end in microseconds of CLOCK_MONOTONIC, parted by tabs. -1 = note nothing, as at first
 */
void trace_to(int fd);
/** trace_fd() - of trace_to(); lent; -1 = none. For a child that notes there too */
int trace_fd(void);
/** trace_as() - what works here, and its thread; copied, cut at 63 bytes */
void trace_as(const char *process, const char *thread);
/** trace_now() - CLOCK_MONOTONIC in microseconds; 0 if nothing is noted */
uint64_t trace_now(void);
/** trace_note() - a phase of this process. @thread: NULL = that of trace_as(). Nothing if nothing
 * is noted, or @begin_us is 0 */
void trace_note(const char *thread, const char *name, uint64_t begin_us, uint64_t end_us);

/* A phase under way. */
struct trace_span {
	const char *name; /* lent */
	uint64_t begin_us;
};

/** trace_begin() - a phase on the thread of trace_as(); trace_end() notes it */
struct trace_span trace_begin(const char *name);
void trace_end(struct trace_span *s);

/* TRACE("copy the memory"); - a phase that lasts from here to the end of the block. */
#define TRACE(name) \
	CLEANUP(trace_end) struct trace_span trace_span_ __attribute__((unused)) = trace_begin(name)

#endif
