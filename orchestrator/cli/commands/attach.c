/* SPDX-License-Identifier: MIT */
/* ctrz attach: our terminal or pipes on a container's own process. */
#include "base/alloc.h"
#include "orchestrator/cli/applied.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/cli/session_exit.h"
#include "orchestrator/state/env_store.h"
#include "runtime/machine/machine.h"

static int fill_session(struct cli *cli, const struct options *o, const struct env_record *env,
			const struct container_record *c, struct session_options *ret,
			struct error *err)
{
	AUTO_ENVIRONMENT spec = NULL;
	const struct spec_container *container = NULL;
	int r = applied_container(cli, env, c, &spec, &container, err);

	if (r < 0)
		return r;
	if (container->processes.count)
		return error_set(
			err, E_INVALID,
			"'%s' has several processes and no terminal to attach to; see "
			"what they write: ctrz logs -f %s; go inside: ctrz exec -t -i %s sh",
			c->name, c->name, c->name);
	*ret = (struct session_options){
		.stdin_fd = container->stdin_open.value && !option_given(o, "no-stdin") ? 0 : -1,
		.stdout_fd = 1,
		.stderr_fd = 2,
		.tty = container->tty.value,
		.joins = true,
	};
	return session_detach_keys(cli, o, ret, err);
}

static int run_attach(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	struct container_record *c = NULL;
	struct session_options session;
	int sock = -1;

	cli->failure_exit = EXIT_RUN_FAILED;
	int r = select_environment(cli, o, &env, err);
	if (r == 0)
		r = select_container(&env, option_arg(o, 0), &c, err);
	if (r < 0)
		return r;
	AUTO_FREE char *run_dir = NULL;
	r = session_check_running(&cli->paths, &env, c, &run_dir, err);
	if (r == 0)
		r = fill_session(cli, o, &env, c, &session, err);
	if (r == 0)
		r = machine_attach(run_dir, &sock, err);
	return r < 0 ? r : session_relay(cli, sock, &session, c->name, err);
}

static const struct option_def attach_options[] = {
	OPTION_DETACH_KEYS,
	{ .name = "no-stdin", .help = "only look: pass nothing on" },
	OPTIONS_END,
};

const struct command cmd_attach = {
	.name = "attach",
	.operands = "NAME",
	.summary = "connect to what a container's own process reads and writes",
	.text = "Input is passed on if the container has \"stdin: true\"; with \"tty: true\" it is "
		"its "
		"terminal, and ctrl-p ctrl-q leaves it. Without a terminal ctrl-c leaves. The "
		"process "
		"goes on either way, and its input stays open. One can be attached at a time.\n\n"
		"If the process ends, the exit code is its own, as with exec.",
	.example = "ctrz attach shell",
	.options = attach_options,
	.run = run_attach,
	.flags = COMMAND_ENVIRONMENT,
	.min_args = 1,
	.max_args = 1,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
