/* SPDX-License-Identifier: MIT */
/* All commands, in the order help shows them. */
#include "orchestrator/cli/command.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

static const struct command *const commands[] = {
	&cmd_up,      &cmd_plan,   &cmd_diff,    &cmd_down,     &cmd_start,   &cmd_stop,
	&cmd_restart, &cmd_init,   &cmd_import,  &cmd_validate, &cmd_config,  &cmd_graph,
	&cmd_lock,    &cmd_ls,     &cmd_ps,      &cmd_logs,     &cmd_events,  &cmd_stats,
	&cmd_top,     &cmd_wait,   &cmd_port,    &cmd_inspect,  &cmd_exec,    &cmd_attach,
	&cmd_cp,      &cmd_kill,   &cmd_pause,   &cmd_unpause,  &cmd_trim,    &cmd_freeze,
	&cmd_run,     &cmd_image,  &cmd_kernel,  &cmd_template, &cmd_trust,   &cmd_cache,
	&cmd_login,   &cmd_logout, &cmd_doctor,  &cmd_schema,   &cmd_explain, &cmd_completion,
	&cmd_man,     &cmd_help,   &cmd_version, NULL,
};

const struct command *const *command_table(void)
{
	return commands;
}

const struct command *command_find(const struct command *const *table, const char *name)
{
	for (; *table; table++)
		if (strcmp((*table)->name, name) == 0)
			return *table;
	return NULL;
}

const char *command_suggest(const struct command *const *table, const char *name)
{
	const char *names[64];
	size_t count = 0;

	for (; *table && count < ARRAY_SIZE(names); table++)
		if (!((*table)->flags & COMMAND_HIDDEN))
			names[count++] = (*table)->name;
	return text_suggest(name, names, count);
}

char *command_full_name(const struct command *c)
{
	for (const struct command *const *top = commands; *top; top++) {
		if (!(*top)->sub)
			continue;
		for (const struct command *const *sub = (*top)->sub; *sub; sub++)
			if (*sub == c)
				return xasprintf("%s %s", (*top)->name, c->name);
	}
	return xstrdup(c->name);
}
