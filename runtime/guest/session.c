/* SPDX-License-Identifier: MIT */
/* Relays a terminal or pipes to one guest process and back. */
/*
 * DOC: Theory of Operation
 *
 * The connection carries one process as STREAM_MAIN. Output is written as far as its reader takes
 * it (session_output.c), and only then is there new credit: a slow reader holds back that channel
 * and so, in the end, the process, but neither the other channel nor input, sizes and signals.
 * Input is read while there is credit for it. A file cannot be watched, it is always ready: it is
 * read from a timer between other events. The session ends when its output is written.
 *
 * The terminal is put into raw mode for the session and restored on every way out, also by a signal
 * that ends or stops us. When it hangs up, so does the process's own: the connection is closed.
 */
#include "runtime/guest/session.h"
#include "runtime/guest/session_output.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/loop.h"
#include "vminitd/protocol/message.h"

enum { SESSION_ENDED = 0, SESSION_BROKEN = 1, SESSION_LEFT = 2 };

struct session {
	const struct session_options *o;
	struct loop *loop;
	int sock;
	struct frame_decoder in;
	struct buffer out;
	struct credit_sender input;
	struct credit_receiver credit[CHANNEL_COUNT];
	struct session_output output[CHANNEL_COUNT]; /* of stdout and stderr */
	bool is_over;                                /* what is left is to be written */
	int end;
	bool input_ended, input_watched, input_is_file, has_source, writes;
	struct detach_keys detach;
	bool is_leaving, has_left;
	bool has_exited;
	uint32_t exit_code;
	struct error *err;
	bool is_raw;
	struct termios cooked, raw;
	int ended_by; /* a signal that is not forwarded */
	struct loop_timer *input_timer;
};

static void on_input(void *arg, uint32_t events);
static void on_socket(void *arg, uint32_t events);

static bool is_written(const struct session *s)
{
	return !session_output_waits(&s->output[CHANNEL_STDOUT]) &&
	       !session_output_waits(&s->output[CHANNEL_STDERR]);
}

/* Nothing more comes; what has come is still written. */
static void end_when_written(struct session *s, int end)
{
	if (s->is_over)
		return;
	s->is_over = true;
	s->end = end;
	loop_unwatch(s->loop, s->sock);
	if (s->input_watched)
		loop_unwatch(s->loop, s->o->stdin_fd);
	s->input_ended = true;
	s->input_watched = false;
	if (is_written(s))
		loop_stop(s->loop, end);
}

static void end_broken(struct session *s, const char *what)
{
	if (!error_is_set(s->err))
		(void)error_set(s->err, E_UNAVAILABLE, "the machine went away: %s", what);
	end_when_written(s, SESSION_BROKEN);
}

static void on_input_timer(void *arg)
{
	struct session *s = arg;

	s->input_timer = NULL;
	on_input(s, EPOLLIN);
}

/* Input is wanted while there is credit and the socket takes what was read before. */
static void arrange_input(struct session *s)
{
	int fd = s->o->stdin_fd;
	bool want = !s->input_ended && s->input.available > 0 && s->out.size == 0;

	if (s->input_ended && !s->input_watched)
		return;
	if (s->input_is_file) {
		if (want && !s->input_timer)
			s->input_timer = loop_after(s->loop, 0, on_input_timer, s);
		return;
	}
	if (want == s->input_watched)
		return;
	s->input_watched = want;
	if (want)
		loop_watch(s->loop, fd, EPOLLIN, on_input, s);
	else
		loop_unwatch(s->loop, fd);
}

static void flush(struct session *s)
{
	if (s->is_over)
		return;
	while (s->out.size > 0) {
		ssize_t n = send(s->sock, s->out.data, s->out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			buffer_clear(&s->out); /* the reading side tells how it ended */
			break;
		}
		buffer_drop(&s->out, (size_t)n);
	}
	bool writes = s->out.size > 0;
	if (writes != s->writes)
		loop_watch(s->loop, s->sock, EPOLLIN | (writes ? EPOLLOUT : 0), on_socket, s);
	s->writes = writes;
	if (s->is_leaving && !writes) {
		s->has_left = true;
		loop_stop(s->loop, SESSION_LEFT);
	}
	arrange_input(s);
}

static void send_input(struct session *s, const char *data, size_t size)
{
	credit_sent(&s->input, size);
	if (size > 0)
		message_add_data(&s->out, STREAM_MAIN, CHANNEL_STDIN, data, size);
}

static void end_input(struct session *s)
{
	/* Less than was typed, which there was credit for. */
	send_input(s, s->detach.keys, s->detach.seen);
	s->detach.seen = 0;
	s->input_ended = true;
	if (!s->o->joins)
		message_add_end_of_file(&s->out, STREAM_MAIN, CHANNEL_STDIN);
}

/* What comes from the keyboard. */
static void type_input(struct session *s, const char *typed, size_t size)
{
	AUTO_BUFFER passed = BUFFER_INIT;

	s->is_leaving = detach_keys_scan(&s->detach, typed, size, &passed);
	send_input(s, buffer_str(&passed), passed.size);
	if (!s->is_leaving)
		return;
	s->input_ended = true;
	message_add_empty(&s->out, MSG_LEAVE, STREAM_MAIN);
}

