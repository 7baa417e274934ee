/* SPDX-License-Identifier: MIT */
/* The jail: which libraries a program needs, and what a process in there sees. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "runtime/machine/jail.h"
#include "runtime/machine/jail_libraries.h"
#include "tests/unit/test.h"

TEST(libraries_of_a_dynamic_program)
{
	struct jail_libraries l = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, jail_libraries_add(&l, "/bin/sh", &err));
	assert_true(strlist_has(&l.names, "libc.so.6"));
	assert_non_null(l.interpreter);
	assert_false(strlist_has(&l.names, path_basename(l.interpreter)));
	assert_int_equal(l.names.count, l.paths.count);
	for (size_t i = 0; i < l.paths.count; i++)
		assert_true(file_exists(l.paths.items[i]));
	jail_libraries_release(&l);
}

TEST(what_is_no_program_is_refused)
{
	struct jail_libraries l = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	assert_error(err, E_INVALID, jail_libraries_add(&l, "/etc/passwd", &err));
	assert_error(err, E_NOT_FOUND, jail_libraries_add(&l, "/no/such/file", &err));
	jail_libraries_release(&l);
}

/* Runs a shell command in a jail, which finds a line in its memory once it has read one of
 * descriptor 4; its output. */
static void run_in_jail(bool kvm, const char *script, struct buffer *out)
{
	char root[] = "/tmp/ctrz-jail-XXXXXX", text[] = "/tmp/ctrz-jail-file-XXXXXX";
	const char *argv[] = { "/bin/sh", "-c", script, NULL };
	const char *env[] = { "LD_LIBRARY_PATH=" JAIL_LIBRARY_DIR, NULL };
	struct process p = PROCESS_INIT;
	AUTO_ERROR err = ERROR_INIT;
	int pipe_fds[2], go[2], status = -1;

	assert_non_null(mkdtemp(root));
	AUTO_CLOSE int file = mkstemp(text);
	assert_true(file >= 0 && write(file, "given\n", 6) == 6 && fchmod(file, 0644) == 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	struct jail_file files[] = { { text, "/data/file", false } };
	struct jail j = { .mount_point = root,
			  .program = "/bin/sh",
			  .argv = argv,
			  .env = env,
			  .files = files,
			  .file_count = 1,
			  .memory_bytes = 3 << 20,
			  .more_bytes = 2 << 20,
			  .kvm = kvm,
			  .stderr_fd = 2,
			  .fds = { pipe_fds[1], go[0] },
			  .fd_count = 2 };
	AUTO_CLOSE int memory = -1;
	assert_ok(err, jail_spawn(&j, &memory, &p, &err));
	assert_int_equal(lseek(memory, 0, SEEK_END), 3 << 20);
	assert_int_equal(pwrite(memory, "from outside\n", 13, 0), 13);
	(void)close(go[0]);
	(void)close(go[1]);
	(void)close(pipe_fds[1]);
	assert_ok(err, fd_read_all(pipe_fds[0], out, 65536, &err));
	(void)close(pipe_fds[0]);
	assert_ok(err, process_wait(&p, 10000, &status, &err));
	assert_int_equal(status, 0);
	assert_int_equal(rmdir(root), 0);
	assert_int_equal(unlink(text), 0);
}

TEST(a_jailed_process_sees_only_its_own)
{
	AUTO_BUFFER out = BUFFER_INIT;

	run_in_jail(false,
		    "echo /* /data/* >&3; read x < /data/file; echo $x >&3;"
		    "(echo no > /data/file) 2>/dev/null && echo written >&3;"
		    "(echo no > /new) 2>/dev/null && echo created >&3;"
		    "(echo no > /memory/new) 2>/dev/null && echo created >&3;"
		    "read x <&4; read x < /memory/ram; echo $x >&3;"
		    "echo new > /memory/ram; read x < /memory/ram; echo $x >&3;"
		    "echo later > /memory/more; read x < /memory/more; echo /memory/* $x >&3;"
		    "echo pid $$ >&3; exit 0",
		    &out);
	assert_string_equal(buffer_str(&out),
			    "/bin /data /lib /lib64 /memory /data/file\ngiven\nfrom outside\nnew\n"
			    "/memory/more /memory/ram later\npid 1\n");
}

TEST(a_missing_file_is_told)
{
	char root[] = "/tmp/ctrz-jail-XXXXXX";
	const char *argv[] = { "/bin/sh", NULL };
	struct jail_file files[] = { { "/no/such/file", "/data/file", false } };
	struct jail j = { .program = "/bin/sh",
			  .argv = argv,
			  .env = argv + 1,
			  .files = files,
			  .file_count = 1,
			  .stderr_fd = 2 };
	struct process p = PROCESS_INIT;
	AUTO_ERROR err = ERROR_INIT;

	assert_non_null(mkdtemp(root));
	j.mount_point = root;
	assert_error(err, E_NOT_FOUND, jail_spawn(&j, NULL, &p, &err));
	files[0].source = "/etc/passwd";
	j.mount_point = "/no/such/folder";
	assert_int_equal(jail_spawn(&j, NULL, &p, &err), -E_NOT_FOUND);
	assert_non_null(strstr(error_message(&err), "tmpfs"));
	assert_int_equal(rmdir(root), 0);
}

TEST(kvm_is_in_reach_where_it_is_asked_for)
{
	AUTO_BUFFER out = BUFFER_INIT;

	if (access("/dev/kvm", R_OK | W_OK) < 0)
		skip();
	run_in_jail(true, "(: <>/dev/kvm) && echo opened >&3; exit 0", &out);
	assert_string_equal(buffer_str(&out), "opened\n");
}
