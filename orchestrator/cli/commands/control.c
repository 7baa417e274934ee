/* SPDX-License-Identifier: MIT */
/* ctrz kill, pause, unpause: orders to containers that run. */
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/cli/session_exit.h"
#include "runtime/machine/machine.h"
#include "spec/spec.h"

/* Does it to each of the named containers, the first failure ends it. */
static int for_each(struct cli *cli, const struct options *o,
		    int (*fn)(const struct options *o, const char *run_dir, struct error *err),
		    struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	int r = select_environment(cli, o, &env, err);

	/* All names are good before anything happens. */
	for (size_t i = 0; r == 0 && i < o->args.count; i++) {
		struct container_record *c = NULL;

		r = select_container(&env, o->args.items[i], &c, err);
	}
	for (size_t i = 0; r == 0 && i < o->args.count; i++) {
		struct container_record *c = NULL;
		AUTO_FREE char *run_dir = NULL;

		r = select_container(&env, o->args.items[i], &c, err);
		if (r == 0)
			r = session_check_running(&cli->paths, &env, c, &run_dir, err);
		if (r == 0 && fn(o, run_dir, err) < 0)
			r = error_wrap(err, "container '%s'", c->name);
	}
	return r;
}

static int send_signal(const struct options *o, const char *run_dir, struct error *err)
{
	const char *name = option_value(o, "signal"), *process = option_value(o, "process");

	return machine_kill(run_dir, name ? spec_signal_number(name) : SIGKILL,
			    process ? process : "", err);
}

static int run_kill(struct cli *cli, const struct options *o, struct error *err)
{
	const char *name = option_value(o, "signal");

	if (name && !spec_signal_number(name))
		return cli_usage(cli, err,
				 "there is no signal '%s'; they have names as HUP, or numbers from "
				 "1 to 64",
				 name);
	return for_each(cli, o, send_signal, err);
}

static int pause_one(const struct options *o, const char *run_dir, struct error *err)
{
	(void)o;
	return machine_pause(run_dir, true, err);
}

static int unpause_one(const struct options *o, const char *run_dir, struct error *err)
{
	(void)o;
	return machine_pause(run_dir, false, err);
}

static int run_pause(struct cli *cli, const struct options *o, struct error *err)
{
	return for_each(cli, o, pause_one, err);
}

static int run_unpause(struct cli *cli, const struct options *o, struct error *err)
{
	return for_each(cli, o, unpause_one, err);
}

static const struct option_def kill_options[] = {
	{ .name = "signal", .letter = 's', .value = "SIGNAL", .help = "another one than KILL" },
	{ .name = "process",
	  .letter = 'p',
	  .value = "PROCESS",
	  .help = "only this one of several processes" },
	OPTIONS_END,
};

const struct command cmd_kill = {
	.name = "kill",
	.operands = "NAME...",
	.summary = "send a signal to what runs in containers",
	.text = "It goes to the container's command, and to all its processes if there are "
		"several. What follows when they end is up to their restart policies; ctrz stop "
		"ends a container for good.",
	.example = "ctrz kill -s HUP web\nctrz kill -s USR1 -p worker shop",
	.options = kill_options,
	.run = run_kill,
	.flags = COMMAND_ENVIRONMENT,
	.min_args = 1,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};

const struct command cmd_pause = {
	.name = "pause",
	.operands = "NAME...",
	.summary = "let all processes of containers stand still",
	.text = "The machine goes on: connections stay, the clock stays right, and the memory is "
		"kept. Probes are not made meanwhile, and nothing can be run in it. ctrz up and "
		"ctrz unpause let them go on, and so does ctrz stop.",
	.run = run_pause,
	.flags = COMMAND_ENVIRONMENT,
	.min_args = 1,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};

const struct command cmd_unpause = {
	.name = "unpause",
	.operands = "NAME...",
	.summary = "let paused containers go on",
	.run = run_unpause,
	.flags = COMMAND_ENVIRONMENT,
	.min_args = 1,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
