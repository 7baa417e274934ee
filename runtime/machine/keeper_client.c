/* SPDX-License-Identifier: MIT */
/* The keeper's connections: requests, exec sessions, whoever follows the main process. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/machine/keeper_internal.h"

enum { STOP_LINGER_MS = 2000 };

static void on_client(void *arg, uint32_t events);

struct client *client_new(struct keeper *k, int fd)
{
	struct client *c = xcalloc(1, sizeof(*c));

	*c = (struct client){ .keeper = k, .fd = fd, .next = k->clients };
	frame_decoder_init(&c->in, FRAME_SOCKET);
	k->clients = c;
	k->client_count++;
	loop_watch(k->loop, fd, EPOLLIN, on_client, c);
	return c;
}

/* @goes_on: without us, as the main process does anyway. */
static void leave_process(struct client *c, bool goes_on)
{
	struct keeper *k = c->keeper;
	struct relay *r = c->relay;

	if (!r)
		return;
	c->relay = NULL;
	r->client = NULL;
	stream_leave(&r->stream, &k->guest_out);
	if (r->stream.id == STREAM_MAIN) {
		if (c->is_starter && k->config.machine.attached && !r->stream.has_exited)
			keeper_stop(k, SIGKILL, 0);
		return;
	}
	if (r->stream.has_exited)
		relay_free(k, r);
	else if (!goes_on)
		message_add_empty(&k->guest_out, MSG_CANCEL, r->stream.id);
}

void client_free(struct client *c)
{
	struct keeper *k = c->keeper;
	struct client **at = &k->clients;
	bool gives_up = c->is_starter && k->status.phase == MACHINE_STARTING && !k->was_up;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	k->client_count--;
	loop_unwatch(k->loop, c->fd);
	(void)close(c->fd);
	leave_process(c, false);
	keeper_change_leave(k, c);
	buffer_release(&c->config);
	frame_decoder_release(&c->in);
	buffer_release(&c->out);
	free(c);
	if (gives_up) /* nobody waits for this start any more: undo it */
		keeper_stop(k, SIGKILL, 0);
}

static void watch_writes(struct client *c, bool on)
{
	if (c->writes == on)
		return;
	c->writes = on;
	loop_watch(c->keeper->loop, c->fd, EPOLLIN | (on ? EPOLLOUT : 0), on_client, c);
}

bool client_send(struct client *c)
{
	while (c->out.size > 0) {
		ssize_t n = send(c->fd, c->out.data, c->out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			watch_writes(c, true);
			return true;
		}
		if (n < 0) {
			/* It is gone. What it sent last may still be there, and say that its
			 * process goes on: the reading side ends it. */
			buffer_clear(&c->out);
			break;
		}
		buffer_drop(&c->out, (size_t)n);
	}
	watch_writes(c, false);
	if (c->relay && stream_is_over(&c->relay->stream))
		c->closing = true;
	if (c->closing && (!c->relay || stream_is_over(&c->relay->stream))) {
		client_free(c);
		return false;
	}
	return true;
}

struct client *client_of_request(struct keeper *k, uint32_t request)
{
	struct client *c = k->clients;

	while (c && c->request != request)
		c = c->next;
	return c;
}

static void refuse_spawn(struct client *c, enum spawn_failure kind, const char *text)
{
	AUTO_FREE char *copy = xstrdup(text);
	struct msg_spawn_failed m = { kind, copy };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_spawn_failed_add(&c->out, MSG_SPAWN_FAILED, STREAM_MAIN, &m, &err) < 0)
		error_ignore(&err, "refuse a process");
	c->closing = true;
}

/* A process joins the container with the variables of the main one; secrets among them are known
 * only here. */
static void add_missing_env(const struct strlist *from, struct strlist *env)
{
	for (size_t i = 0; i < from->count; i++) {
		size_t name = strcspn(from->items[i], "=") + 1, at = 0;

		while (at < env->count && strncmp(env->items[at], from->items[i], name) != 0)
			at++;
		if (at == env->count)
			strlist_add(env, from->items[i]);
	}
}

