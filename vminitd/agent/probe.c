/* SPDX-License-Identifier: MIT */
/* Probes of TCP ports and HTTP servers. */
/*
 * DOC: Theory of Operation
 *
 * The machine's network namespace is the container's, so process 1 sees its ports. A probe is one
 * socket that does not block, watched by the loop, with one timer for all of it: the addresses are
 * tried in turn until one accepts. Of an HTTP answer only the status line is read.
 */
#include "vminitd/agent/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "vminitd/agent/http_status.h"

enum { TEXT_MAX = 256 };

struct probe {
	struct probes *all;
	struct probe *next;
	uint32_t id;
	struct msg_probe what;
	size_t address; /* index of the one that is tried */
	int fd;
	struct buffer request;
	size_t sent;
	char answer[HTTP_STATUS_LINE_MAX];
	size_t got;
	struct loop_timer *deadline;
	bool is_connected;
};

void probes_init(struct probes *ps, struct loop *loop, struct port *port)
{
	*ps = (struct probes){ .loop = loop, .port = port };
}

static void close_socket(struct probe *p)
{
	if (p->fd < 0)
		return;
	loop_unwatch(p->all->loop, p->fd);
	(void)close(take_fd(&p->fd));
}

static void destroy(struct probe *p)
{
	struct probe **at = &p->all->list;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->all->count--;
	close_socket(p);
	loop_cancel(p->all->loop, p->deadline);
	buffer_release(&p->request);
	msg_probe_release(&p->what);
	free(p);
}

void probes_forget(struct probes *ps)
{
	while (ps->list)
		destroy(ps->list);
}

static void answer(struct probe *p, bool is_healthy, const char *text)
{
	struct port *port = p->all->port;
	char shown[TEXT_MAX];
	struct msg_probed m = { .is_healthy = is_healthy, .text = shown };
	AUTO_ERROR err = ERROR_INIT;

	(void)snprintf(shown, sizeof(shown), "%s", text);
	if (msg_probed_add(port_out(port), MSG_PROBED, p->id, &m, &err) < 0)
		error_ignore(&err, "answer a probe");
	destroy(p);
	port_flush(port);
}

static void on_deadline(void *arg)
{
	struct probe *p = arg;
	char text[TEXT_MAX];

	p->deadline = NULL;
	(void)snprintf(text, sizeof(text), "no %s in %u ms",
		       p->is_connected ? "answer" : "connection", p->what.timeout_ms);
	answer(p, false, text);
}

static void on_socket(void *arg, uint32_t events);

/* Return: 0 under way, or an errno */
static int try_address(struct probe *p)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons((uint16_t)p->what.port) };

	close_socket(p);
	if (inet_pton(AF_INET, p->what.addresses.items[p->address], &to.sin_addr) != 1)
		return EINVAL;
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		return errno;
	if (connect(p->fd, (const struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		return errno;
	loop_watch(p->all->loop, p->fd, EPOLLOUT, on_socket, p);
	return 0;
}

/* The next address, after one that failed with @number. */
static void try_next(struct probe *p, int number)
{
	while (number && ++p->address < p->what.addresses.count)
		number = try_address(p);
	if (number)
		answer(p, false, strerror(number));
}

static void judge(struct probe *p)
{
	unsigned status = 0, wanted = p->what.status;
	char text[TEXT_MAX];

	if (http_status_parse(p->answer, p->got, &status) != HTTP_STATUS_OK) {
		answer(p, false, "what it answered is not HTTP");
		return;
	}
	(void)snprintf(text, sizeof(text), "status %u", status);
	answer(p, wanted ? status == wanted : status >= 200 && status < 400, text);
}

static void on_answer(struct probe *p)
{
	unsigned status;
	ssize_t n = recv(p->fd, p->answer + p->got, sizeof(p->answer) - p->got, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (p->got > 0)
			judge(p);
		else
			answer(p, false, n < 0 ? strerror(errno) : "it closed without an answer");
		return;
	}
	p->got += (size_t)n;
	if (p->got == sizeof(p->answer) ||
	    http_status_parse(p->answer, p->got, &status) != HTTP_STATUS_MORE)
		judge(p);
}

static void on_writable(struct probe *p)
{
	while (p->sent < p->request.size) {
		ssize_t n = send(p->fd, p->request.data + p->sent, p->request.size - p->sent,
				 MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			answer(p, false, strerror(errno));
			return;
		}
		p->sent += (size_t)n;
	}
	loop_watch(p->all->loop, p->fd, EPOLLIN, on_socket, p);
}

static void on_socket(void *arg, uint32_t events)
{
	struct probe *p = arg;
	int number = 0;
	socklen_t size = sizeof(number);

	(void)events;
	if (!p->is_connected) {
		if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0)
			number = errno;
		if (number) {
			try_next(p, number);
			return;
		}
		p->is_connected = true;
		if (p->what.kind == PROBE_TCP) {
			answer(p, true, "it accepts connections");
			return;
		}
	}
	if (p->sent < p->request.size)
		on_writable(p);
	else
		on_answer(p);
}

static void make_request(struct probe *p)
{
	bool has_host = false;

	buffer_printf(&p->request, "GET %s HTTP/1.1\r\n", p->what.path);
	for (size_t i = 0; i < p->what.headers.count; i++) {
		has_host = has_host || strncasecmp(p->what.headers.items[i], "host:", 5) == 0;
		buffer_printf(&p->request, "%s\r\n", p->what.headers.items[i]);
	}
	if (!has_host)
		buffer_printf(&p->request, "Host: localhost:%u\r\n", p->what.port);
	buffer_add_str(&p->request, "User-Agent: ctrz\r\nAccept: */*\r\nConnection: close\r\n\r\n");
}

static int check(const struct probes *ps, const struct msg_probe *m, struct error *err)
{
	if (m->kind != PROBE_HTTP && m->kind != PROBE_TCP)
		return error_set(err, E_INVALID, "this is no probe of a port");
	if (m->port == 0 || m->port > 65535 || m->addresses.count == 0)
		return error_set(err, E_INVALID, "a probe needs an address and a port");
	for (size_t i = 0; i < m->headers.count; i++)
		if (strpbrk(m->headers.items[i], "\r\n"))
			return error_set(err, E_INVALID, "a header of a probe holds a line's end");
	if (strpbrk(m->path, " \r\n"))
		return error_set(err, E_INVALID, "the path of a probe holds a space or line's end");
	if (ps->count >= PROBES_MAX)
		return error_set(err, E_UNAVAILABLE, "%d probes are under way", PROBES_MAX);
	return 0;
}

void probes_begin(struct probes *ps, const struct frame *f)
{
	struct msg_probe m = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_probe_unpack(f->payload, f->size, &m, &err) < 0 || check(ps, &m, &err) < 0) {
		message_add_error(port_out(ps->port), f->stream, err.code, error_message(&err));
		msg_probe_release(&m);
		port_flush(ps->port);
		return;
	}
	struct probe *p = xcalloc(1, sizeof(*p));
	*p = (struct probe){ .all = ps, .next = ps->list, .id = f->stream, .what = m, .fd = -1 };
	ps->list = p;
	ps->count++;
	if (m.kind == PROBE_HTTP)
		make_request(p);
	p->deadline = loop_after(ps->loop, m.timeout_ms ? m.timeout_ms : 1, on_deadline, p);
	int number = try_address(p);
	if (number)
		try_next(p, number);
}
