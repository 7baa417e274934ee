/* SPDX-License-Identifier: MIT */
/* A client's session against a keeper's end played by a child process. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "runtime/guest/session.h"
#include "tests/unit/test.h"
#include "vminitd/protocol/message.h"

/* An echo: what comes on stdin goes to stdout; at its end to stderr the count, and exit code 42. */
static void play_echo(int sock)
{
	struct frame_decoder d;
	struct frame f;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER out = BUFFER_INIT;
	char chunk[4096];
	ssize_t n;
	struct msg_exited exited = { 42, false };

	frame_decoder_init(&d, FRAME_SOCKET);
	while ((n = read(sock, chunk, sizeof(chunk))) > 0) {
		frame_decoder_add(&d, chunk, (size_t)n);
		while (frame_decoder_next(&d, &f, &err) > 0) {
			if (f.type == MSG_DATA) {
				message_add_data(&out, STREAM_MAIN, CHANNEL_STDOUT, f.payload,
						 f.size);
				message_add_credit(&out, STREAM_MAIN, CHANNEL_STDIN,
						   (uint32_t)f.size);
			} else if (f.type == MSG_END_OF_FILE) {
				message_add_data(&out, STREAM_MAIN, CHANNEL_STDERR, "bye\n", 4);
				if (msg_exited_add(&out, MSG_EXITED, STREAM_MAIN, &exited, &err) <
				    0)
					_exit(1);
			}
		}
		if (out.size > 0 && fd_write_full(sock, out.data, out.size, &err) < 0)
			_exit(1);
		buffer_clear(&out);
	}
	_exit(0);
}

static void play_death(int sock)
{
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	message_add_data(&out, STREAM_MAIN, CHANNEL_STDOUT, "last", 4);
	if (fd_write_full(sock, out.data, out.size, &err) < 0)
		_exit(1);
	_exit(0);
}

static pid_t play(void (*part)(int), int *ret_sock)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(pair[0]);
		part(pair[1]);
	}
	(void)close(pair[1]);
	*ret_sock = pair[0];
	return pid;
}

static int temp_file(void)
{
	char name[] = "/tmp/ctrz-session-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	return fd;
}

static void assert_content(int fd, const char *want)
{
	AUTO_BUFFER got = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_ok(err, fd_read_all(fd, &got, 1 << 20, &err));
	assert_string_equal(buffer_str(&got), want);
}

