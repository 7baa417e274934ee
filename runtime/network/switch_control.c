/* SPDX-License-Identifier: MIT */
/* Requests to a running switch. */
#include "runtime/network/switch_control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "runtime/network/address.h"
#include "runtime/network/switch_message.h"

enum {
	CONNECTIONS_MAX = 16,
	IDLE_MS = 10000, /* a request that is not complete by then is dropped */
};

struct connection {
	struct switch_control *control;
	struct connection *next;
	int fd;
	struct buffer in, out;
	struct loop_timer *timer;
	bool stop; /* once the answer is out */
};

struct switch_control {
	struct loop *loop;
	struct switch_core *core;
	int fd;
	struct connection *connections;
	size_t count;
};

static void connection_free(struct connection *c)
{
	struct switch_control *control = c->control;
	struct connection **at = &control->connections;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	control->count--;
	loop_unwatch(control->loop, c->fd);
	loop_cancel(control->loop, c->timer);
	(void)close(c->fd);
	buffer_release(&c->in);
	buffer_release(&c->out);
	free(c);
}

static struct json *failure(struct error *err)
{
	struct json *v = json_new_object();
	json_set_bool(v, "ok", false);
	json_set_int(v, "code", (int64_t)err->code);
	json_set_string(v, "message", error_message(err));
	error_clear(err);
	return v;
}

static struct json *success(void)
{
	struct json *v = json_new_object();
	json_set_bool(v, "ok", true);
	return v;
}

static struct json *do_set_port(struct switch_core *core, const struct json *request)
{
	AUTO_ERROR err = ERROR_INIT;
	struct switch_port p CLEANUP(switch_port_release) = { 0 };
	const struct switch_publish *taken = NULL;
	if (switch_port_parse(json_member_object(request, "port"), &p, &err) < 0)
		return failure(&err);
	AUTO_FREE uint16_t *ports = xcalloc(p.publish_count + 1, sizeof(*ports));
	if (switch_core_set_port(core, &p, ports, &taken, &err) < 0) {
		struct json *v = failure(&err);
		/* The client may see who has it; this process may not. */
		if (taken)
			json_set_int(v, "taken", taken - p.publish);
		return v;
	}
	struct json *v = success(), *list = json_new_array();
	for (size_t i = 0; i < p.publish_count; i++)
		json_add(list, json_new_int(ports[i]));
	json_set(v, "ports", list);
	return v;
}

static struct json *do_remove_port(struct switch_core *core, const struct json *request)
{
	AUTO_ERROR err = ERROR_INIT;
	const char *name;
	if (json_get_string(request, "name", "request", &name, &err) < 0 ||
	    switch_name_check(name, &err) < 0 || switch_core_remove_port(core, name, &err) < 0)
		return failure(&err);
	return success();
}

static struct json *do_status(const struct switch_core *core)
{
	struct json *v = success();
	json_set(v, "status", switch_core_status(core));
	return v;
}

struct json *switch_control_answer(struct switch_core *core, const char *request, size_t size,
				   bool *ret_stop)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_JSON v = NULL;
	*ret_stop = false;
	if (json_parse(request, size, SWITCH_MESSAGE_MAX, "request", &v, &err) < 0)
		return failure(&err);
	const char *what = json_str(v, "do", "");
	if (str_equal(what, "set-port"))
		return do_set_port(core, v);
	if (str_equal(what, "remove-port"))
		return do_remove_port(core, v);
	if (str_equal(what, "status"))
		return do_status(core);
	if (str_equal(what, "stop")) {
		*ret_stop = true;
		return success();
	}
	(void)error_set(&err, E_INVALID, "request: \"do\" is unknown");
	return failure(&err);
}

static void on_writable(void *arg, uint32_t events)
{
	struct connection *c = arg;
	(void)events;
	ssize_t n = send(c->fd, c->out.data, c->out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0)
		buffer_drop(&c->out, (size_t)n);
	if (n >= 0 && c->out.size)
		return;
	if (c->stop)
		loop_stop(c->control->loop, 0);
	connection_free(c);
}

static void on_readable(void *arg, uint32_t events)
{
	struct connection *c = arg;
	char chunk[4096];
	(void)events;
	ssize_t n = recv(c->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || c->in.size + (size_t)n > SWITCH_MESSAGE_MAX) {
		connection_free(c);
		return;
	}
	buffer_add(&c->in, chunk, (size_t)n);
	const char *eol = memchr(c->in.data, '\n', c->in.size);
	if (!eol)
		return;
	AUTO_JSON answer = switch_control_answer(c->control->core, c->in.data,
						 (size_t)(eol - c->in.data), &c->stop);
	json_print(answer, 0, false, &c->out);
	buffer_add_char(&c->out, '\n');
	loop_watch(c->control->loop, c->fd, EPOLLOUT, on_writable, c);
	on_writable(c, EPOLLOUT);
}

static void on_idle(void *arg)
{
	struct connection *c = arg;
	c->timer = NULL;
	connection_free(c);
}

static void on_connection(void *arg, uint32_t events)
{
	struct switch_control *control = arg;
	AUTO_ERROR err = ERROR_INIT;
	uid_t uid;
	(void)events;
	AUTO_CLOSE int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || control->count == CONNECTIONS_MAX)
		return;
	if (unix_peer_uid(fd, &uid, &err) < 0 || (uid != geteuid() && uid != 0)) {
		error_clear(&err);
		return;
	}
	struct connection *c = xcalloc(1, sizeof(*c));
	c->control = control;
	c->fd = take_fd(&fd);
	c->next = control->connections;
	control->connections = c;
	control->count++;
	c->timer = loop_after(control->loop, IDLE_MS, on_idle, c);
	loop_watch(control->loop, c->fd, EPOLLIN, on_readable, c);
}

int switch_control_new(struct loop *loop, struct switch_core *core, const char *path,
		       struct switch_control **ret, struct error *err)
{
	int fd = unix_listen(path, SOCK_STREAM, err);
	if (fd < 0)
		return fd;
	struct switch_control *c = xcalloc(1, sizeof(*c));
	*c = (struct switch_control){ .loop = loop, .core = core, .fd = fd };
	int r = fd_set_nonblock(fd, true, err);
	if (r < 0) {
		switch_control_free(c);
		return r;
	}
	loop_watch(loop, fd, EPOLLIN, on_connection, c);
	*ret = c;
	return 0;
}

void switch_control_free(struct switch_control *c)
{
	if (!c)
		return;
	while (c->connections)
		connection_free(c->connections);
	loop_unwatch(c->loop, c->fd);
	(void)close(c->fd);
	free(c);
}
