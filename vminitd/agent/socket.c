/* SPDX-License-Identifier: MIT */
/* Listening in the container for the host's sockets, and connecting to the container's. */
/*
 * DOC: Theory of Operation
 *
 * A socket of the host is a listening one of the agent's own, made outside of the container's tree
 * and bound onto its target: no path of an image is followed when it is made, and none is too long
 * for it. Each connection is a stream like that of a process without one (process.c): what is
 * written to it is the stream's output, its input comes from the host.
 *
 * A socket of the container is found from the root of its first process, so that mounts of the
 * container's own count, and links lead nowhere but inside.
 */
#include "vminitd/agent/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "vminitd/agent/syscalls.h"

#define STAGE "/run/sockets"

enum { BACKLOG = 64 };

struct listener {
	struct sockets *all;
	struct listener *next;
	char *target; /* owned; clean */
	char *path; /* owned; where the socket itself is: one that is removed could not be unmounted
		     */
	int fd;
};

void sockets_init(struct sockets *s, struct loop *loop, struct port *port,
		  struct processes *processes, struct container *container)
{
	*s = (struct sockets){ .loop = loop,
			       .port = port,
			       .processes = processes,
			       .container = container,
			       .next_stream = STREAM_OF_GUEST };
}

/* Numbers of the host's choice are below, and none is used twice at a time. */
static uint32_t new_stream(struct sockets *s)
{
	do
		s->next_stream =
			s->next_stream == UINT32_MAX ? STREAM_OF_GUEST : s->next_stream + 1;
	while (processes_has(s->processes, s->next_stream));
	return s->next_stream;
}

static void on_listener(void *arg, uint32_t events)
{
	struct listener *l = arg;
	struct sockets *s = l->all;
	struct msg_connect m = { .target = l->target };
	AUTO_ERROR err = ERROR_INIT;

	(void)events;
	AUTO_CLOSE int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || !s->port->has_host || !processes_has_room(s->processes))
		return;
	uint32_t stream = new_stream(s);
	if (msg_connect_add(port_out(s->port), MSG_CONNECT, stream, &m, &err) < 0) {
		error_ignore(&err, "ask the host for a connection");
		return;
	}
	processes_adopt(s->processes, stream, take_fd(&fd));
	port_flush(s->port);
}

static int make_listener(struct sockets *s, const struct setup_socket *m, char *path,
			 struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(path, sizeof(address.sun_path), STAGE "/%u", s->next_number++);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (dir_make(STAGE, 0700, err) < 0)
		return -(int)err->code;
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(path, m->mode & 0777) < 0 || listen(fd, BACKLOG) < 0)
		return error_sys(err, "make a socket for '%s'", m->target);
	return take_fd(&fd);
}

int sockets_add(struct sockets *s, const struct setup_socket *m, struct error *err)
{
	AUTO_FREE char *target = path_clean(m->target);
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	AUTO_CLOSE int fd = make_listener(s, m, path, err);

	if (fd < 0)
		return fd;
	AUTO_CLOSE int file = open(path, O_PATH | O_CLOEXEC);
	int r = file < 0 ? error_sys(err, "open '%s'", path)
			 : root_add_socket(&s->container->root, file, target, err);
	if (r < 0) {
		(void)unlink(path);
		return r;
	}
	struct listener *l = xcalloc(1, sizeof(*l));
	*l = (struct listener){ .all = s,
				.next = s->list,
				.target = TAKE_PTR(target),
				.path = xstrdup(path),
				.fd = take_fd(&fd) };
	s->list = l;
	loop_watch(s->loop, l->fd, EPOLLIN, on_listener, l);
	return 0;
}

void sockets_remove(struct sockets *s, const char *target)
{
	AUTO_FREE char *clean = path_clean(target);

	for (struct listener **at = &s->list; *at; at = &(*at)->next) {
		struct listener *l = *at;

		if (!str_equal(l->target, clean))
			continue;
		*at = l->next;
		loop_unwatch(s->loop, l->fd);
		(void)close(l->fd);
		(void)unlink(l->path);
		free(l->path);
		free(l->target);
		free(l);
		return;
	}
}

/* Return: a connected socket or -code */
static int connect_inside(struct sockets *s, const char *target, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/root", s->container->first);
	AUTO_CLOSE int root =
		s->container->first ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (root < 0)
		return error_set(err, E_UNAVAILABLE, "the container does not run");
	AUTO_CLOSE int at = sys_open_in_root(root, target, O_PATH, 0);
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (at < 0 || fd < 0)
		return error_sys(err, "open '%s' in the container", target);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", at);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_sys(err, "connect to '%s' in the container", target);
	return take_fd(&fd);
}

void sockets_connect(struct sockets *s, uint32_t stream, const struct msg_connect *m)
{
	AUTO_ERROR err = ERROR_INIT;
	int fd = -1;

	if (stream == STREAM_NONE || processes_has(s->processes, stream) ||
	    !processes_has_room(s->processes))
		(void)error_set(&err, E_CONFLICT, "there is no room for a connection");
	else
		fd = connect_inside(s, m->target, &err);
	processes_adopt(s->processes, stream, fd);
	if (fd < 0) {
		struct msg_log log = { .level = MSG_LOG_INFO, .text = err.message };
		AUTO_ERROR ignored = ERROR_INIT;

		if (msg_log_add(port_out(s->port), MSG_LOG, STREAM_NONE, &log, &ignored) < 0)
			error_ignore(&ignored, "tell why there is no connection");
	}
	port_flush(s->port);
}
