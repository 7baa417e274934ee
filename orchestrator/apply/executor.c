/* SPDX-License-Identifier: MIT */
/* The job executor. */
/*
 * DOC: Theory of Operation
 *
 * The parent holds one event loop. A job that may begin is forked; the child runs ops->run() and
 * writes JSON lines to a pipe: {"progress": ...} any number of times, then one {"ok": result} or
 * {"error": ...}. The end of the pipe ends the job; a child that ends without a last line (it
 * crashed or was killed) has failed. Children are made with PR_SET_PDEATHSIG, so that they do not
 * go on when the parent is killed.
 */
#include "orchestrator/apply/executor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/loop.h"

enum { LINE_MAX_BYTES = 4 * 1024 * 1024, TICK_MS = 100, READ_BYTES = 65536 };

struct job_channel {
	int fd;
};

/* What the parent knows of a running job. */
struct runner {
	struct executor *executor;
	size_t index;
	pid_t pid; /* 0 = not running */
	int fd;    /* its pipe */
	struct buffer pending;
	struct json *result;
	struct error failure;
	bool answered;
};

struct executor {
	struct job *jobs;
	struct runner *runners;
	size_t count;
	unsigned bound, running;
	const struct executor_ops *ops;
	void *arg;
	struct loop *loop;
	struct loop_timer *timer;
	unsigned interrupts;
	struct executor_result result;
};

static void write_line(int fd, const struct json *line)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	json_print(line, 0, false, &text);
	buffer_add_char(&text, '\n');
	if (fd_write_full(fd, text.data, text.size, &err) < 0)
		_exit(1);
}

void job_progress(struct job_channel *channel, struct json *event)
{
	AUTO_JSON line = json_new_object();

	json_set(line, "progress", event);
	write_line(channel->fd, line);
}

void job_half_way(struct job_channel *channel)
{
	AUTO_JSON line = json_new_object();

	json_set_bool(line, "half_way", true);
	write_line(channel->fd, line);
}

static struct json *failure_json(const struct error *err)
{
	struct json *o = json_new_object();

	json_set_int(o, "code", (int)err->code);
	json_set_int(o, "errno", err->sys_errno);
	json_set_string(o, "message", error_message(err));
	if (err->pos.line) {
		json_set_string(o, "file", err->pos.file);
		json_set_int(o, "line", err->pos.line);
		json_set_int(o, "column", err->pos.column);
	}
	return o;
}

static void failure_from_json(const struct json *o, struct error *ret)
{
	int code = (int)json_i64(o, "code", E_INTERNAL);

	(void)error_set(
		ret, code >= E_INVALID && code <= E_INTERNAL ? (enum error_code)code : E_INTERNAL,
		"%s", json_str(o, "message", "failed"));
	ret->sys_errno = (int)json_i64(o, "errno", 0);
}

static _Noreturn void job_main(struct executor *e, size_t index, int fd, pid_t parent)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_JSON line = json_new_object();
	struct json *result = NULL;
	struct job_channel channel = { .fd = fd };
	sigset_t none;

	(void)setpgid(0, 0);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	if (e->ops->run(e->arg, index, &channel, &result, &err) < 0)
		json_set(line, "error", failure_json(&err));
	else
		json_set(line, "ok", result ? result : json_new_null());
	write_line(fd, line);
	_exit(0);
}

static void schedule(struct executor *e);

static void job_ended(struct executor *e, size_t index, enum job_state state)
{
	struct runner *r = &e->runners[index];
	struct job *job = &e->jobs[index];
	AUTO_ERROR err = ERROR_INIT;

	job->ended_ms = clock_ms();
	if (e->ops->end(e->arg, index, state, r->result, &r->failure, &err) < 0 &&
	    state == JOB_DONE) {
		/* It is done, but could not be recorded: for the run that is a failure. */
		state = JOB_FAILED;
		AUTO_ERROR again = ERROR_INIT;

		(void)e->ops->end(e->arg, index, state, NULL, &err, &again);
	}
	job->state = state;
	e->result.done += state == JOB_DONE;
	e->result.failed += state == JOB_FAILED;
	e->result.skipped += state == JOB_SKIPPED;
	json_free(r->result);
	r->result = NULL;
	error_clear(&r->failure);
}

static void take_line(struct runner *r, const char *text, size_t size)
{
	AUTO_JSON line = NULL;
	AUTO_ERROR err = ERROR_INIT;
	struct json *event, *failure, *ok;

	if (json_parse(text, size, LINE_MAX_BYTES, "job", &line, &err) < 0) {
		error_ignore(&err, "read from a job");
		return;
	}
	event = json_member(line, "progress");
	failure = json_member(line, "error");
	ok = json_member(line, "ok");
	if (json_bool(line, "half_way", false)) {
		r->executor->jobs[r->index].is_half_way = true;
		schedule(r->executor);
	}
	if (event && r->executor->ops->progress)
		r->executor->ops->progress(r->executor->arg, r->index, event);
	if (failure && !r->answered)
		failure_from_json(failure, &r->failure);
	if (ok && !r->answered)
		r->result = json_ref(ok);
	r->answered = r->answered || failure || ok;
}

static void take_lines(struct runner *r)
{
	char *end;

	while (r->pending.size && (end = memchr(r->pending.data, '\n', r->pending.size))) {
		size_t size = (size_t)(end - r->pending.data);

		take_line(r, r->pending.data, size);
		buffer_drop(&r->pending, size + 1);
	}
}

