/* SPDX-License-Identifier: MIT */
/* Starting, asking and ending the switch of a network. */
#include "runtime/network/switch_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "runtime/network/address.h"
#include "runtime/network/switch_message.h"

enum {
	ANSWER_MS = 10000,
	START_MS = 20000,
	STOP_ANSWER_MS = 2000, /* then it is told by signal */
	STOP_MS = 3000,
	LOOK_AGAIN_MS = 5,
	ANSWER_MAX = 4 << 20, /* the status of 1024 ports fits */
	LOCKS_MAX_BYTES = 4 << 20,
};

/* Read from @fd up to a line's end, by @deadline. */
static int read_line(int fd, uint64_t deadline, struct buffer *out, struct error *err)
{
	while (!out->size || !memchr(out->data, '\n', out->size)) {
		uint64_t now = clock_ms();
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int r = poll(&pfd, 1, now < deadline ? (int)(deadline - now) : 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return error_sys(err, "wait for the switch");
		if (r == 0)
			return error_set(err, E_TIMEOUT, "the switch does not answer");
		ssize_t n = read(fd, buffer_reserve(out, 16384), 16384);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "read from the switch");
		if (n == 0)
			return error_set(err, E_UNAVAILABLE, "the switch ended without an answer");
		out->size += (size_t)n;
		if (out->size > ANSWER_MAX)
			return error_set(err, E_INTEGRITY, "the switch's answer is too long");
	}
	return 0;
}

/* What an answer says: 0 and the rest of it in *ret, or its failure in @err (*ret is set then,
 * too). */
static int parse_answer(const struct buffer *line, struct json **ret, struct error *err)
{
	int r = json_parse(line->data, line->size, ANSWER_MAX, "the switch's answer", ret, err);
	if (r < 0)
		return r;
	if (json_bool(*ret, "ok", false))
		return 0;
	uint64_t code = json_u64(*ret, "code", E_INTERNAL);
	return error_set(
		err, code >= E_INVALID && code <= E_INTERNAL ? (enum error_code)code : E_INTERNAL,
		"%s", json_str(*ret, "message", "the switch failed"));
}

static int connect_control(const char *run_dir, struct error *err)
{
	AUTO_FREE char *path = path_join(run_dir, SWITCH_CONTROL);
	return unix_connect(path, SOCK_STREAM, err);
}

/* The process that listens at the other end of @fd. */
static pid_t listener_pid(int fd)
{
	struct ucred cred = { 0 };
	socklen_t size = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return 0;
	return cred.pid;
}

static int ask(int fd, const struct json *request, uint64_t timeout_ms, struct json **ret,
	       struct error *err)
{
	AUTO_BUFFER line = BUFFER_INIT;
	AUTO_BUFFER answer = BUFFER_INIT;
	json_print(request, 0, false, &line);
	buffer_add_char(&line, '\n');
	if (line.size > SWITCH_MESSAGE_MAX)
		return error_set(err, E_INVALID, "the request to the switch is too long");
	int r = unix_send(fd, line.data, line.size, NULL, 0, err);
	if (r < 0)
		return r;
	r = read_line(fd, clock_ms() + timeout_ms, &answer, err);
	return r < 0 ? r : parse_answer(&answer, ret, err);
}

static int request(const char *run_dir, const struct json *what, struct json **ret,
		   struct error *err)
{
	AUTO_CLOSE int fd = connect_control(run_dir, err);
	if (fd == -E_NOT_FOUND) {
		error_clear(err);
		return error_set(err, E_NOT_FOUND, "the network's switch does not run");
	}
	return fd < 0 ? fd : ask(fd, what, ANSWER_MS, ret, err);
}

static struct json *new_request(const char *what)
{
	struct json *v = json_new_object();
	json_set_string(v, "do", what);
	return v;
}