/* Return: false if the client was told why not */
static bool can_spawn(struct client *c)
{
	const struct machine_status *s = &c->keeper->status;

	if (s->phase != MACHINE_RUNNING)
		refuse_spawn(c, SPAWN_NO_CONTAINER, "the container is not running");
	else if (s->is_paused)
		refuse_spawn(c, SPAWN_SYSTEM,
			     "the container is paused; it goes on with: ctrz unpause");
	return s->phase == MACHINE_RUNNING && !s->is_paused;
}

static int on_spawn(struct client *c, const struct frame *f, struct error *err)
{
	struct keeper *k = c->keeper;
	struct msg_spawn m = { 0 };

	if (c->relay || c->is_starter)
		return error_set(err, E_INTEGRITY, "a second process on one connection");
	if (!can_spawn(c))
		return 0;
	if (msg_spawn_unpack(f->payload, f->size, &m, err) < 0)
		return -(int)err->code;
	m.is_main = false;
	add_missing_env(&k->config.machine.main.env, &m.env);
	uint32_t id = k->next_stream++;
	int r = msg_spawn_add(&k->guest_out, MSG_SPAWN, id, &m, err);
	msg_spawn_release(&m);
	if (r == 0)
		(void)relay_new(k, id, c);
	return r;
}

static int on_copy(struct client *c, const struct frame *f, struct error *err)
{
	struct keeper *k = c->keeper;
	struct msg_copy m = { 0 };

	if (c->relay || c->is_starter)
		return error_set(err, E_INTEGRITY, "a second process on one connection");
	if (!can_spawn(c))
		return 0;
	if (msg_copy_unpack(f->payload, f->size, &m, err) < 0)
		return -(int)err->code;
	uint32_t id = k->next_stream++;
	int r = msg_copy_add(&k->guest_out, MSG_COPY, id, &m, err);
	msg_copy_release(&m);
	if (r == 0)
		(void)relay_new(k, id, c);
	return r;
}

static int on_attach(struct client *c, struct error *err)
{
	struct relay *r = relay_find(c->keeper, STREAM_MAIN);

	if (c->relay)
		return error_set(err, E_INTEGRITY, "a second process on one connection");
	if (!r || !r->is_started || r->stream.has_exited) {
		refuse_spawn(c, SPAWN_NO_CONTAINER, "the container is not running");
		return 0;
	}
	if (r->client) {
		refuse_spawn(c, SPAWN_INVALID, "somebody is attached already");
		return 0;
	}
	AUTO_ERROR ignored = ERROR_INIT;
	struct msg_started m = { 0 };
	if (msg_started_add(&c->out, MSG_STARTED, STREAM_MAIN, &m, &ignored) < 0)
		error_ignore(&ignored, "attach");
	r->client = c;
	c->relay = r;
	stream_join(&r->stream, &c->out);
	return 0;
}

static int on_status(struct client *c, const struct frame *f, struct error *err)
{
	const struct machine_status *s = &c->keeper->status;
	const struct vm_size size = c->keeper->vm ? vm_size(c->keeper->vm) : (struct vm_size){ 0 };
	struct msg_status m = {
		.phase = s->phase,
		.keeper_pid = (uint32_t)s->keeper_pid,
		.qemu_pid = (uint32_t)s->qemu_pid,
		.exit_code = s->exit_code,
		.oom_killed = s->oom_killed,
		.restarts = s->restarts,
		.started_unix_ms = s->started_unix_ms,
		.exited_unix_ms = s->exited_unix_ms,
		.memory_bytes = c->keeper->vm ? size.memory_bytes : s->memory_bytes,
		.max_memory_bytes = size.max_bytes,
		.error = s->error,
		.cpus = size.cpus,
		.max_cpus = size.max_cpus,
		.free_ports = c->keeper->vm ? vm_free_ports(c->keeper->vm) : 0,
		.is_half_changed = c->keeper->is_half_changed,
		.is_paused = s->is_paused,
	};
	supervise_status(c->keeper, &m);
	int r = msg_status_add(&c->out, MSG_STATUS_REPLY, f->stream, &m, err);
	m.error = NULL; /* the rest is ours */
	msg_status_release(&m);
	return r;
}

static int on_wait(struct client *c, const struct frame *f, struct error *err)
{
	struct msg_wait m = { 0 };

	if (msg_wait_unpack(f->payload, f->size, &m, err) < 0)
		return -(int)err->code;
	c->waits_until = true;
	c->until = m.until;
	c->client_request = f->stream;
	return 0;
}

