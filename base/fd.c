/* SPDX-License-Identifier: MIT */
/* Descriptors: whole reads and writes, unix sockets, locks. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/openat2.h>

#include "base/clock.h"

enum { FDS_MAX = 16, CHUNK = 16384 };

int fd_open_in_root(int root, const char *path, int flags, mode_t mode)
{
	struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC,
				.mode = mode,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

int fd_open_plain(const char *path, int flags)
{
	struct open_how how = { .flags = (unsigned)flags | O_CLOEXEC,
				.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

int fd_write_full(int fd, const void *data, size_t size, struct error *err)
{
	const char *p = data;
	while (size > 0) {
		ssize_t n = write(fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "write");
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int fd_read_full(int fd, void *data, size_t size, struct error *err)
{
	char *p = data;
	while (size > 0) {
		ssize_t n = read(fd, p, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "read");
		if (n == 0)
			return error_set(err, E_INTEGRITY,
					 "unexpected end of data, %zu bytes short", size);
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

/* Return: 1 for more to come, 0 at the end, -code */
static int read_chunk(int fd, struct buffer *out, size_t chunk, size_t limit, struct error *err)
{
	char *at = buffer_reserve(out, chunk);
	ssize_t n = read(fd, at, chunk);
	if (n < 0)
		return errno == EINTR ? 1 : error_sys(err, "read");
	out->size += (size_t)n;
	out->data[out->size] = '\0';
	return n > 0 && out->size <= limit;
}

int fd_read_all(int fd, struct buffer *out, size_t max, struct error *err)
{
	size_t start = out->size, chunk = CHUNK;
	struct stat st;
	int r;
	/* A file in one go, and one byte more to see its end. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= CHUNK &&
	    (uint64_t)st.st_size <= max)
		chunk = (size_t)st.st_size + 1;
	do {
		r = read_chunk(fd, out, chunk, start + max, err);
		chunk = CHUNK;
	} while (r > 0);
	if (r == 0 && out->size - start > max)
		return error_set(err, E_INVALID, "larger than %zu bytes", max);
	return r;
}

int fd_read_within(int fd, struct buffer *out, size_t max, int timeout_ms, struct error *err)
{
	size_t start = out->size;
	uint64_t deadline = clock_ms() + (uint64_t)timeout_ms;
	for (int r = 1; r > 0;) {
		uint64_t now = clock_ms();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int ready = now >= deadline ? 0 : poll(&p, 1, (int)(deadline - now));
		if (ready == 0)
			return error_set(err, E_TIMEOUT, "no end after %d ms", timeout_ms);
		if (ready < 0 && errno != EINTR)
			return error_sys(err, "poll");
		if (ready > 0)
			r = read_chunk(fd, out, CHUNK, start + max, err);
		if (r < 0)
			return r;
	}
	if (out->size - start > max)
		return error_set(err, E_INVALID, "larger than %zu bytes", max);
	return 0;
}

static int change_flag(int fd, int get, int set, int flag, bool on)
{
	int flags = fcntl(fd, get);
	if (flags < 0)
		return -1;
	return fcntl(fd, set, on ? flags | flag : flags & ~flag);
}

int fd_set_nonblock(int fd, bool on, struct error *err)
{
	if (change_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on) < 0)
		return error_sys(err, "set non-blocking mode");
	return 0;
}

int fd_set_cloexec(int fd, bool on, struct error *err)
{
	if (change_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on) < 0)
		return error_sys(err, "set close-on-exec");
	return 0;
}

static int unix_address(const char *path, struct sockaddr_un *ret, struct error *err)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) > UNIX_PATH_MAX)
		return error_set(err, E_INVALID, "socket path is longer than %d bytes: '%s'",
				 (int)UNIX_PATH_MAX, path);
	memcpy(ret->sun_path, path, strlen(path) + 1);
	return 0;
}

int unix_listen(const char *path, int type, struct error *err)
{
	struct sockaddr_un address;
	int r = unix_address(path, &address, err);
	if (r < 0)
		return r;
	AUTO_CLOSE int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_sys(err, "create a socket");
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(err, "remove the stale socket '%s'", path);
	/* The mode of the file comes from the socket's own, so it is never open to others, not even
	 * for a moment. */
	if (fchmod(fd, 0600) < 0)
		return error_sys(err, "set the mode of a socket");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_sys(err, "bind '%s'", path);
	if (type == SOCK_STREAM || type == SOCK_SEQPACKET)
		if (listen(fd, 128) < 0)
			return error_sys(err, "listen on '%s'", path);
	return take_fd(&fd);
}

int unix_connect(const char *path, int type, struct error *err)
{
	struct sockaddr_un address;
	int r = unix_address(path, &address, err);
	if (r < 0)
		return r;
	AUTO_CLOSE int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_sys(err, "create a socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == ECONNREFUSED)
			return error_set(err, E_NOT_FOUND, "connect to '%s': nobody listens there",
					 path);
		return error_sys(err, "connect to '%s'", path);
	}
	return take_fd(&fd);
}

int unix_send(int sock, const void *data, size_t size, const int *fds, size_t fd_count,
	      struct error *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	if (fd_count > FDS_MAX)
		return error_set(err, E_INVALID, "cannot pass %zu descriptors at once", fd_count);
	char *bytes = NULL;
	memcpy(&bytes, &data, sizeof(bytes)); /* iovec is not const-correct */
	struct iovec iov = { bytes, size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd_count) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
	}
	ssize_t n;
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_sys(err, "send");
	if ((size_t)n < size)
		return fd_write_full(sock, (const char *)data + n, size - (size_t)n, err);
	return 0;
}

/* Move received descriptors to @fds, closing those beyond *room. */
static void collect_fds(struct msghdr *msg, int *fds, size_t room, size_t *ret_count)
{
	size_t count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (count < room)
				fds[count++] = fd;
			else
				(void)close(fd);
		}
	}
	*ret_count = count;
}

ssize_t unix_recv(int sock, void *data, size_t size, int *fds, size_t *fd_count, struct error *err)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { data, size };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_sys(err, "receive");
	collect_fds(&msg, fds, fd_count ? *fd_count : 0, fd_count ? fd_count : &(size_t){ 0 });
	return n;
}

int unix_peer_uid(int sock, uid_t *ret_uid, struct error *err)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return error_sys(err, "ask who is at the other end of a socket");
	*ret_uid = cred.uid;
	return 0;
}

static int flock_again(int fd, int how)
{
	int r;
	do
		r = flock(fd, how);
	while (r < 0 && errno == EINTR);
	return r;
}

/* lock_is_held() holds a shared lock for a moment; only an exclusive one is somebody's. */
static int flock_unless_owned(int fd)
{
	for (;;) {
		if (flock_again(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK || flock_again(fd, LOCK_SH | LOCK_NB) < 0)
			return -1;
		(void)flock(fd, LOCK_UN);
		(void)poll(NULL, 0, 1);
	}
}

int lock_file(const char *path, enum lock_mode mode, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return error_sys(err, "open the lock '%s'", path);
	int r = mode == LOCK_TRY ? flock_unless_owned(fd) : flock_again(fd, LOCK_EX);
	if (r < 0 && errno == EWOULDBLOCK)
		return error_set(err, E_CONFLICT, "'%s' is locked by another process", path);
	if (r < 0)
		return error_sys(err, "lock '%s'", path);
	return take_fd(&fd);
}

bool lock_is_held(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	return flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}
