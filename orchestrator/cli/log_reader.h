/* SPDX-License-Identifier: MIT */
/* Reading containers' log files: what is there, merged by time, and what comes. */
#ifndef CTRZ_ORCHESTRATOR_CLI_LOG_READER_H
#define CTRZ_ORCHESTRATOR_CLI_LOG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

enum { LOG_TIME_SIZE = 27 };

/* One whole line a process wrote; parts of long lines are already joined. */
struct log_entry {
	char time[LOG_TIME_SIZE + 1];
	size_t source; /* index of the container */
	bool is_stderr;
	char *process; /* owned; of several in the container, NULL = the main one */
	char *text;    /* owned */
	size_t size;
};

struct log_entries {
	struct log_entry *items;
	size_t count, room;
};

/* The logs of one container. */
struct log_source {
	char *folder;     /* owned; holds log, log.1, ... */
	const char *name; /* of the newest file: "log" */
	int fd;           /* of "log", -1 = not there */
	ino_t inode;
	struct buffer rest;       /* the end of the file that has no newline yet */
	struct log_entry partial; /* parts of a line still open; text NULL = none */
};

#define LOG_SOURCE_INIT ((struct log_source){ .name = "log", .fd = -1 })

void log_entries_release(struct log_entries *e);
void log_source_release(struct log_source *s);

/**
 * log_source_read_all() - every line there is, older files first; afterwards log_source_read_new()
 * goes on
 * @since: lines with an earlier time are left out; "" = none
 * @tail: only so many of the last lines; 0 = all
 */
int log_source_read_all(struct log_source *s, size_t index, const char *since, uint64_t tail,
			struct log_entries *out, struct error *err) MUST_CHECK;
/** log_source_read_new() - what was written since; follows a rotation */
int log_source_read_new(struct log_source *s, size_t index, struct log_entries *out,
			struct error *err) MUST_CHECK;
/** log_entries_sort() - by time; lines of one container keep their order */
void log_entries_sort(struct log_entries *e);
/** log_since_parse() - "10m", "2h30m", or a date as 2026-01-31[T12:00[:00]] in UTC, to the form of
 * entry times. Return: 0, -E_INVALID */
int log_since_parse(const char *text, uint64_t now_unix_ms, char ret[LOG_TIME_SIZE + 1],
		    struct error *err) MUST_CHECK;

#endif
