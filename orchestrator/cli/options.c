/* SPDX-License-Identifier: MIT */
/* Parsing of command lines against the command table. */
#include "orchestrator/cli/options.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/cli/command.h"

enum { MAX_TABLES = 4, MAX_OPTIONS = 64 };

static const struct option_def common_options[] = {
	{ .name = "help", .letter = 'h', .help = "show this help" },
	{ .name = "quiet", .letter = 'q', .help = "print results and errors only" },
	{ .name = "debug", .help = "print what is done, step by step" },
	{ .name = "color", .value = "WHEN", .help = "colour: auto (default), always or never" },
	OPTIONS_END,
};

static const struct option_def environment_options[] = {
	{ .name = "environment",
	  .letter = 'e',
	  .value = "NAME|ID",
	  .help = "the environment; else that of ./env.yaml, else the only one" },
	OPTIONS_END,
};

static const struct option_def json_options[] = {
	{ .name = "json", .help = "print JSON" },
	OPTIONS_END,
};

size_t option_tables(const struct command *command, const struct option_def **ret, size_t max)
{
	size_t count = 0;

	assert(max >= MAX_TABLES);
	if (command->options)
		ret[count++] = command->options;
	if (command->flags & COMMAND_ENVIRONMENT)
		ret[count++] = environment_options;
	if (command->flags & COMMAND_JSON)
		ret[count++] = json_options;
	ret[count++] = common_options;
	return count;
}

const struct option_def *option_find(const struct command *command, const char *name, char letter)
{
	const struct option_def *tables[MAX_TABLES];
	size_t count = option_tables(command, tables, MAX_TABLES);

	for (size_t i = 0; i < count; i++)
		for (const struct option_def *d = tables[i]; d->name; d++)
			if (letter ? d->letter == letter : strcmp(d->name, name) == 0)
				return d;
	return NULL;
}

void options_release(struct options *o)
{
	strlist_release(&o->args);
	for (size_t i = 0; i < o->seen_count; i++)
		strlist_release(&o->seen[i].values);
	free(o->seen);
	*o = (struct options){ 0 };
}

static struct option_seen *seen_find(const struct options *o, const struct option_def *def)
{
	for (size_t i = 0; i < o->seen_count; i++)
		if (o->seen[i].def == def)
			return &o->seen[i];
	return NULL;
}

static int note(struct options *o, const struct option_def *def, const char *value,
		struct error *err)
{
	struct option_seen *seen = seen_find(o, def);

	if (!seen) {
		GROW_ARRAY(o->seen, o->seen_count, o->seen_room);
		seen = &o->seen[o->seen_count++];
		*seen = (struct option_seen){ .def = def };
	} else if (def->value && !def->repeat) {
		return error_set(err, E_INVALID, "option --%s is given twice", def->name);
	}
	if (value)
		strlist_add(&seen->values, value);
	return 0;
}

static int unknown_option(const struct command *command, const char *name, struct error *err)
{
	const struct option_def *tables[MAX_TABLES];
	size_t count = option_tables(command, tables, MAX_TABLES);
	const char *names[MAX_OPTIONS];
	size_t name_count = 0;
	const char *near;

	for (size_t i = 0; i < count; i++)
		for (const struct option_def *d = tables[i]; d->name && name_count < MAX_OPTIONS;
		     d++)
			names[name_count++] = d->name;
	near = text_suggest(name, names, name_count);
	if (near)
		return error_set(err, E_INVALID, "unknown option --%s; did you mean --%s?", name,
				 near);
	return error_set(err, E_INVALID, "unknown option --%s", name);
}

/* "--name", "--name=value" or "--name value". Return: words used after this one, or -code. */
static int parse_long(struct options *o, const char *word, const char *next, struct error *err)
{
	const char *equals = strchr(word, '=');
	AUTO_FREE char *name = equals ? xstrndup(word, (size_t)(equals - word)) : xstrdup(word);
	const struct option_def *def = option_find(o->command, name, 0);
	const char *value = equals ? equals + 1 : NULL;
	int used = 0;
	int r;

	if (!def)
		return unknown_option(o->command, name, err);
	if (!def->value && value)
		return error_set(err, E_INVALID, "option --%s takes no value", name);
	if (def->value && !value) {
		if (!next)
			return error_set(err, E_INVALID, "option --%s needs a value: --%s %s", name,
					 name, def->value);
		value = next;
		used = 1;
	}
	r = note(o, def, value, err);
	return r < 0 ? r : used;
}

/* "-ti", "-fVALUE" or "-f VALUE". Return: words used after this one, or -code. */
static int parse_short(struct options *o, const char *letters, const char *next, struct error *err)
{
	for (const char *p = letters; *p; p++) {
		const struct option_def *def = option_find(o->command, NULL, *p);
		int r;

		if (!def)
			return error_set(err, E_INVALID, "unknown option -%c", *p);
		if (!def->value) {
			r = note(o, def, NULL, err);
			if (r < 0)
				return r;
			continue;
		}
		if (p[1])
			return note(o, def, p[1] == '=' ? p + 2 : p + 1, err);
		if (!next)
			return error_set(err, E_INVALID, "option -%c needs a value: -%c %s", *p, *p,
					 def->value);
		r = note(o, def, next, err);
		return r < 0 ? r : 1;
	}
	return 0;
}

static void add_rest(struct options *o, int argc, char **argv, int from)
{
	for (int i = from; i < argc; i++)
		strlist_add(&o->args, argv[i]);
}

int options_parse(const struct command *command, int argc, char **argv, struct options *ret,
		  struct error *err)
{
	*ret = (struct options){ .command = command };
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		int used = 0;

		if (strcmp(word, "--") == 0) {
			add_rest(ret, argc, argv, i + 1);
			break;
		}
		if (str_starts(word, "--")) {
			used = parse_long(ret, word + 2, next, err);
		} else if (word[0] == '-' && word[1]) {
			used = parse_short(ret, word + 1, next, err);
		} else if (command->flags & COMMAND_OPTIONS_FIRST) {
			strlist_add(&ret->args, word);
			add_rest(ret, argc, argv, next && strcmp(next, "--") == 0 ? i + 2 : i + 1);
			break;
		} else {
			strlist_add(&ret->args, word);
		}
		if (used < 0)
			return used;
		i += used;
	}
	return 0;
}

static const struct option_seen *seen_by_name(const struct options *o, const char *name)
{
	const struct option_def *def = option_find(o->command, name, 0);

	return def ? seen_find(o, def) : NULL;
}

bool option_given(const struct options *o, const char *name)
{
	return seen_by_name(o, name) != NULL;
}

const char *option_value(const struct options *o, const char *name)
{
	const struct option_seen *seen = seen_by_name(o, name);

	return seen && seen->values.count ? seen->values.items[seen->values.count - 1] : NULL;
}

const struct strlist *option_values(const struct options *o, const char *name)
{
	const struct option_seen *seen = seen_by_name(o, name);

	return seen ? &seen->values : NULL;
}

int option_number(const struct options *o, const char *name, uint64_t max, uint64_t fallback,
		  uint64_t *ret, struct error *err)
{
	const char *value = option_value(o, name);

	if (!value) {
		*ret = fallback;
		return 0;
	}
	if (!parse_u64(value, max, ret))
		return error_set(err, E_INVALID, "option --%s: '%s' is no number from 0 to %llu",
				 name, value, (unsigned long long)max);
	return 0;
}

const char *option_arg(const struct options *o, size_t index)
{
	return index < o->args.count ? o->args.items[index] : NULL;
}