static void finish_runner(struct runner *r)
{
	struct executor *e = r->executor;
	int status = 0;

	loop_unwatch(e->loop, r->fd);
	(void)close(take_fd(&r->fd));
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	r->pid = 0;
	e->running--;
	if (!r->answered && e->interrupts > 1)
		(void)error_set(&r->failure, E_CANCELED, "interrupted");
	else if (!r->answered && WIFSIGNALED(status))
		(void)error_set(&r->failure, E_INTERNAL, "its process was ended by signal %d",
				WTERMSIG(status));
	else if (!r->answered)
		(void)error_set(&r->failure, E_INTERNAL, "its process ended without a result");
	job_ended(e, r->index, error_is_set(&r->failure) ? JOB_FAILED : JOB_DONE);
	schedule(e);
}

static void on_pipe(void *arg, uint32_t events)
{
	struct runner *r = arg;
	ssize_t n = read(r->fd, buffer_reserve(&r->pending, READ_BYTES), READ_BYTES);

	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		finish_runner(r);
		return;
	}
	r->pending.size += (size_t)n;
	take_lines(r);
}

/* Return: -code if the job could not begin; it has failed then */
static int start_job(struct executor *e, size_t index, struct error *err)
{
	struct runner *r = &e->runners[index];
	pid_t parent = getpid();
	int fds[2];
	int ret = e->ops->begin(e->arg, index, err);

	if (ret < 0)
		return ret;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, "create a pipe");
	r->pid = fork();
	if (r->pid == 0)
		job_main(e, index, fds[1], parent);
	(void)close(fds[1]);
	if (r->pid < 0) {
		r->pid = 0;
		(void)close(fds[0]);
		return error_sys(err, "fork");
	}
	(void)setpgid(r->pid, r->pid); /* the child does so too: whoever comes first */
	r->fd = fds[0];
	e->running++;
	e->jobs[index].state = JOB_RUNNING;
	loop_watch(e->loop, r->fd, EPOLLIN, on_pipe, r);
	return 0;
}

static void begin_job(struct executor *e, size_t index)
{
	struct runner *r = &e->runners[index];

	e->jobs[index].started_ms = clock_ms();
	if (start_job(e, index, &r->failure) < 0)
		job_ended(e, index, JOB_FAILED);
}

enum readiness { NOT_YET, READY, NEVER };

static enum readiness job_readiness(const struct executor *e, const struct job *job)
{
	enum readiness answer = READY;

	for (size_t i = 0; i < job->after_count; i++) {
		enum job_state state = e->jobs[job->after[i]].state;

		if (job->early && job->early[i] && e->jobs[job->after[i]].is_half_way)
			continue;
		if (state == JOB_FAILED || state == JOB_SKIPPED)
			return NEVER;
		if (state != JOB_DONE)
			answer = NOT_YET;
	}
	return answer;
}

static bool is_ending(const struct executor *e)
{
	return e->interrupts || (e->ops->fail_fast && e->result.failed);
}

/* Begin what can begin, skip what never will, until nothing moves. */
static void schedule(struct executor *e)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (size_t i = 0; i < e->count; i++) {
			enum readiness ready;

			if (e->jobs[i].state != JOB_WAITING)
				continue;
			ready = is_ending(e) ? NEVER : job_readiness(e, &e->jobs[i]);
			if (ready == NOT_YET || (ready == READY && e->running >= e->bound))
				continue;
			moved = true;
			if (ready == NEVER)
				job_ended(e, i, JOB_SKIPPED);
			else
				begin_job(e, i);
		}
	}
	if (e->running)
		return;
	/* Only jobs that wait for each other can be left. */
	for (size_t i = 0; i < e->count; i++)
		if (e->jobs[i].state == JOB_WAITING)
			job_ended(e, i, JOB_SKIPPED);
	loop_stop(e->loop, 0);
}

static void on_signal(void *arg, int sig)
{
	struct executor *e = arg;

	(void)sig;
	e->interrupts++;
	e->result.interrupted = true;
	if (e->ops->interrupted)
		e->ops->interrupted(e->arg, e->interrupts);
	for (size_t i = 0; e->interrupts > 1 && i < e->count; i++)
		if (e->runners[i].pid > 0)
			(void)kill(-e->runners[i].pid, SIGKILL);
	schedule(e);
}

static void on_tick(void *arg)
{
	struct executor *e = arg;

	e->ops->tick(e->arg);
	e->timer = loop_after(e->loop, TICK_MS, on_tick, e);
}

int executor_run(struct job *jobs, size_t count, unsigned bound, const struct executor_ops *ops,
		 void *arg, struct executor_result *ret, struct error *err)
{
	CLEANUP(loop_free_p) struct loop *loop = loop_new();
	struct executor e = {
		.jobs = jobs, .count = count, .bound = bound, .ops = ops, .arg = arg, .loop = loop
	};
	sigset_t before;

	if (!bound)
		return error_set(err, E_INTERNAL, "no job may run");
	e.runners = xcalloc(count + 1, sizeof(*e.runners));
	for (size_t i = 0; i < count; i++) {
		jobs[i].state = JOB_WAITING;
		jobs[i].is_half_way = false;
		e.runners[i] = (struct runner){ .executor = &e, .index = i, .fd = -1 };
	}
	(void)sigprocmask(SIG_SETMASK, NULL, &before);
	loop_on_signal(loop, SIGINT, on_signal, &e);
	loop_on_signal(loop, SIGTERM, on_signal, &e);
	loop_on_signal(loop, SIGHUP, on_signal, &e);
	if (ops->tick)
		e.timer = loop_after(loop, TICK_MS, on_tick, &e);
	schedule(&e);
	if (e.running)
		(void)loop_run(loop);
	for (size_t i = 0; i < count; i++)
		buffer_release(&e.runners[i].pending);
	free(e.runners);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	*ret = e.result;
	return 0;
}