static void end_wait(struct client *c, const struct error *err)
{
	c->waits_until = false;
	if (err)
		message_add_error(&c->out, c->client_request, err->code, error_message(err));
	else
		message_add_empty(&c->out, MSG_DONE, c->client_request);
}

void clients_answer_waits(struct keeper *k)
{
	for (struct client *c = k->clients; c; c = c->next) {
		AUTO_ERROR err = ERROR_INIT;

		if (!c->waits_until || k->status.phase != MACHINE_RUNNING)
			continue;
		int verdict = supervise_verdict(k, c->until, &err);
		if (verdict != 0)
			end_wait(c, verdict < 0 ? &err : NULL);
	}
}

void clients_end_waits(struct keeper *k, const struct error *err)
{
	AUTO_ERROR ended = ERROR_INIT;

	(void)error_set(&ended, E_UNAVAILABLE, "it ended with exit code %d before that",
			k->status.exit_code);
	for (struct client *c = k->clients; c; c = c->next)
		if (c->waits_until)
			end_wait(c, error_is_set(err) ? err : &ended);
}

static void end_linger(void *arg)
{
	struct keeper *k = arg;

	k->end_timer = NULL;
	while (k->clients) {
		k->clients->closing = true;
		client_free(k->clients);
	}
	keeper_check_end(k);
}

static int on_stop(struct client *c, const struct frame *f, struct error *err)
{
	struct keeper *k = c->keeper;
	struct msg_stop m = { 0 };

	if (msg_stop_unpack(f->payload, f->size, &m, err) < 0)
		return -(int)err->code;
	c->waits_for_stop = true;
	c->client_request = f->stream;
	keeper_stop(k, m.signal, m.grace_ms);
	/* A stop does not wait for a client that does not read its output. */
	if (k->is_finishing && !k->end_timer)
		k->end_timer = loop_after(k->loop, STOP_LINGER_MS, end_linger, k);
	return 0;
}

void clients_answer_stop(struct keeper *k)
{
	bool anybody = false;

	for (struct client *c = k->clients; c; c = c->next) {
		if (!c->waits_for_stop)
			continue;
		message_add_empty(&c->out, MSG_DONE, c->client_request);
		c->waits_for_stop = false;
		c->closing = true;
		anybody = true;
	}
	if (anybody && !k->end_timer)
		k->end_timer = loop_after(k->loop, STOP_LINGER_MS, end_linger, k);
}

static int on_change_part(struct client *c, const struct frame *f, struct error *err)
{
	if (c->config.size + f->size > KEEPER_CONFIG_MAX)
		return error_set(err, E_INTEGRITY, "the configuration is too large");
	buffer_add(&c->config, f->payload, f->size);
	return 0;
}

static int on_change(struct client *c, const struct frame *f, struct error *err)
{
	AUTO_ERROR why = ERROR_INIT;

	if (on_change_part(c, f, err) < 0)
		return -(int)err->code;
	if (keeper_change(c, f->stream, c->config.data, c->config.size, &why) < 0)
		message_add_error(&c->out, f->stream, why.code, error_message(&why));
	buffer_clear(&c->config);
	return 0;
}

static int on_grow(struct client *c, const struct frame *f, struct error *err)
{
	struct msg_grow m = { 0 };
	AUTO_ERROR why = ERROR_INIT;

	if (msg_grow_unpack(f->payload, f->size, &m, err) < 0)
		return -(int)err->code;
	if (keeper_grow(c, f->stream, &m, &why) < 0)
		message_add_error(&c->out, f->stream, why.code, error_message(&why));
	msg_grow_release(&m);
	return 0;
}

uint32_t client_begin_request(struct client *c, uint32_t request)
{
	if (c->keeper->status.phase != MACHINE_RUNNING) {
		message_add_error(&c->out, request, E_NOT_FOUND, "the container is not running");
		return 0;
	}
	if (c->request) {
		message_add_error(&c->out, request, E_CONFLICT, "one request at a time");
		return 0;
	}
	c->request = keeper_next_request(c->keeper);
	c->client_request = request;
	return c->request;
}

