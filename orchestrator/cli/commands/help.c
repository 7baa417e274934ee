/* SPDX-License-Identifier: MIT */
/* ctrz help, version, completion and man: what the program says about itself. */
#include "orchestrator/cli/command.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/cli/help.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/version.h"
#include "spec/spec.h"

static int run_help(struct cli *cli, const struct options *o, struct error *err)
{
	const struct command *const *table = command_table();
	const struct command *c = NULL;

	for (size_t i = 0; i < o->args.count; i++) {
		const char *name = o->args.items[i];

		c = table ? command_find(table, name) : NULL;
		if (!c) {
			const char *near = table ? command_suggest(table, name) : NULL;

			return cli_usage(cli, err, "no command '%s'%s%s%s", name,
					 near ? "; did you mean '" : "", near ? near : "",
					 near ? "'?" : "");
		}
		table = c->sub;
	}
	return help_print(cli, c);
}

const struct command cmd_help = {
	.name = "help",
	.operands = "[COMMAND...]",
	.summary = "explain a command",
	.run = run_help,
	.flags = COMMAND_NO_SETUP,
	.max_args = 2,
	.group = GROUP_OTHER,
};

static int run_version(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	(void)o;
	if (cli->json) {
		AUTO_JSON v = json_new_object();

		json_set_string(v, "version", CTRZ_VERSION);
		return out_json(v, err);
	}
	buffer_printf(&b, "ctrz %s\n", CTRZ_VERSION);
	return out_write(&b, err);
}

const struct command cmd_version = {
	.name = "version",
	.summary = "print the version",
	.run = run_version,
	.flags = COMMAND_NO_SETUP | COMMAND_JSON,
	.group = GROUP_OTHER,
};

static int run_completion(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;
	const char *shell = option_arg(o, 0);

	if (!help_completion(shell, &b))
		return cli_usage(cli, err, "'%s' is not bash, zsh or fish", shell);
	return out_write(&b, err);
}

const struct command cmd_completion = {
	.name = "completion",
	.operands = "bash|zsh|fish",
	.summary = "print a completion script for a shell",
	.example = "ctrz completion bash >~/.local/share/bash-completion/completions/ctrz",
	.run = run_completion,
	.flags = COMMAND_NO_SETUP,
	.min_args = 1,
	.max_args = 1,
	.group = GROUP_OTHER,
};

static int run_man(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	const char *page = option_arg(o, 0);

	if (!page)
		help_scdoc(&b);
	else if (strcmp(page, "env.yaml") == 0)
		spec_manual(&b);
	else if (strcmp(page, "config.yaml") == 0)
		config_manual(&b);
	else if (strcmp(page, "env.lock") == 0)
		lock_manual(&b);
	else
		return cli_usage(cli, err, "no generated part for '%s'", page);
	return out_write(&b, err);
}

/* Used by the build of the manual pages. */
const struct command cmd_man = {
	.name = "__man",
	.operands = "[env.yaml|env.lock|config.yaml]",
	.summary = "print the commands or the keys of a file in scdoc",
	.run = run_man,
	.flags = COMMAND_NO_SETUP | COMMAND_HIDDEN,
	.max_args = 1,
	.group = GROUP_OTHER,
};
