/* SPDX-License-Identifier: MIT */
/* Machines from outside: starting a keeper, asking it, and cleaning up after one that was killed.
 */
#include "runtime/machine/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/trace.h"
#include "runtime/machine/accelerator.h"
#include "runtime/machine/keeper_call.h"
#include "runtime/machine/keeper_config.h"
#include "runtime/machine/keeper_internal.h"
#include "runtime/machine/keeper_lock.h"
#include "runtime/machine/template.h"

enum {
	LOCK_WAIT_MS = 500, /* somebody who only looks holds it for a moment */
	OBSERVE_MS = 1000,
	SPAWN_MS = 60 * 1000,
	CHANGE_MS = 180 * 1000, /* of many devices, by a guest under load */
	START_MS = 150 * 1000,  /* over the keeper's own limit, which tells more */
	START_MARGIN_MS = 30 * 1000,
	STOP_MARGIN_MS = 30 * 1000,
	KEEPER_END_MS = 10 * 1000,
	WAIT_MS = INT_MAX, /* as long as it takes; the keeper bounds what it waits for */
	KEEPER_LOG_KEEP = 1024 * 1024,
};

/* Remove what a dead keeper left; its lock is ours. */
static int sweep(const char *run_dir, struct error *err)
{
	if (run_wait_for_vm(run_dir, err) < 0)
		return -(int)err->code;
	return dir_remove_tree(run_dir, err);
}

static int write_config(const struct keeper_config *c, struct error *err)
{
	AUTO_BUFFER packed = BUFFER_INIT;
	AUTO_CLOSE int fd = memfd_create("ctrz-config", MFD_CLOEXEC);

	if (fd < 0)
		return error_sys(err, "make room for the keeper's configuration");
	if (keeper_config_pack(c, &packed, err) < 0)
		return -(int)err->code;
	if (packed.size > KEEPER_CONFIG_MAX)
		return error_set(err, E_INVALID, "the machine's configuration is too large");
	if (fd_write_full(fd, packed.data, packed.size, err) < 0)
		return -(int)err->code;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_sys(err, "rewind the keeper's configuration");
	return take_fd(&fd);
}

static int open_keeper_log(const char *state_dir, struct error *err)
{
	AUTO_FREE char *path = path_join(state_dir, "keeper.log");
	AUTO_CLOSE int fd =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "open '%s'", path);
	if (st.st_size > KEEPER_LOG_KEEP && ftruncate(fd, 0) < 0)
		return error_sys(err, "empty '%s'", path);
	return take_fd(&fd);
}

/* Our own program, by the name people know it by if that still is the same file; owned. */
static char *own_program(void)
{
	char path[PATH_MAX];
	struct stat ours, named;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0 || stat("/proc/self/exe", &ours) < 0)
		return xstrdup("/proc/self/exe");
	path[n] = '\0';
	bool same = stat(path, &named) == 0 && named.st_dev == ours.st_dev &&
		    named.st_ino == ours.st_ino;
	return xstrdup(same ? path : "/proc/self/exe");
}

/* @lock passes to the keeper: it stays held as long as that one lives. */
static int spawn_keeper(const struct keeper_config *c, int lock, int *ret_sock, struct process *ret,
			struct error *err)
{
	AUTO_FREE char *program = own_program();
	const char *argv[] = { program, "__keeper", c->machine.name, NULL };
	int pair[2];
	TRACE("start the keeper");

	AUTO_CLOSE int config = write_config(c, err);
	if (config < 0)
		return config;
	AUTO_CLOSE int log = open_keeper_log(c->machine.state_dir, err);
	if (log < 0)
		return log;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, "create a socket pair");
	AUTO_CLOSE int ours = pair[0];
	AUTO_CLOSE int theirs = pair[1];
	struct process_options o = PROCESS_OPTIONS_INIT;
	o.argv = argv;
	o.cwd = "/";
	o.stdout_fd = o.stderr_fd = log;
	o.fds[0] = config;
	o.fds[1] = theirs;
	o.fds[2] = lock;
	o.fd_count = 3;
	if (c->traced)
		o.fds[o.fd_count++] = trace_fd();
	o.new_session = true;
	if (process_spawn(&o, ret, err) < 0)
		return error_wrap(err, "start a keeper");
	*ret_sock = take_fd(&ours);
	return 0;
}

