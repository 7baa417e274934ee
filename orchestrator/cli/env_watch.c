/* SPDX-License-Identifier: MIT */
/* inotify on the folders that hold state.json, state.log and status.json; a keeper that was killed
 * writes nothing, so its process is watched too. */
#include "orchestrator/cli/env_watch.h"

#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "orchestrator/state/env_store.h"

enum { EVENTS_ROOM = 16384 };

void env_watch_release(struct env_watch *w)
{
	if (w->fd >= 0)
		(void)close(w->fd);
	*w = ENV_WATCH_INIT;
}

static int watch_dir(const struct env_watch *w, const char *dir, struct error *err)
{
	const uint32_t events = IN_MOVED_TO | IN_CREATE | IN_MODIFY | IN_DELETE | IN_DELETE_SELF;

	if (inotify_add_watch(w->fd, dir, events) < 0 && errno != ENOENT)
		return error_sys(err, "watch '%s'", dir);
	return 0;
}

int env_watch_arm(struct env_watch *w, const struct cli *cli, const struct env_record *env,
		  struct error *err)
{
	AUTO_FREE char *dir = env_store_dir(&cli->paths, env->id);
	int r;

	if (w->fd < 0)
		w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->fd < 0)
		return error_sys(err, "watch '%s'", dir);
	r = watch_dir(w, dir, err);
	for (size_t i = 0; r == 0 && i < env->container_count; i++) {
		AUTO_FREE char *state_dir =
			env_store_container_dir(&cli->paths, env->id, env->containers[i].name);

		r = watch_dir(w, state_dir, err);
	}
	return r;
}

static void drain(int fd)
{
	AUTO_FREE char *events = xmalloc(EVENTS_ROOM);

	while (read(fd, events, EVENTS_ROOM) > 0)
		;
}

int env_watch_sleep(const struct env_watch *w, const struct container_views *views, int timeout_ms,
		    struct error *err)
{
	AUTO_FREE struct pollfd *fds = xcalloc(views->count + 1, sizeof(*fds));
	size_t count = 1;
	int r;

	fds[0] = (struct pollfd){ .fd = w->fd, .events = POLLIN };
	for (size_t i = 0; i < views->count; i++) {
		pid_t pid = views->items[i].status.keeper_pid;
		int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

		if (fd >= 0)
			fds[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	r = poll(fds, count, timeout_ms);
	for (size_t i = 1; i < count; i++)
		(void)close(fds[i].fd);
	if (r < 0 && errno != EINTR)
		return error_sys(err, "wait for a change");
	drain(w->fd);
	return r != 0;
}
