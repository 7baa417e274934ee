/* SPDX-License-Identifier: MIT */
/* Descriptors: whole reads and writes, sockets with descriptors passed over them, locks. All are
 * O_CLOEXEC. */
#ifndef CTRZ_BASE_FD_H
#define CTRZ_BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

/** fd_open_in_root() - openat2() of @path in the tree below the folder @root: neither "..", nor a
 * link, nor an absolute path leads out of it. Return: descriptor or -1 with errno */
int fd_open_in_root(int root, const char *path, int flags, mode_t mode);
/** fd_open_plain() - openat2() of an absolute path of which no part is a link: one that was put
 * there since somebody looked gives ELOOP. Return: descriptor or -1 with errno */
int fd_open_plain(const char *path, int flags);
/** fd_write_full() - all of @size or an error */
int fd_write_full(int fd, const void *data, size_t size, struct error *err) MUST_CHECK;
/** fd_read_full() - exactly @size; a shorter source is E_INTEGRITY */
int fd_read_full(int fd, void *data, size_t size, struct error *err) MUST_CHECK;
/** fd_read_all() - to the end, at most @max bytes (more is E_INVALID); appended to @out */
int fd_read_all(int fd, struct buffer *out, size_t max, struct error *err) MUST_CHECK;
/** fd_read_within() - the same of a pipe or socket whose other end may be silent for ever:
 * E_TIMEOUT if the end does not come within @timeout_ms */
int fd_read_within(int fd, struct buffer *out, size_t max, int timeout_ms,
		   struct error *err) MUST_CHECK;
int fd_set_nonblock(int fd, bool on, struct error *err) MUST_CHECK;
int fd_set_cloexec(int fd, bool on, struct error *err) MUST_CHECK;

enum { UNIX_PATH_MAX = 107 };

/** unix_listen() - a listening SOCK_STREAM (or bound SOCK_DGRAM) socket, mode 0600; a stale file is
 * replaced. A path over UNIX_PATH_MAX bytes is E_INVALID. Return: the descriptor or -code */
int unix_listen(const char *path, int type, struct error *err) MUST_CHECK;
/** unix_connect() - Return: the descriptor, -E_NOT_FOUND if nobody listens there, or another -code
 */
int unix_connect(const char *path, int type, struct error *err) MUST_CHECK;
/** unix_send() - @size > 0 bytes with up to 16 descriptors, which stay the caller's */
int unix_send(int sock, const void *data, size_t size, const int *fds, size_t fd_count,
	      struct error *err) MUST_CHECK;
/** unix_recv() - up to @size bytes; received descriptors go to @fds (at most *fd_count; surplus
 * closed), *fd_count says how many came. Return: bytes, 0 at the end, -code */
ssize_t unix_recv(int sock, void *data, size_t size, int *fds, size_t *fd_count,
		  struct error *err) MUST_CHECK;
/** unix_peer_uid() - uid at the other end of a connected socket */
int unix_peer_uid(int sock, uid_t *ret_uid, struct error *err) MUST_CHECK;

enum lock_mode { LOCK_WAIT, LOCK_TRY };

/** lock_file() - open (creating 0600) and flock exclusively; the kernel releases it when the holder
 * dies. Return: the descriptor that holds the lock, -E_CONFLICT if LOCK_TRY and somebody holds it,
 * or another -code */
int lock_file(const char *path, enum lock_mode mode, struct error *err) MUST_CHECK;
/** lock_is_held() - whether somebody else holds the lock of @path; a missing file is not held.
 * Creates nothing */
bool lock_is_held(const char *path);

#endif
