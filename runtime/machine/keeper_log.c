/* SPDX-License-Identifier: MIT */
/* Writing a container's log and reading a line of it. */
#include "runtime/machine/keeper_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"

enum { TIME_SIZE = 27 }; /* 2026-01-31T12:00:00.123456Z */

static const char *const stream_names[LOG_STREAMS] = { "stdout", "stderr" };

static int open_file(struct keeper_log *l, struct error *err)
{
	struct stat st;

	l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		return error_sys(err, "open the log '%s'", l->path);
	l->size = (uint64_t)st.st_size;
	return 0;
}

int keeper_log_open(struct keeper_log *l, const char *folder, const char *name, uint64_t max_bytes,
		    unsigned files, struct error *err)
{
	*l = KEEPER_LOG_INIT;
	l->path = xasprintf("%s/%s", folder, name);
	keeper_log_limit(l, max_bytes, files);
	return open_file(l, err);
}

void keeper_log_limit(struct keeper_log *l, uint64_t max_bytes, unsigned files)
{
	AUTO_FREE char *beyond = NULL;

	/* Files that are no longer kept go at once. */
	for (unsigned i = files ? files : LOG_DEFAULT_FILES; i < l->files; i++) {
		free(beyond);
		beyond = xasprintf("%s.%u", l->path, i + 1);
		(void)unlink(beyond);
	}
	l->max_bytes = max_bytes ? max_bytes : LOG_DEFAULT_BYTES;
	l->files = files ? files : LOG_DEFAULT_FILES;
}

/* log.1 becomes log.2, and so on; the oldest goes. */
static void rotate(struct keeper_log *l)
{
	AUTO_ERROR err = ERROR_INIT;

	for (unsigned i = l->files; i > 0; i--) {
		AUTO_FREE char *to = xasprintf("%s.%u", l->path, i);
		AUTO_FREE char *from =
			i > 1 ? xasprintf("%s.%u", l->path, i - 1) : xstrdup(l->path);
		if (rename(from, to) < 0 && errno != ENOENT)
			return;
	}
	(void)close(take_fd(&l->fd));
	if (open_file(l, &err) < 0)
		error_ignore(&err, "rotate a log");
}

/* Whose line it is; a NULL process is the main one. */
struct origin {
	const char *process;
	enum log_stream stream;
};

static void write_line(struct keeper_log *l, const struct origin *o, const struct buffer *text,
		       bool partial)
{
	AUTO_BUFFER line = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct timespec now;
	struct tm tm;
	char when[32];

	if (l->fd < 0)
		return;
	if (l->size > 0 && l->size + text->size > l->max_bytes)
		rotate(l);
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	buffer_printf(&line, "%s.%06ldZ %s %c%s%s ", when, now.tv_nsec / 1000,
		      stream_names[o->stream], partial ? 'P' : 'F', o->process ? "@" : "",
		      o->process ? o->process : "");
	buffer_add(&line, buffer_str(text), text->size);
	buffer_add_char(&line, '\n');
	if (l->fd >= 0 && fd_write_full(l->fd, line.data, line.size, &err) < 0)
		error_ignore(&err, "write a log");
	l->size += line.size;
}

void keeper_log_write_as(struct keeper_log *l, struct log_lines *lines, const char *name,
			 enum log_stream stream, const void *data, size_t size)
{
	struct buffer *partial = &lines->partial[stream];
	struct origin origin = { name, stream };
	const char *at = data, *end = at + size;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *stop = newline ? newline : end;
		size_t n = (size_t)(stop - at), room = LOG_LINE_MAX - partial->size;
		if (n > room) {
			buffer_add(partial, at, room);
			write_line(l, &origin, partial, true);
			buffer_clear(partial);
			at += room;
			continue;
		}
		buffer_add(partial, at, n);
		at = stop;
		if (newline) {
			write_line(l, &origin, partial, false);
			buffer_clear(partial);
			at++;
		}
	}
}

bool keeper_log_has_rest(const struct keeper_log *l)
{
	for (int i = 0; i < LOG_STREAMS; i++)
		if (l->main.partial[i].size > 0)
			return true;
	return false;
}

void keeper_log_write(struct keeper_log *l, enum log_stream stream, const void *data, size_t size)
{
	keeper_log_write_as(l, &l->main, NULL, stream, data, size);
}

void keeper_log_end_lines(struct keeper_log *l, struct log_lines *lines, const char *name)
{
	for (int i = 0; i < LOG_STREAMS; i++) {
		struct buffer *p = &lines->partial[i];
		struct origin origin = { name, (enum log_stream)i };

		if (p->size > 0)
			write_line(l, &origin, p, true);
		buffer_clear(p);
	}
}

void log_lines_release(struct log_lines *lines)
{
	for (int i = 0; i < LOG_STREAMS; i++)
		buffer_release(&lines->partial[i]);
}

void keeper_log_end(struct keeper_log *l)
{
	keeper_log_end_lines(l, &l->main, NULL);
}

void keeper_log_close(struct keeper_log *l)
{
	keeper_log_end(l);
	log_lines_release(&l->main);
	if (l->fd >= 0)
		(void)close(l->fd);
	free(l->path);
	*l = KEEPER_LOG_INIT;
}

bool log_line_parse(const char *line, size_t size, struct log_line *ret)
{
	struct log_line l = { .time = line };
	const char *end = line + size, *at = line + TIME_SIZE;

	if (size < TIME_SIZE + 10 || line[10] != 'T' || at[-1] != 'Z' || *at++ != ' ')
		return false;
	if (memcmp(at, "stdout ", 7) == 0)
		l.stream = LOG_STDOUT;
	else if (memcmp(at, "stderr ", 7) == 0)
		l.stream = LOG_STDERR;
	else
		return false;
	at += 7;
	if (end - at < 2 || (*at != 'F' && *at != 'P'))
		return false;
	l.is_partial = *at++ == 'P';
	if (*at == '@') {
		const char *space = memchr(at, ' ', (size_t)(end - at));

		if (!space || space == at + 1)
			return false;
		l.process = at + 1;
		l.process_size = (size_t)(space - l.process);
		at = space;
	}
	if (*at != ' ')
		return false;
	l.text = at + 1;
	l.size = (size_t)(end - l.text);
	*ret = l;
	return true;
}