static void on_input(void *arg, uint32_t events)
{
	struct session *s = arg;
	char chunk[FRAME_DATA_MAX];
	/* What is held back of the detach keys comes on top. */
	size_t free = s->input.available > s->detach.seen ? s->input.available - s->detach.seen : 0;
	size_t room =
		free < sizeof(chunk) - DETACH_KEYS_MAX ? free : sizeof(chunk) - DETACH_KEYS_MAX;

	(void)events;
	if (s->input_ended || room == 0)
		return;
	ssize_t n = s->has_source ? (ssize_t)s->o->io->read(s->o->io->arg, chunk, room)
				  : read(s->o->stdin_fd, chunk, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		end_input(s);
	else
		type_input(s, chunk, (size_t)n);
	flush(s);
}

static void grant(struct session *s, enum msg_channel channel, size_t consumed)
{
	message_add_credit(&s->out, STREAM_MAIN, channel,
			   credit_consumed(&s->credit[channel], consumed));
}

/* A reader took what was waiting for it. */
static void on_written(void *arg, enum msg_channel channel, size_t size)
{
	struct session *s = arg;

	grant(s, channel, size);
	flush(s);
	if (s->is_over && is_written(s))
		loop_stop(s->loop, s->end);
}

static void on_data(struct session *s, const struct frame *f)
{
	if (f->channel != CHANNEL_STDOUT && f->channel != CHANNEL_STDERR)
		return;
	if (!credit_received(&s->credit[f->channel], f->size)) {
		end_broken(s, "its keeper broke the protocol");
		return;
	}
	if (s->o->io) {
		if (!s->o->io->write(s->o->io->arg, (enum msg_channel)f->channel, f->payload,
				     f->size)) {
			s->has_left = true;
			loop_stop(s->loop, SESSION_LEFT);
			return;
		}
		grant(s, (enum msg_channel)f->channel, f->size);
		return;
	}
	grant(s, (enum msg_channel)f->channel,
	      session_output_add(&s->output[f->channel], f->payload, f->size));
}

static void on_credit(struct session *s, const struct frame *f)
{
	struct msg_credit m = { 0 };

	if (f->channel != CHANNEL_STDIN)
		return;
	if (msg_credit_unpack(f->payload, f->size, &m, s->err) < 0 ||
	    !credit_granted(&s->input, m.bytes))
		end_broken(s, "its keeper broke the protocol");
}

static void on_exited(struct session *s, const struct frame *f)
{
	struct msg_exited m = { 0 };

	if (msg_exited_unpack(f->payload, f->size, &m, s->err) < 0) {
		end_broken(s, "its keeper broke the protocol");
		return;
	}
	s->has_exited = true;
	s->exit_code = m.code;
	if (s->o->ret_oom_killed)
		*s->o->ret_oom_killed = m.oom_killed;
	end_when_written(s, SESSION_ENDED);
}

static void on_frame(struct session *s, const struct frame *f)
{
	switch (f->type) {
	case MSG_DATA:
		on_data(s, f);
		break;
	case MSG_CREDIT:
		on_credit(s, f);
		break;
	case MSG_END_OF_FILE:
		if (f->channel == CHANNEL_STDIN) /* the process reads no more */
			s->input_ended = true;
		break;
	case MSG_EXITED:
		on_exited(s, f);
		break;
	default:
		break;
	}
}

static void on_socket(void *arg, uint32_t events)
{
	struct session *s = arg;
	char chunk[64 * 1024];
	struct frame f;
	int r;

	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		ssize_t n = recv(s->sock, chunk, sizeof(chunk), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			end_broken(s, "the connection to its keeper closed");
			return;
		}
		if (n > 0)
			frame_decoder_add(&s->in, chunk, (size_t)n);
	}
	while (!s->is_over && !loop_is_stopped(s->loop, NULL)) {
		r = frame_decoder_next(&s->in, &f, s->err);
		if (r < 0)
			end_broken(s, "its keeper broke the protocol");
		if (r <= 0)
			break;
		on_frame(s, &f);
	}
	flush(s);
}

static void on_signal(void *arg, int sig)
{
	struct session *s = arg;
	struct msg_signal m = { (uint32_t)sig };
	AUTO_ERROR err = ERROR_INIT;

	if (!s->o->forward_signals || (sig == SIGHUP && s->o->tty) || s->is_over) {
		s->ended_by = sig;
		loop_stop(s->loop, SESSION_BROKEN);
		return;
	}
	if (msg_signal_add(&s->out, MSG_SIGNAL, STREAM_MAIN, &m, &err) < 0)
		error_ignore(&err, "forward a signal");
	flush(s);
}

bool session_terminal_size(int stdin_fd, int stdout_fd, uint32_t *ret_rows, uint32_t *ret_columns)
{
	struct winsize size;

	if ((ioctl(stdin_fd, TIOCGWINSZ, &size) < 0 && ioctl(stdout_fd, TIOCGWINSZ, &size) < 0) ||
	    size.ws_row == 0 || size.ws_col == 0)
		return false;
	*ret_rows = size.ws_row;
	*ret_columns = size.ws_col;
	return true;
}