/* Questions that the guest answers itself. */
static void pass_request(struct client *c, const struct frame *f)
{
	uint32_t request = client_begin_request(c, f->stream);

	if (request)
		frame_add(&c->keeper->guest_out, f->type, 0, request, f->payload, f->size);
}

/* What a client says about its own process. */
static int on_stream(struct client *c, const struct frame *f, struct error *err)
{
	struct keeper *k = c->keeper;

	if (!c->relay)
		return 0; /* it ended while this was on its way */
	if (f->type == MSG_RESIZE || f->type == MSG_SIGNAL) {
		if (!c->relay->stream.has_exited)
			frame_add(&k->guest_out, f->type, 0, c->relay->stream.id, f->payload,
				  f->size);
		return 0;
	}
	return stream_from_client(&c->relay->stream, f, &k->guest_out, err);
}

static int on_frame(struct client *c, const struct frame *f, struct error *err)
{
	switch (f->type) {
	case MSG_SPAWN:
		return on_spawn(c, f, err);
	case MSG_COPY:
		return on_copy(c, f, err);
	case MSG_ATTACH:
		return on_attach(c, err);
	case MSG_LEAVE:
		leave_process(c, true);
		return 0;
	case MSG_STATUS:
		return on_status(c, f, err);
	case MSG_STOP:
		return on_stop(c, f, err);
	case MSG_KILL_PROCESS:
		return client_kill(c, f, err);
	case MSG_PAUSE:
		return client_pause(c, f, err);
	case MSG_CHANGE_PART:
		return on_change_part(c, f, err);
	case MSG_CHANGE:
		return on_change(c, f, err);
	case MSG_GROW:
		return on_grow(c, f, err);
	case MSG_WAIT:
		return on_wait(c, f, err);
	case MSG_STATS:
	case MSG_TOP:
	case MSG_KERNEL_LOG:
	case MSG_DISKS:
	case MSG_TRIM:
	case MSG_LIMITS:
	case MSG_TIME:
		pass_request(c, f);
		return 0;
	case MSG_DATA:
	case MSG_END_OF_FILE:
	case MSG_CREDIT:
	case MSG_RESIZE:
	case MSG_SIGNAL:
		return on_stream(c, f, err);
	default:
		message_add_error(&c->out, f->stream, E_INVALID, "unknown request");
		return 0;
	}
}

static void on_client(void *arg, uint32_t events)
{
	struct client *c = arg;
	struct keeper *k = c->keeper;
	char chunk[64 * 1024];
	AUTO_ERROR err = ERROR_INIT;
	struct frame f;
	int r = 0;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t n = recv(c->fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			client_free(c);
			keeper_flush(k);
			return;
		}
		if (n > 0)
			frame_decoder_add(&c->in, chunk, (size_t)n);
	}
	while (r >= 0 && (r = frame_decoder_next(&c->in, &f, &err)) > 0)
		r = on_frame(c, &f, &err);
	if (r < 0) {
		log_warn("dropped a client: %s", error_message(&err));
		client_free(c);
	}
	keeper_flush(k);
}

static void on_listen(void *arg, uint32_t events)
{
	struct keeper *k = arg;
	AUTO_ERROR err = ERROR_INIT;
	uid_t uid;

	(void)events;
	/* cppcheck-suppress nullPointer; the address of the peer is not asked for */
	AUTO_CLOSE int fd = accept4(k->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (unix_peer_uid(fd, &uid, &err) < 0) {
		error_ignore(&err, "ask who a client is");
		return;
	}
	if ((uid != geteuid() && uid != 0) || k->client_count >= CLIENTS_MAX) {
		log_warn("refused a client of user %u", (unsigned)uid);
		return;
	}
	(void)client_new(k, take_fd(&fd));
}

int clients_listen(struct keeper *k, struct error *err)
{
	AUTO_FREE char *path = path_join(k->config.machine.run_dir, "keeper.sock");

	k->listen_fd = unix_listen(path, SOCK_STREAM, err);
	if (k->listen_fd < 0)
		return -(int)err->code;
	if (fd_set_nonblock(k->listen_fd, true, err) < 0)
		return -(int)err->code;
	loop_watch(k->loop, k->listen_fd, EPOLLIN, on_listen, k);
	return 0;
}