pid_t switch_observe(const char *run_dir)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *lock = path_join(run_dir, SWITCH_LOCK);
	if (!lock_is_held(lock))
		return 0;
	AUTO_CLOSE int fd = connect_control(run_dir, &err);
	if (fd < 0) {
		error_ignore(&err, "look for the switch");
		return 0;
	}
	return listener_pid(fd);
}

/* Connect to a switch whose lock is held. One that is about to start or to end holds it without
 * listening: wait until it does either. Return: descriptor, -E_NOT_FOUND if the lock was let go, or
 * another -code */
static int connect_lock_holder(const struct switch_config *c, const char *lock, struct error *err)
{
	uint64_t deadline = clock_ms() + START_MS;
	for (;;) {
		int fd = connect_control(c->run_dir, err);
		if (fd != -E_NOT_FOUND || !lock_is_held(lock))
			return fd;
		error_clear(err);
		if (clock_ms() >= deadline)
			return error_set(err, E_TIMEOUT, "it holds '%s' but does not listen", lock);
		(void)poll(NULL, 0, LOOK_AGAIN_MS);
	}
}

/* Find the switch of @c running. Return: its pid, 0 if there is none, or -code if it is not what @c
 * says */
static int find_running(const struct switch_config *c, struct error *err)
{
	AUTO_JSON ask_status = new_request("status");
	AUTO_JSON answer = NULL;
	AUTO_JSON wanted = switch_config_json(c);
	AUTO_FREE char *lock = path_join(c->run_dir, SWITCH_LOCK);
	if (!lock_is_held(lock))
		return 0;
	AUTO_CLOSE int fd = connect_lock_holder(c, lock, err);
	if (fd == -E_NOT_FOUND) {
		error_clear(err);
		return 0;
	}
	if (fd < 0)
		return error_wrap(err, "the switch of network '%s' runs but cannot be reached",
				  c->name);
	int r = ask(fd, ask_status, ANSWER_MS, &answer, err);
	/* It ended between our call and its answer. */
	if (r == -E_UNAVAILABLE && !lock_is_held(lock)) {
		error_clear(err);
		return 0;
	}
	if (r < 0)
		return error_wrap(err, "network '%s'", c->name);
	AUTO_FREE char *is =
		json_text(json_member_object(json_member_object(answer, "status"), "config"));
	AUTO_FREE char *should = json_text(wanted);
	if (!str_equal(is, should))
		return error_set(
			err, E_CONFLICT,
			"the switch of network '%s' runs with another configuration; stop it first",
			c->name);
	return (int)listener_pid(fd);
}

static int config_fd(const struct switch_config *c, struct error *err)
{
	AUTO_JSON v = switch_config_json(c);
	AUTO_BUFFER text = BUFFER_INIT;
	json_print(v, 0, false, &text);
	AUTO_CLOSE int fd = memfd_create("switch", MFD_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "create a file in memory");
	int r = fd_write_full(fd, text.data, text.size, err);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_sys(err, "rewind a file in memory");
	return take_fd(&fd);
}

/* Wait for the line of a switch that starts. */
static int wait_ready(int fd, struct process *starter, struct error *err)
{
	AUTO_BUFFER line = BUFFER_INIT;
	AUTO_JSON answer = NULL;
	uint64_t deadline = clock_ms() + START_MS;
	AUTO_ERROR ignored = ERROR_INIT;
	/* The starter ends as soon as it has forked. */
	if (process_wait(starter, START_MS, NULL, &ignored) < 0)
		process_end(starter, 0);
	int r = read_line(fd, deadline, &line, err);
	return r < 0 ? r : parse_answer(&line, &answer, err);
}

