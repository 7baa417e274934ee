/* SPDX-License-Identifier: MIT */
/* A container's log: what its processes write, line by line, in files of bounded size. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_LOG_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/*
 * Each line of the file is one line of output:
 *	2026-01-31T12:00:00.123456Z stdout F text
 *	2026-01-31T12:00:00.123456Z stdout F@web text
 * The second is of the process "web" of several. "F" ends with the process's own newline, "P" is a
 *part of a line: more of it follows, or the process ended. The text is as the process wrote it.
 *"log" is the file being written, "log.1" the one before, and so on.
 */

enum {
	LOG_LINE_MAX = 16 * 1024, /* longer lines are cut into parts */
	LOG_DEFAULT_BYTES = 10 * 1024 * 1024,
	LOG_DEFAULT_FILES = 3,
};

enum log_stream { LOG_STDOUT, LOG_STDERR, LOG_STREAMS };

/* The begun lines of one process. */
struct log_lines {
	struct buffer partial[LOG_STREAMS];
};

struct keeper_log {
	char *path; /* owned */
	int fd;
	uint64_t size, max_bytes;
	unsigned files;
	struct log_lines main;
};

#define KEEPER_LOG_INIT ((struct keeper_log){ .fd = -1 })

/** keeper_log_open() - append to "<folder>/<name>"; 0 for @max_bytes or @files = default */
int keeper_log_open(struct keeper_log *l, const char *folder, const char *name, uint64_t max_bytes,
		    unsigned files, struct error *err) MUST_CHECK;
/** keeper_log_write() - bytes from the process; a failed write (disk full) loses them and nothing
 * else */
void keeper_log_write(struct keeper_log *l, enum log_stream stream, const void *data, size_t size);
/** keeper_log_has_rest() - whether something waits for the end of its line */
bool keeper_log_has_rest(const struct keeper_log *l);
/** keeper_log_write_as() - the same of another process, @name, with its own begun lines */
void keeper_log_write_as(struct keeper_log *l, struct log_lines *lines, const char *name,
			 enum log_stream stream, const void *data, size_t size);
/** keeper_log_end_lines() - write those that have no end */
void keeper_log_end_lines(struct keeper_log *l, struct log_lines *lines, const char *name);
void log_lines_release(struct log_lines *lines);
/** keeper_log_limit() - other bounds from now on; 0 = default */
void keeper_log_limit(struct keeper_log *l, uint64_t max_bytes, unsigned files);
/** keeper_log_end() - write lines that have no end */
void keeper_log_end(struct keeper_log *l);
void keeper_log_close(struct keeper_log *l);

/* One line of a log, parsed; all lent. */
struct log_line {
	const char *time; /* 27 bytes, not terminated */
	enum log_stream stream;
	bool is_partial;
	const char *process; /* NULL = the main one; else process_size bytes */
	size_t process_size;
	const char *text;
	size_t size;
};

/** log_line_parse() - @line without its newline. Return: false if it is none */
bool log_line_parse(const char *line, size_t size, struct log_line *ret);

#endif
