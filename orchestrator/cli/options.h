/* SPDX-License-Identifier: MIT */
/* Command-line options from tables: what a command takes is data, parsed in one place. */
#ifndef CTRZ_ORCHESTRATOR_CLI_OPTIONS_H
#define CTRZ_ORCHESTRATOR_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

struct command;

/* One option of a command; a table of them ends with OPTIONS_END. */
struct option_def {
	const char *name;  /* long form, without dashes */
	char letter;       /* short form, 0 = none */
	const char *value; /* what stands for its value in help, NULL = a flag */
	const char *help;  /* one line, no full stop */
	bool repeat;       /* may be given more than once */
};

#define OPTIONS_END \
	{           \
		0   \
	}

/* One option that was given. */
struct option_seen {
	const struct option_def *def;
	struct strlist values; /* in order; empty for a flag */
};

struct options {
	const struct command *command;
	struct strlist args; /* the operands */
	struct option_seen *seen;
	size_t seen_count, seen_room;
};

#define AUTO_OPTIONS CLEANUP(options_release) struct options

void options_release(struct options *o);

/**
 * options_parse() - parse what follows a command's name
 * @argv: the words after the command's name, at least @argc of them
 * @ret: owned; filled also on failure as far as it got, always to be released
 *
 * Options and operands may be mixed, except for commands with COMMAND_OPTIONS_FIRST, where
 * everything from the first operand on is an operand ("--" right after the first one is dropped).
 * "--" ends the options. Return: 0, or -E_INVALID with what is wrong and the nearest option
 */
int options_parse(const struct command *command, int argc, char **argv, struct options *ret,
		  struct error *err) MUST_CHECK;

/** option_given() - whether the option was there; @name must be in the command's tables */
bool option_given(const struct options *o, const char *name);
/** option_value() - the last value given, or NULL; lent */
const char *option_value(const struct options *o, const char *name);
/** option_values() - all values given, in order, or NULL; lent */
const struct strlist *option_values(const struct options *o, const char *name);
/** option_number() - a value as a number up to @max; @fallback if not given. Return: 0 or
 * -E_INVALID */
int option_number(const struct options *o, const char *name, uint64_t max, uint64_t fallback,
		  uint64_t *ret, struct error *err) MUST_CHECK;
/** option_arg() - the operand at @index, or NULL; lent */
const char *option_arg(const struct options *o, size_t index);

/**
 * option_find() - look an option up by its long name (@letter 0) or letter in the tables of
 * @command, the ones its flags bring and the ones every command takes
 */
const struct option_def *option_find(const struct command *command, const char *name, char letter);

/** option_tables() - the tables that apply to @command, at most @max, own ones first. Return: how
 * many */
size_t option_tables(const struct command *command, const struct option_def **ret, size_t max);

#endif