/* @owner_fd: -1 = none */
static int spawn(const struct switch_config *c, int owner_fd, struct error *err)
{
	int ready[2];
	AUTO_FREE char *log_path = path_join(c->run_dir, SWITCH_LOG);
	AUTO_CLOSE int config = config_fd(c, err);
	if (config < 0)
		return config;
	AUTO_CLOSE int log = open(
		log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log < 0)
		return error_sys(err, "create '%s'", log_path);
	if (pipe2(ready, O_CLOEXEC) < 0)
		return error_sys(err, "create a pipe");
	AUTO_CLOSE int ready_read = ready[0];
	AUTO_CLOSE int ready_write = ready[1];
	const char *argv[] = { "/proc/self/exe", "__switch", c->name, NULL };
	struct process_options o = PROCESS_OPTIONS_INIT;
	struct process p = PROCESS_INIT;
	o.argv = argv;
	o.stdout_fd = log;
	o.stderr_fd = log;
	o.fds[0] = config;
	o.fds[1] = ready_write;
	o.fds[2] = owner_fd;
	o.fd_count = owner_fd < 0 ? 2 : 3;
	o.new_session = true;
	int r = process_spawn(&o, &p, err);
	if (r < 0)
		return r;
	(void)close(take_fd(&ready_write));
	return wait_ready(ready_read, &p, err);
}

static int start(const struct switch_config *c, int owner_fd, pid_t *ret_pid, struct error *err)
{
	if (c->run_dir[0] != '/')
		return error_set(err, E_INTERNAL, "network '%s': the run folder must be absolute",
				 c->name);
	int pid = find_running(c, err);
	if (pid < 0)
		return pid;
	if (pid == 0) {
		int r = dir_make(c->run_dir, 0700, err);
		if (r < 0)
			return error_wrap(err, "start the switch of network '%s'", c->name);
		r = spawn(c, owner_fd, err);
		/* Another start may have won. */
		if (r == -E_CONFLICT)
			error_clear(err);
		else if (r < 0)
			return error_wrap(err, "start the switch of network '%s'", c->name);
		pid = find_running(c, err);
		if (pid < 0)
			return pid;
		if (pid == 0)
			return error_set(err, E_UNAVAILABLE,
					 "the switch of network '%s' died as soon as it ran",
					 c->name);
	}
	if (ret_pid)
		*ret_pid = pid;
	return 0;
}

int switch_start(const struct switch_config *c, pid_t *ret_pid, struct error *err)
{
	return start(c, -1, ret_pid, err);
}

int switch_start_owned(const struct switch_config *c, int owner_fd, struct error *err)
{
	return start(c, owner_fd, NULL, err);
}

/* Add to "is taken" who has it. */
static int explain_taken(const struct switch_publish *p, struct error *err)
{
	AUTO_FREE char *holder = host_port_holder(p->host_addr, p->host_port, p->udp);
	char address[ADDRESS_TEXT_SIZE];
	address_text(p->host_addr, address);
	error_clear(err);
	return error_set(err, E_CONFLICT,
			 "host port %s:%u/%s is taken by %s; stop it or publish another port",
			 address, p->host_port, p->udp ? "udp" : "tcp",
			 holder ? holder : "another process, which is not ours to see");
}

int switch_set_port(const char *run_dir, const struct switch_port *p, char **ret_dir,
		    uint16_t *ret_ports, struct error *err)
{
	AUTO_JSON v = new_request("set-port");
	AUTO_JSON answer = NULL;
	json_set(v, "port", switch_port_json(p));
	int r = request(run_dir, v, &answer, err);
	if (r < 0) {
		uint64_t taken = json_u64(answer, "taken", UINT64_MAX);
		return taken < p->publish_count ? explain_taken(&p->publish[taken], err) : r;
	}
	const struct json *ports = json_member_array(answer, "ports");
	if (!ports || json_count(ports) != p->publish_count)
		return error_set(err, E_INTEGRITY, "the switch's answer lacks host ports");
	for (size_t i = 0; ret_ports && i < p->publish_count; i++)
		ret_ports[i] = (uint16_t)json_int_value_of(json_item(ports, i), 0);
	*ret_dir = xasprintf("%s/%s/%s", run_dir, SWITCH_PORTS, p->name);
	return 0;
}

