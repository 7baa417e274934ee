/* SPDX-License-Identifier: MIT */
/* The virtio-serial port. */
/*
 * DOC: Theory of Operation
 *
 * While no host is connected a read returns 0 at once and poll says EPOLLHUP; the driver wakes
 * sleepers when that changes. Watching edge-triggered therefore costs nothing while the host is
 * away, and needs no timer.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "vminitd/agent/device.h"
#include "vminitd/agent/port.h"

/* The driver takes no more at once. */
enum { IO_BYTES = 32 * 1024 };

void port_init(struct port *p, struct loop *loop, const struct port_handler *handler)
{
	*p = (struct port){ .loop = loop, .handler = *handler, .fd = -1 };
	frame_decoder_init(&p->in, FRAME_SERIAL);
}

struct buffer *port_out(struct port *p)
{
	return &p->out;
}

bool port_is_busy(const struct port *p)
{
	return p->out.size - p->sent > PORT_BUSY_BYTES;
}

void port_restart(struct port *p)
{
	buffer_clear(&p->out);
	p->sent = 0;
	frame_add_marker(&p->out);
}

static void write_out(struct port *p)
{
	while (p->has_host && p->sent < p->out.size) {
		size_t size = p->out.size - p->sent;
		ssize_t n = write(p->fd, p->out.data + p->sent, size < IO_BYTES ? size : IO_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		p->sent += (size_t)n;
	}
	if (p->sent == p->out.size) {
		buffer_clear(&p->out);
		p->sent = 0;
	} else if (p->sent > PORT_BUSY_BYTES) {
		buffer_drop(&p->out, p->sent);
		p->sent = 0;
	}
}

void port_flush(struct port *p)
{
	write_out(p);
	if (port_is_busy(p)) {
		p->was_busy = true;
	} else if (p->was_busy) {
		p->was_busy = false;
		p->handler.writable(p->handler.arg);
	}
}

/* Until there is no more: the next event comes only when something new has arrived. */
static void read_in(struct port *p)
{
	struct frame f;
	AUTO_ERROR err = ERROR_INIT;

	for (;;) {
		ssize_t n = frame_decoder_read(&p->in, p->fd, IO_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		while (frame_decoder_next(&p->in, &f, &err) > 0)
			if (f.type != FRAME_TYPE_MARKER)
				p->handler.frame(p->handler.arg, &f);
		port_flush(p);
	}
}

static void on_port(void *arg, uint32_t events)
{
	struct port *p = arg;
	bool has_host = !(events & EPOLLHUP);

	if (p->has_host && !has_host) {
		p->has_host = false;
		frame_decoder_restart(&p->in);
		p->handler.disconnected(p->handler.arg);
	} else if (!p->has_host && has_host) {
		p->has_host = true;
		port_restart(p);
		p->handler.connected(p->handler.arg);
	}
	if (p->has_host && (events & EPOLLIN))
		read_in(p);
	if (p->has_host)
		port_flush(p);
}

int port_open(struct port *p, const char *name, struct error *err)
{
	char path[DEVICE_PATH_MAX];

	if (!device_port(name, path))
		return error_set(err, E_NOT_FOUND, "there is no virtio-serial port '%s'", name);
	p->fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0)
		return error_sys(err, "open %s", path);
	loop_watch(p->loop, p->fd, EPOLLIN | EPOLLOUT | EPOLLET, on_port, p);
	return 0;
}

void port_drain(struct port *p, int timeout_ms)
{
	uint64_t end = clock_ms() + (uint64_t)timeout_ms, now;

	write_out(p);
	while (p->has_host && p->out.size > 0 && (now = clock_ms()) < end) {
		struct pollfd wait = { .fd = p->fd, .events = POLLOUT };
		if (poll(&wait, 1, (int)(end - now)) <= 0 || wait.revents & POLLHUP)
			return;
		write_out(p);
	}
}
