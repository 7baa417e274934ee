/* SPDX-License-Identifier: MIT */
/* Output of a session. */
/*
 * DOC: Theory of Operation
 *
 * O_NONBLOCK belongs to an open file description, which our standard output shares with the shell
 * that started us and with whatever else it runs: it must stay as it is. A pipe or terminal is
 * therefore opened again by its name in /proc. Where that is not allowed (the terminal of another
 * user, after su) small writes are made when poll says that there is room.
 */
#include "runtime/guest/session_output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static void on_ready(void *arg, uint32_t events);

static int open_again(int fd)
{
	char path[40];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

void session_output_open(struct session_output *o, struct loop *loop, enum msg_channel channel,
			 int fd, session_written_fn written, void *arg)
{
	struct stat st;

	*o = (struct session_output){ .loop = loop,
				      .channel = channel,
				      .way = OUTPUT_NOWHERE,
				      .fd = fd,
				      .written = written,
				      .arg = arg };
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	if (S_ISSOCK(st.st_mode)) {
		o->way = OUTPUT_SOCKET;
	} else if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode)) {
		o->way = OUTPUT_FILE;
	} else {
		int own = open_again(fd);

		o->way = own >= 0 ? OUTPUT_OWN : OUTPUT_SHARED;
		o->fd = own >= 0 ? own : fd;
	}
}

static ssize_t write_some(const struct session_output *o)
{
	const char *at = o->pending.data;
	size_t size = o->pending.size;
	struct pollfd ready = { .fd = o->fd, .events = POLLOUT };

	if (o->way == OUTPUT_SOCKET)
		return send(o->fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (o->way != OUTPUT_SHARED)
		return write(o->fd, at, size);
	if (poll(&ready, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(o->fd, at, size < PIPE_BUF ? size : PIPE_BUF);
}

static void watch(struct session_output *o, bool on)
{
	if (on == o->is_watched)
		return;
	o->is_watched = on;
	if (on)
		loop_watch(o->loop, o->fd, EPOLLOUT, on_ready, o);
	else
		loop_unwatch(o->loop, o->fd);
}

/* Return: how many bytes are no longer pending */
static size_t write_pending(struct session_output *o)
{
	size_t before = o->pending.size;

	while (o->pending.size > 0 && o->way != OUTPUT_NOWHERE) {
		ssize_t n = write_some(o);

		if (n >= 0) {
			buffer_drop(&o->pending, (size_t)n);
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			watch(o, false);
			if (o->way == OUTPUT_OWN)
				cleanup_close(&o->fd);
			o->way = OUTPUT_NOWHERE;
		}
	}
	if (o->way == OUTPUT_NOWHERE)
		buffer_clear(&o->pending);
	else
		watch(o, o->pending.size > 0);
	return before - o->pending.size;
}

static void on_ready(void *arg, uint32_t events)
{
	struct session_output *o = arg;

	(void)events;
	o->written(o->arg, o->channel, write_pending(o));
}

size_t session_output_add(struct session_output *o, const void *data, size_t size)
{
	buffer_add(&o->pending, data, size);
	return write_pending(o);
}

bool session_output_waits(const struct session_output *o)
{
	return o->pending.size > 0;
}

void session_output_close(struct session_output *o)
{
	if (o->way != OUTPUT_NOWHERE)
		watch(o, false);
	if (o->way == OUTPUT_OWN)
		cleanup_close(&o->fd);
	buffer_release(&o->pending);
	o->way = OUTPUT_NOWHERE;
}