/* Return: 0 once the main process runs. */
static int wait_for_start(int sock, const struct machine_config *c, struct error *err)
{
	TRACE("wait for the machine");
	AUTO_BUFFER payload = BUFFER_INIT;
	struct frame f;
	uint64_t wait = c->start_timeout_ms ? c->start_timeout_ms + START_MARGIN_MS : START_MS;

	int r = keeper_receive(sock, wait, &payload, &f, err);
	if (r == -E_UNAVAILABLE) {
		error_clear(err);
		return error_set(err, E_INTERNAL, "the keeper died; see '%s/keeper.log'",
				 c->state_dir);
	}
	if (r < 0)
		return r;
	if (f.type == MSG_STARTED)
		return 0;
	if (f.type == MSG_ERROR)
		return keeper_error(&f, err);
	return error_set(err, E_INTEGRITY, "the machine's keeper speaks another protocol");
}

static int find_host(struct keeper_config *c, struct error *err)
{
	TRACE("find QEMU and its accelerator");
	struct host_paths paths = { 0 };
	struct accelerator accel = { 0 };
	int r = qemu_find(&c->qemu, NULL, err);

	if (r == 0)
		r = host_paths_init(&paths, err);
	if (r == 0)
		r = accelerator_find(&paths, &accel, err);
	c->kvm = r == 0 && accel.kvm;
	if (r == 0 && !c->machine.cold)
		c->templates = path_join(paths.data, "templates");
	accelerator_release(&accel);
	host_paths_release(&paths);
	return r;
}

/* The keeper of a failed start ends by itself; when it is gone nothing is left. */
static void undo(struct process *keeper, const char *run_dir)
{
	AUTO_ERROR err = ERROR_INIT;

	if (keeper->pid != 0 && process_wait(keeper, KEEPER_END_MS, NULL, &err) < 0) {
		error_ignore(&err, "wait for a keeper");
		process_end(keeper, 0);
	}
	AUTO_CLOSE int lock = run_lock(run_dir, LOCK_WAIT_MS, &err);
	if (lock < 0 || sweep(run_dir, &err) < 0)
		error_ignore(&err, "clean up after a failed start");
}

/* Nobody is refused a machine because of this. */
static void find_template(struct keeper_config *c)
{
	TRACE("find the template");
	bool suits = template_suits(&c->machine, TEMPLATE_IMAGE);
	AUTO_ERROR why = ERROR_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (!c->templates || (suits && template_ensure(c->templates, c, TEMPLATE_IMAGE, &why) == 0))
		return;
	if (template_ensure(c->templates, c, TEMPLATE_MACHINE, &err) < 0) {
		log_warn("'%s' boots: %s", c->machine.name, error_message(&err));
		free(TAKE_PTR(c->templates));
	} else if (suits) {
		log_warn("'%s' starts without a template of its image: %s", c->machine.name,
			 error_message(&why));
	}
}

static int start(struct keeper_config *c, int *ret_sock, struct error *err)
{
	const struct machine_config *m = &c->machine;
	struct process keeper = PROCESS_INIT;

	if (find_host(c, err) < 0 || dir_make(m->state_dir, 0700, err) < 0)
		return -(int)err->code;
	find_template(c);
	AUTO_CLOSE int stale = run_lock(m->run_dir, LOCK_WAIT_MS, err);
	if (stale < 0)
		return stale;
	if (sweep(m->run_dir, err) < 0)
		return -(int)err->code;
	AUTO_CLOSE int lock = run_lock(m->run_dir, LOCK_WAIT_MS, err);
	if (lock < 0)
		return lock;
	AUTO_CLOSE int sock = -1;
	int r = spawn_keeper(c, lock, &sock, &keeper, err);
	(void)close(take_fd(&lock));
	if (r == 0)
		r = wait_for_start(sock, m, err);
	if (r < 0) {
		cleanup_close(&sock);
		sock = -1;
		undo(&keeper, m->run_dir);
		return r;
	}
	(void)close(keeper.pidfd);
	if (ret_sock)
		*ret_sock = take_fd(&sock);
	return 0;
}

int machine_start(const struct machine_config *c, int *ret_sock, struct error *err)
{
	if (keeper_config_check(c, err) < 0)
		return error_wrap(err, "start '%s'", c->name ? c->name : "");
	if (ret_sock && !c->attached)
		return error_set(err, E_INTERNAL, "only an attached start has a connection");
	/* A shallow copy: what it points to stays the caller's. */
	struct keeper_config k = { .machine = *c, .traced = trace_fd() >= 0 };
	int r = start(&k, ret_sock, err);
	free(k.qemu);
	free(k.templates);
	return r < 0 ? error_wrap(err, "start '%s'", c->name) : 0;
}

