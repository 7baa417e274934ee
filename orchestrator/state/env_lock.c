/* SPDX-License-Identifier: MIT */
/* The lock of an environment and the note about its holder. */
#include "orchestrator/state/env_lock.h"

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json/json.h"
#include "orchestrator/state/env_store.h"

enum { NOTE_MAX_BYTES = 4096 };

void lock_holder_release(struct lock_holder *h)
{
	free(h->command);
	free(h->user);
	*h = (struct lock_holder){ 0 };
}

char *lock_holder_text(const struct lock_holder *h)
{
	uint64_t now = clock_unix_ms();
	AUTO_FREE char *age =
		text_duration(now > h->since_unix_ms ? (now - h->since_unix_ms) / 1000 * 1000 : 0);

	if (!h->pid)
		return xstrdup("another process");
	return xasprintf("pid %d \"%s\" (%s, %s)", (int)h->pid, h->command, h->user, age);
}

static char *user_name(void)
{
	struct passwd entry;
	struct passwd *found = NULL;
	char room[1024];

	if (getpwuid_r(getuid(), &entry, room, sizeof(room), &found) == 0 && found)
		return xstrdup(found->pw_name);
	return xasprintf("uid %u", (unsigned)getuid());
}

static int write_note(const char *path, const char *command, struct error *err)
{
	AUTO_JSON o = json_new_object();
	AUTO_FREE char *user = user_name();
	AUTO_FREE char *text = NULL;

	json_set_int(o, "pid", getpid());
	json_set_string(o, "command", command);
	json_set_string(o, "user", user);
	json_set_int(o, "since_unix_ms", (int64_t)clock_unix_ms());
	text = json_text(o);
	return file_write_atomic(path, text, strlen(text), 0600, err);
}

static void read_note(const char *path, struct lock_holder *ret)
{
	AUTO_JSON o = NULL;
	AUTO_ERROR err = ERROR_INIT;

	*ret = (struct lock_holder){ 0 };
	if (json_read_file(path, NOTE_MAX_BYTES, &o, &err) < 0) {
		error_ignore(&err, "read the note of a lock");
		return;
	}
	ret->pid = (pid_t)json_i64(o, "pid", 0);
	ret->command = text_escaped(json_str(o, "command", "?"));
	ret->user = text_escaped(json_str(o, "user", "?"));
	ret->since_unix_ms = json_u64(o, "since_unix_ms", 0);
}

/* A blocking flock() in a thread of its own, so that waiting for it can have an end. */
struct waiter {
	pthread_mutex_t mutex;
	pthread_cond_t done;
	char *path;
	int fd;
	bool finished, abandoned;
	struct error err;
};

static void waiter_free(struct waiter *w)
{
	if (w->fd >= 0)
		(void)close(w->fd);
	error_clear(&w->err);
	(void)pthread_mutex_destroy(&w->mutex);
	(void)pthread_cond_destroy(&w->done);
	free(w->path);
	free(w);
}

static void *waiter_main(void *arg)
{
	struct waiter *w = arg;
	int fd = lock_file(w->path, LOCK_WAIT, &w->err);
	bool abandoned;

	(void)pthread_mutex_lock(&w->mutex);
	w->fd = fd;
	w->finished = true;
	abandoned = w->abandoned;
	(void)pthread_cond_signal(&w->done);
	(void)pthread_mutex_unlock(&w->mutex);
	if (abandoned)
		waiter_free(w);
	return NULL;
}

static struct timespec deadline_in(uint64_t timeout_ms)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += (time_t)(timeout_ms / 1000);
	ts.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

static struct waiter *waiter_new(const char *path)
{
	struct waiter *w = xcalloc(1, sizeof(*w));
	pthread_condattr_t attributes;

	w->fd = -1;
	w->path = xstrdup(path);
	(void)pthread_mutex_init(&w->mutex, NULL);
	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->done, &attributes);
	(void)pthread_condattr_destroy(&attributes);
	return w;
}

/* Return: the descriptor, -E_TIMEOUT or another -code */
static int lock_within(const char *path, uint64_t timeout_ms, struct error *err)
{
	struct waiter *w = waiter_new(path);
	struct timespec deadline = deadline_in(timeout_ms);
	pthread_t thread;
	int fd, r;

	if (pthread_create(&thread, NULL, waiter_main, w) != 0) {
		waiter_free(w);
		return error_set(err, E_SYSTEM, "start a thread to wait for a lock");
	}
	(void)pthread_mutex_lock(&w->mutex);
	while (!w->finished && pthread_cond_timedwait(&w->done, &w->mutex, &deadline) != ETIMEDOUT)
		;
	w->abandoned = !w->finished;
	(void)pthread_mutex_unlock(&w->mutex);
	if (w->abandoned) {
		(void)pthread_detach(thread);
		return error_set(err, E_TIMEOUT, "still locked");
	}
	(void)pthread_join(thread, NULL);
	fd = take_fd(&w->fd);
	r = fd < 0 ? error_move(err, &w->err) : fd;
	waiter_free(w);
	return r;
}

static int take_busy(const char *path, const char *note, uint64_t timeout_ms,
		     env_lock_wait_fn waiting, void *arg, struct error *err)
{
	struct lock_holder holder = { 0 };
	AUTO_FREE char *text = NULL;
	int fd;

	read_note(note, &holder);
	text = lock_holder_text(&holder);
	if (waiting && timeout_ms)
		waiting(arg, &holder);
	lock_holder_release(&holder);
	fd = timeout_ms ? lock_within(path, timeout_ms, err)
			: error_set(err, E_TIMEOUT, "not waiting");
	if (fd == -E_TIMEOUT) {
		error_clear(err);
		return error_set(err, E_TIMEOUT,
				 "the environment is locked by %s; try again later, "
				 "or wait longer with --lock-timeout",
				 text);
	}
	return fd;
}

int env_lock_take(const struct host_paths *paths, const char *id, const char *command,
		  uint64_t timeout_ms, env_lock_wait_fn waiting, void *arg, struct error *err)
{
	AUTO_FREE char *dir = env_store_dir(paths, id);
	AUTO_FREE char *path = env_store_path(paths, id, "lock");
	AUTO_FREE char *note = env_store_path(paths, id, "lock.json");
	AUTO_ERROR note_err = ERROR_INIT;
	int fd, r = dir_make(dir, 0700, err);

	if (r < 0)
		return r;
	fd = lock_file(path, LOCK_TRY, err);
	if (fd == -E_CONFLICT) {
		error_clear(err);
		fd = take_busy(path, note, timeout_ms, waiting, arg, err);
	}
	if (fd >= 0 && write_note(note, command, &note_err) < 0)
		error_ignore(&note_err, "note who holds the lock");
	return fd;
}

void env_lock_release(const struct host_paths *paths, const char *id, int *fd)
{
	AUTO_FREE char *note = env_store_path(paths, id, "lock.json");
	AUTO_ERROR err = ERROR_INIT;

	if (*fd < 0)
		return;
	if (file_remove(note, &err) < 0)
		error_ignore(&err, "remove the note of a lock");
	(void)close(take_fd(fd));
}

int env_lock_holder(const struct host_paths *paths, const char *id, struct lock_holder *ret,
		    struct error *err)
{
	AUTO_FREE char *path = env_store_path(paths, id, "lock");
	AUTO_FREE char *note = env_store_path(paths, id, "lock.json");

	if (!lock_is_held(path))
		return error_set(err, E_NOT_FOUND, "nobody holds the lock");
	read_note(note, ret);
	return 0;
}
