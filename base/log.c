/* SPDX-License-Identifier: MIT */
/* Log lines. Level, descriptor and prefix are, with those of trace.c, the only mutable globals of
 * the tree. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"

static enum log_level max_level = LOG_LEVEL_INFO;
static int log_fd = 2;
static char log_prefix[64];

static const char *const level_names[] = { "error", "warning", "info", "debug" };

void log_set_level(enum log_level level)
{
	max_level = level;
}

enum log_level log_get_level(void)
{
	return max_level;
}

void log_set_fd(int fd)
{
	log_fd = fd;
}

void log_set_prefix(const char *prefix)
{
	(void)snprintf(log_prefix, sizeof(log_prefix), "%s", prefix);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	if (level > max_level)
		return;
	int saved = errno;
	va_list args;
	va_start(args, fmt);
	AUTO_FREE char *text = xvasprintf(fmt, args);
	va_end(args);
	AUTO_BUFFER line = BUFFER_INIT;
	buffer_printf(&line, "%s%s%s: ", log_prefix, log_prefix[0] ? ": " : "", level_names[level]);
	text_escape(&line, text, strlen(text), true);
	buffer_add_char(&line, '\n');
	ssize_t n = write(log_fd, line.data, line.size);
	(void)n; /* there is nowhere to report it */
	errno = saved;
}