/* Takes over what @m owns. */
static void from_message(struct msg_status *m, struct machine_status *ret)
{
	*ret = (struct machine_status){
		.phase = m->phase < MACHINE_PHASES ? (enum machine_phase)m->phase : MACHINE_ABSENT,
		.keeper_pid = (pid_t)m->keeper_pid,
		.qemu_pid = (pid_t)m->qemu_pid,
		.exit_code = m->exit_code,
		.oom_killed = m->oom_killed,
		.restarts = m->restarts,
		.started_unix_ms = m->started_unix_ms,
		.exited_unix_ms = m->exited_unix_ms,
		.memory_bytes = m->memory_bytes,
		.max_memory_bytes = m->max_memory_bytes,
		.cpus = m->cpus,
		.max_cpus = m->max_cpus,
		.free_ports = m->free_ports,
		.is_half_changed = m->is_half_changed,
		.is_paused = m->is_paused,
		.error = m->error && *m->error ? xstrdup(m->error) : NULL,
		.health = m->health,
		.health_text = TAKE_PTR(m->health_text),
		.processes = TAKE_PTR(m->processes),
		.process_count = m->process_count,
	};
	m->process_count = 0;
}

static int ask_status(int sock, struct machine_status *ret, struct error *err)
{
	AUTO_BUFFER request = BUFFER_INIT;
	AUTO_BUFFER payload = BUFFER_INIT;
	struct msg_status m = { 0 };
	struct frame f;

	message_add_empty(&request, MSG_STATUS, 1);
	if (keeper_send(sock, &request, err) < 0 ||
	    keeper_receive(sock, OBSERVE_MS, &payload, &f, err) < 0)
		return -(int)err->code;
	if (f.type != MSG_STATUS_REPLY)
		return keeper_is_another(err);
	if (msg_status_unpack(f.payload, f.size, &m, err) < 0) {
		error_clear(err);
		return keeper_is_another(err);
	}
	from_message(&m, ret);
	msg_status_release(&m);
	return 0;
}

/* What is remembered of a machine without a keeper. */
static void remember(const char *state_dir, struct machine_status *ret)
{
	status_read(state_dir, ret);
	if (ret->phase != MACHINE_ABSENT && ret->phase != MACHINE_EXITED) {
		ret->exit_code = -1;
		free(ret->error);
		ret->error = xstrdup("the machine's keeper was killed, or the host restarted");
	}
	if (ret->phase != MACHINE_ABSENT)
		ret->phase = MACHINE_EXITED;
	ret->keeper_pid = ret->qemu_pid = 0;
}

int machine_observe(const char *run_dir, const char *state_dir, struct machine_status *ret,
		    struct error *err)
{
	AUTO_FREE char *lock = path_join(run_dir, "lock");
	AUTO_ERROR why = ERROR_INIT;

	AUTO_CLOSE int sock = keeper_connect(run_dir, NULL, &why);
	if (sock >= 0 && ask_status(sock, ret, &why) == 0)
		return 0;
	if (why.code == E_DENIED)
		return error_move(err, &why);
	error_ignore(&why, "ask a keeper");
	if (!lock_is_held(lock)) {
		remember(state_dir, ret);
		return 0;
	}
	/* Alive but silent: just starting, about to end, or stuck. */
	status_read(state_dir, ret);
	if (ret->phase == MACHINE_ABSENT || ret->phase == MACHINE_EXITED)
		ret->phase = MACHINE_STARTING;
	return 0;
}

/* Return: whether the process is gone in time. */
static bool wait_gone(int pidfd, uint64_t timeout_ms)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	uint64_t deadline = clock_ms() + timeout_ms;

	for (;;) {
		uint64_t now = clock_ms();
		int r = poll(&p, 1, now < deadline ? (int)(deadline - now) : 0);
		if (r >= 0 || errno != EINTR)
			return r > 0;
	}
}

