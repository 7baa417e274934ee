/* SPDX-License-Identifier: MIT */
/* Real servers: what they see of the host, what they refuse, and that none outlives its keeper. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "runtime/share/share.h"
#include "tests/unit/test.h"

/* share_spawn() runs this very program as "... __share ...". */
__attribute__((constructor)) static void dispatch(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "__share") == 0)
		_exit(share_main(argc, argv));
}

struct fixture {
	char *root;
	int socket, log;
	struct process server;
};

static struct fixture fixture_open(void)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = { .root = xstrdup("/tmp/shXXXXXX"), .server = PROCESS_INIT };
	assert_non_null(mkdtemp(f.root));
	AUTO_FREE char *path = path_join(f.root, "s");
	f.socket = unix_listen(path, SOCK_STREAM, &err);
	f.log = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (f.socket < 0)
		fail_msg("%s", error_message(&err));
	return f;
}

static void fixture_close(struct fixture *f)
{
	AUTO_ERROR err = ERROR_INIT;
	process_end(&f->server, 0);
	(void)close(f->socket);
	(void)close(f->log);
	assert_ok(err, dir_remove_tree(f->root, &err));
	free(f->root);
}

static void make(const struct fixture *f, const char *path, const char *text)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *full = path_join(f->root, path);
	AUTO_FREE char *dir = path_dirname(full);
	assert_ok(err, dir_make(dir, 0755, &err));
	assert_ok(err, file_write_atomic(full, text, strlen(text), 0644, &err));
}

static int serve(struct fixture *f, const char *source, bool read_only, bool git_writable,
		 struct error *err)
{
	AUTO_FREE char *full = path_join(f->root, source);
	const struct share_config c = { full, read_only, git_writable, f->log };
	process_end(&f->server, 0);
	return share_spawn(&c, f->socket, &f->server, err);
}

/* errno of opening @path for writing (creating it if asked) in the server's view of the share; 0 =
 * it opens. */
static int write_error(const struct fixture *f, const char *path, bool create)
{
	AUTO_FREE char *full = xasprintf("/proc/%d/root/tmp/source/%s", (int)f->server.pid, path);
	AUTO_CLOSE int fd =
		open(full, O_WRONLY | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0644);
	return fd < 0 ? errno : 0;
}

TEST(read_write_share_keeps_git_read_only)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	make(&f, "src/a", "a");
	make(&f, "src/.git/config", "c");
	make(&f, "src/sub/.git", "gitdir: elsewhere");
	make(&f, "src/x/y/z/.git/HEAD", "h");
	assert_ok(err, serve(&f, "src", false, false, &err));
	assert_int_equal(write_error(&f, "a", false), 0);
	assert_int_equal(write_error(&f, "new", true), 0);
	assert_int_equal(write_error(&f, ".git/config", false), EROFS);
	assert_int_equal(write_error(&f, ".git/hooks", true), EROFS);
	assert_int_equal(write_error(&f, "sub/.git", false), EROFS);
	assert_int_equal(write_error(&f, "sub/new", true), 0);
	assert_int_equal(write_error(&f, "x/y/z/.git/HEAD", false), EROFS);
	fixture_close(&f);
}

TEST(git_is_writable_where_asked)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	make(&f, "src/.git/config", "c");
	assert_ok(err, serve(&f, "src", false, true, &err));
	assert_int_equal(write_error(&f, ".git/config", false), 0);
	fixture_close(&f);
}

/* Within the server's namespaces; host-side renames are the host's own business. */
static bool is_held_in_place(const struct process *server)
{
	int spaces = CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
	return setns(server->pidfd, spaces) == 0 &&
	       rename("/tmp/source/.git", "/tmp/source/aside") < 0 && errno == EBUSY &&
	       rmdir("/tmp/source/.git") < 0 && errno == EBUSY;
}

