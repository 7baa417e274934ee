/* SPDX-License-Identifier: MIT */
/* ctrz exec: a further process in a running container. */
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/apply/translate.h"
#include "orchestrator/cli/applied.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/cli/session_exit.h"
#include "orchestrator/cli/settings.h"
#include "orchestrator/state/env_store.h"

/* The image a container was made from; empty if it has been removed since. */
static void find_image(struct cli *cli, const struct container_record *c, struct image *ret)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_HOST_CONFIG config = { 0 };
	CLEANUP(image_store_close_p) struct image_store *store = NULL;
	if (settings_load(cli, &config, &err) < 0 ||
	    settings_images(cli, &config, NULL, NULL, NULL, &store, &err) < 0 ||
	    image_store_find(store, c->image, ret, &err) < 0)
		error_ignore(&err, "look for the container's image");
}

/* Environment, user and folder of the container's own process, for one that joins it. */
static int like_main(struct cli *cli, const struct env_record *env,
		     const struct container_record *c, struct msg_spawn *ret, struct error *err)
{
	AUTO_ENVIRONMENT spec = NULL;
	const struct spec_container *container = NULL;
	int r = applied_container(cli, env, c, &spec, &container, err);
	if (r < 0)
		return r;
	struct image image = { 0 };
	struct process_words none = { 0 };
	find_image(cli, c, &image);
	translate_process(container, &image, &none, ret);
	/* The keeper knows their values, and adds what is missing. */
	translate_drop_secret_env(container, &ret->env);
	image_release(&image);
	return 0;
}

static int fill_spawn(struct cli *cli, const struct options *o, struct msg_spawn *spawn,
		      struct error *err)
{
	const struct strlist *env = option_values(o, "env");
	for (size_t i = 1; i < o->args.count; i++)
		strlist_add(&spawn->argv, o->args.items[i]);
	for (size_t i = 0; env && i < env->count; i++) {
		if (!strchr(env->items[i], '=') || env->items[i][0] == '=')
			return cli_usage(cli, err, "--env takes NAME=VALUE, not '%s'",
					 env->items[i]);
		strlist_add(&spawn->env, env->items[i]);
	}
	if (option_value(o, "user")) {
		free(spawn->user);
		spawn->user = xstrdup(option_value(o, "user"));
	}
	if (option_value(o, "workdir")) {
		free(spawn->working_dir);
		spawn->working_dir = xstrdup(option_value(o, "workdir"));
	}
	spawn->is_main = false;
	spawn->tty = option_given(o, "tty");
	spawn->stdin_open = option_given(o, "interactive");
	if (spawn->tty)
		(void)session_terminal_size(0, 1, &spawn->rows, &spawn->columns);
	return 0;
}

static int run_exec(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	struct container_record *c = NULL;
	struct msg_spawn spawn = { 0 };
	struct session_options session = { 0 };
	int sock = -1;
	cli->failure_exit = EXIT_RUN_FAILED;
	int r = select_environment(cli, o, &env, err);
	if (r == 0)
		r = select_container(&env, option_arg(o, 0), &c, err);
	if (r < 0)
		return r;
	AUTO_FREE char *run_dir = NULL;
	r = session_detach_keys(cli, o, &session, err);
	if (r == 0)
		r = session_check_running(&cli->paths, &env, c, &run_dir, err);
	if (r == 0)
		r = like_main(cli, &env, c, &spawn, err);
	if (r == 0)
		r = fill_spawn(cli, o, &spawn, err);
	if (r == 0) {
		r = machine_exec(run_dir, &spawn, &sock, err);
		if (r < 0)
			cli->failure_exit = session_start_exit(err->code);
	}
	session_streams(&spawn, &session);
	if (r == 0)
		r = session_relay(cli, sock, &session, c->name, err);
	msg_spawn_release(&spawn);
	return r;
}

static const struct option_def exec_options[] = {
	{ .name = "tty", .letter = 't', .help = "give it a terminal" },
	{ .name = "interactive", .letter = 'i', .help = "pass standard input on" },
	{ .name = "env", .value = "NAME=VALUE", .help = "set a variable", .repeat = true },
	{ .name = "user", .letter = 'u', .value = "USER[:GROUP]", .help = "run as this user" },
	{ .name = "workdir", .letter = 'w', .value = "DIR", .help = "run in this folder" },
	OPTION_DETACH_KEYS,
	OPTIONS_END,
};

const struct command cmd_exec = {
	.name = "exec",
	.operands = "NAME [--] COMMAND [ARG...]",
	.summary = "run a command in a running container",
	.text = "The command gets the environment, user and folder of the container's own process. "
		"The exit code "
		"is its own; 128 + N if signal N ended it, 126 if it cannot be executed, 127 if it "
		"is not "
		"there, 125 if ctrz itself failed.\n\n"
		"With a terminal, ctrl-p ctrl-q leaves the command running behind.",
	.example = "ctrz exec -t -i web sh",
	.options = exec_options,
	.run = run_exec,
	.flags = COMMAND_ENVIRONMENT | COMMAND_OPTIONS_FIRST,
	.min_args = 2,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