static int ask_stop(int sock, int sig, uint64_t grace_ms, struct error *err)
{
	AUTO_BUFFER request = BUFFER_INIT;
	AUTO_BUFFER payload = BUFFER_INIT;
	struct msg_stop m = { (uint32_t)sig,
			      (uint32_t)(grace_ms > UINT32_MAX ? UINT32_MAX : grace_ms) };
	struct frame f;

	if (msg_stop_add(&request, MSG_STOP, 1, &m, err) < 0 ||
	    keeper_send(sock, &request, err) < 0 ||
	    keeper_receive(sock, grace_ms + STOP_MARGIN_MS, &payload, &f, err) < 0)
		return -(int)err->code;
	return f.type == MSG_ERROR ? keeper_error(&f, err) : 0;
}

static void stop_keeper(int sock, pid_t pid, int sig, uint64_t grace_ms)
{
	AUTO_ERROR err = ERROR_INIT;
	/* The socket still proves that @pid is the keeper's. */
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (ask_stop(sock, sig, grace_ms, &err) < 0)
		error_ignore(&err, "ask a keeper to stop");
	if (pidfd < 0 || wait_gone(pidfd, KEEPER_END_MS))
		return;
	(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	(void)wait_gone(pidfd, KEEPER_END_MS);
}

int machine_stop(const char *run_dir, const char *state_dir, int sig, uint64_t grace_ms,
		 struct error *err)
{
	AUTO_ERROR why = ERROR_INIT;
	pid_t pid = 0;

	(void)state_dir;
	AUTO_CLOSE int sock = keeper_connect(run_dir, &pid, &why);
	if (sock < 0 && why.code == E_DENIED)
		return error_move(err, &why);
	if (sock >= 0)
		stop_keeper(sock, pid, sig, grace_ms);
	else
		error_ignore(&why, "find a keeper");
	if (!file_exists(run_dir))
		return 0;
	AUTO_CLOSE int lock = run_lock(run_dir, KEEPER_END_MS, err);
	if (lock < 0)
		return error_wrap(err, "stop a machine");
	return sweep(run_dir, err);
}

/* One request and its answer, MSG_DONE. */
static int ask_within(const char *run_dir, const struct buffer *request, uint64_t timeout_ms,
		      struct error *err)
{
	AUTO_BUFFER payload = BUFFER_INIT;
	struct frame f;

	return keeper_ask(run_dir, request, timeout_ms, MSG_DONE, &payload, &f, err);
}

int machine_change(const struct machine_config *c, struct error *err)
{
	struct keeper_config k = { .machine = *c };
	AUTO_BUFFER packed = BUFFER_INIT;
	AUTO_BUFFER request = BUFFER_INIT;
	size_t at = 0;

	if (keeper_config_check(c, err) < 0 || keeper_config_pack(&k, &packed, err) < 0)
		return error_wrap(err, "change '%s'", c->name ? c->name : "");
	for (; packed.size - at > FRAME_MAX_PAYLOAD; at += FRAME_MAX_PAYLOAD)
		frame_add(&request, MSG_CHANGE_PART, 0, 1, packed.data + at, FRAME_MAX_PAYLOAD);
	frame_add(&request, MSG_CHANGE, 0, 1, packed.data + at, packed.size - at);
	return ask_within(c->run_dir, &request, CHANGE_MS, err);
}

int machine_grow_disk(const char *run_dir, const char *serial, uint64_t bytes, struct error *err)
{
	AUTO_FREE char *copy = xstrdup(serial);
	struct msg_grow m = { copy, bytes };
	AUTO_BUFFER request = BUFFER_INIT;

	if (msg_grow_add(&request, MSG_GROW, 1, &m, err) < 0)
		return -(int)err->code;
	return ask_within(run_dir, &request, CHANGE_MS, err);
}

/* Return: 0 for MSG_DONE. */
static int ask_done(int sock, const struct buffer *request, uint64_t timeout_ms, struct error *err)
{
	AUTO_BUFFER payload = BUFFER_INIT;
	struct frame f;

	if (keeper_send(sock, request, err) < 0 ||
	    keeper_receive(sock, timeout_ms, &payload, &f, err) < 0)
		return -(int)err->code;
	return f.type == MSG_ERROR ? keeper_error(&f, err) : 0;
}

/* The keeper is gone: how the machine ended is all there is to say. */
static int judge_end(const char *state_dir, struct error *err)
{
	struct machine_status status;
	int r = 0;

	remember(state_dir, &status);
	if (status.error)
		r = error_set(err, E_UNAVAILABLE, "%s", status.error);
	else if (status.exit_code != 0)
		r = error_set(err, E_UNAVAILABLE, "it ended with exit code %d", status.exit_code);
	machine_status_release(&status);
	return r;
}

int machine_wait(const char *run_dir, const char *state_dir, enum wait_until until,
		 struct error *err)
{
	AUTO_BUFFER request = BUFFER_INIT;
	struct msg_wait m = { until };
	AUTO_CLOSE int sock = keeper_connect(run_dir, NULL, err);
	int r = sock;

	if (r >= 0)
		r = msg_wait_add(&request, MSG_WAIT, 1, &m, err);
	if (r == 0)
		r = ask_done(sock, &request, WAIT_MS, err);
	if ((sock >= 0 || r != -E_NOT_FOUND) && !(r == -E_UNAVAILABLE && !file_exists(run_dir)))
		return r;
	error_clear(err);
	return judge_end(state_dir, err);
}

int machine_wait_end(const char *run_dir, const char *state_dir, struct machine_status *ret,
		     struct error *err)
{
	AUTO_FREE char *lock = path_join(run_dir, "lock");

	if (file_exists(lock)) {
		AUTO_CLOSE int held = lock_file(lock, LOCK_WAIT, err);

		if (held < 0 && err->code != E_NOT_FOUND)
			return held;
		error_clear(err);
	}
	return machine_observe(run_dir, state_dir, ret, err);
}

static int spawn_refused(const struct frame *f, struct error *err)
{
	static const enum error_code codes[SPAWN_FAILURES] = {
		[SPAWN_NOT_FOUND] = E_NOT_FOUND,    [SPAWN_NOT_EXECUTABLE] = E_DENIED,
		[SPAWN_NO_USER] = E_INVALID,        [SPAWN_BAD_WORKING_DIR] = E_INVALID,
		[SPAWN_NO_CONTAINER] = E_NOT_FOUND, [SPAWN_INVALID] = E_INVALID,
		[SPAWN_SYSTEM] = E_SYSTEM,
	};
	struct msg_spawn_failed m = { 0 };

	if (msg_spawn_failed_unpack(f->payload, f->size, &m, err) < 0)
		return -(int)err->code;
	int r = error_set(err, (size_t)m.kind < SPAWN_FAILURES ? codes[m.kind] : E_SYSTEM, "%s",
			  m.text);
	msg_spawn_failed_release(&m);
	return r;
}

/* Ask for a process on a connection of its own, which becomes the session. */
static int open_session(const char *run_dir, const struct buffer *request, int *ret_sock,
			struct error *err)
{
	AUTO_BUFFER payload = BUFFER_INIT;
	struct frame f;

	AUTO_CLOSE int sock = keeper_connect(run_dir, NULL, err);
	if (sock < 0)
		return sock == -E_NOT_FOUND ? keeper_not_running(err) : sock;
	if (keeper_send(sock, request, err) < 0 ||
	    keeper_receive(sock, SPAWN_MS, &payload, &f, err) < 0)
		return -(int)err->code;
	if (f.type == MSG_SPAWN_FAILED)
		return spawn_refused(&f, err);
	if (f.type == MSG_ERROR)
		return keeper_error(&f, err);
	if (f.type != MSG_STARTED)
		return keeper_is_another(err);
	*ret_sock = take_fd(&sock);
	return 0;
}

int machine_exec(const char *run_dir, const struct msg_spawn *spawn, int *ret_sock,
		 struct error *err)
{
	AUTO_BUFFER request = BUFFER_INIT;
	int r = msg_spawn_add(&request, MSG_SPAWN, STREAM_MAIN, spawn, err);

	return r < 0 ? r : open_session(run_dir, &request, ret_sock, err);
}

int machine_copy(const char *run_dir, const struct msg_copy *m, int *ret_sock, struct error *err)
{
	AUTO_BUFFER request = BUFFER_INIT;
	int r = msg_copy_add(&request, MSG_COPY, STREAM_MAIN, m, err);

	return r < 0 ? r : open_session(run_dir, &request, ret_sock, err);
}

int machine_attach(const char *run_dir, int *ret_sock, struct error *err)
{
	AUTO_BUFFER request = BUFFER_INIT;

	message_add_empty(&request, MSG_ATTACH, STREAM_MAIN);
	return open_session(run_dir, &request, ret_sock, err);
}