TEST(git_mount_point_cannot_be_moved_away)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	int status = 0;
	make(&f, "src/.git/config", "c");
	assert_ok(err, serve(&f, "src", false, false, &err));
	pid_t pid = fork();
	if (pid == 0)
		_exit(is_held_in_place(&f.server) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fixture_close(&f);
}

TEST(git_link_is_refused_and_inside_of_git_is_read_only)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	make(&f, "src/.git/config", "c");
	make(&f, "linked/a", "a");
	AUTO_FREE char *link = path_join(f.root, "linked/.git");
	assert_int_equal(symlink("../src/.git", link), 0);
	assert_int_equal(serve(&f, "linked", false, false, &err), -E_DENIED);
	assert_non_null(strstr(error_message(&err), "symbolic link"));
	error_clear(&err);
	assert_ok(err, serve(&f, "linked", false, true, &err));
	assert_ok(err, serve(&f, "src/.git", false, false, &err));
	assert_int_equal(write_error(&f, "config", false), EROFS);
	fixture_close(&f);
}

TEST(read_only_share_is_so_for_the_server)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	make(&f, "src/a", "a");
	assert_ok(err, serve(&f, "src", true, false, &err));
	assert_int_equal(write_error(&f, "a", false), EROFS);
	assert_int_equal(write_error(&f, "new", true), EROFS);
	fixture_close(&f);
}

TEST(file_is_served_alone)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	make(&f, "src/one", "1");
	make(&f, "src/two", "2");
	assert_ok(err, serve(&f, "src/one", false, false, &err));
	assert_int_equal(write_error(&f, "one", false), 0);
	assert_int_equal(write_error(&f, "two", false), ENOENT);
	assert_int_equal(write_error(&f, "three", true), EROFS);
	assert_ok(err, serve(&f, "src/one", true, false, &err));
	assert_int_equal(write_error(&f, "one", false), EROFS);
	fixture_close(&f);
}

TEST(unfit_sources_are_refused)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	make(&f, "src/a", "a");
	AUTO_FREE char *link = path_join(f.root, "link");
	AUTO_FREE char *fifo = path_join(f.root, "fifo");
	assert_int_equal(symlink("src", link), 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_error(err, E_NOT_FOUND, serve(&f, "missing", false, false, &err));
	assert_error(err, E_DENIED, serve(&f, "link", false, false, &err));
	assert_error(err, E_DENIED, serve(&f, "link/a", false, false, &err));
	assert_error(err, E_DENIED, serve(&f, "fifo", false, false, &err));
	assert_error(err, E_DENIED, serve(&f, "s", false, false, &err));
	assert_error(err, E_DENIED, serve(&f, "/dev/null", true, false, &err));
	const struct share_config relative = { "src", true, false, f.log };
	assert_error(err, E_INVALID, share_spawn(&relative, f.socket, &f.server, &err));
	assert_int_equal(f.server.pid, 0);
	fixture_close(&f);
}

/* A keeper that is killed takes its server along. */
TEST(server_dies_with_its_keeper)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open();
	pid_t server = 0;
	int pipe_fds[2];
	make(&f, "src/a", "a");
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	pid_t keeper = fork();
	if (keeper == 0) {
		int r = serve(&f, "src", false, false, &err);
		if (r < 0 || write(pipe_fds[1], &f.server.pid, sizeof(f.server.pid)) < 0)
			_exit(1);
		for (;;)
			(void)pause();
	}
	(void)close(pipe_fds[1]);
	assert_ok(err, fd_read_full(pipe_fds[0], &server, sizeof(server), &err));
	AUTO_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, server, 0);
	assert_true(pidfd >= 0);
	assert_int_equal(kill(keeper, SIGKILL), 0);
	assert_int_equal(waitpid(keeper, NULL, 0), keeper);
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
	assert_int_equal(poll(&pfd, 1, 60000), 1);
	(void)close(pipe_fds[0]);
	fixture_close(&f);
}
