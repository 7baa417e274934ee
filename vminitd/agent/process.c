/* SPDX-License-Identifier: MIT */
/* Starting, feeding, draining and reaping the container's processes. */
/*
 * DOC: Theory of Operation
 *
 * A process begins with a fork whose child reports over a socket pair: a failure, its terminal, or
 * - by the end of file that exec makes - that it runs. It is in the list before it is forked, so
 * that no end is missed. Output is read only while the stream has credit and the port is not busy;
 * a stream without credit is not watched, so one slow client stops nobody else. A process is over
 * when it is reaped, its report is closed, and its output is drained; should a grandchild hold a
 * pipe open, then LINGER_MS after the end what is empty is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "vminitd/agent/phases.h"
#include "vminitd/agent/process.h"
#include "vminitd/agent/stats.h"
#include "vminitd/agent/sysfile.h"

enum { PROCESSES_MAX = 1024, LINGER_MS = 500, READS_AT_ONCE = 4 };

struct output {
	struct process *process;
	enum msg_channel channel;
	int fd; /* -1 = ended */
	bool watched;
	struct credit_sender credit;
};

struct input {
	int fd; /* -1 = nobody reads */
	struct buffer pending;
	bool ending; /* the end of file comes after what is pending */
	struct credit_receiver credit;
};

struct process {
	struct processes *all;
	struct process *next;
	uint32_t stream; /* STREAM_NONE = whoever asked for it is gone: nobody is told anything */
	pid_t pid;
	bool is_main, tty;
	bool is_socket; /* a connection: there is nobody to be reaped */
	bool started;   /* told the host so */
	bool cancelled;
	char *failure; /* owned; why it did not start. Told when it is reaped: then a next try can
			  succeed */
	enum spawn_failure failure_kind;
	bool reaped;
	bool lingered; /* no longer waits for grandchildren */
	int status;
	int killed_for; /* the signal that was sent as SIGKILL, see send_signal(); 0 = none */
	int report;     /* -1 = closed */
	struct input in;
	struct output out[2];
	struct loop_timer *linger;
	uint64_t oom_kills; /* of the container, at the start */
};

void processes_init(struct processes *ps, struct loop *loop, struct port *port,
		    struct container *container)
{
	*ps = (struct processes){ .loop = loop, .port = port, .container = container };
}

pid_t processes_main_pid(const struct processes *ps)
{
	return ps->main ? ps->main->pid : 0;
}

static struct process *find(const struct processes *ps, uint32_t stream)
{
	struct process *p = ps->list;

	while (p && p->stream != stream)
		p = p->next;
	return stream == STREAM_NONE ? NULL : p;
}

static void close_watched(struct processes *ps, int *fd)
{
	if (*fd < 0)
		return;
	loop_unwatch(ps->loop, *fd);
	(void)close(take_fd(fd));
}

static void send_end_of_file(struct process *p, enum msg_channel channel)
{
	if (p->stream != STREAM_NONE)
		message_add_end_of_file(port_out(p->all->port), p->stream, channel);
}

static void send_failed(struct processes *ps, uint32_t stream, enum spawn_failure kind,
			const char *text)
{
	AUTO_FREE char *cut = xstrndup(text, LAUNCH_TEXT_MAX);
	struct msg_spawn_failed m = { .kind = kind, .text = cut };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_spawn_failed_add(port_out(ps->port), MSG_SPAWN_FAILED, stream, &m, &err) < 0)
		error_ignore(&err, "report a failed start");
}

static void destroy(struct process *p)
{
	struct processes *ps = p->all;
	struct process **at = &ps->list;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	ps->count--;
	if (ps->main == p)
		ps->main = NULL;
	loop_cancel(ps->loop, p->linger);
	close_watched(ps, &p->report);
	close_watched(ps, &p->in.fd);
	close_watched(ps, &p->out[0].fd);
	close_watched(ps, &p->out[1].fd);
	buffer_release(&p->in.pending);
	free(p->failure);
	free(p);
}

