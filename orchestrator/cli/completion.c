/* SPDX-License-Identifier: MIT */
/* Shell completion made from the command table; names come from "ctrz ls/ps/image ls", never from
 * the network. */
#include "orchestrator/cli/help.h"

#include <string.h>

#include "base/alloc.h"

enum { MAX_TABLES = 4 };

static void add_option_words(struct buffer *out, const struct command *c)
{
	const struct option_def *tables[MAX_TABLES];
	size_t count = option_tables(c, tables, MAX_TABLES);

	for (size_t i = 0; i < count; i++) {
		for (const struct option_def *d = tables[i]; d->name; d++) {
			buffer_printf(out, " --%s", d->name);
			if (d->letter)
				buffer_printf(out, " -%c", d->letter);
		}
	}
}

static void add_names(struct buffer *out, const struct command *const *table)
{
	for (; *table; table++)
		if (!((*table)->flags & COMMAND_HIDDEN))
			buffer_printf(out, " %s", (*table)->name);
}

static const char *operand_words(enum operand_kind kind)
{
	switch (kind) {
	case OPERAND_CONTAINER:
		return "$(ctrz ps --names 2>/dev/null)";
	case OPERAND_IMAGE:
		return "$(ctrz image ls --names 2>/dev/null)";
	case OPERAND_KERNEL:
		return "$(ctrz kernel ls --names 2>/dev/null)";
	case OPERAND_CODE:
		return "$(ctrz explain --names 2>/dev/null)";
	case OPERAND_NONE:
	case OPERAND_FILE:
		break;
	}
	return "";
}

static void bash_case(struct buffer *out, const struct command *c)
{
	AUTO_FREE char *name = command_full_name(c);

	buffer_printf(out, "\t'%s')\n\t\toptions='", name);
	add_option_words(out, c);
	buffer_printf(out, "'\n\t\twords=\"%s\"\n\t\t;;\n", operand_words(c->operand));
}

static void bash_group(struct buffer *out, const struct command *c)
{
	buffer_printf(out, "\t'%s')\n\t\twords='", c->name);
	add_names(out, c->sub);
	buffer_add_str(out, "'\n\t\toptions=\n\t\t;;\n");
	for (const struct command *const *sub = c->sub; *sub; sub++)
		bash_case(out, *sub);
}

static void add_bash(struct buffer *out)
{
	buffer_add_str(out, "_ctrz()\n{\n\tlocal current=${COMP_WORDS[COMP_CWORD]} key= "
			    "options= words=\n\tcase \"$COMP_CWORD:${COMP_WORDS[1]}\" in\n"
			    "\t1:*) key= ;;\n");
	for (const struct command *const *c = command_table(); *c; c++)
		if ((*c)->sub)
			buffer_printf(out,
				      "\t2:%s) key=%s ;;\n\t*:%s) key=\"%s "
				      "${COMP_WORDS[2]}\" ;;\n",
				      (*c)->name, (*c)->name, (*c)->name, (*c)->name);
	buffer_add_str(out, "\t*) key=${COMP_WORDS[1]} ;;\n\tesac\n\tcase \"$key\" in\n\t'')\n"
			    "\t\twords='");
	add_names(out, command_table());
	buffer_add_str(out, "'\n\t\t;;\n");
	for (const struct command *const *c = command_table(); *c; c++) {
		if ((*c)->flags & COMMAND_HIDDEN)
			continue;
		if ((*c)->sub)
			bash_group(out, *c);
		else
			bash_case(out, *c);
	}
	buffer_add_str(out, "\tesac\n\tcase \"$current\" in\n"
			    "\t-*) COMPREPLY=($(compgen -W \"$options\" -- \"$current\")) ;;\n"
			    "\t*) COMPREPLY=($(compgen -W \"$words\" -- \"$current\")) ;;\n"
			    "\tesac\n}\ncomplete -o default -F _ctrz ctrz\n");
}

/* zsh runs the bash function through its own emulation. */
static void add_zsh(struct buffer *out)
{
	buffer_add_str(out, "#compdef ctrz\nautoload -U +X bashcompinit && bashcompinit\n");
	add_bash(out);
}

static void fish_text(struct buffer *out, const char *text)
{
	buffer_add_char(out, '\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			buffer_add_char(out, '\\');
		buffer_add_char(out, *text);
	}
	buffer_add_char(out, '\'');
}

static void fish_options(struct buffer *out, const struct command *c, const char *condition)
{
	const struct option_def *tables[MAX_TABLES];
	size_t count = option_tables(c, tables, MAX_TABLES);

	for (size_t i = 0; i < count; i++) {
		for (const struct option_def *d = tables[i]; d->name; d++) {
			buffer_printf(out, "complete -c ctrz -n '%s' -l %s", condition, d->name);
			if (d->letter)
				buffer_printf(out, " -s %c", d->letter);
			buffer_add_str(out, d->value ? " -r -d " : " -d ");
			fish_text(out, d->help);
			buffer_add_char(out, '\n');
		}
	}
	if (*operand_words(c->operand)) {
		const char *words = operand_words(c->operand);

		buffer_printf(out, "complete -c ctrz -f -n '%s' -a '%.*s'\n", condition,
			      (int)strlen(words) - 1, words + 1);
	}
}

static void fish_command(struct buffer *out, const struct command *c, const char *condition)
{
	buffer_printf(out, "complete -c ctrz -f -n '%s' -a %s -d ", condition, c->name);
	fish_text(out, c->summary);
	buffer_add_char(out, '\n');
}

static void add_fish(struct buffer *out)
{
	for (const struct command *const *c = command_table(); *c; c++) {
		AUTO_FREE char *seen = xasprintf("__fish_seen_subcommand_from %s", (*c)->name);

		if ((*c)->flags & COMMAND_HIDDEN)
			continue;
		fish_command(out, *c, "__fish_use_subcommand");
		if (!(*c)->sub) {
			fish_options(out, *c, seen);
			continue;
		}
		for (const struct command *const *sub = (*c)->sub; *sub; sub++) {
			AUTO_FREE char *both = xasprintf("%s; and __fish_seen_subcommand_from %s",
							 seen, (*sub)->name);

			fish_command(out, *sub, seen);
			fish_options(out, *sub, both);
		}
	}
}

bool help_completion(const char *shell, struct buffer *out)
{
	if (strcmp(shell, "bash") == 0)
		add_bash(out);
	else if (strcmp(shell, "zsh") == 0)
		add_zsh(out);
	else if (strcmp(shell, "fish") == 0)
		add_fish(out);
	else
		return false;
	return true;
}
