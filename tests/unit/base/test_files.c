/* SPDX-License-Identifier: MIT */
/* Files, paths, descriptors, locks. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "tests/unit/test.h"

static char *temp_dir(void)
{
	char *dir = xstrdup("/tmp/ctrz-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return dir;
}

static void remove_dir(const char *dir)
{
	AUTO_ERROR err = ERROR_INIT;
	assert_ok(err, dir_remove_tree(dir, &err));
	assert_false(file_exists(dir));
}

TEST(atomic_write_replaces_and_leaves_no_temp)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *dir = temp_dir();
	AUTO_FREE char *path = path_join(dir, "f");
	assert_ok(err, file_write_atomic(path, "one", 3, 0600, &err));
	assert_ok(err, file_write_atomic(path, "two!", 4, 0640, &err));
	AUTO_BUFFER b = BUFFER_INIT;
	assert_ok(err, file_read(path, 100, &b, &err));
	assert_string_equal(buffer_str(&b), "two!");
	assert_error(err, E_INVALID, file_read(path, 3, &b, &err));
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0); /* nothing else was in it */
}

TEST(remove_tree_does_not_follow_links)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *dir = temp_dir(), *kept = temp_dir();
	AUTO_FREE char *deep = path_join(dir, "a/b/c");
	AUTO_FREE char *link = path_join(dir, "a/link");
	AUTO_FREE char *file = path_join(kept, "file");
	assert_ok(err, dir_make(deep, 0700, &err));
	assert_ok(err, file_write_atomic(file, "x", 1, 0600, &err));
	assert_int_equal(symlink(kept, link), 0);
	remove_dir(dir);
	assert_true(file_exists(file));
	remove_dir(kept);
	assert_ok(err, dir_remove_tree("/nonexistent/x", &err));
}

TEST(dir_make_refuses_a_file)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *dir = temp_dir();
	AUTO_FREE char *file = path_join(dir, "file");
	assert_ok(err, file_write_atomic(file, "x", 1, 0600, &err));
	assert_error(err, E_EXISTS, dir_make(file, 0700, &err));
	remove_dir(dir);
}

TEST(paths)
{
	static const char *const cases[][2] = {
		{ "/a/./b//c/../d", "/a/b/d" },
		{ "/../..", "/" },
		{ "a/../..", ".." },
		{ "", "." },
		{ "./a/", "a" },
		{ "../../x", "../../x" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO_FREE char *s = path_clean(cases[i][0]);
		assert_string_equal(s, cases[i][1]);
	}
	AUTO_FREE char *a = path_dirname("/x"), *b = path_dirname("x");
	assert_string_equal(a, "/");
	assert_string_equal(b, ".");
	assert_string_equal(path_basename("/a/b"), "b");
}

TEST(descriptors_travel)
{
	AUTO_ERROR err = ERROR_INIT;
	int pair[2], pipe_fds[2], got[2] = { -1, -1 };
	size_t count = ARRAY_SIZE(got);
	char text[8] = { 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_ok(err, unix_send(pair[0], "hi", 2, &pipe_fds[1], 1, &err));
	assert_int_equal(unix_recv(pair[1], text, sizeof(text), got, &count, &err), 2);
	assert_int_equal(count, 1);
	assert_ok(err, fd_write_full(got[0], "ok", 2, &err));
	assert_ok(err, fd_read_full(pipe_fds[0], text, 2, &err));
	assert_string_equal(text, "ok");
	uid_t uid = 12345;
	assert_ok(err, unix_peer_uid(pair[0], &uid, &err));
	assert_int_equal(uid, getuid());
	for (int i = 0; i < 2; i++) {
		(void)close(pair[i]);
		(void)close(pipe_fds[i]);
	}
	(void)close(got[0]);
}

TEST(surplus_descriptors_are_closed)
{
	AUTO_ERROR err = ERROR_INIT;
	int pair[2], pipe_fds[2];
	size_t none = 0;
	char text[8];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_ok(err, unix_send(pair[0], "x", 1, &pipe_fds[1], 1, &err));
	(void)close(pipe_fds[1]);
	assert_int_equal(unix_recv(pair[1], text, sizeof(text), NULL, &none, &err), 1);
	assert_int_equal(read(pipe_fds[0], text, 1), 0); /* the last write end is gone */
	(void)close(pipe_fds[0]);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

TEST(unix_sockets)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *dir = temp_dir();
	AUTO_FREE char *path = path_join(dir, "s");
	AUTO_CLOSE int server = unix_listen(path, SOCK_STREAM, &err);
	assert_true(server >= 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	AUTO_CLOSE int client = unix_connect(path, SOCK_STREAM, &err);
	assert_true(client >= 0);
	(void)close(take_fd(&server));
	assert_error(err, E_NOT_FOUND, unix_connect(path, SOCK_STREAM, &err));
	char longest[200];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_error(err, E_INVALID, unix_listen(longest, SOCK_STREAM, &err));
	remove_dir(dir);
}

TEST(locks_go_with_their_holder)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *dir = temp_dir();
	AUTO_FREE char *path = path_join(dir, "lock");
	assert_false(lock_is_held(path));
	int fd = lock_file(path, LOCK_TRY, &err);
	assert_true(fd >= 0);
	assert_true(lock_is_held(path));
	assert_error(err, E_CONFLICT, lock_file(path, LOCK_TRY, &err));
	(void)close(fd);
	assert_false(lock_is_held(path));
	remove_dir(dir);
}