static void send_exited(struct process *p)
{
	AUTO_ERROR err = ERROR_INIT;
	struct msg_exited m = { 0 };

	if (WIFSIGNALED(p->status)) {
		int sig = WTERMSIG(p->status);
		m.oom_killed = sig == SIGKILL && stats_oom_kills() > p->oom_kills;
		m.code = 128U + (unsigned)(sig == SIGKILL && p->killed_for ? p->killed_for : sig);
	} else {
		m.code = (unsigned)WEXITSTATUS(p->status);
	}
	if (msg_exited_add(port_out(p->all->port), MSG_EXITED, p->stream, &m, &err) < 0)
		error_ignore(&err, "report an end");
}

static void on_output(void *arg, uint32_t events);

static void watch_output(struct output *o)
{
	struct processes *ps = o->process->all;
	bool want = o->fd >= 0 && o->process->started && o->credit.available > 0 &&
		    !port_is_busy(ps->port);

	if (want == o->watched)
		return;
	o->watched = want;
	if (want)
		loop_watch(ps->loop, o->fd, EPOLLIN, on_output, o);
	else
		loop_unwatch(ps->loop, o->fd);
}

static void end_output(struct output *o)
{
	close_watched(o->process->all, &o->fd);
	o->watched = false;
	send_end_of_file(o->process, o->channel);
}

static bool is_empty(const struct output *o)
{
	int bytes = 0;

	return ioctl(o->fd, FIONREAD, &bytes) < 0 || bytes == 0;
}

static void on_linger(void *arg);

/* Whether the process is over and gone from the list. */
static bool check_end(struct process *p)
{
	if (!p->reaped || p->report >= 0)
		return false;
	for (int i = 0; p->lingered && i < 2; i++)
		if (p->out[i].fd >= 0 && is_empty(&p->out[i]))
			end_output(&p->out[i]);
	bool is_open = p->out[0].fd >= 0 || p->out[1].fd >= 0 || (p->is_socket && p->in.fd >= 0);
	if (is_open) {
		if (!p->is_socket && !p->linger && !p->lingered)
			p->linger = loop_after(p->all->loop, LINGER_MS, on_linger, p);
		return false;
	}
	if (p->stream != STREAM_NONE && p->failure)
		send_failed(p->all, p->stream, p->failure_kind, p->failure);
	else if (p->stream != STREAM_NONE)
		send_exited(p);
	destroy(p);
	return true;
}

static void on_linger(void *arg)
{
	struct process *p = arg;
	struct port *port = p->all->port;

	p->linger = NULL;
	p->lingered = true;
	(void)check_end(p);
	port_flush(port);
}

static void on_input(void *arg, uint32_t events);
static void end_input(struct process *p);

/* Whether the other end has closed both directions. */
static bool is_hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

/* Return: as read() */
static ssize_t read_output(struct output *o)
{
	struct process *p = o->process;
	size_t room = o->credit.available < FRAME_DATA_MAX ? o->credit.available : FRAME_DATA_MAX;
	ssize_t n =
		message_add_read_data(port_out(p->all->port), p->stream, o->channel, o->fd, room);

	if (n > 0)
		credit_sent(&o->credit, (size_t)n);
	return n;
}

static void on_output(void *arg, uint32_t events)
{
	struct output *o = arg;
	struct process *p = o->process;
	struct port *port = p->all->port;
	ssize_t n = read_output(o);

	(void)events;
	/* A few at once, so that others wait no longer than for that. */
	for (int i = 1; i < READS_AT_ONCE && n == FRAME_DATA_MAX && o->credit.available > 0 &&
			!port_is_busy(port);
	     i++)
		n = read_output(o);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		/* A terminal says EIO when the last one has closed it. */
		bool is_gone = p->is_socket && (n < 0 || is_hung_up(o->fd));

		end_output(o);
		if (is_gone && p->in.fd >= 0) {
			end_input(p);
			send_end_of_file(p, CHANNEL_STDIN);
		}
	}
	port_flush(port);
	watch_output(o);
	(void)check_end(p);
}

static void end_input(struct process *p)
{
	/* The other direction goes on, on another descriptor. */
	if (p->is_socket && p->in.fd >= 0)
		(void)shutdown(p->in.fd, SHUT_WR);
	close_watched(p->all, &p->in.fd);
	buffer_clear(&p->in.pending);
}

