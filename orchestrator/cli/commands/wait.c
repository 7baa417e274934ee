/* SPDX-License-Identifier: MIT */
/* ctrz wait: until containers are ready, or until they have ended. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "orchestrator/cli/container_view.h"
#include "orchestrator/cli/env_watch.h"
#include "orchestrator/cli/open.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/state/env_store.h"

struct waiting {
	struct cli *cli;
	const struct options *o;
	bool for_ready;
	uint64_t deadline_ms; /* 0 = none */
};

/* Return: 1 if it is there, 0 if it may still come, or -code if it will not */
static int is_ready(const struct container_view *v, struct error *err)
{
	const struct machine_status *s = &v->status;
	AUTO_FREE char *status = NULL;

	if (s->phase == MACHINE_RUNNING)
		return container_is_ready(v, err);
	if (s->phase == MACHINE_EXITED && s->exit_code == 0 && !s->error)
		return 1; /* a task that is done */
	if (s->phase == MACHINE_STARTING || s->phase == MACHINE_RESTARTING)
		return 0;
	if (v->c->stage == STAGE_MAKING)
		return 0;
	status = container_status_text(v);
	return error_set(err, E_CONFLICT,
			 "container '%s' is %s%s%s and will not get ready; see: "
			 "ctrz logs %s",
			 v->c->name, status, s->error ? ": " : "", s->error ? s->error : "",
			 v->c->name);
}

static bool has_ended(const struct container_view *v)
{
	return (v->status.phase == MACHINE_EXITED || v->status.phase == MACHINE_ABSENT) &&
	       v->c->stage == STAGE_MADE;
}

/* Return: 1 if all are as they should be, 0 if not yet, or -code if they never will be */
static int check(const struct waiting *w, const struct container_views *views, struct error *err)
{
	int r = 1;

	for (size_t i = 0; r >= 0 && i < views->count; i++) {
		int one = w->for_ready ? is_ready(&views->items[i], err)
				       : has_ended(&views->items[i]);

		r = one < r ? one : r;
	}
	return r;
}

/* The code of the first that did not end well. */
static int code_of(const struct container_views *views)
{
	for (size_t i = 0; i < views->count; i++) {
		const struct machine_status *s = &views->items[i].status;

		if (s->exit_code > 0)
			return s->exit_code;
		if (s->exit_code < 0 || s->error)
			return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int report(const struct waiting *w, const struct container_views *views, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;
	int r;

	if (w->cli->json) {
		AUTO_JSON all = json_new_array();

		for (size_t i = 0; i < views->count; i++)
			json_add(all, container_view_json(&views->items[i]));
		r = out_json(all, err);
	} else {
		for (size_t i = 0; !w->cli->quiet && i < views->count; i++) {
			AUTO_FREE char *status = container_status_text(&views->items[i]);

			buffer_printf(&b, "%s: %s\n", views->items[i].c->name, status);
		}
		r = out_write(&b, err);
	}
	if (r < 0)
		return r;
	return w->for_ready ? EXIT_OK : code_of(views);
}

static int time_left(const struct waiting *w)
{
	uint64_t now = clock_ms();

	if (!w->deadline_ms)
		return -1;
	return w->deadline_ms > now ? (int)(w->deadline_ms - now) : 0;
}

static int too_late(const struct waiting *w, const struct container_views *views, struct error *err)
{
	AUTO_STRLIST left = STRLIST_INIT;
	AUTO_FREE char *text = NULL;

	for (size_t i = 0; i < views->count; i++) {
		const struct container_view *v = &views->items[i];
		AUTO_FREE char *status = container_status_text(v);
		AUTO_ERROR none = ERROR_INIT;

		if ((w->for_ready ? is_ready(v, &none) : has_ended(v)) != 1)
			strlist_printf(&left, "'%s' is %s", v->c->name, status);
	}
	text = strlist_join(&left, ", ");
	w->cli->failure_exit = EXIT_LOCKED;
	return error_set(err, E_TIMEOUT, "still waiting after %s: %s",
			 option_value(w->o, "timeout"), text);
}

/* Return: an exit code once *ret_done is set, else 0 to look again; or -code */
static int look_once(const struct waiting *w, const struct env_record *first, struct env_watch *fd,
		     bool *ret_done, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	AUTO_VIEWS views = { 0 };
	int r = env_store_read(&w->cli->paths, first->id, &env, err);

	if (r == 0)
		r = env_watch_arm(fd, w->cli, &env, err);
	if (r == 0)
		r = container_views_add(w->cli, &env, &w->o->args, &views, err);
	if (r == 0 && !views.count)
		return error_set(err, E_NOT_FOUND, "'%s' is down; bring it up with: ctrz up %s",
				 env.name, env.file);
	if (r == 0)
		r = check(w, &views, err);
	*ret_done = r != 0;
	if (r > 0)
		return report(w, &views, err);
	if (r == 0)
		r = env_watch_sleep(fd, &views, time_left(w), err);
	if (r == 0)
		return too_late(w, &views, err);
	return r < 0 ? r : 0;
}

static int run_wait(struct cli *cli, const struct options *o, struct error *err)
{
	struct waiting w = { .cli = cli, .o = o };
	const char *what = option_value(o, "for");
	AUTO_ENV_WATCH watch = ENV_WATCH_INIT;
	AUTO_ENV_RECORD env = { 0 };
	uint64_t timeout_ms = 0;
	bool done = false;
	int r = 0;

	if (what && strcmp(what, "ready") != 0 && strcmp(what, "exit") != 0)
		return cli_usage(cli, err, "--for takes ready or exit, not '%s'", what);
	if (option_value(o, "timeout") &&
	    duration_parse(option_value(o, "timeout"), &timeout_ms, err) < 0) {
		cli->failure_exit = EXIT_USAGE;
		return -(int)err->code;
	}
	w.for_ready = !what || strcmp(what, "ready") == 0;
	if (option_value(o, "timeout"))
		w.deadline_ms = clock_ms() + (timeout_ms < INT32_MAX ? timeout_ms : INT32_MAX) + 1;
	r = select_environment(cli, o, &env, err);
	while (r == 0 && !done)
		r = look_once(&w, &env, &watch, &done, err);
	return r;
}

static const struct option_def wait_options[] = {
	{ .name = "for",
	  .value = "WHAT",
	  .help = "ready (default): running and healthy, or a task that is done; exit: ended" },
	{ .name = "timeout", .value = "TIME", .help = "how long at most, 30s; then exit with 5" },
	OPTIONS_END,
};

const struct command cmd_wait = {
	.name = "wait",
	.operands = "[NAME...]",
	.summary = "wait until containers are ready, or have ended",
	.text = "Without a NAME it means all containers of the environment. Ready is what healthy "
		"probes, running processes and tasks that are done make it, as ctrz up has it. "
		"Waiting for it fails at once if one of them has ended badly or is unhealthy, and "
		"says what the probe saw. With --for exit the exit code is that of the first "
		"container's process that is not 0.",
	.example = "ctrz wait\nctrz wait --for exit tests\nctrz wait --timeout 30s web db",
	.options = wait_options,
	.run = run_wait,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