static void send_size(struct session *s, bool redraw)
{
	struct msg_resize m;
	AUTO_ERROR err = ERROR_INIT;

	if (!session_terminal_size(s->o->stdin_fd, s->o->stdout_fd, &m.rows, &m.columns))
		return;
	/* A terminal whose size is set to what it is tells nobody. */
	struct msg_resize other = { m.rows + 1, m.columns };
	if ((redraw && msg_resize_add(&s->out, MSG_RESIZE, STREAM_MAIN, &other, &err) < 0) ||
	    msg_resize_add(&s->out, MSG_RESIZE, STREAM_MAIN, &m, &err) < 0)
		error_ignore(&err, "send the size of the terminal");
}

static void on_resize(void *arg, int sig)
{
	(void)sig;
	send_size(arg, false);
	flush(arg);
}

static void set_mode(struct session *s, const struct termios *mode)
{
	if (s->is_raw)
		(void)tcsetattr(s->o->stdin_fd, TCSADRAIN, mode);
}

static void on_stop(void *arg, int sig)
{
	struct session *s = arg;

	(void)sig;
	set_mode(s, &s->cooked);
	(void)raise(SIGSTOP);
}

/* Whoever stopped us may have used the terminal for something else, and changed its size. */
static void on_continue(void *arg, int sig)
{
	struct session *s = arg;

	(void)sig;
	set_mode(s, &s->raw);
	send_size(s, true);
	flush(s);
}

static void enter_raw_mode(struct session *s)
{
	if (s->o->stdin_fd < 0 || tcgetattr(s->o->stdin_fd, &s->cooked) < 0)
		return;
	s->raw = s->cooked;
	cfmakeraw(&s->raw);
	s->is_raw = true;
	set_mode(s, &s->raw);
}

static bool is_file(int fd)
{
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

static bool is_null_device(int fd)
{
	struct stat a, b;
	return fstat(fd, &a) == 0 && stat("/dev/null", &b) == 0 && S_ISCHR(a.st_mode) &&
	       a.st_rdev == b.st_rdev;
}

static void open_outputs(struct session *s)
{
	const int fds[] = {
		[CHANNEL_STDOUT] = s->o->stdout_fd, [CHANNEL_STDERR] = s->o->stderr_fd
	};

	for (int i = 0; i < CHANNEL_COUNT; i++) {
		bool is_used = i != CHANNEL_STDIN && !s->o->io;

		session_output_open(&s->output[i], s->loop, (enum msg_channel)i,
				    is_used ? fds[i] : -1, on_written, s);
		s->credit[i] = CREDIT_RECEIVER_INIT;
	}
}

static void begin(struct session *s)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

	if (s->o->forward_signals || s->o->tty || s->o->io)
		for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
			loop_on_signal(s->loop, signals[i], on_signal, s);
	if (s->o->tty) {
		loop_on_signal(s->loop, SIGWINCH, on_resize, s);
		loop_on_signal(s->loop, SIGTSTP, on_stop, s);
		loop_on_signal(s->loop, SIGCONT, on_continue, s);
		s->detach = s->o->detach;
		enter_raw_mode(s);
		send_size(s, s->o->joins);
	}
	s->has_source = s->o->io && s->o->io->read;
	/* None of them can be watched. */
	s->input_is_file =
		s->has_source || (s->o->stdin_fd >= 0 &&
				  (is_file(s->o->stdin_fd) || is_null_device(s->o->stdin_fd)));
	if (s->o->stdin_fd < 0 && !s->has_source)
		end_input(s);
	loop_watch(s->loop, s->sock, EPOLLIN, on_socket, s);
	flush(s);
}

int session_run(int sock, const struct session_options *o, int *ret_exit_code, struct error *err)
{
	CLEANUP(loop_free_p) struct loop *loop = loop_new();
	struct session s = {
		.o = o, .loop = loop, .sock = sock, .input = CREDIT_SENDER_INIT, .err = err
	};
	sigset_t before;

	open_outputs(&s);
	frame_decoder_init(&s.in, FRAME_SOCKET);
	(void)sigprocmask(SIG_SETMASK, NULL, &before);
	begin(&s);
	while (!loop_is_stopped(loop, NULL))
		loop_turn(loop, -1);
	set_mode(&s, &s.cooked);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	frame_decoder_release(&s.in);
	(void)close(sock);
	buffer_release(&s.out);
	for (int i = 0; i < CHANNEL_COUNT; i++)
		session_output_close(&s.output[i]);
	if (s.has_exited && !s.ended_by) {
		*ret_exit_code = (int)(s.exit_code & 0xff);
		return 0;
	}
	if (s.has_left)
		return SESSION_DETACHED;
	if (s.ended_by) {
		if (!o->io)
			(void)raise(s.ended_by);
		return error_set(err, E_CANCELED, "ended by signal %d", s.ended_by);
	}
	return -(int)err->code;
}