/* Write what fits; what is taken is granted again. Return: how much is dealt with */
static size_t write_input(struct process *p, const char *data, size_t size)
{
	struct input *in = &p->in;
	size_t sent = 0;

	while (sent < size) {
		ssize_t n = write(in->fd, data + sent, size - sent);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			loop_watch(p->all->loop, in->fd, EPOLLOUT, on_input, p);
			break;
		}
		if (n < 0) {
			end_input(p);
			send_end_of_file(p, CHANNEL_STDIN);
			return size;
		}
		sent += (size_t)n;
	}
	message_add_credit(port_out(p->all->port), p->stream, CHANNEL_STDIN,
			   credit_consumed(&in->credit, sent));
	return sent;
}

/* Write what is pending, and the end behind it. */
static void feed(struct process *p)
{
	struct input *in = &p->in;
	static const char end_of_transmission = 4;

	if (!p->started || in->fd < 0)
		return;
	if (in->pending.size > 0)
		buffer_drop(&in->pending, write_input(p, in->pending.data, in->pending.size));
	if (in->fd < 0 || in->pending.size > 0)
		return;
	loop_unwatch(p->all->loop, in->fd);
	if (!in->ending)
		return;
	if (p->tty) {
		ssize_t n = write(in->fd, &end_of_transmission, 1);
		(void)n; /* a terminal full of unread input has no reader to tell */
		in->ending = false;
	} else {
		end_input(p);
	}
}

static void on_input(void *arg, uint32_t events)
{
	struct process *p = arg;
	struct port *port = p->all->port;

	(void)events;
	feed(p);
	(void)check_end(p);
	port_flush(port);
}

static void cancel(struct process *p)
{
	p->cancelled = true;
	end_input(p);
	for (int i = 0; i < 2; i++) {
		if (p->out[i].fd < 0)
			continue;
		close_watched(p->all, &p->out[i].fd);
		p->out[i].watched = false;
	}
	(void)check_end(p);
}

