/* SPDX-License-Identifier: MIT */
/* Frames from and to one VM over unix datagram sockets. */
#include "runtime/network/link.h"

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
#include "base/clock.h"
#include "base/file.h"

/*
 * DOC: Theory of Operation
 *
 * The VM's side binds vm.sock and sends to switch.sock; its socket may be connected to ours or not.
 * One that is takes datagrams from nobody else, so everything is sent from the socket that is bound
 * to switch.sock. That one is never connected: else a VM that is started again, with a new socket,
 * could not reach it.
 *
 * A full receiver gives EAGAIN. A socket that is not connected does not become "writable" again
 * when that is over, but each datagram the receiver takes is given back to its sender's buffer, and
 * that is an edge: while something waits, a duplicate of the socket is watched for EPOLLOUT |
 * EPOLLET. It also comes when the receiver dies.
 *
 * What lies in the folder is not trusted: vm.sock is opened without following links and addressed
 * through /proc/self/fd. What is reached is a socket in this very folder, never one of another VM
 * behind a link.
 *
 * Linux queues only a few datagrams for a socket that is not connected (net.unix.max_dgram_qlen,
 * 10), and for others what fits the sender's buffer, so bursts wait in a queue here. When it is
 * full, the frame is dropped, like in any switch; nobody else waits.
 */

enum {
	BATCH = 16,
	QUEUE_FRAMES = 1024,
	QUEUE_BYTES = 4 << 20,
	SEND_BUFFER = 4 << 20,
	LOOK_AGAIN_MS = 20, /* a VM that is not there is not looked for at every frame */
};

struct link_batch {
	struct mmsghdr messages[BATCH];
	struct iovec vectors[BATCH];
	uint8_t frames[BATCH][FRAME_MAX];
};

struct queued {
	struct queued *next;
	size_t size;
	uint8_t frame[];
};

struct link {
	struct loop *loop;
	struct link_batch *batch;
	link_frame_fn fn;
	void *arg;
	int dir_fd;
	int fd;      /* bound to switch.sock */
	int edge_fd; /* a duplicate of it, to wait for room */
	int vm_fd;   /* vm.sock as a path; -1 = no VM found */
	struct sockaddr_un vm;
	uint64_t retry_ms;
	struct queued *head, **tail;
	size_t queue_frames, queue_bytes;
	struct link_counts counts;
};

struct link_batch *link_batch_new(void)
{
	struct link_batch *b = xcalloc(1, sizeof(*b));
	for (size_t i = 0; i < BATCH; i++) {
		b->vectors[i] = (struct iovec){ b->frames[i], FRAME_MAX };
		b->messages[i].msg_hdr.msg_iov = &b->vectors[i];
		b->messages[i].msg_hdr.msg_iovlen = 1;
	}
	return b;
}

void link_batch_free(struct link_batch *b)
{
	free(b);
}

const struct link_counts *link_counts(const struct link *l)
{
	return &l->counts;
}

static void on_receivable(void *arg, uint32_t events)
{
	struct link *l = arg;
	struct link_batch *b = l->batch;
	(void)events;
	int n = recvmmsg(l->fd, b->messages, BATCH, MSG_DONTWAIT, NULL);
	if (n <= 0)
		return;
	if (l->vm_fd < 0)
		l->retry_ms = 0; /* a VM speaks, so it listens */
	for (int i = 0; i < n; i++) {
		size_t size = b->messages[i].msg_len;
		if (b->messages[i].msg_hdr.msg_flags & MSG_TRUNC) {
			l->counts.oversized++;
			continue;
		}
		l->counts.received++;
		l->counts.received_bytes += size;
		l->fn(l->arg, b->frames[i], size);
	}
}

/* The name of a file in the link's folder, in a form whose length does not depend on where the
 * folder is. */
static void folder_address(int fd, const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d%s%s", fd,
		       name ? "/" : "", name ? name : "");
}

