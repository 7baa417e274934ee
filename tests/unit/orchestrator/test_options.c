/* SPDX-License-Identifier: MIT */
/* The option parser against a command of its own. */
#include "orchestrator/cli/options.h"

#include "orchestrator/cli/command.h"
#include "tests/unit/test.h"

static const struct option_def sample_options[] = {
	{ .name = "tty", .letter = 't', .help = "flag" },
	{ .name = "interactive", .letter = 'i', .help = "flag" },
	{ .name = "tail", .letter = 'n', .value = "N", .help = "value" },
	{ .name = "env", .value = "NAME=VALUE", .help = "list", .repeat = true },
	OPTIONS_END,
};

static const struct command sample = { .name = "sample",
				       .options = sample_options,
				       .flags = COMMAND_ENVIRONMENT | COMMAND_JSON };
static const struct command sample_first = { .name = "first",
					     .options = sample_options,
					     .flags = COMMAND_OPTIONS_FIRST };

static int parse(const struct command *c, const char *line, struct options *o, struct error *err)
{
	char *argv[16];
	int argc = 0;
	char *copy = strdup(line);
	char *rest = copy;
	char *word;
	int r;

	while ((word = strtok_r(rest, " ", &rest)) && argc < 16)
		argv[argc++] = word;
	r = options_parse(c, argc, argv, o, err);
	free(copy);
	return r;
}

TEST(mixes_options_and_operands)
{
	AUTO_OPTIONS o = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, parse(&sample, "web -ti --tail 5 db -e shop --env A=1 --env=B=2", &o, &err));
	assert_int_equal(o.args.count, 2);
	assert_string_equal(option_arg(&o, 1), "db");
	assert_null(option_arg(&o, 2));
	assert_true(option_given(&o, "tty"));
	assert_true(option_given(&o, "interactive"));
	assert_false(option_given(&o, "json"));
	assert_string_equal(option_value(&o, "tail"), "5");
	assert_string_equal(option_value(&o, "environment"), "shop");
	assert_int_equal(option_values(&o, "env")->count, 2);
	assert_string_equal(option_values(&o, "env")->items[1], "B=2");
}

TEST(short_values_may_be_attached)
{
	AUTO_OPTIONS o = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, parse(&sample, "-tn7 -eshop", &o, &err));
	assert_true(option_given(&o, "tty"));
	assert_string_equal(option_value(&o, "tail"), "7");
	assert_string_equal(option_value(&o, "environment"), "shop");
}

TEST(two_dashes_end_options)
{
	AUTO_OPTIONS o = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, parse(&sample, "a -- -t --json", &o, &err));
	assert_int_equal(o.args.count, 3);
	assert_false(option_given(&o, "tty"));
}

TEST(first_operand_ends_options_where_told)
{
	AUTO_OPTIONS o = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, parse(&sample_first, "-t app -- ls -i --", &o, &err));
	assert_int_equal(o.args.count, 4);
	assert_string_equal(option_arg(&o, 0), "app");
	assert_string_equal(option_arg(&o, 1), "ls");
	assert_string_equal(option_arg(&o, 3), "--");
	assert_true(option_given(&o, "tty"));
	assert_false(option_given(&o, "interactive"));
}

static void rejects(const struct command *c, const char *line, const char *message)
{
	AUTO_OPTIONS o = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	assert_int_equal(parse(c, line, &o, &err), -E_INVALID);
	assert_string_equal(error_message(&err), message);
}

TEST(says_what_is_wrong)
{
	rejects(&sample, "--tial 5", "unknown option --tial; did you mean --tail?");
	rejects(&sample, "--zzzzzz", "unknown option --zzzzzz");
	rejects(&sample, "-x", "unknown option -x");
	rejects(&sample, "--tail", "option --tail needs a value: --tail N");
	rejects(&sample, "-n", "option -n needs a value: -n N");
	rejects(&sample, "--tty=1", "option --tty takes no value");
	rejects(&sample, "--tail 1 --tail 2", "option --tail is given twice");
	rejects(&sample_first, "--json x", "unknown option --json");
}

TEST(numbers_are_checked)
{
	AUTO_OPTIONS o = { 0 };
	AUTO_ERROR err = ERROR_INIT;
	uint64_t n = 0;

	assert_ok(err, parse(&sample, "--tail 5x", &o, &err));
	assert_error(err, E_INVALID, option_number(&o, "tail", 100, 0, &n, &err));
	options_release(&o);
	assert_ok(err, parse(&sample, "--tail 50", &o, &err));
	assert_ok(err, option_number(&o, "tail", 100, 0, &n, &err));
	assert_int_equal(n, 50);
	assert_error(err, E_INVALID, option_number(&o, "tail", 49, 0, &n, &err));
	options_release(&o);
	assert_ok(err, parse(&sample, "a", &o, &err));
	assert_ok(err, option_number(&o, "tail", 100, 9, &n, &err));
	assert_int_equal(n, 9);
}

/* Every command must be usable by its table alone: unique names and letters, a summary, a body. */
static void check_command(const struct command *c)
{
	const struct option_def *tables[4];
	size_t count = option_tables(c, tables, 4);
	bool letters[128] = { false };

	assert_non_null(c->run);
	assert_non_null(c->summary);
	assert_true(c->max_args == ARGS_ANY || c->max_args >= c->min_args);
	assert_true(c->max_args == 0 || c->operands);
	for (size_t i = 0; i < count; i++) {
		for (const struct option_def *d = tables[i]; d->name; d++) {
			assert_non_null(d->help);
			assert_ptr_equal(option_find(c, d->name, 0), d);
			if (!d->letter)
				continue;
			assert_false(letters[(unsigned char)d->letter & 127]);
			letters[(unsigned char)d->letter & 127] = true;
		}
	}
}

TEST(every_command_is_whole)
{
	for (const struct command *const *c = command_table(); *c; c++) {
		if (!(*c)->sub)
			check_command(*c);
		for (const struct command *const *sub = (*c)->sub; sub && *sub; sub++)
			check_command(*sub);
		assert_ptr_equal(command_find(command_table(), (*c)->name), *c);
	}
}
