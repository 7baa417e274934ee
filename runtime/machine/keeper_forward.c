/* SPDX-License-Identifier: MIT */
/* Unix sockets forwarded: the host's into the container, the container's onto the host. */
/*
 * DOC: Theory of Operation
 *
 * Each connection is a stream of the agent's channel: what the guest's end writes comes on channel
 * stdout, what it is to read goes on stdin. For a socket of the host the guest asks, by the target
 * it was configured with: no path comes from there, and what is not configured is cancelled. For
 * one of the container we listen, and ask the guest. A connection reads no more than the other side
 * has given credit for and never waits: one that stands still holds back nobody else.
 */
#include "runtime/machine/keeper_forward.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "runtime/machine/keeper_internal.h"

enum { FORWARDS_MAX = 128 };

struct forward {
	struct keeper *keeper;
	struct forward *next;
	uint32_t id;
	int fd;
	uint32_t events; /* watched for; 0 = not at all */
	struct credit_sender to_guest;
	struct credit_receiver from_guest;
	struct buffer pending; /* from the guest */
	bool guest_ended;      /* nothing more comes from there */
	bool end_is_written;
	bool host_ended;    /* nor from here */
	bool guest_is_gone; /* what is pending is still written */
};

/* A socket of ours that leads into the container. */
struct forward_listener {
	struct keeper *keeper;
	struct forward_listener *next;
	char *path, *target; /* owned */
	int fd;
	dev_t device; /* of what we made at the path: that is removed, and nothing else */
	ino_t inode;
};

static void on_forward(void *arg, uint32_t events);

static void forward_free(struct forward *f)
{
	struct forward **at = &f->keeper->forwards;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	f->keeper->forward_count--;
	loop_unwatch(f->keeper->loop, f->fd);
	(void)close(f->fd);
	buffer_release(&f->pending);
	free(f);
}

/* Our end cannot go on. */
static void give_up(struct forward *f)
{
	if (!f->guest_is_gone)
		message_add_empty(&f->keeper->guest_out, MSG_CANCEL, f->id);
	forward_free(f);
}

static void arrange(struct forward *f)
{
	bool reads = !f->host_ended && !f->guest_is_gone && f->to_guest.available > 0;
	uint32_t events = (reads ? EPOLLIN : 0) | (f->pending.size > 0 ? EPOLLOUT : 0);

	if (events == f->events)
		return;
	f->events = events;
	if (events)
		loop_watch(f->keeper->loop, f->fd, events, on_forward, f);
	else
		loop_unwatch(f->keeper->loop, f->fd);
}

/* Return: false if it is gone */
static bool write_pending(struct forward *f)
{
	size_t before = f->pending.size;

	while (f->pending.size > 0) {
		ssize_t n =
			send(f->fd, f->pending.data, f->pending.size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			give_up(f);
			return false;
		}
		buffer_drop(&f->pending, (size_t)n);
	}
	if (!f->guest_is_gone)
		message_add_credit(&f->keeper->guest_out, f->id, CHANNEL_STDOUT,
				   credit_consumed(&f->from_guest, before - f->pending.size));
	if (f->pending.size == 0 && f->guest_is_gone) {
		forward_free(f);
		return false;
	}
	if (f->pending.size == 0 && f->guest_ended && !f->end_is_written) {
		f->end_is_written = true;
		(void)shutdown(f->fd, SHUT_WR);
	}
	return true;
}

/* Return: false if it is gone */
static bool read_host(struct forward *f)
{
	char data[FRAME_DATA_MAX];
	size_t room = f->to_guest.available < sizeof(data) ? f->to_guest.available : sizeof(data);
	ssize_t n = recv(f->fd, data, room, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n < 0) {
		give_up(f);
		return false;
	}
	if (n == 0) {
		f->host_ended = true;
		message_add_end_of_file(&f->keeper->guest_out, f->id, CHANNEL_STDIN);
		return true;
	}
	message_add_data(&f->keeper->guest_out, f->id, CHANNEL_STDIN, data, (size_t)n);
	credit_sent(&f->to_guest, (size_t)n);
	return true;
}