static int bind_receiver(struct link *l, const char *dir, struct error *err)
{
	struct sockaddr_un address;
	l->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return error_sys(err, "create a socket");
	l->edge_fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
	if (l->edge_fd < 0)
		return error_sys(err, "copy a descriptor");
	int room = SEND_BUFFER;
	if (setsockopt(l->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		(void)setsockopt(l->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (unlinkat(l->dir_fd, LINK_SWITCH_SOCKET, 0) < 0 && errno != ENOENT)
		return error_sys(err, "remove the stale '%s/%s'", dir, LINK_SWITCH_SOCKET);
	if (fchmod(l->fd, 0600) < 0)
		return error_sys(err, "set the mode of a socket");
	folder_address(l->dir_fd, LINK_SWITCH_SOCKET, &address);
	if (bind(l->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_sys(err, "bind '%s/%s'", dir, LINK_SWITCH_SOCKET);
	return 0;
}

static int link_start(struct link *l, const char *dir, struct error *err)
{
	int r = dir_make(dir, 0700, err);
	if (r < 0)
		return r;
	l->dir_fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l->dir_fd < 0)
		return error_sys(err, "open '%s'", dir);
	r = bind_receiver(l, dir, err);
	if (r < 0)
		return r;
	loop_watch(l->loop, l->fd, EPOLLIN, on_receivable, l);
	return 0;
}

int link_open(struct loop *loop, struct link_batch *batch, const char *dir, link_frame_fn fn,
	      void *arg, struct link **ret, struct error *err)
{
	struct link *l = xcalloc(1, sizeof(*l));
	*l = (struct link){ .loop = loop,
			    .batch = batch,
			    .fn = fn,
			    .arg = arg,
			    .dir_fd = -1,
			    .fd = -1,
			    .edge_fd = -1,
			    .vm_fd = -1 };
	l->tail = &l->head;
	int r = link_start(l, dir, err);
	if (r < 0) {
		link_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

static void drop_queue(struct link *l)
{
	while (l->head) {
		struct queued *next = l->head->next;
		free(l->head);
		l->head = next;
	}
	l->tail = &l->head;
	l->queue_frames = l->queue_bytes = 0;
}

void link_close(struct link *l)
{
	if (!l)
		return;
	drop_queue(l);
	loop_unwatch(l->loop, l->edge_fd);
	loop_unwatch(l->loop, l->fd);
	const int fds[] = { l->edge_fd, l->fd, l->vm_fd, l->dir_fd };
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
	free(l);
}

static void forget_vm(struct link *l)
{
	l->counts.dropped_absent += l->queue_frames;
	drop_queue(l);
	loop_unwatch(l->loop, l->edge_fd);
	(void)close(take_fd(&l->vm_fd));
	l->retry_ms = clock_ms() + LOOK_AGAIN_MS;
}

static bool find_vm(struct link *l)
{
	struct stat st;
	AUTO_CLOSE int at = openat(l->dir_fd, LINK_VM_SOCKET, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (at < 0 || fstat(at, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	folder_address(at, NULL, &l->vm);
	l->vm_fd = take_fd(&at);
	return true;
}

/* Whether there is, or is now, a VM to send to. */
static bool has_vm(struct link *l)
{
	if (l->vm_fd >= 0)
		return true;
	if (l->retry_ms && clock_ms() < l->retry_ms)
		return false;
	if (find_vm(l))
		return true;
	l->retry_ms = clock_ms() + LOOK_AGAIN_MS;
	return false;
}

enum outcome { SENT, BUSY, GONE, LOST };

static enum outcome try_send(struct link *l, const uint8_t *frame, size_t size)
{
	if (sendto(l->fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&l->vm,
		   sizeof(l->vm)) >= 0) {
		l->counts.sent++;
		l->counts.sent_bytes += size;
		return SENT;
	}
	if (errno == EAGAIN)
		return BUSY;
	if (errno == ECONNREFUSED || errno == ENOENT || errno == EPERM)
		return GONE;
	return LOST;
}

static void on_room(void *arg, uint32_t events)
{
	struct link *l = arg;
	(void)events;
	while (l->head) {
		struct queued *q = l->head;
		enum outcome o = try_send(l, q->frame, q->size);
		if (o == BUSY)
			return;
		if (o == GONE) {
			forget_vm(l);
			return;
		}
		l->head = q->next;
		l->queue_frames--;
		l->queue_bytes -= q->size;
		free(q);
	}
	l->tail = &l->head;
	loop_unwatch(l->loop, l->edge_fd);
}

static void enqueue(struct link *l, const uint8_t *frame, size_t size)
{
	if (l->queue_frames == QUEUE_FRAMES || l->queue_bytes + size > QUEUE_BYTES) {
		l->counts.dropped_full++;
		return;
	}
	struct queued *q = xmalloc(sizeof(*q) + size);
	q->next = NULL;
	q->size = size;
	memcpy(q->frame, frame, size);
	if (!l->head)
		loop_watch(l->loop, l->edge_fd, EPOLLOUT | EPOLLET, on_room, l);
	*l->tail = q;
	l->tail = &q->next;
	l->queue_frames++;
	l->queue_bytes += size;
}

void link_send(struct link *l, const uint8_t *frame, size_t size)
{
	if (!has_vm(l)) {
		l->counts.dropped_absent++;
		return;
	}
	if (l->head) {
		enqueue(l, frame, size);
		return;
	}
	enum outcome o = try_send(l, frame, size);
	if (o == GONE) {
		/* A VM that was started again has a new socket under the old name. */
		forget_vm(l);
		l->retry_ms = 0;
		o = has_vm(l) ? try_send(l, frame, size) : GONE;
	}
	if (o == BUSY)
		enqueue(l, frame, size);
	else if (o == GONE)
		l->counts.dropped_absent++;
	else if (o == LOST)
		l->counts.dropped_full++;
}
