/* SPDX-License-Identifier: MIT */
/* Appending to the event log under its own lock, so that writers agree on when it is full. */
#include "runtime/host/event_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/fd.h"

enum { VERSION = 1, OPEN_TRIES = 8 };

struct json *event_new(const char *type, const char *id)
{
	struct json *o = json_new_object();

	json_set_int(o, "v", VERSION);
	json_set_int(o, "ts", (int64_t)clock_unix_ms());
	json_set_string(o, "type", type);
	if (id)
		json_set_string(o, "id", id);
	return o;
}

static int open_locked(const char *path, struct error *err)
{
	AUTO_CLOSE int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return error_sys(err, "open '%s'", path);
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return error_sys(err, "lock '%s'", path);
	return take_fd(&fd);
}

/* The file that has the name now: another writer may have put it aside while we waited for its
 * lock. */
static int open_current(const char *path, struct stat *st, struct error *err)
{
	for (unsigned i = 0; i < OPEN_TRIES; i++) {
		AUTO_CLOSE int fd = open_locked(path, err);
		struct stat named;

		if (fd < 0)
			return fd;
		if (fstat(fd, st) == 0 && stat(path, &named) == 0 && named.st_ino == st->st_ino)
			return take_fd(&fd);
	}
	return error_set(err, E_UNAVAILABLE, "'%s' is put aside again and again", path);
}

static int append(const char *path, const struct buffer *line, struct error *err)
{
	struct stat st = { 0 };
	AUTO_CLOSE int fd = open_current(path, &st, err);

	if (fd >= 0 && (uint64_t)st.st_size + line->size > EVENT_LOG_MAX_BYTES) {
		AUTO_FREE char *old = xasprintf("%s.1", path);
		int fresh;

		if (rename(path, old) < 0)
			return error_sys(err, "rename '%s'", path);
		fresh = open_current(path, &st, err);
		(void)close(fd);
		fd = fresh;
	}
	return fd < 0 ? fd : fd_write_full(fd, line->data, line->size, err);
}

void event_log_add(const char *path, struct json *event)
{
	AUTO_BUFFER line = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (path) {
		json_print(event, 0, false, &line);
		buffer_add_char(&line, '\n');
		if (line.size <= EVENT_LINE_MAX_BYTES && append(path, &line, &err) < 0)
			error_ignore(&err, "write an event");
	}
	json_free(event);
}