int switch_remove_port(const char *run_dir, const char *name, struct error *err)
{
	AUTO_JSON v = new_request("remove-port");
	AUTO_JSON answer = NULL;
	json_set_string(v, "name", name);
	int r = request(run_dir, v, &answer, err);
	if (r != -E_NOT_FOUND)
		return r;
	/* No switch: what it left for this port goes. */
	error_clear(err);
	r = switch_name_check(name, err);
	if (r < 0)
		return r;
	AUTO_FREE char *dir = xasprintf("%s/%s/%s", run_dir, SWITCH_PORTS, name);
	return dir_remove_tree(dir, err);
}

/* Who holds the lock when the control socket cannot say: the kernel lists locks with pid and inode.
 */
static pid_t lock_holder(const char *path)
{
	struct stat st;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	if (stat(path, &st) < 0)
		return 0;
	if (file_read("/proc/locks", LOCKS_MAX_BYTES, &text, &err) < 0) {
		error_ignore(&err, "read the kernel's list of locks");
		return 0;
	}
	AUTO_FREE char *place = xasprintf(" %02x:%02x:%llu ", major(st.st_dev), minor(st.st_dev),
					  (unsigned long long)st.st_ino);
	const char *at = strstr(buffer_str(&text), place);
	int pid = 0;
	/* "1: FLOCK  ADVISORY  WRITE 812 fd:01:12345 0 EOF": the number before the place */
	while (at && at > text.data && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return at && sscanf(at, "%d", &pid) == 1 && pid > 0 ? pid : 0;
}

/* Wait until @pid is gone; kill it if it takes too long. */
static int wait_gone(int pidfd, pid_t pid, struct error *err)
{
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
	int r;
	do
		r = poll(&pfd, 1, STOP_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0) {
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		do
			r = poll(&pfd, 1, STOP_MS);
		while (r < 0 && errno == EINTR);
	}
	if (r == 0)
		return error_set(err, E_TIMEOUT, "the switch (pid %d) does not end", (int)pid);
	return r < 0 ? error_sys(err, "wait for the switch") : 0;
}

static int end_process(const char *run_dir, const char *lock, struct error *err)
{
	AUTO_ERROR why = ERROR_INIT;
	AUTO_JSON v = new_request("stop");
	AUTO_JSON answer = NULL;
	AUTO_CLOSE int control = connect_control(run_dir, &why);
	pid_t pid = control >= 0 ? listener_pid(control) : lock_holder(lock);
	if (pid <= 0)
		return error_set(err, E_UNAVAILABLE,
				 "the switch runs, but which process it is cannot be told: %s",
				 error_message(&why));
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 && errno == ESRCH)
		return 0;
	if (pidfd < 0)
		return error_sys(err, "watch the switch (pid %d)", (int)pid);
	error_clear(&why);
	/* The lock is looked at again, now that the pid cannot become another's. */
	if (!lock_is_held(lock))
		return 0;
	if (control < 0 || ask(control, v, STOP_ANSWER_MS, &answer, &why) < 0) {
		error_ignore(&why, "ask the switch to stop");
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
	}
	return wait_gone(pidfd, pid, err);
}

int switch_restart(const struct switch_config *c, pid_t *ret_pid, struct error *err)
{
	AUTO_FREE char *lock = path_join(c->run_dir, SWITCH_LOCK);
	if (lock_is_held(lock)) {
		int r = end_process(c->run_dir, lock, err);
		if (r < 0)
			return error_wrap(err, "restart the switch of network '%s'", c->name);
	}
	return switch_start(c, ret_pid, err);
}

int switch_stop(const char *run_dir, struct error *err)
{
	AUTO_FREE char *lock = path_join(run_dir, SWITCH_LOCK);
	if (lock_is_held(lock)) {
		int r = end_process(run_dir, lock, err);
		if (r < 0)
			return error_wrap(err, "stop the switch in '%s'", run_dir);
	}
	return dir_remove_tree(run_dir, err);
}