static void set_nonblock(int fd)
{
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void take_terminal(struct process *p, int master)
{
	if (p->cancelled) {
		(void)close(master);
		return;
	}
	p->out[0].fd = master;
	/* A second descriptor: reading and writing are watched apart. */
	p->in.fd = fcntl(master, F_DUPFD_CLOEXEC, 3);
	set_nonblock(master);
}

static void announce(struct process *p)
{
	struct msg_started m = { .pid = (uint32_t)p->pid };
	AUTO_ERROR err = ERROR_INIT;

	p->started = true;
	phases_answer(port_out(p->all->port));
	if (p->stream != STREAM_NONE &&
	    msg_started_add(port_out(p->all->port), MSG_STARTED, p->stream, &m, &err) < 0)
		error_ignore(&err, "report a start");
	feed(p);
	watch_output(&p->out[0]);
	watch_output(&p->out[1]);
}

static void on_report(void *arg, uint32_t events)
{
	struct process *p = arg;
	struct port *port = p->all->port;
	char report[LAUNCH_TEXT_MAX + 1];
	int fd = -1;
	size_t fds = 1;
	AUTO_ERROR err = ERROR_INIT;

	(void)events;
	ssize_t n = unix_recv(p->report, report, sizeof(report) - 1, &fd, &fds, &err);
	if (n > 0 && (uint8_t)report[0] == LAUNCH_REPORT_TERMINAL && fds == 1) {
		take_terminal(p, fd);
		return;
	}
	if (fds == 1 && fd >= 0)
		(void)close(fd);
	if (n > 0 && !p->failure) {
		report[n] = '\0';
		unsigned kind = (unsigned)(uint8_t)report[0] - 1;
		p->failure_kind = kind < SPAWN_FAILURES ? (enum spawn_failure)kind : SPAWN_SYSTEM;
		p->failure = xstrdup(report + 1);
		return;
	}
	close_watched(p->all, &p->report);
	if (p->failure) {
		cancel(p);
	} else {
		announce(p);
		(void)check_end(p);
	}
	port_flush(port);
}

/* Pipes or nothing for @l, our ends in @p. Return: 0 or -code; what is open is in one of both */
static int make_stdio(struct process *p, struct launch *l, struct error *err)
{
	int pair[2];

	for (int i = 0; i < 3 && !l->spawn->tty; i++) {
		if (i == 0 && !l->spawn->stdin_open)
			continue;
		if (pipe2(pair, O_CLOEXEC) < 0)
			return error_sys(err, "make a pipe");
		/* Both ends get much done before the other one has its turn. */
		(void)fcntl(pair[0], F_SETPIPE_SZ, CREDIT_WINDOW);
		l->stdio[i] = pair[i == 0 ? 0 : 1];
		int ours = pair[i == 0 ? 1 : 0];
		set_nonblock(ours);
		if (i == 0)
			p->in.fd = ours;
		else
			p->out[i - 1].fd = ours;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, "make a socket pair");
	p->report = pair[0];
	l->report = pair[1];
	return 0;
}

/* The container's init was sent a signal from inside: it is meant for the main process. */
static void on_init(void *arg, uint32_t events)
{
	struct processes *ps = arg;
	uint8_t sig = 0;

	(void)events;
	if (recv(ps->container->init_fd, &sig, 1, MSG_DONTWAIT) != 1)
		close_watched(ps, &ps->container->init_fd);
	else if (sig > 0 && sig < NSIG)
		(void)processes_signal_main(ps, sig);
}

static struct process *add_process(struct processes *ps, uint32_t stream, const struct msg_spawn *s)
{
	struct process *p = xcalloc(1, sizeof(*p));

	*p = (struct process){ .all = ps,
			       .next = ps->list,
			       .stream = stream,
			       .is_main = s->is_main,
			       .tty = s->tty,
			       .report = -1,
			       .oom_kills = ps->has_begun ? stats_oom_kills() : 0 };
	p->in = (struct input){ .fd = -1, .credit = CREDIT_RECEIVER_INIT };
	for (int i = 0; i < 2; i++)
		p->out[i] = (struct output){ .process = p,
					     .channel = i == 0 ? CHANNEL_STDOUT : CHANNEL_STDERR,
					     .fd = -1,
					     .credit = CREDIT_SENDER_INIT };
	ps->list = p;
	ps->count++;
	ps->has_begun = true;
	if (s->is_main)
		ps->main = p;
	return p;
}

static int check_spawn(struct processes *ps, uint32_t stream, const struct msg_spawn *s,
		       enum spawn_failure *kind, struct error *err)
{
	*kind = SPAWN_INVALID;
	if (stream == STREAM_NONE || find(ps, stream))
		return error_set(err, E_EXISTS, "stream %u is taken", stream);
	if (s->is_main && ps->main)
		return error_set(err, E_EXISTS, "the container's main process runs already");
	if (s->argv.count == 0)
		return error_set(err, E_INVALID, "there is no command to run");
	if (ps->count >= PROCESSES_MAX)
		return error_set(err, E_INVALID, "%d processes are run already", PROCESSES_MAX);
	*kind = SPAWN_NO_CONTAINER;
	if (!ps->container->is_set_up)
		return error_set(err, E_UNAVAILABLE, "the container is not set up");
	if (!s->is_main && (!ps->main || !ps->main->started) && !ps->container->setup.init)
		return error_set(err, E_UNAVAILABLE, "the container's main process does not run");
	return 0;
}

static void begin_process(struct processes *ps, uint32_t stream, const struct msg_spawn *s,
			  const struct msg_copy *copy)
{
	struct launch l = {
		.spawn = s, .copy = copy, .stdio = { -1, -1, -1 }, .report = -1, .join_pidfd = -1
	};
	enum spawn_failure kind;
	AUTO_ERROR err = ERROR_INIT;

	if (check_spawn(ps, stream, s, &kind, &err) < 0) {
		send_failed(ps, stream, kind, error_message(&err));
		return;
	}
	struct process *p = add_process(ps, stream, s);
	kind = SPAWN_SYSTEM;
	pid_t pid = make_stdio(p, &l, &err);
	if (pid == 0)
		pid = container_fork(ps->container, &l, &kind, &err);
	if (pid == 0)
		launch_child(&l);
	phase_done("fork");
	for (int i = 0; i < 3; i++)
		if (l.stdio[i] >= 0)
			(void)close(l.stdio[i]);
	if (l.report >= 0)
		(void)close(l.report);
	if (pid < 0) {
		send_failed(ps, stream, kind, error_message(&err));
		destroy(p);
		return;
	}
	p->pid = pid;
	loop_watch(ps->loop, p->report, EPOLLIN, on_report, p);
	if (ps->container->init_fd >= 0)
		loop_watch(ps->loop, ps->container->init_fd, EPOLLIN, on_init, ps);
}

void processes_spawn(struct processes *ps, uint32_t stream, const struct msg_spawn *s)
{
	begin_process(ps, stream, s, NULL);
}

bool processes_has(const struct processes *ps, uint32_t stream)
{
	return find(ps, stream) != NULL;
}

bool processes_has_room(const struct processes *ps)
{
	return ps->count < PROCESSES_MAX;
}

void processes_adopt(struct processes *ps, uint32_t stream, int fd)
{
	const struct msg_spawn nothing = { 0 };
	struct process *p = add_process(ps, stream, &nothing);

	p->is_socket = p->reaped = p->started = true;
	p->out[0].fd = fd;
	if (fd >= 0) {
		set_nonblock(fd);
		p->in.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	} else {
		p->status = 1 << 8; /* as wait() has it: exit code 1 */
	}
	watch_output(&p->out[0]);
	(void)check_end(p);
}

void processes_copy(struct processes *ps, uint32_t stream, const struct msg_copy *m)
{
	struct msg_spawn s = { .stdin_open = true };

	strlist_add(&s.argv, "copy");
	begin_process(ps, stream, &s, m);
	strlist_release(&s.argv);
}

static void on_data(struct process *p, const struct frame *f)
{
	if (!credit_received(&p->in.credit, f->size)) {
		message_add_error(port_out(p->all->port), p->stream, E_INTEGRITY,
				  "more input than there was credit for");
		cancel(p);
		return;
	}
	const char *data = f->payload;
	size_t size = f->size;

	/* Mostly it is passed on at once, and needs no copy. */
	if (p->started && p->in.fd >= 0 && p->in.pending.size == 0 && size > 0) {
		size_t n = write_input(p, data, size);
		data += n;
		size -= n;
	}
	if (size > 0 && (p->in.fd >= 0 || (p->tty && !p->started)))
		buffer_add(&p->in.pending, data, size);
	(void)check_end(p);
}

static int on_credit(struct process *p, const struct frame *f, struct error *err)
{
	struct msg_credit m;
	int r = msg_credit_unpack(f->payload, f->size, &m, err);

	if (r < 0)
		return r;
	if (f->channel != CHANNEL_STDOUT && f->channel != CHANNEL_STDERR)
		return error_set(err, E_INVALID, "credit for channel %u", f->channel);
	struct output *o = &p->out[f->channel - CHANNEL_STDOUT];
	if (!credit_granted(&o->credit, m.bytes))
		return error_set(err, E_INTEGRITY, "more credit than the window");
	watch_output(o);
	return 0;
}

static int on_resize(struct process *p, const struct frame *f, struct error *err)
{
	struct msg_resize m;
	int r = msg_resize_unpack(f->payload, f->size, &m, err);

	if (r < 0 || !p->tty || p->out[0].fd < 0)
		return r;
	struct winsize size = { .ws_row = (unsigned short)m.rows,
				.ws_col = (unsigned short)m.columns };
	return ioctl(p->out[0].fd, TIOCSWINSZ, &size) < 0 ? error_sys(err, "resize") : 0;
}

/* Whether @pid, which is process 1 of its namespace, has neither a handler for @sig nor blocks or
 * ignores it: the kernel then drops a signal that would end any other process. */
static bool would_be_dropped(pid_t pid, int sig)
{
	static const int harmless[] = { SIGCHLD, SIGCONT, SIGURG,  SIGWINCH, SIGSTOP,
					SIGTSTP, SIGTTIN, SIGTTOU, SIGKILL };
	static const char *const masks[] = { "SigBlk", "SigIgn", "SigCgt" };
	char path[32];

	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (sig == harmless[i])
			return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++)
		if (sysfile_hex_field(path, masks[i]) & UINT64_C(1) << (sig - 1))
			return false;
	return true;
}

