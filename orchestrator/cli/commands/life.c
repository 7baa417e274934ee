/* SPDX-License-Identifier: MIT */
/* ctrz start, stop, restart: containers as they were applied, without looking at the file. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "orchestrator/cli/open.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/run_plan.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/cli/settings.h"
#include "orchestrator/state/env_lock.h"

/* What start, stop and restart have in common. */
struct life {
	struct cli *cli;
	const struct options *o;
	const char *command; /* "ctrz stop" */
	struct host_config config;
	struct world w;
	struct plan plan;
	int lock;
};

#define AUTO_LIFE CLEANUP(life_release) struct life

static void life_release(struct life *l)
{
	if (l->lock >= 0)
		env_lock_release(&l->cli->paths, l->w.record.id, &l->lock);
	plan_release(&l->plan);
	world_release(&l->w);
	host_config_release(&l->config);
}

static int check_names(const struct life *l, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->o->args.count; i++) {
		struct container_record *unused;

		r = select_container(&l->w.record, l->o->args.items[i], &unused, err);
	}
	return r;
}

static int life_open(struct life *l, struct error *err)
{
	AUTO_ENV_RECORD record = { 0 };
	uint64_t timeout_ms = 0;
	int r = lock_timeout(l->o, &timeout_ms, err);

	if (r == 0)
		r = settings_load(l->cli, &l->config, err);
	if (r == 0)
		r = select_environment(l->cli, l->o, &record, err);
	if (r < 0)
		return r;
	world_open_record(&l->cli->paths, &record, &l->w);
	if (!option_given(l->o, "dry-run"))
		l->lock = lock_world(l->cli, &l->w, l->command, timeout_ms, err);
	if (l->lock < 0 && !option_given(l->o, "dry-run"))
		return l->lock;
	r = check_names(l, err);
	if (r < 0)
		return r;
	world_load_applied(&l->w);
	r = world_observe(&l->w, err);
	return r < 0 ? r : world_want_applied(&l->w, err);
}

static int carry_out(struct life *l, const char *done, struct error *err)
{
	struct executor_result result = { 0 };
	struct apply_options apply = {
		.w = &l->w, .plan = &l->plan, .config = &l->config, .command = l->command
	};
	enum progress_mode mode = PROGRESS_QUIET;
	AUTO_BUFFER b = BUFFER_INIT;
	int r = progress_option(l->cli, l->o, &mode, err);

	if (r == 0 && option_given(l->o, "dry-run"))
		return print_plan(l->cli, &l->plan, err);
	if (r == 0)
		r = parallel_option(l->o, &apply.bound, err);
	if (r == 0 && l->plan.count)
		r = run_plan(l->cli, &apply, mode, &result, err);
	if (r != 0)
		return r;
	if (l->cli->json)
		return print_plan(l->cli, &l->plan, err);
	buffer_printf(&b, "%s: %zu container%s %s\n", l->w.record.name, result.done,
		      result.done == 1 ? "" : "s", done);
	return out_write(&b, err);
}

static int run_stop(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_LIFE l = { .cli = cli, .o = o, .command = "ctrz stop", .lock = -1 };
	int r = life_open(&l, err);

	if (r < 0)
		return r;
	plan_make_each(&l.w.observed, ACTION_STOP, &o->args, &l.plan);
	return carry_out(&l, "stopped", err);
}

static int run_start(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_LIFE l = { .cli = cli, .o = o, .command = "ctrz start", .lock = -1 };
	int r = life_open(&l, err);

	if (r == 0)
		r = world_plan(&l.w, &o->args, &l.config, RESOLVE_STORE, &l.plan, err);
	return r < 0 ? r : carry_out(&l, "started", err);
}

/* restart takes up nothing of the file: say so where that may surprise. */
static void warn_if_changed(const struct life *l)
{
	struct stat st;
	uint64_t changed_ms;

	if (stat(l->w.record.file, &st) < 0)
		return;
	changed_ms = (uint64_t)st.st_mtim.tv_sec * 1000;
	if (changed_ms > l->w.record.changed_unix_ms)
		(void)fprintf(stderr, "%s changed since it was applied; ctrz up applies it\n",
			      l->w.record.file);
}

static int run_restart(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_LIFE l = { .cli = cli, .o = o, .command = "ctrz restart", .lock = -1 };
	int r = life_open(&l, err);

	if (r < 0)
		return r;
	warn_if_changed(&l);
	plan_make_each(&l.w.observed, ACTION_REBOOT, &o->args, &l.plan);
	return carry_out(&l, "restarted", err);
}

static const struct option_def life_options[] = {
	PLAN_RUN_OPTIONS,
	DRY_RUN_OPTION,
	OPTIONS_END,
};

const struct command cmd_start = {
	.name = "start",
	.operands = "[NAME...]",
	.summary = "start stopped containers again",
	.text = "As they were applied; the file is not read.",
	.options = life_options,
	.run = run_start,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};

const struct command cmd_stop = {
	.name = "stop",
	.operands = "[NAME...]",
	.summary = "stop containers, keeping their disks",
	.options = life_options,
	.run = run_stop,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};

const struct command cmd_restart = {
	.name = "restart",
	.operands = "[NAME...]",
	.summary = "stop containers and start them again",
	.text = "As they were applied; the file is not read. ctrz up applies it.",
	.options = life_options,
	.run = run_restart,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
