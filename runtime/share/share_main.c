/* SPDX-License-Identifier: MIT */
/* The hidden command "ctrz __share": the builder, and its child that becomes virtiofsd (see
 * share_spawn.c). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/share/share.h"
#include "runtime/share/share_internal.h"

/* What the builder tells its child once ids are mapped. */
enum { GO_ALL_IDS = 'a', GO_SINGLE_ID = 's' };

static void send_status(const char *text)
{
	if (send(SHARE_STATUS_FD, text, strlen(text), MSG_NOSIGNAL) < 0)
		log_debug("share: nobody waits for '%s'", text);
}

static int report(const struct error *err)
{
	AUTO_FREE char *text = xasprintf("error %d %.4000s", (int)err->code, error_message(err));
	send_status(text);
	return 1;
}

/* A parent that died before PDEATHSIG was set has closed its end of the status socket. */
static int tie_to_parent(struct error *err)
{
	struct pollfd pfd = { .fd = SHARE_STATUS_FD, .events = 0 };
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_sys(err, "ask to die with the keeper");
	if (poll(&pfd, 1, 0) < 0 || (pfd.revents & (POLLHUP | POLLERR)))
		return error_set(err, E_CANCELED, "the keeper is gone");
	return 0;
}

static int prepare_descriptors(struct error *err)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) < 0)
			return error_sys(err, "raise the limit of open files");
	}
	for (int fd = SHARE_SOCKET_FD; fd < SHARE_FD_END; fd++)
		if (fcntl(fd, F_SETFD, fd == SHARE_SOCKET_FD ? 0 : FD_CLOEXEC) < 0)
			return error_sys(err, "prepare descriptor %d", fd);
	return 0;
}

static int become_server(const char *server, struct error *err)
{
	AUTO_FREE char *program = xstrdup(server);
	char socket_fd[] = "--fd=3", limit[] = "--rlimit-nofile=0", pool[] = "--thread-pool-size=0";
	char option[] = "-o", source[] = "source=" SHARE_ROOT, level[] = "log_level=warn";
	char sandbox[] = "sandbox=namespace", cache[] = "cache=auto", caps[] = "modcaps=-mknod";
	char *argv[] = { program, socket_fd, limit,  pool,  option, source, option, level,
			 option,  sandbox,   option, cache, option, caps,   NULL };
	char *env[] = { NULL };
	(void)execve(program, argv, env);
	return error_sys(err, "run '%s'", server);
}

static int run_child(char **args, int go, struct error *err)
{
	const struct share_mount m = {
		.file = args[SHARE_ARG_FILE],
		.read_only = strcmp(args[SHARE_ARG_ACCESS], "rw") != 0,
		.git_writable = str_equal(args[SHARE_ARG_GIT], "git-rw"),
	};
	char word = 0;
	int r = tie_to_parent(err);
	if (r < 0)
		return r;
	ssize_t n;
	do
		n = read(go, &word, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(1); /* the builder has told why */
	r = share_mount_source(&m, err);
	if (r == 0)
		r = prepare_descriptors(err);
	if (r == 0)
		r = share_filter_install(word == GO_SINGLE_ID, err);
	return r < 0 ? r : become_server(args[SHARE_ARG_SERVER], err);
}

static bool may_mount(void)
{
	return geteuid() == 0;
}

static int no_namespaces(struct error *err)
{
	if (errno != EPERM && errno != EUSERS && errno != ENOSPC && errno != EACCES)
		return error_sys(err, "create namespaces");
	if (may_mount())
		return error_set(
			err, E_DENIED,
			"cannot create namespaces, though this is root: a container around "
			"ctrz needs CAP_SYS_ADMIN");
	return error_set(
		err, E_DENIED,
		"unprivileged user namespaces are off on this host, and shared folders need "
		"them: 'sysctl -w kernel.unprivileged_userns_clone=1', on Ubuntu "
		"kernel.apparmor_restrict_unprivileged_userns=0; or run as root");
}

/* The builder's half: ids for the child, its pid for the keeper, then the child may go. */
static int release_child(pid_t child, bool map_ids, int go, struct error *err)
{
	bool single = false;
	AUTO_FREE char *text = xasprintf("pid %d", (int)child);
	send_status(text);
	int r = map_ids ? id_map_write(child, &single, err) : 0;
	if (r < 0)
		return r;
	const char word = single ? GO_SINGLE_ID : GO_ALL_IDS;
	return write(go, &word, 1) == 1 ? 0 : error_sys(err, "start the server");
}

int share_main(int argc, char **argv)
{
	AUTO_ERROR err = ERROR_INIT;
	int go[2];
	if (argc < SHARE_ARGS + 1)
		return 2;
	char **args = argv + argc - SHARE_ARGS;
	bool map_ids = !may_mount();
	if (fchdir(SHARE_FOLDER_FD) < 0 || pipe2(go, O_CLOEXEC) < 0) {
		(void)error_sys(&err, "enter the source's folder");
		return report(&err);
	}
	/* The working folder follows into the new mount namespace; descriptors do not. */
	unsigned flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_PARENT | (map_ids ? CLONE_NEWUSER : 0);
	pid_t child = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0);
	if (child < 0) {
		(void)no_namespaces(&err);
		return report(&err);
	}
	(void)close(go[child == 0]);
	if (child == 0)
		_exit(run_child(args, go[0], &err) < 0 ? report(&err) : 0);
	return release_child(child, map_ids, go[1], &err) < 0 ? report(&err) : 0;
}
