/* SPDX-License-Identifier: MIT */
/* The hidden command "ctrz __switch": one process that is the switch of one network. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "runtime/network/host_port.h"
#include "runtime/network/isolate.h"
#include "runtime/network/outside.h"
#include "runtime/network/switch_control.h"
#include "runtime/network/switch_core.h"
#include "runtime/network/switch_message.h"

/*
 * DOC: Theory of Operation
 *
 * The starter passes the configuration on descriptor 3 and waits on descriptor 4 for one line: that
 * the switch is ready, or why it is not. The process forks once, so that it is nobody's child, and
 * takes the lock of the network's folder; the kernel releases it when the process dies, whatever
 * the reason. It then gives up its privileges and serves until it is told to stop or gets SIGTERM.
 * At its end it removes its sockets; the rest of the folder is the client's.
 */

enum { FDS_WANTED = 16384, FDS_RESERVED = 64 };

static int read_config(struct switch_config *ret, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_JSON v = NULL;
	AUTO_CLOSE int fd = SWITCH_CONFIG_FD;
	int r = fd_read_all(fd, &text, SWITCH_MESSAGE_MAX, err);
	if (r < 0)
		return r;
	r = json_parse(buffer_str(&text), text.size, SWITCH_MESSAGE_MAX, "network", &v, err);
	return r < 0 ? r : switch_config_parse(v, ret, err);
}

static void report(const struct error *failed)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER line = BUFFER_INIT;
	AUTO_JSON v = json_new_object();
	AUTO_CLOSE int fd = SWITCH_READY_FD;
	json_set_bool(v, "ok", failed == NULL);
	if (failed) {
		json_set_int(v, "code", (int64_t)failed->code);
		json_set_string(v, "message", error_message(failed));
	}
	json_print(v, 0, false, &line);
	buffer_add_char(&line, '\n');
	if (fd_write_full(fd, line.data, line.size, &err) < 0)
		error_ignore(&err, "tell the starter");
}

/* As many descriptors as we may have: each connection to the outside is one. Return: how many
 * libslirp may use */
static size_t raise_fd_limit(void)
{
	struct rlimit l;
	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return 512;
	if (l.rlim_cur < FDS_WANTED) {
		l.rlim_cur = l.rlim_max < FDS_WANTED ? l.rlim_max : FDS_WANTED;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
	/* Half of it: ports, published UDP and queries to resolvers need theirs. */
	return (size_t)(l.rlim_cur > 2 * FDS_RESERVED ? l.rlim_cur / 2 - FDS_RESERVED : 16);
}

static void on_signal(void *arg, int sig)
{
	(void)sig;
	loop_stop(arg, 0);
}

static void on_owner(void *arg, uint32_t events)
{
	(void)events;
	loop_stop(arg, 0);
}

struct switch_process {
	struct switch_config config;
	struct loop *loop;
	struct switch_core *core;
	struct switch_control *control;
	int lock_fd;
	bool is_owned;
	char *control_path;
};

static void process_release(struct switch_process *p)
{
	if (p->control)
		(void)unlink(p->control_path);
	switch_control_free(p->control);
	switch_core_free(p->core);
	loop_free(p->loop);
	free(p->control_path);
	switch_config_release(&p->config);
	if (p->lock_fd >= 0)
		(void)close(p->lock_fd);
}

static int process_start(struct switch_process *p, struct error *err)
{
	AUTO_FREE char *lock_path = path_join(p->config.run_dir, SWITCH_LOCK);
	p->control_path = path_join(p->config.run_dir, SWITCH_CONTROL);
	p->lock_fd = lock_file(lock_path, LOCK_TRY, err);
	if (p->lock_fd < 0)
		return p->lock_fd;
	int r = outside_library_load(err);
	if (r < 0)
		return r;
	size_t fds_max = raise_fd_limit();
	p->loop = loop_new();
	loop_on_signal(p->loop, SIGTERM, on_signal, p->loop);
	loop_on_signal(p->loop, SIGINT, on_signal, p->loop);
	if (p->is_owned)
		loop_watch(p->loop, SWITCH_OWNER_FD, EPOLLIN | EPOLLHUP, on_owner, p->loop);
	p->core = switch_core_new(p->loop, &p->config, fds_max);
	r = switch_control_new(p->loop, p->core, p->control_path, &p->control, err);
	return r < 0 ? r : isolate_self(p->config.run_dir, err);
}

static int serve(struct switch_process *p)
{
	int code = 0;
	while (!loop_is_stopped(p->loop, &code))
		switch_core_turn(p->core);
	return code;
}

int switch_main(int argc, char **argv)
{
	/* Looked at before anything else is opened and could take the number. */
	bool is_owned = fcntl(SWITCH_OWNER_FD, F_GETFD) >= 0;
	struct switch_process p CLEANUP(process_release) = { .lock_fd = -1, .is_owned = is_owned };
	AUTO_ERROR err = ERROR_INIT;
	(void)argc;
	(void)argv;
	if (read_config(&p.config, &err) < 0) {
		report(&err);
		return 1;
	}
	pid_t pid = fork();
	if (pid != 0)
		_exit(pid < 0 ? 1 : 0);
	(void)prctl(PR_SET_NAME, SWITCH_COMM);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	if (chdir("/") < 0 || process_start(&p, &err) < 0) {
		report(&err);
		return 1;
	}
	report(NULL);
	return serve(&p);
}
