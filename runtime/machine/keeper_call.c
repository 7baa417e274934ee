/* SPDX-License-Identifier: MIT */
/* Asking a keeper. */
#include "runtime/machine/keeper_call.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"

int keeper_connect(const char *run_dir, pid_t *ret_pid, struct error *err)
{
	AUTO_FREE char *path = path_join(run_dir, "keeper.sock");
	AUTO_CLOSE int fd = unix_connect(path, SOCK_STREAM, err);
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (fd < 0)
		return -(int)err->code;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return error_sys(err, "ask who listens on '%s'", path);
	if (ret_pid)
		*ret_pid = peer.pid;
	return take_fd(&fd);
}

static int gone(struct error *err)
{
	return error_set(err, E_UNAVAILABLE, "the machine's keeper went away");
}

int keeper_send(int sock, const struct buffer *frames, struct error *err)
{
	for (size_t at = 0; at < frames->size;) {
		ssize_t n = send(sock, frames->data + at, frames->size - at, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EPIPE || errno == ECONNRESET
				       ? gone(err)
				       : error_sys(err, "write to the machine's keeper");
		at += (size_t)n;
	}
	return 0;
}

static int receive(int sock, char *at, size_t size, uint64_t deadline, struct error *err)
{
	while (size > 0) {
		uint64_t now = clock_ms();
		struct pollfd p = { .fd = sock, .events = POLLIN };
		int r = now < deadline ? poll(&p, 1, (int)(deadline - now)) : 0;
		if (r == 0)
			return error_set(err, E_TIMEOUT, "the machine's keeper does not answer");
		if (r < 0 && errno != EINTR)
			return error_sys(err, "wait for the machine's keeper");
		if (r < 0)
			continue;
		ssize_t n = recv(sock, at, size, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return gone(err);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return error_sys(err, "read from the machine's keeper");
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

int keeper_receive(int sock, uint64_t timeout_ms, struct buffer *payload, struct frame *ret,
		   struct error *err)
{
	uint64_t deadline = clock_ms() + timeout_ms;
	char header[FRAME_HEADER_SIZE] = { 0 };

	if (receive(sock, header, sizeof(header), deadline, err) < 0)
		return -(int)err->code;
	uint32_t size = get_be32(header);
	if (size > FRAME_MAX_PAYLOAD)
		return keeper_is_another(err);
	buffer_clear(payload);
	char *at = buffer_reserve(payload, size);
	if (receive(sock, at, size, deadline, err) < 0)
		return -(int)err->code;
	payload->size = size;
	*ret = (struct frame){ .type = get_be16(header + 4),
			       .channel = get_be16(header + 6),
			       .stream = get_be32(header + 8),
			       .payload = at,
			       .size = size };
	return 0;
}

int keeper_error(const struct frame *f, struct error *err)
{
	struct msg_error m = { 0 };

	if (msg_error_unpack(f->payload, f->size, &m, err) < 0)
		return -(int)err->code;
	enum error_code code = m.code >= E_INVALID && m.code <= E_INTERNAL ? m.code : E_SYSTEM;
	int r = error_set(err, code, "%s", m.text);
	msg_error_release(&m);
	return r;
}

int keeper_not_running(struct error *err)
{
	error_clear(err);
	return error_set(err, E_NOT_FOUND, "the machine is not running");
}

int keeper_is_another(struct error *err)
{
	return error_set(err, E_INTEGRITY,
			 "this machine was started by another version of ctrz, whose protocol is "
			 "not %d; restart it with this one",
			 PROTOCOL_VERSION);
}

int keeper_ask(const char *run_dir, const struct buffer *request, uint64_t timeout_ms,
	       enum msg_type wanted, struct buffer *payload, struct frame *ret, struct error *err)
{
	AUTO_CLOSE int sock = keeper_connect(run_dir, NULL, err);

	if (sock < 0)
		return sock == -E_NOT_FOUND ? keeper_not_running(err) : sock;
	if (keeper_send(sock, request, err) < 0 ||
	    keeper_receive(sock, timeout_ms, payload, ret, err) < 0)
		return -(int)err->code;
	if (ret->type == MSG_ERROR)
		return keeper_error(ret, err);
	return ret->type == (uint16_t)wanted ? 0 : keeper_is_another(err);
}
