/* SPDX-License-Identifier: MIT */
/*
 * DOC: Theory of Operation
 *
 * share_spawn() opens the source and starts "ctrz __share", the builder. The builder clones a child
 * of *ours* (CLONE_PARENT) into new mount and pid namespaces, and for an ordinary user a user
 * namespace whose ids it maps, and ends. The child mounts the source and becomes virtiofsd, which
 * starts its real server in namespaces within. The child is the first process of its pid namespace
 * and is killed when we die, so nothing of a share outlives us, whatever happens. A status socket
 * carries the child's pid and any failure; it closes when virtiofsd runs.
 */
#include "runtime/share/share.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "runtime/share/share_internal.h"

enum { SETUP_TIMEOUT_MS = 10000, STATUS_MAX = 8192, BUILDER_GRACE_MS = 2000 };

int virtiofsd_find(char **ret_path, struct error *err)
{
	static const char *const places[] = { "/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd" };
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0) {
			*ret_path = xstrdup(places[i]);
			return 0;
		}
	return error_set(
		err, E_NOT_FOUND,
		"virtiofsd, which serves shared folders, is not here: install it, on Debian "
		"with 'apt-get install qemu-system-common'");
}

struct source {
	int folder, fd; /* owned */
	char *file;     /* owned; "" for a folder */
	bool in_git;    /* the source is part of a .git */
};

static void source_release(struct source *s)
{
	cleanup_close(&s->folder);
	cleanup_close(&s->fd);
	free(s->file);
}

static int open_without_links(const char *path, struct error *err)
{
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (fd < 0 && errno == ELOOP)
		return error_set(
			err, E_DENIED,
			"'%s' goes through a symbolic link: give the path that it leads to", path);
	return fd < 0 ? error_sys(err, "open '%s'", path) : fd;
}

static int source_open(const char *path, struct source *s, struct error *err)
{
	struct stat st;
	AUTO_FREE char *clean = path_clean(path);
	AUTO_FREE char *wrapped = xasprintf("%s/", clean);
	if (path[0] != '/')
		return error_set(err, E_INVALID, "'%s' is no absolute path", path);
	s->in_git = strstr(wrapped, "/.git/") != NULL;
	s->fd = open_without_links(clean, err);
	if (s->fd < 0)
		return s->fd;
	if (fstat(s->fd, &st) < 0)
		return error_sys(err, "look at '%s'", clean);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return error_set(
			err, E_DENIED,
			"'%s' is neither a folder nor a file: devices and sockets cannot be "
			"shared",
			clean);
	AUTO_FREE char *folder = S_ISDIR(st.st_mode) ? xstrdup(clean) : path_dirname(clean);
	s->file = xstrdup(S_ISDIR(st.st_mode) ? "" : path_basename(clean));
	s->folder = open_without_links(folder, err);
	return s->folder < 0 ? s->folder : 0;
}

static int spawn_builder(const struct share_config *c, const struct source *s, int socket_fd,
			 int status_fd, struct process *ret, struct error *err)
{
	AUTO_FREE char *server = NULL;
	int r = virtiofsd_find(&server, err);
	if (r < 0)
		return r;
	const char *const argv[] = { "/proc/self/exe",
				     "__share",
				     c->read_only || (s->in_git && !c->git_writable) ? "ro" : "rw",
				     c->git_writable ? "git-rw" : "git-ro",
				     s->file,
				     server,
				     NULL };
	struct process_options o = PROCESS_OPTIONS_INIT;
	o.argv = argv;
	o.stdout_fd = c->log_fd;
	o.stderr_fd = c->log_fd;
	o.fds[SHARE_SOCKET_FD - 3] = socket_fd;
	o.fds[SHARE_FOLDER_FD - 3] = s->folder;
	o.fds[SHARE_SOURCE_FD - 3] = s->fd;
	o.fds[SHARE_STATUS_FD - 3] = status_fd;
	o.fd_count = SHARE_FD_END - 3;
	o.die_with_parent = true;
	return process_spawn(&o, ret, err);
}

/* Everything until the socket closes: "pid N" and "error CODE text", each at most once, as separate
 * messages. */
static int read_status(int fd, pid_t *ret_pid, struct error *err)
{
	uint64_t deadline = clock_ms() + SETUP_TIMEOUT_MS;
	int failed = 0;
	for (;;) {
		char text[STATUS_MAX];
		uint64_t now = clock_ms();
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		int ready = poll(&pfd, 1, now < deadline ? (int)(deadline - now) : 0);
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready == 0)
			return error_set(err, E_TIMEOUT, "the server is not set up after %d s",
					 SETUP_TIMEOUT_MS / 1000);
		ssize_t n = ready < 0 ? -1 : recv(fd, text, sizeof(text) - 1, 0);
		if (n < 0)
			return error_sys(err, "read the server's status");
		if (n == 0)
			return failed;
		text[n] = '\0';
		uint64_t value;
		char *rest = NULL;
		const char *word = strtok_r(text, " ", &rest), *number = strtok_r(NULL, " ", &rest);
		if (!number || !parse_u64(number, INT32_MAX, &value))
			continue;
		if (str_equal(word, "pid"))
			*ret_pid = (pid_t)value;
		else if (str_equal(word, "error") && failed == 0 && value >= E_INVALID &&
			 value <= E_INTERNAL)
			failed = error_set(err, (enum error_code)value, "%s", rest);
	}
}

static void reap_child(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* The child is ours until we reap it, so its pid cannot be another's. */
static int watch_child(pid_t pid, struct process *ret, struct error *err)
{
	if (pid <= 0)
		return error_set(err, E_INTERNAL, "the server did not start");
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return error_sys(err, "watch the server");
	*ret = (struct process){ .pid = pid, .pidfd = pidfd };
	return 0;
}

int share_spawn(const struct share_config *c, int socket_fd, struct process *ret, struct error *err)
{
	CLEANUP(source_release) struct source s = { .folder = -1, .fd = -1 };
	struct process builder = PROCESS_INIT;
	int pair[2];
	pid_t child = 0;
	int r = source_open(c->source, &s, err);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, "create a socket");
	AUTO_CLOSE int status = pair[0];
	AUTO_CLOSE int theirs = pair[1];
	r = spawn_builder(c, &s, socket_fd, theirs, &builder, err);
	if (r < 0)
		return r;
	(void)close(take_fd(&theirs));
	r = read_status(status, &child, err);
	process_end(&builder, BUILDER_GRACE_MS);
	if (r == 0)
		r = watch_child(child, ret, err);
	if (r < 0)
		reap_child(child);
	return r;
}
