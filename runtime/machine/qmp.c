/* SPDX-License-Identifier: MIT */
/* The QMP client: one command under way at a time, so that descriptors cannot be mixed up. */
#include "runtime/machine/qmp.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/trace.h"

void qmp_message_release(struct qmp_message *m)
{
	json_free(m->value);
	*m = (struct qmp_message){ .text = "" };
}

void qmp_reader_release(struct qmp_reader *r)
{
	buffer_release(&r->pending);
	r->used = 0;
}

void qmp_reader_add(struct qmp_reader *r, const void *data, size_t size)
{
	buffer_drop(&r->pending, r->used);
	r->used = 0;
	buffer_add(&r->pending, data, size);
}

/* Takes @value on success. */
static int classify(struct json *value, struct qmp_message *ret, struct error *err)
{
	struct qmp_message m = { .value = value, .text = "", .id = json_u64(value, "id", 0) };
	const struct json *failure = json_member_object(value, "error");
	const char *event = json_str(value, "event", NULL);

	if (event) {
		m.kind = QMP_EVENT;
		m.text = event;
	} else if (failure) {
		m.kind = QMP_ERROR;
		m.text = json_str(failure, "desc", "no reason given");
	} else if (json_member(value, "return")) {
		m.kind = QMP_RETURN;
	} else if (json_member_object(value, "QMP")) {
		m.kind = QMP_GREETING;
	} else {
		return error_set(err, E_INTEGRITY, "QEMU sent a message of no known kind");
	}
	*ret = m;
	return 0;
}

int qmp_reader_next(struct qmp_reader *r, struct qmp_message *ret, struct error *err)
{
	for (;;) {
		size_t have = r->pending.size - r->used;
		const char *line = have ? r->pending.data + r->used : NULL;
		const char *end = have ? memchr(line, '\n', have) : NULL;
		size_t size = end ? (size_t)(end - line) : have;

		if (size > QMP_LINE_MAX)
			return error_set(err, E_INTEGRITY, "QEMU sent a line of over %d bytes",
					 QMP_LINE_MAX);
		if (!end)
			return 0;
		r->used += size + 1;
		if (size > 0 && line[size - 1] == '\r')
			size--;
		if (size == 0)
			continue;
		AUTO_JSON value = NULL;
		if (json_parse(line, size, QMP_LINE_MAX, "QEMU's answer", &value, err) < 0) {
			err->code = E_INTEGRITY;
			return -(int)err->code;
		}
		if (classify(value, ret, err) < 0)
			return -(int)err->code;
		(void)TAKE_PTR(value);
		return 1;
	}
}

struct command {
	char *line; /* owned; with the newline */
	char *name; /* owned; NULL = nothing is traced */
	uint64_t id;
	int fd; /* owned; -1 = none */
	bool pauses;
	qmp_reply_fn reply;
	void *arg;
	struct command *next;
};

struct qmp {
	struct loop *loop;
	int fd; /* owned; -1 = closed */
	qmp_event_fn event;
	qmp_closed_fn closed;
	void *arg;
	struct qmp_reader reader;
	bool greeted, sent; /* sent: the first command is under way */
	bool paused;
	uint64_t last_id;
	uint64_t since_us; /* of a trace: what is under way began */
	struct command *first, **last;
};

static void command_free(struct command *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	free(c->line);
	free(c->name);
	free(c);
}

/* On QEMU's line of the trace: what went on until now. */
static void note(struct qmp *q, const char *name)
{
	uint64_t now = trace_now();

	if (name)
		trace_note("QEMU", name, q->since_us, now);
	q->since_us = now;
}

static void close_connection(struct qmp *q, const char *why)
{
	if (q->fd < 0)
		return;
	loop_unwatch(q->loop, q->fd);
	(void)close(take_fd(&q->fd));
	q->closed(q->arg, why);
}

/* Commands are small against a socket's buffer: one that does not fit whole means that QEMU does
 * not read. */
static void send_next(struct qmp *q)
{
	struct command *c = q->first;
	AUTO_ERROR err = ERROR_INIT;

	if (!c || q->sent || q->paused || !q->greeted || q->fd < 0)
		return;
	q->sent = true;
	/* That QEMU is gone is as if it had closed the connection: the process tells why. */
	if (unix_send(q->fd, c->line, strlen(c->line), &c->fd, c->fd >= 0, &err) < 0)
		close_connection(q, err.sys_errno == EPIPE || err.sys_errno == ECONNRESET
					    ? NULL
					    : error_message(&err));
	if (c->fd >= 0)
		(void)close(take_fd(&c->fd));
}

