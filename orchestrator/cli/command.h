/* SPDX-License-Identifier: MIT */
/* The command table: dispatch, --help, usage errors, completion and the man page all come from it.
 */
#ifndef CTRZ_ORCHESTRATOR_CLI_COMMAND_H
#define CTRZ_ORCHESTRATOR_CLI_COMMAND_H

#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/options.h"

enum command_flags {
	COMMAND_HIDDEN = 1 << 0,        /* not in help, completion or the man page */
	COMMAND_ENVIRONMENT = 1 << 1,   /* takes -e, --environment */
	COMMAND_JSON = 1 << 2,          /* takes --json */
	COMMAND_OPTIONS_FIRST = 1 << 3, /* everything from the first operand on is an operand */
	COMMAND_NO_SETUP = 1 << 4,      /* runs without host paths (help, version, completion) */
};

enum command_group { GROUP_ENVIRONMENT, GROUP_CONTAINERS, GROUP_HOST, GROUP_OTHER, GROUP_COUNT };

enum { ARGS_ANY = -1 };

/* What an operand is, for completion. */
enum operand_kind {
	OPERAND_NONE,
	OPERAND_FILE,
	OPERAND_CONTAINER,
	OPERAND_IMAGE,
	OPERAND_KERNEL,
	OPERAND_CODE
};

/**
 * command_fn - run a command
 *
 * Return: an exit code (0 and up; see enum exit_code), or -code with @err set, which main() prints
 * and turns into an exit code. A wrong use of the command is cli_usage().
 */
typedef int (*command_fn)(struct cli *cli, const struct options *o, struct error *err);

struct command {
	const char *name;
	const char *operands;             /* "[FILE] [NAME...]"; NULL = none */
	const char *summary;              /* one line, no full stop */
	const char *text;                 /* paragraphs parted by empty lines; NULL = none */
	const char *example;              /* lines "ctrz ...", parted by newlines; NULL = none */
	const struct option_def *options; /* ends with OPTIONS_END; NULL = none */
	const struct command *const *sub; /* NULL-terminated; a group of commands has no run */
	command_fn run;
	unsigned flags;         /* enum command_flags */
	int min_args, max_args; /* max ARGS_ANY = no bound */
	enum command_group group;
	enum operand_kind operand;
};

/** command_table() - all commands, in the order of the help; NULL-terminated */
const struct command *const *command_table(void);
/** command_find() - by name in a NULL-terminated table; NULL if there is none */
const struct command *command_find(const struct command *const *table, const char *name);
/** command_suggest() - the visible name nearest to @name, or NULL */
const char *command_suggest(const struct command *const *table, const char *name);
/** command_full_name() - owned "image pull" of a command in the table */
char *command_full_name(const struct command *c);

/* One file each: commands/<name>.c. */
extern const struct command cmd_up, cmd_plan, cmd_down, cmd_ls, cmd_ps, cmd_logs, cmd_exec, cmd_run;
extern const struct command cmd_attach, cmd_cp, cmd_kill, cmd_pause, cmd_stats, cmd_top,
	cmd_unpause;
extern const struct command cmd_diff, cmd_events, cmd_inspect, cmd_lock, cmd_port, cmd_wait;
extern const struct command cmd_freeze, cmd_trim;
extern const struct command cmd_start, cmd_stop, cmd_restart, cmd_init, cmd_import, cmd_validate,
	cmd_config, cmd_graph;
extern const struct command cmd_schema, cmd_explain;
extern const struct command cmd_cache, cmd_image, cmd_kernel, cmd_template, cmd_doctor, cmd_login,
	cmd_logout, cmd_trust;
extern const struct command cmd_help, cmd_version, cmd_completion, cmd_man;

#endif
