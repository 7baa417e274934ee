/* SPDX-License-Identifier: MIT */
/* Opening what devices stand on. */
#include "runtime/machine/keeper_devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/trace.h"
#include "runtime/machine/keeper_lock.h"
#include "runtime/share/share.h"

enum { DISK_WAIT_MS = 2000 };

int disk_open(const struct machine_disk *d, struct error *err)
{
	AUTO_CLOSE int fd = open(d->path, (d->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "open the disk '%s'", d->path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, E_INVALID, "the disk '%s' is no regular file", d->path);
	/* The machine that had the disk may be on its way out. */
	if (lock_within(fd, d->read_only ? LOCK_SH : LOCK_EX, DISK_WAIT_MS) < 0)
		return error_set(err, E_CONFLICT,
				 "the disk '%s' is in use by another machine; stop that one first",
				 d->path);
	return take_fd(&fd);
}

int nic_connect(int fd, const struct machine_nic *n, struct error *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int size =
		snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s", n->port_dir, NIC_SWITCH_SOCKET);

	if (size < 0 || (size_t)size >= sizeof(to.sun_path))
		return error_set(err, E_INVALID, "the port folder '%s' is too long for a socket",
				 n->port_dir);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return 0;
	if (errno == ECONNREFUSED || errno == ENOENT)
		return error_set(err, E_UNAVAILABLE, "the switch of '%s' is not running", n->id);
	return error_sys(err, "connect to the switch of '%s'", n->id);
}

int nic_open(const struct machine_nic *n, struct error *err)
{
	AUTO_FREE char *path = path_join(n->port_dir, NIC_VM_SOCKET);
	AUTO_CLOSE int fd = unix_listen(path, SOCK_DGRAM, err);

	if (fd < 0)
		return error_wrap(err, "make the socket of '%s'", n->id);
	if (nic_connect(fd, n, err) < 0)
		return -(int)err->code;
	return take_fd(&fd);
}

int share_open(const struct machine_share *s, const char *run_dir, int log_fd, struct process *ret,
	       struct error *err)
{
	TRACE("file server");
	AUTO_FREE char *path = path_join(run_dir, "share.sock");
	AUTO_CLOSE int listener = unix_listen(path, SOCK_STREAM, err);

	if (listener < 0)
		return -(int)err->code;
	/* The connection waits in the backlog until the server takes it: nobody polls for it to be
	 * ready. */
	AUTO_CLOSE int fd = unix_connect(path, SOCK_STREAM, err);
	(void)unlink(path);
	if (fd < 0)
		return -(int)err->code;
	struct share_config c = { .source = s->source,
				  .read_only = s->read_only,
				  .git_writable = s->git_writable,
				  .log_fd = log_fd };
	if (share_spawn(&c, listener, ret, err) < 0)
		return error_wrap(err, "share '%s'", s->source);
	return take_fd(&fd);
}