static void on_forward(void *arg, uint32_t events)
{
	struct forward *f = arg;
	struct keeper *k = f->keeper;
	bool is_there = true;

	if ((f->events & EPOLLIN) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		is_there = read_host(f);
	if (is_there && (f->events & EPOLLOUT) && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
		is_there = write_pending(f);
	if (is_there)
		arrange(f);
	keeper_flush(k);
}

/* Takes @fd. */
static void forward_new(struct keeper *k, uint32_t id, int fd)
{
	struct forward *f = xcalloc(1, sizeof(*f));

	*f = (struct forward){ .keeper = k,
			       .next = k->forwards,
			       .id = id,
			       .fd = fd,
			       .to_guest = CREDIT_SENDER_INIT,
			       .from_guest = CREDIT_RECEIVER_INIT };
	k->forwards = f;
	k->forward_count++;
	arrange(f);
}

static struct forward *forward_find(struct keeper *k, uint32_t id)
{
	struct forward *f = k->forwards;

	while (f && f->id != id)
		f = f->next;
	return f;
}

static int broke(struct error *err, const char *what)
{
	return error_set(err, E_INTEGRITY, "the guest broke the protocol: %s", what);
}

static int on_data(struct forward *f, const struct frame *frame, struct error *err)
{
	if (frame->channel != CHANNEL_STDOUT || f->guest_ended)
		return broke(err, "data of a socket on another channel, or after its end");
	if (!credit_received(&f->from_guest, frame->size))
		return broke(err, "more data than it had credit for");
	buffer_add(&f->pending, frame->payload, frame->size);
	return 0;
}

static int on_credit(struct forward *f, const struct frame *frame, struct error *err)
{
	struct msg_credit m = { 0 };

	if (msg_credit_unpack(frame->payload, frame->size, &m, err) < 0)
		return -(int)err->code;
	if (frame->channel != CHANNEL_STDIN || !credit_granted(&f->to_guest, m.bytes))
		return broke(err, "more credit than was used");
	return 0;
}

int forward_frame(struct keeper *k, const struct frame *frame, struct error *err)
{
	struct forward *f = forward_find(k, frame->stream);
	int r = 0;

	if (!f)
		return 0;
	if (frame->type == MSG_DATA)
		r = on_data(f, frame, err);
	else if (frame->type == MSG_CREDIT)
		r = on_credit(f, frame, err);
	else if (frame->type == MSG_EXITED)
		f->guest_is_gone = true;
	else if (frame->channel == CHANNEL_STDIN)
		f->host_ended = true; /* nobody reads it any more */
	else
		f->guest_ended = true;
	if (r < 0)
		return r;
	if (write_pending(f))
		arrange(f);
	return 1;
}

/* Never waits, whatever is at the path. */
static int connect_to(const char *path, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, E_INVALID, "the path '%s' is too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_sys(err, "connect to '%s'", path);
	return take_fd(&fd);
}

/* Failures are told, but a guest may make them as often as it likes. */
static void tell(struct keeper *k, struct error *err)
{
	k->guest_log_bytes += strlen(error_message(err)) + 64;
	if (k->guest_log_bytes < KEEPER_LOG_MAX)
		log_info("socket: %s", error_message(err));
	error_clear(err);
}

int forward_wanted(struct keeper *k, const struct frame *frame, struct error *err)
{
	const struct machine_config *c = &k->config.machine;
	const char *path = NULL;
	struct msg_connect m = { 0 };
	AUTO_ERROR why = ERROR_INIT;
	int fd = -1;

	if (msg_connect_unpack(frame->payload, frame->size, &m, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < c->socket_count; i++)
		if (!c->sockets[i].is_out && str_equal(c->sockets[i].target, m.target))
			path = c->sockets[i].host_path;
	msg_connect_release(&m);
	if (frame->stream < STREAM_OF_GUEST || forward_find(k, frame->stream))
		return broke(err, "a connection under a number that is not free");
	if (!path)
		(void)error_set(&why, E_DENIED, "the guest asked for one that is not its own");
	else if (k->forward_count >= FORWARDS_MAX)
		(void)error_set(&why, E_UNAVAILABLE, "%d connections are open", FORWARDS_MAX);
	else
		fd = connect_to(path, &why);
	if (fd < 0) {
		tell(k, &why);
		message_add_empty(&k->guest_out, MSG_CANCEL, frame->stream);
		return 0;
	}
	forward_new(k, frame->stream, fd);
	return 0;
}

/* --- what we listen on --- */

static void on_listener(void *arg, uint32_t events)
{
	struct forward_listener *l = arg;
	struct keeper *k = l->keeper;
	struct msg_connect m = { .target = l->target };
	AUTO_ERROR err = ERROR_INIT;

	(void)events;
	/* cppcheck-suppress nullPointer; the address of the peer is not asked for */
	AUTO_CLOSE int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || k->status.phase != MACHINE_RUNNING || k->forward_count >= FORWARDS_MAX)
		return;
	uint32_t id = k->next_stream++;
	if (msg_connect_add(&k->guest_out, MSG_CONNECT, id, &m, &err) < 0)
		error_ignore(&err, "connect into the container");
	else
		forward_new(k, id, take_fd(&fd));
	keeper_flush(k);
}

static void listener_free(struct forward_listener *l)
{
	struct stat st;

	if (l->fd >= 0) {
		loop_unwatch(l->keeper->loop, l->fd);
		(void)close(l->fd);
	}
	if (l->inode && lstat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
		(void)unlink(l->path);
	free(l->path);
	free(l->target);
	free(l);
}

/* What a keeper that was killed left is in the way; what is no socket is somebody's. */
static int make_way(const char *path, struct error *err)
{
	AUTO_ERROR why = ERROR_INIT;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_sys(err, "look at '%s'", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, E_EXISTS, "'%s' is there and no socket", path);
	AUTO_CLOSE int other = connect_to(path, &why);
	if (other >= 0)
		return error_set(err, E_EXISTS, "somebody else listens on '%s'", path);
	error_clear(&why);
	return unlink(path) < 0 ? error_sys(err, "remove '%s'", path) : 0;
}

static int listen_on(struct forward_listener *l, struct error *err)
{
	struct stat st;

	if (make_way(l->path, err) < 0)
		return -(int)err->code;
	l->fd = unix_listen(l->path, SOCK_STREAM, err);
	if (l->fd < 0)
		return -(int)err->code;
	if (fd_set_nonblock(l->fd, true, err) < 0)
		return -(int)err->code;
	if (lstat(l->path, &st) < 0)
		return error_sys(err, "look at '%s'", l->path);
	l->device = st.st_dev;
	l->inode = st.st_ino;
	loop_watch(l->keeper->loop, l->fd, EPOLLIN, on_listener, l);
	return 0;
}

static struct forward_listener *take_listener(struct forward_listener **list,
					      const struct machine_socket *s)
{
	for (; *list; list = &(*list)->next) {
		struct forward_listener *l = *list;

		if (!str_equal(l->path, s->host_path) || !str_equal(l->target, s->target))
			continue;
		*list = l->next;
		return l;
	}
	return NULL;
}

static const struct forward_listener *find_listener(const struct keeper *k, const char *path)
{
	const struct forward_listener *l = k->listeners;

	while (l && !str_equal(l->path, path))
		l = l->next;
	return l;
}

static void add_listener(struct keeper *k, const struct machine_socket *s)
{
	struct forward_listener *l = xcalloc(1, sizeof(*l));

	*l = (struct forward_listener){ .keeper = k,
					.next = k->listeners,
					.path = xstrdup(s->host_path),
					.target = xstrdup(s->target),
					.fd = -1 };
	k->listeners = l;
}

int forwards_configure(struct keeper *k, struct error *err)
{
	const struct machine_config *c = &k->config.machine;
	struct forward_listener *old = k->listeners;
	int r = 0;

	k->listeners = NULL;
	for (size_t i = 0; i < c->socket_count; i++) {
		struct forward_listener *l =
			c->sockets[i].is_out ? take_listener(&old, &c->sockets[i]) : NULL;

		if (!l)
			continue;
		l->next = k->listeners;
		k->listeners = l;
	}
	while (old) {
		struct forward_listener *next = old->next;

		listener_free(old);
		old = next;
	}
	for (size_t i = 0; i < c->socket_count; i++)
		if (c->sockets[i].is_out && !find_listener(k, c->sockets[i].host_path))
			add_listener(k, &c->sockets[i]);
	for (struct forward_listener *l = k->listeners; r == 0 && l; l = l->next)
		if (l->fd < 0)
			r = listen_on(l, err);
	return r;
}

void forwards_drop(struct keeper *k)
{
	while (k->forwards)
		forward_free(k->forwards);
}

void forwards_release(struct keeper *k)
{
	forwards_drop(k);
	while (k->listeners) {
		struct forward_listener *next = k->listeners->next;

		listener_free(k->listeners);
		k->listeners = next;
	}
}
