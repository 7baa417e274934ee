/* SPDX-License-Identifier: MIT */
/* The job executor with jobs that only sleep on pipes, fail or die. */
#include "orchestrator/apply/executor.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "tests/unit/test.h"

enum { JOBS = 6 };

enum behaviour { SUCCEED, FAIL, CRASH, REFUSE, INTERRUPT, HANG };

struct world {
	enum behaviour behave[JOBS];
	size_t order[JOBS]; /* jobs in the order they ended */
	enum job_state ended[JOBS];
	char *message[JOBS];
	int64_t answer[JOBS];
	size_t end_count, begun, running, most_running, events;
	unsigned interrupts;
};

static int begin(void *arg, size_t index, struct error *err)
{
	struct world *w = arg;

	w->begun++;
	if (w->behave[index] == REFUSE)
		return error_set(err, E_DENIED, "refused");
	w->running++;
	w->most_running = w->running > w->most_running ? w->running : w->most_running;
	return 0;
}

static int run(void *arg, size_t index, struct job_channel *channel, struct json **ret_result,
	       struct error *err)
{
	const struct world *w = arg;

	job_progress(channel, json_new_string("working"));
	switch (w->behave[index]) {
	case FAIL:
		return error_set(err, E_NOT_FOUND, "no such thing");
	case CRASH:
		(void)raise(SIGKILL);
		break;
	case HANG:
		for (;;)
			(void)pause();
	case INTERRUPT:
		(void)kill(getppid(), SIGINT);
		break;
	case SUCCEED:
	case REFUSE:
		break;
	}
	*ret_result = json_new_int((int64_t)index * 10);
	return 0;
}

static void progress(void *arg, size_t index, const struct json *event)
{
	struct world *w = arg;

	(void)index;
	assert_string_equal(json_string_value_of(event), "working");
	w->events++;
}

static int end(void *arg, size_t index, enum job_state state, const struct json *result,
	       const struct error *failure, struct error *err)
{
	struct world *w = arg;

	(void)err;
	if (w->behave[index] != REFUSE && state != JOB_SKIPPED)
		w->running--;
	w->order[w->end_count++] = index;
	w->ended[index] = state;
	w->answer[index] = result ? json_int_value_of(result, -1) : -1;
	w->message[index] = error_is_set(failure) ? xstrdup(error_message(failure)) : NULL;
	return 0;
}

static void interrupted(void *arg, unsigned times)
{
	struct world *w = arg;

	w->interrupts = times;
	if (times == 1)
		(void)raise(SIGINT);
}

static const struct executor_ops ops = {
	.begin = begin, .run = run, .progress = progress, .end = end
};

static void execute(struct world *w, struct job *jobs, unsigned bound,
		    const struct executor_ops *with, struct executor_result *ret)
{
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, executor_run(jobs, JOBS, bound, with, w, ret, &err));
	assert_int_equal(w->end_count, JOBS);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void world_release(struct world *w)
{
	for (size_t i = 0; i < JOBS; i++)
		free(w->message[i]);
}

TEST(runs_in_order_of_needs_and_within_the_bound)
{
	struct world w = { 0 };
	const size_t zero[] = { 0 }, middle[] = { 1, 2, 3, 4 };
	struct job jobs[JOBS] = {
		{ 0 },
		{ .after = zero, .after_count = 1 },
		{ .after = zero, .after_count = 1 },
		{ .after = zero, .after_count = 1 },
		{ .after = zero, .after_count = 1 },
		{ .after = middle, .after_count = 4 },
	};
	struct executor_result r;

	execute(&w, jobs, 2, &ops, &r);
	assert_int_equal(w.order[0], 0);
	assert_int_equal(w.order[5], 5);
	assert_int_equal(w.most_running, 2);
	assert_int_equal(w.events, JOBS);
	assert_int_equal(r.done, JOBS);
	assert_int_equal(w.answer[3], 30);
	world_release(&w);
}

TEST(independent_branches_go_on_and_dependents_are_skipped)
{
	struct world w = { .behave = { FAIL, SUCCEED, SUCCEED, CRASH, SUCCEED, REFUSE } };
	const size_t zero[] = { 0 }, one[] = { 1 }, three[] = { 3 };
	struct job jobs[JOBS] = {
		{ 0 }, { .after = zero, .after_count = 1 },  { .after = one, .after_count = 1 },
		{ 0 }, { .after = three, .after_count = 1 }, { 0 },
	};
	struct executor_result r;

	execute(&w, jobs, 1, &ops, &r);
	assert_int_equal(w.ended[0], JOB_FAILED);
	assert_string_equal(w.message[0], "no such thing");
	assert_int_equal(w.ended[1], JOB_SKIPPED);
	assert_int_equal(w.ended[2], JOB_SKIPPED);
	assert_int_equal(w.ended[3], JOB_FAILED);
	assert_string_equal(w.message[3], "its process was ended by signal 9");
	assert_int_equal(w.ended[4], JOB_SKIPPED);
	assert_string_equal(w.message[5], "refused");
	assert_int_equal(r.failed, 3);
	assert_int_equal(r.skipped, 3);
	assert_false(r.interrupted);
	world_release(&w);
}

TEST(first_interrupt_finishes_what_runs)
{
	struct world w = { .behave = { INTERRUPT } };
	struct job jobs[JOBS] = { 0 };
	struct executor_result r;

	execute(&w, jobs, 1, &ops, &r);
	assert_int_equal(w.ended[0], JOB_DONE);
	assert_int_equal(r.done + r.skipped, JOBS);
	assert_true(r.skipped >= JOBS - 2); /* the signal may come a moment after the answer */
	assert_true(r.interrupted);
	world_release(&w);
}

TEST(second_interrupt_kills_what_runs)
{
	struct world w = { .behave = { HANG, INTERRUPT, HANG, HANG, HANG, HANG } };
	struct job jobs[JOBS] = { 0 };
	struct executor_ops twice = ops;
	struct executor_result r;

	twice.interrupted = interrupted;
	execute(&w, jobs, 2, &twice, &r);
	assert_true(w.interrupts >= 2);
	assert_int_equal(w.ended[0], JOB_FAILED);
	assert_string_equal(w.message[0], "interrupted");
	assert_true(r.interrupted);
	world_release(&w);
}
