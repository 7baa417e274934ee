/* SPDX-License-Identifier: MIT */
/* Child processes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/process.h"
#include "tests/unit/test.h"

TEST(run_collects_output)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER out = BUFFER_INIT;
	assert_ok(err,
		  process_run((const char *const[]){ "echo", "hello", NULL }, &out, 100, &err));
	assert_string_equal(buffer_str(&out), "hello\n");
}

TEST(run_reports_failure_with_last_words)
{
	AUTO_ERROR err = ERROR_INIT;
	const char *const argv[] = { "sh", "-c", "echo first >&2; echo 'last words' >&2; exit 3",
				     NULL };
	assert_int_equal(process_run(argv, NULL, 100, &err), -E_SYSTEM);
	assert_string_equal(error_message(&err), "'sh' failed with status 3: last words");
}

TEST(run_bounds_output)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER out = BUFFER_INIT;
	const char *const argv[] = { "cat", "/dev/zero", NULL };
	assert_int_equal(process_run(argv, &out, 100000, &err), -E_INVALID);
}

TEST(missing_program_is_reported_at_once)
{
	AUTO_ERROR err = ERROR_INIT;
	struct process_options o = PROCESS_OPTIONS_INIT;
	struct process p = PROCESS_INIT;
	o.argv = (const char *const[]){ "no-such-program-here", NULL };
	assert_error(err, E_NOT_FOUND, process_spawn(&o, &p, &err));
	o.argv = (const char *const[]){ "/etc/passwd", NULL };
	assert_error(err, E_DENIED, process_spawn(&o, &p, &err));
}

static int fail_before_exec(void *arg)
{
	errno = *(int *)arg;
	return -1;
}

TEST(before_exec_can_refuse)
{
	AUTO_ERROR err = ERROR_INIT;
	int number = EACCES;
	struct process_options o = PROCESS_OPTIONS_INIT;
	struct process p = PROCESS_INIT;
	o.argv = (const char *const[]){ "true", NULL };
	o.before_exec = fail_before_exec;
	o.arg = &number;
	assert_error(err, E_DENIED, process_spawn(&o, &p, &err));
}

TEST(descriptors_arrive_in_order)
{
	AUTO_ERROR err = ERROR_INIT;
	int a[2], b[2], status = -1;
	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	struct process_options o = PROCESS_OPTIONS_INIT;
	struct process p = PROCESS_INIT;
	/* 4 reads nothing more than what 3 got: proves both places; ls shows that no other
	 * descriptor leaked. */
	o.argv = (const char *const[]){
		"sh", "-c", "echo three >&3; echo four >&4; set -- /proc/self/fd/*; echo $# >&4",
		NULL
	};
	o.fds[0] = b[1];
	o.fds[1] = a[1];
	o.fd_count = 2;
	assert_ok(err, process_spawn(&o, &p, &err));
	assert_ok(err, process_wait(&p, 10000, &status, &err));
	assert_int_equal(status, 0);
	char text[32] = { 0 };
	(void)close(a[1]);
	(void)close(b[1]);
	assert_int_equal(read(b[0], text, sizeof(text)), 6);
	assert_memory_equal(text, "three\n", 6);
	ssize_t n = read(a[0], text, sizeof(text));
	assert_int_equal(n, 7);
	assert_memory_equal(text, "four\n6\n", 7); /* 0 1 2 3 4 and the folder itself */
	(void)close(a[0]);
	(void)close(b[0]);
}

TEST(signals_and_time_limits)
{
	AUTO_ERROR err = ERROR_INIT;
	struct process_options o = PROCESS_OPTIONS_INIT;
	struct process p = PROCESS_INIT;
	int status = 0;
	o.argv = (const char *const[]){ "sleep", "100", NULL };
	o.die_with_parent = true;
	o.new_session = true;
	assert_ok(err, process_spawn(&o, &p, &err));
	assert_error(err, E_TIMEOUT, process_wait(&p, 10, &status, &err));
	process_kill(&p, SIGTERM);
	assert_ok(err, process_wait(&p, 10000, &status, &err));
	assert_int_equal(status, 128 + SIGTERM);
	assert_int_equal(p.pidfd, -1);
	process_end(&p, 10);
}

TEST(environment_is_an_allow_list)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER out = BUFFER_INIT;
	assert_int_equal(setenv("SECRET_TOKEN", "x", 1), 0);
	assert_int_equal(setenv("CTRZ_SEEN", "y", 1), 0);
	assert_ok(err, process_run((const char *const[]){ "env", NULL }, &out, 100000, &err));
	assert_null(strstr(buffer_str(&out), "SECRET_TOKEN"));
	assert_non_null(strstr(buffer_str(&out), "CTRZ_SEEN=y"));
	assert_int_equal(unsetenv("SECRET_TOKEN"), 0);
}

TEST(ask_gives_the_question_and_takes_the_answer_in_time)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER question = BUFFER_INIT;
	AUTO_BUFFER answer = BUFFER_INIT;
	const char *const echo[] = { "cat", NULL };
	const char *const deaf[] = { "sh", "-c", "exec <&-; echo no; exit 3", NULL };
	const char *const slow[] = { "sleep", "100", NULL };
	int status = -1;

	buffer_printf(&question, "what?\n");
	assert_ok(err, process_ask(echo, &question, 100, 10000, &answer, &status, &err));
	assert_string_equal(buffer_str(&answer), "what?\n");
	assert_int_equal(status, 0);
	buffer_clear(&answer);
	assert_ok(err, process_ask(deaf, &question, 100, 10000, &answer, &status, &err));
	assert_string_equal(buffer_str(&answer), "no\n");
	assert_int_equal(status, 3);
	assert_error(err, E_TIMEOUT, process_ask(slow, &question, 100, 10, &answer, &status, &err));
}