static void on_answer(struct qmp *q, const struct qmp_message *m)
{
	struct command *c = q->first;

	if (!c || !q->sent || m->id != c->id) {
		close_connection(q, "QEMU answered a command that was not given");
		return;
	}
	note(q, c->name);
	q->first = c->next;
	if (!q->first)
		q->last = &q->first;
	q->sent = false;
	q->paused = c->pauses && m->kind == QMP_RETURN;
	send_next(q);
	if (c->reply)
		c->reply(c->arg, m->kind == QMP_RETURN ? json_member(m->value, "return") : NULL,
			 m->kind == QMP_ERROR ? m->text : NULL);
	command_free(c);
}

static void on_message(struct qmp *q, const struct qmp_message *m)
{
	switch (m->kind) {
	case QMP_GREETING:
		q->greeted = true;
		note(q, "begin");
		send_next(q);
		break;
	case QMP_EVENT:
		q->event(q->arg, m->text, json_member_object(m->value, "data"));
		break;
	case QMP_RETURN:
	case QMP_ERROR:
		on_answer(q, m);
		break;
	}
}

static void on_readable(void *arg, uint32_t events)
{
	struct qmp *q = arg;
	char chunk[16 * 1024];
	AUTO_ERROR err = ERROR_INIT;
	int r = 0;

	(void)events;
	ssize_t n = recv(q->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		close_connection(q, NULL);
		return;
	}
	qmp_reader_add(&q->reader, chunk, (size_t)n);
	while (q->fd >= 0) {
		struct qmp_message m = { .text = "" };
		r = qmp_reader_next(&q->reader, &m, &err);
		if (r <= 0)
			break;
		on_message(q, &m);
		qmp_message_release(&m);
	}
	if (r < 0)
		close_connection(q, error_message(&err));
}

struct qmp *qmp_new(struct loop *loop, int fd, qmp_event_fn event, qmp_closed_fn closed, void *arg)
{
	struct qmp *q = xcalloc(1, sizeof(*q));

	*q = (struct qmp){ .loop = loop, .fd = fd, .event = event, .closed = closed, .arg = arg };
	q->last = &q->first;
	q->since_us = trace_now();
	loop_watch(loop, fd, EPOLLIN, on_readable, q);
	qmp_execute(q, "qmp_capabilities", NULL, -1, NULL, NULL);
	return q;
}

void qmp_free(struct qmp *q)
{
	if (!q)
		return;
	if (q->fd >= 0) {
		loop_unwatch(q->loop, q->fd);
		(void)close(q->fd);
	}
	while (q->first) {
		struct command *next = q->first->next;
		command_free(q->first);
		q->first = next;
	}
	qmp_reader_release(&q->reader);
	free(q);
}

void qmp_execute(struct qmp *q, const char *command, struct json *arguments, int fd,
		 qmp_reply_fn reply, void *arg)
{
	struct command *c = xcalloc(1, sizeof(*c));
	AUTO_JSON message = json_new_object();
	AUTO_BUFFER line = BUFFER_INIT;

	*c = (struct command){ .id = ++q->last_id, .fd = fd, .reply = reply, .arg = arg };
	json_set_string(message, "execute", command);
	if (arguments)
		json_set(message, "arguments", arguments);
	json_set_int(message, "id", (int64_t)c->id);
	json_print(message, 0, false, &line);
	buffer_add_char(&line, '\n');
	c->line = buffer_steal(&line);
	c->name = trace_fd() >= 0 ? xstrdup(command) : NULL;
	if (!q->first)
		q->since_us = trace_now();
	*q->last = c;
	q->last = &c->next;
	send_next(q);
}

void qmp_pause(struct qmp *q)
{
	struct command *c = q->first;

	while (c && c->next)
		c = c->next;
	if (c)
		c->pauses = true;
}

void qmp_resume(struct qmp *q, const char *waited_for)
{
	struct command *c = q->first;

	if (q->paused) {
		note(q, waited_for);
		q->paused = false;
		send_next(q);
		return;
	}
	while (c && !c->pauses)
		c = c->next;
	if (c)
		c->pauses = false;
}
