/* SPDX-License-Identifier: MIT */
/* Carrying a plan out in front of people. */
#include "orchestrator/cli/run_plan.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "orchestrator/cli/output.h"

enum { PARALLEL_MAX = 64 };

/* What the watcher works with. */
struct display {
	const struct cli *cli;
	const struct plan *plan;
	struct progress *progress;
	struct error *failures; /* one per action, empty unless it failed */
	enum job_state *states; /* one per action */
};

int progress_option(const struct cli *cli, const struct options *o, enum progress_mode *ret,
		    struct error *err)
{
	const char *text = option_value(o, "progress");

	if (!text && cli->json) {
		*ret = PROGRESS_QUIET;
		return 0;
	}
	return progress_mode_parse(cli->quiet && !text ? "quiet" : text, cli->tty_err, ret, err);
}

int parallel_option(const struct options *o, unsigned *ret, struct error *err)
{
	uint64_t value = 0;
	int r = option_number(o, "parallel", PARALLEL_MAX, 0, &value, err);

	*ret = (unsigned)value;
	return r;
}

static char *object_text(const struct action *a)
{
	if (a->object == OBJECT_CONTAINER)
		return xstrdup(a->name);
	return xasprintf("%s %s", object_kind_name(a->object), a->name);
}

/* Why an action is not done, owned: "db failed". */
static char *skip_note(const struct display *d, size_t index)
{
	const struct action *a = &d->plan->actions[index];

	for (size_t i = 0; i < a->after_count; i++) {
		enum job_state state = d->states[a->after[i]];
		AUTO_FREE char *need = object_text(&d->plan->actions[a->after[i]]);

		if (state == JOB_FAILED || state == JOB_SKIPPED)
			return xasprintf("%s %s", need,
					 state == JOB_FAILED ? "failed" : "was skipped");
	}
	return NULL;
}

static void on_state(void *arg, size_t index, enum job_state state, const struct error *failure)
{
	static const enum progress_state states[] = {
		[JOB_WAITING] = STATE_WAITING, [JOB_RUNNING] = STATE_RUNNING,
		[JOB_DONE] = STATE_DONE,       [JOB_FAILED] = STATE_FAILED,
		[JOB_SKIPPED] = STATE_SKIPPED,
	};
	struct display *d = arg;
	struct error *kept = &d->failures[index];
	AUTO_FREE char *note = NULL;

	if (error_is_set(failure) && !error_is_set(kept)) {
		(void)error_set(kept, failure->code, "%s", error_message(failure));
		kept->pos = failure->pos;
	}
	d->states[index] = state;
	note = state == JOB_SKIPPED ? skip_note(d, index) : NULL;
	progress_set(d->progress, index, states[state], note);
}

static void on_note(void *arg, size_t index, const char *text)
{
	struct display *d = arg;
	AUTO_FREE char *object = object_text(&d->plan->actions[index]);
	AUTO_FREE char *line = xasprintf("%s: %s", object, text);

	progress_line(d->progress, line);
}

static void on_detail(void *arg, size_t index, const char *text, uint64_t current, uint64_t total)
{
	struct display *d = arg;

	progress_detail(d->progress, index, text, current, total);
}

static void on_interrupt(void *arg, unsigned times)
{
	struct display *d = arg;

	progress_line(d->progress,
		      times == 1 ? "interrupted: finishing what is in flight; once more to "
				   "stop at once"
				 : "interrupted again: stopping");
}

static void on_tick(void *arg)
{
	struct display *d = arg;

	progress_tick(d->progress);
}

static void print_failures(const struct display *d)
{
	for (size_t i = 0; i < d->plan->count; i++) {
		const struct action *a = &d->plan->actions[i];
		AUTO_FREE char *object = object_text(a);
		AUTO_ERROR shown = ERROR_INIT;

		if (!error_is_set(&d->failures[i]))
			continue;
		(void)error_set(&shown, d->failures[i].code, "%s: %s", object,
				error_message(&d->failures[i]));
		shown.pos = d->failures[i].pos.line ? d->failures[i].pos : a->pos;
		cli_print_error(d->cli, &shown);
	}
}

static void display_release(struct display *d)
{
	for (size_t i = 0; i < d->plan->count; i++)
		error_clear(&d->failures[i]);
	free(d->failures);
	free(d->states);
}

int run_plan(const struct cli *cli, struct apply_options *o, enum progress_mode mode,
	     struct executor_result *ret, struct error *err)
{
	struct progress_options style = { .title = cli->command_name,
					  .mode = mode,
					  .color = cli->color_err,
					  .unicode = cli->unicode,
					  .fd = 2 };
	struct display d = { .cli = cli, .plan = o->plan, .progress = progress_new(&style) };
	int r;

	d.failures = xcalloc(o->plan->count + 1, sizeof(*d.failures));
	d.states = xcalloc(o->plan->count + 1, sizeof(*d.states));
	for (size_t i = 0; i < o->plan->count; i++) {
		AUTO_FREE char *object = object_text(&o->plan->actions[i]);

		(void)progress_add(d.progress, object, action_kind_name(o->plan->actions[i].kind));
	}
	o->watcher = (struct apply_watcher){
		.arg = &d,
		.state = on_state,
		.note = on_note,
		.detail = on_detail,
		.interrupted = on_interrupt,
		.tick = mode == PROGRESS_TTY ? on_tick : NULL,
	};
	r = apply_plan(o, ret, err);
	progress_free(d.progress);
	print_failures(&d);
	display_release(&d);
	if (r == 0 && ret->interrupted)
		return error_set(err, E_CANCELED, "interrupted; go on with: ctrz %s",
				 cli->command_name);
	return r < 0 ? r : ret->failed || ret->skipped ? 1 : 0;
}