/* `sleep` as process 1 is to end at SIGTERM as it does everywhere else. */
static int send_signal(struct process *p, int sig)
{
	if (p->pid == p->all->container->first && p->started && would_be_dropped(p->pid, sig)) {
		p->killed_for = sig;
		sig = SIGKILL;
	}
	return kill(p->pid, sig);
}

int processes_signal_main(struct processes *ps, int sig)
{
	return ps->main && !ps->main->reaped ? send_signal(ps->main, sig) : -1;
}

static int check_signal(uint32_t sig, struct error *err)
{
	if (sig == 0 || sig >= NSIG)
		return error_set(err, E_INVALID, "there is no signal %u", sig);
	return 0;
}

int processes_kill(struct processes *ps, const struct msg_kill *m, struct error *err)
{
	bool anybody = false;

	if (check_signal(m->signal, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < m->target_count; i++) {
		struct process *p = find(ps, m->targets[i].stream);

		if (!p || p->reaped)
			continue;
		if (send_signal(p, (int)m->signal) < 0)
			return error_sys(err, "send signal %u", m->signal);
		anybody = true;
	}
	return anybody ? 0 : error_set(err, E_NOT_FOUND, "no such process runs");
}

static int on_signal(struct process *p, const struct frame *f, struct error *err)
{
	struct msg_signal m;
	int r = msg_signal_unpack(f->payload, f->size, &m, err);

	if (r < 0)
		return r;
	if (check_signal(m.signal, err) < 0)
		return -(int)err->code;
	if (p->reaped)
		return error_set(err, E_NOT_FOUND, "the process has ended");
	return send_signal(p, (int)m.signal) < 0 ? error_sys(err, "send signal %u", m.signal) : 0;
}

void processes_frame(struct processes *ps, const struct frame *f)
{
	struct process *p = find(ps, f->stream);
	AUTO_ERROR err = ERROR_INIT;
	int r = 0;

	if (!p) {
		/* What crossed the process's end is no error; a signal wants an answer. */
		if (f->type == MSG_SIGNAL)
			message_add_error(port_out(ps->port), f->stream, E_NOT_FOUND,
					  "there is no such process");
		return;
	}
	if (f->type == MSG_DATA) {
		on_data(p, f);
	} else if (f->type == MSG_END_OF_FILE) {
		p->in.ending = true;
		feed(p);
		(void)check_end(p);
	} else if (f->type == MSG_CREDIT) {
		r = on_credit(p, f, &err);
	} else if (f->type == MSG_RESIZE) {
		r = on_resize(p, f, &err);
	} else if (f->type == MSG_SIGNAL) {
		r = on_signal(p, f, &err);
	} else if (f->type == MSG_CANCEL) {
		cancel(p);
	}
	if (r < 0)
		message_add_error(port_out(ps->port), f->stream, err.code, error_message(&err));
}

void processes_reap(struct processes *ps)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct process *p = ps->list;
		container_reaped(ps->container, pid);
		if (ps->container->first == 0)
			close_watched(ps, &ps->container->init_fd);
		while (p && p->pid != pid)
			p = p->next;
		if (!p)
			continue;
		p->reaped = true;
		p->status = status;
		(void)check_end(p);
	}
}

void processes_resume(struct processes *ps)
{
	for (struct process *p = ps->list; p; p = p->next)
		for (int i = 0; i < 2; i++)
			watch_output(&p->out[i]);
}

void processes_orphan(struct processes *ps)
{
	struct process *next;

	for (struct process *p = ps->list; p; p = next) {
		next = p->next;
		if (!p->is_main) {
			p->stream = STREAM_NONE;
			cancel(p);
			continue;
		}
		p->in.credit = CREDIT_RECEIVER_INIT;
		buffer_clear(&p->in.pending);
		for (int i = 0; i < 2; i++) {
			p->out[i].credit = CREDIT_SENDER_INIT;
			watch_output(&p->out[i]);
		}
	}
}