static void echo_from(int stdin_fd, const char *want)
{
	AUTO_CLOSE int out = temp_file();
	AUTO_CLOSE int errors = temp_file();
	struct session_options o = { .stdin_fd = stdin_fd, .stdout_fd = out, .stderr_fd = errors };
	AUTO_ERROR err = ERROR_INIT;
	int sock, code = -1;

	pid_t pid = play(play_echo, &sock);
	assert_ok(err, session_run(sock, &o, &code, &err));
	assert_int_equal(code, 42);
	assert_content(out, want);
	assert_content(errors, "bye\n");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

TEST(pipes_files_and_nothing_as_input)
{
	int pipe_fds[2];
	AUTO_CLOSE int file = temp_file();
	AUTO_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(write(pipe_fds[1], "through a pipe", 14), 14);
	(void)close(pipe_fds[1]);
	echo_from(pipe_fds[0], "through a pipe");
	(void)close(pipe_fds[0]);
	assert_int_equal(write(file, "from a file", 11), 11);
	assert_int_equal(lseek(file, 0, SEEK_SET), 0);
	echo_from(file, "from a file");
	echo_from(null, "");
	echo_from(-1, "");
}

TEST(a_machine_that_goes_away_is_told_after_its_output)
{
	AUTO_CLOSE int out = temp_file();
	struct session_options o = { .stdin_fd = -1, .stdout_fd = out, .stderr_fd = out };
	AUTO_ERROR err = ERROR_INIT;
	int sock, code = -1;

	pid_t pid = play(play_death, &sock);
	assert_int_equal(session_run(sock, &o, &code, &err), -E_UNAVAILABLE);
	assert_int_equal(code, -1);
	assert_content(out, "last");
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Tells on stdout what it is told; ends when it is left, or the other end is gone. */
static void play_teller(int sock)
{
	struct frame_decoder d;
	struct frame f;
	AUTO_ERROR err = ERROR_INIT;
	char chunk[4096];
	ssize_t n;
	bool is_left = false;

	(void)signal(SIGPIPE, SIG_IGN);
	frame_decoder_init(&d, FRAME_SOCKET);
	while (!is_left && (n = read(sock, chunk, sizeof(chunk))) > 0) {
		AUTO_BUFFER out = BUFFER_INIT;

		frame_decoder_add(&d, chunk, (size_t)n);
		while (frame_decoder_next(&d, &f, &err) > 0) {
			is_left = is_left || f.type == MSG_LEAVE;
			AUTO_BUFFER text = BUFFER_INIT;
			buffer_printf(&text, "%s(%.*s) ", message_type_name(f.type),
				      f.type == MSG_DATA ? (int)f.size : 0,
				      (const char *)f.payload);
			message_add_data(&out, STREAM_MAIN, CHANNEL_STDOUT, text.data, text.size);
		}
		/* A session that is gone may have said before that it leaves. */
		if (out.size > 0 && fd_write_full(sock, out.data, out.size, &err) < 0)
			error_clear(&err);
	}
	frame_decoder_release(&d);
	_exit(is_left ? 7 : 8);
}

static int open_terminal(int *ret_slave)
{
	struct winsize size = { .ws_row = 30, .ws_col = 90 };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(master >= 0);
	assert_int_equal(grantpt(master), 0);
	assert_int_equal(unlockpt(master), 0);
	*ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(*ret_slave >= 0);
	assert_int_equal(ioctl(*ret_slave, TIOCSWINSZ, &size), 0);
	return master;
}

/* A child that types once the terminal is raw, and then sends its parent a signal. */
static pid_t type_when_raw(int master, int slave, const char *keys, int sig)
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	for (int i = 0; i < 3000; i++) {
		struct termios mode;
		if (tcgetattr(slave, &mode) == 0 && !(mode.c_lflag & ICANON))
			break;
		(void)usleep(10000);
	}
	if (write(master, keys, strlen(keys)) < 0)
		_exit(1);
	if (sig)
		(void)kill(parent, sig);
	_exit(0);
}

/* Return: what session_run() returned with a terminal in which @keys are typed */
static int run_terminal(struct session_options *o, const char *keys, int sig, int *ret_peer_exit,
			struct error *err)
{
	struct termios before, after;
	int slave = -1, sock, code = -1, status;
	AUTO_CLOSE int master = open_terminal(&slave);

	assert_int_equal(tcgetattr(slave, &before), 0);
	o->tty = true;
	o->stdin_fd = slave;
	o->stderr_fd = o->stdout_fd;
	pid_t peer = play(play_teller, &sock);
	pid_t typist = type_when_raw(master, slave, keys, sig);
	int r = session_run(sock, o, &code, err);
	assert_int_equal(tcgetattr(slave, &after), 0);
	assert_int_equal(after.c_lflag, before.c_lflag);
	assert_int_equal(after.c_iflag, before.c_iflag);
	assert_int_equal(after.c_oflag, before.c_oflag);
	assert_memory_equal(after.c_cc, before.c_cc, sizeof(before.c_cc));
	assert_int_equal(waitpid(typist, NULL, 0), typist);
	assert_int_equal(waitpid(peer, &status, 0), peer);
	*ret_peer_exit = WEXITSTATUS(status);
	(void)close(slave);
	return r;
}

TEST(detach_keys_leave_the_process_and_restore_the_terminal)
{
	AUTO_CLOSE int out = temp_file();
	struct session_options o = { .stdout_fd = out, .joins = true };
	AUTO_ERROR err = ERROR_INIT;
	int peer;

	assert_ok(err, detach_keys_parse("ctrl-p,ctrl-q", &o.detach, &err));
	assert_int_equal(run_terminal(&o, "a\x10z\x10\x11", 0, &peer, &err), SESSION_DETACHED);
	assert_int_equal(peer, 7);
}

static void catch (int sig)
{
	(void)sig;
}

/* A terminal that hangs up takes the session with it, and does not signal the process. */
TEST(a_hangup_ends_the_session_and_restores_the_terminal)
{
	AUTO_CLOSE int out = temp_file();
	struct session_options o = { .stdout_fd = out, .forward_signals = true };
	struct sigaction caught = { .sa_handler = catch }, before;
	AUTO_ERROR err = ERROR_INIT;
	int peer;

	assert_int_equal(sigaction(SIGHUP, &caught, &before), 0);
	assert_int_equal(run_terminal(&o, "x", SIGHUP, &peer, &err), -E_CANCELED);
	assert_int_equal(peer, 8);
	assert_int_equal(sigaction(SIGHUP, &before, NULL), 0);
}

enum { FLOOD = 200 * 1024 };

/* More output than a pipe holds, then a word of error, then the end: all before anything is read.
 */
static void play_flood(int sock)
{
	static char data[FRAME_DATA_MAX];
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct msg_exited exited = { 3, false };
	char chunk[4096];

	for (size_t sent = 0; sent < FLOOD;) {
		size_t n = FLOOD - sent < sizeof(data) ? FLOOD - sent : sizeof(data);
		message_add_data(&out, STREAM_MAIN, CHANNEL_STDOUT, data, n);
		sent += n;
	}
	message_add_data(&out, STREAM_MAIN, CHANNEL_STDERR, "heard", 5);
	if (msg_exited_add(&out, MSG_EXITED, STREAM_MAIN, &exited, &err) < 0 ||
	    fd_write_full(sock, out.data, out.size, &err) < 0)
		_exit(1);
	while (read(sock, chunk, sizeof(chunk)) > 0)
		;
	_exit(0);
}

/* Reads @out only when the error has come. Exits 0 if all of both did. */
static pid_t read_errors_first(const int out[2], const int errors[2])
{
	char chunk[4096];
	size_t got = 0;
	ssize_t n;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	(void)alarm(60);
	(void)close(out[1]);
	(void)close(errors[1]);
	if (read(errors[0], chunk, 5) != 5)
		_exit(1);
	while ((n = read(out[0], chunk, sizeof(chunk))) > 0)
		got += (size_t)n;
	_exit(got == FLOOD ? 0 : 2);
}

static void flood_through(const int out[2], const int errors[2])
{
	struct session_options o = { .stdin_fd = -1, .stdout_fd = out[1], .stderr_fd = errors[1] };
	AUTO_ERROR err = ERROR_INIT;
	int sock, code = -1, status = -1;
	int flags = fcntl(out[1], F_GETFL);

	pid_t reader = read_errors_first(out, errors);
	pid_t peer = play(play_flood, &sock);
	assert_ok(err, session_run(sock, &o, &code, &err));
	assert_int_equal(code, 3);
	/* Whoever shares it finds it as it was. */
	assert_int_equal(fcntl(out[1], F_GETFL), flags);
	(void)close(out[1]);
	(void)close(errors[1]);
	assert_int_equal(waitpid(peer, NULL, 0), peer);
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
	(void)close(out[0]);
	(void)close(errors[0]);
}

TEST(a_reader_that_stands_still_holds_back_nobody_else)
{
	int out[2], errors[2];

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
	flood_through(out, errors);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
	assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
	flood_through(out, errors);
}

TEST(output_that_nobody_reads_is_dropped_and_the_exit_code_kept)
{
	int out[2], errors[2], sock, code = -1;
	AUTO_ERROR err = ERROR_INIT;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(errors, O_CLOEXEC), 0);
	(void)close(out[0]);
	(void)signal(SIGPIPE, SIG_IGN);
	struct session_options o = { .stdin_fd = -1, .stdout_fd = out[1], .stderr_fd = errors[1] };
	pid_t peer = play(play_flood, &sock);
	assert_ok(err, session_run(sock, &o, &code, &err));
	(void)signal(SIGPIPE, SIG_DFL);
	assert_int_equal(code, 3);
	(void)close(out[1]);
	(void)close(errors[0]);
	(void)close(errors[1]);
	assert_int_equal(waitpid(peer, NULL, 0), peer);
}
