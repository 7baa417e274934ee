/* SPDX-License-Identifier: MIT */
/* Phases of a traced command. As with log lines, where they go is a global of the process. */
#include "base/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { NAME_SIZE = 64, LINE_SIZE = 320 };

static int out_fd = -1;
static char process_name[NAME_SIZE] = "ctrz";
static char thread_name[NAME_SIZE] = "main";

void trace_to(int fd)
{
	out_fd = fd;
}

int trace_fd(void)
{
	return out_fd;
}

void trace_as(const char *process, const char *thread)
{
	(void)snprintf(process_name, sizeof(process_name), "%s", process);
	(void)snprintf(thread_name, sizeof(thread_name), "%s", thread);
}

uint64_t trace_now(void)
{
	return out_fd < 0 ? 0 : clock_us();
}

/* Tabs and line ends part what is written. */
static void add_word(char *line, size_t *at, const char *word)
{
	for (size_t i = 0; i < NAME_SIZE - 1 && word[i]; i++)
		line[(*at)++] = (unsigned char)word[i] < ' ' || word[i] == 0x7f ? ' ' : word[i];
	line[(*at)++] = '\t';
}

void trace_note(const char *thread, const char *name, uint64_t begin_us, uint64_t end_us)
{
	char line[LINE_SIZE];
	size_t at = 0;
	int saved = errno;

	if (out_fd < 0 || begin_us == 0)
		return;
	add_word(line, &at, process_name);
	add_word(line, &at, thread ? thread : thread_name);
	add_word(line, &at, name);
	at += (size_t)snprintf(line + at, sizeof(line) - at, "%" PRIu64 "\t%" PRIu64 "\n", begin_us,
			       end_us);
	/* In one piece, so that lines of several processes stay whole. */
	ssize_t n = write(out_fd, line, at);
	(void)n; /* a trace with a phase less is no reason to fail */
	errno = saved;
}

struct trace_span trace_begin(const char *name)
{
	return (struct trace_span){ .name = name, .begin_us = trace_now() };
}

void trace_end(struct trace_span *s)
{
	trace_note(NULL, s->name, s->begin_us, trace_now());
}
