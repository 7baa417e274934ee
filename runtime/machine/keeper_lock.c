/* SPDX-License-Identifier: MIT */
/* Waiting for locks, but not for ever. */
#include "runtime/machine/keeper_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "runtime/machine/keeper_qemu.h"

enum { RING_US = 100 * 1000, VM_WAIT_MS = 10 * 1000, LOCK_TRIES = 16 };

static void on_alarm(int sig)
{
	(void)sig;
}

/* The alarm only interrupts flock(); it rings again in case it rang just before. */
int lock_within(int fd, int mode, unsigned wait_ms)
{
	if (flock(fd, mode | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK || wait_ms == 0)
		return -1;
	struct sigaction ring = { .sa_handler = on_alarm }, before;
	struct itimerval timer = { .it_value = { 0, RING_US }, .it_interval = { 0, RING_US } };
	struct itimerval off = { 0 };
	uint64_t deadline = clock_ms() + wait_ms;
	int r;
	(void)sigaction(SIGALRM, &ring, &before);
	(void)setitimer(ITIMER_REAL, &timer, NULL);
	do
		r = flock(fd, mode);
	while (r < 0 && errno == EINTR && clock_ms() < deadline);
	int number = errno;
	(void)setitimer(ITIMER_REAL, &off, NULL);
	(void)sigaction(SIGALRM, &before, NULL);
	errno = number == EINTR ? EWOULDBLOCK : number;
	return r;
}

/* Whoever ends a machine removes its folder with the lock in it: a lock on a file that is no longer
 * there counts for nothing. */
static bool is_same_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

int run_lock(const char *run_dir, unsigned wait_ms, struct error *err)
{
	AUTO_FREE char *path = path_join(run_dir, "lock");

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (dir_make(run_dir, 0700, err) < 0)
			return -(int)err->code;
		AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return error_sys(err, "open '%s'", path);
		if (lock_within(fd, LOCK_EX, wait_ms) < 0) {
			if (errno != EWOULDBLOCK)
				return error_sys(err, "lock '%s'", path);
			return error_set(err, E_CONFLICT, "the machine in '%s' is running",
					 run_dir);
		}
		if (is_same_file(fd, path))
			return take_fd(&fd);
	}
	return error_set(err, E_CONFLICT,
			 "the machine in '%s' is being started and stopped by others", run_dir);
}

int run_wait_for_vm(const char *run_dir, struct error *err)
{
	AUTO_FREE char *path = path_join(run_dir, VM_LOCK_NAME);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_sys(err, "open '%s'", path);
	if (lock_within(fd, LOCK_EX, VM_WAIT_MS) < 0)
		return error_set(err, E_TIMEOUT, "QEMU of '%s' does not end", run_dir);
	return 0;
}
