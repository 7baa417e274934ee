/* SPDX-License-Identifier: MIT */
/* --trace FILE: where the time of a command goes, as JSON that chrome://tracing and Perfetto show.
 */
#ifndef CTRZ_ORCHESTRATOR_CLI_TRACE_FILE_H
#define CTRZ_ORCHESTRATOR_CLI_TRACE_FILE_H

#include "base/buffer.h"
#include "orchestrator/cli/command.h"

/* Of commands that start machines. */
#define TRACE_OPTION                                                                          \
	{                                                                                     \
		.name = "trace", .value = "FILE", .help = "write where the time goes to FILE" \
	}

/** trace_file_begin() - if --trace was given: note phases from here on, in all processes.
 * *ret_fd: -1 = it was not; else for trace_file_end() */
int trace_file_begin(const struct options *o, const char *command, int *ret_fd,
		     struct error *err) MUST_CHECK;
/** trace_file_end() - write the file; @fd is taken; -1 is fine */
int trace_file_end(const struct options *o, int fd, struct error *err) MUST_CHECK;
/** trace_file_json() - from the lines of base/trace.h to Chrome's trace events. Lines that are none
 * are left out */
void trace_file_json(const char *lines, size_t size, struct buffer *out);

#endif
