/* SPDX-License-Identifier: MIT */
/* Finding the command, running it, turning failures into text and exit codes. */
#include "orchestrator/cli/cli.h"

#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/help.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/trace_file.h"

int cli_usage(struct cli *cli, struct error *err, const char *fmt, ...)
{
	AUTO_FREE char *text = NULL;
	va_list args;

	va_start(args, fmt);
	text = xvasprintf(fmt, args);
	va_end(args);
	cli->failure_exit = EXIT_USAGE;
	return error_set(err, E_INVALID, "%s (see: ctrz help %s)", text,
			 cli->command_name ? cli->command_name : "");
}

int cli_exit_code(const struct cli *cli, enum error_code code)
{
	if (cli->failure_exit)
		return cli->failure_exit;
	switch (code) {
	case E_INVALID:
		return EXIT_INVALID;
	case E_NOT_FOUND:
		return EXIT_NOT_FOUND;
	case E_TIMEOUT:
		return cli->locks ? EXIT_LOCKED : EXIT_FAILED;
	case E_CANCELED:
		return EXIT_INTERRUPTED;
	case E_EXISTS:
	case E_DENIED:
	case E_CONFLICT:
	case E_INTEGRITY:
	case E_UNAVAILABLE:
	case E_SYSTEM:
	case E_NO_MEMORY:
	case E_INTERNAL:
		break;
	}
	return EXIT_FAILED;
}

static struct json *error_json(const struct error *err)
{
	struct json *o = json_new_object();

	json_set_string(o, "error", error_code_name(err->code));
	json_set_string(o, "message", error_message(err));
	if (err->pos.line) {
		json_set_string(o, "file", err->pos.file);
		json_set_int(o, "line", err->pos.line);
		json_set_int(o, "column", err->pos.column);
	}
	return o;
}

void cli_print_error(const struct cli *cli, const struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;
	const char *message = error_message(err);

	if (cli->json) {
		AUTO_JSON o = error_json(err);

		json_print(o, 0, false, &b);
	} else {
		if (err->pos.line && err->pos.file)
			buffer_printf(&b, "%s:%u:%u: ", err->pos.file, err->pos.line,
				      err->pos.column);
		else
			buffer_add_str(&b, "ctrz: ");
		buffer_printf(&b, "%serror:%s ", color_on(cli->color_err, COLOR_RED),
			      color_off(cli->color_err, COLOR_RED));
		text_escape(&b, message, strlen(message), true);
	}
	buffer_add_char(&b, '\n');
	(void)fwrite(b.data, 1, b.size, stderr);
}

static bool wants_color(int fd, const char *when)
{
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");

	if (when && strcmp(when, "always") == 0)
		return true;
	if (when && strcmp(when, "never") == 0)
		return false;
	return isatty(fd) && term && strcmp(term, "dumb") != 0 && !(no_color && *no_color);
}

static int apply_common_options(struct cli *cli, const struct options *o, struct error *err)
{
	static const char *const whens[] = { "auto", "always", "never" };
	const char *when = option_value(o, "color");
	bool known = !when;

	for (size_t i = 0; i < ARRAY_SIZE(whens); i++)
		known = known || strcmp(when, whens[i]) == 0;
	if (!known)
		return error_set(err, E_INVALID,
				 "option --color: '%s' is not auto, always or never", when);
	cli->color_out = wants_color(STDOUT_FILENO, when);
	cli->color_err = wants_color(STDERR_FILENO, when);
	cli->tty_err =
		wants_color(STDERR_FILENO, NULL) || (isatty(STDERR_FILENO) && getenv("TERM"));
	cli->quiet = option_given(o, "quiet");
	cli->json = (o->command->flags & COMMAND_JSON) && option_given(o, "json");
	if (option_given(o, "debug"))
		log_set_level(LOG_LEVEL_DEBUG);
	return 0;
}

/* The operand at @index of "NAME [--] COMMAND [ARG...]", owned: "COMMAND". */
static char *operand_name(const char *operands, size_t index)
{
	for (const char *at = operands; *at; at += strspn(at, " ")) {
		size_t size = strcspn(at, " ");

		if (strncmp(at, "[--]", size) != 0 && index-- == 0)
			return xstrndup(at, size);
		at += size;
	}
	return xstrdup(operands);
}

static int check_operands(const struct command *c, const struct options *o, struct error *err)
{
	int count = (int)o->args.count;

	if (count < c->min_args) {
		AUTO_FREE char *name =
			operand_name(c->operands ? c->operands : "an operand", (size_t)count);

		return error_set(err, E_INVALID, "%s is missing", name);
	}
	if (c->max_args != ARGS_ANY && count > c->max_args)
		return error_set(err, E_INVALID, "'%s' is one operand too many",
				 o->args.items[c->max_args]);
	return 0;
}

static int usage_failure(struct cli *cli, struct error *err)
{
	(void)error_wrap(err, "%s", cli->command_name);
	cli->failure_exit = EXIT_USAGE;
	cli_print_error(cli, err);
	if (!cli->json)
		(void)fprintf(stderr, "See: ctrz help %s\n", cli->command_name);
	return EXIT_USAGE;
}

/* Of a command that failed a trace is written, too. */
static int run_traced(struct cli *cli, const struct command *c, const struct options *o,
		      struct error *err)
{
	AUTO_ERROR second = ERROR_INIT;
	int trace = -1;
	int r = trace_file_begin(o, cli->command_name, &trace, err);

	if (r < 0)
		cli->failure_exit = EXIT_USAGE;
	if (r == 0 && !(c->flags & COMMAND_NO_SETUP))
		r = host_paths_init(&cli->paths, err);
	if (r == 0)
		r = c->run(cli, o, err);
	if (trace_file_end(o, trace, r < 0 ? &second : err) == 0)
		return r;
	if (r >= 0)
		return -(int)err->code;
	error_ignore(&second, "write the trace");
	return r;
}

static int run_command(struct cli *cli, const struct command *c, int argc, char **argv)
{
	AUTO_OPTIONS o = { 0 };
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *name = command_full_name(c);
	int r;

	cli->command_name = name;
	cli->locks = option_find(c, "lock-timeout", 0) != NULL;
	r = options_parse(c, argc, argv, &o, &err);
	if (option_given(&o, "help"))
		return help_print(cli, c);
	if (r == 0)
		r = apply_common_options(cli, &o, &err);
	if (r == 0)
		r = check_operands(c, &o, &err);
	if (r < 0)
		return usage_failure(cli, &err);
	r = run_traced(cli, c, &o, &err);
	if (r < 0) {
		cli_print_error(cli, &err);
		r = cli_exit_code(cli, err.code);
	}
	cli->command_name = NULL;
	return r;
}

/* What other tools call it. */
static const char *elsewhere(const char *name)
{
	static const struct {
		const char *theirs, *ours;
	} words[] = {
		{ "pull", "ctrz image pull" },
		{ "push", "ctrz image push" },
		{ "load", "ctrz image load" },
		{ "images", "ctrz image ls" },
		{ "rmi", "ctrz image rm" },
		{ "list", "ctrz ls" },
		{ "rm", "ctrz down" },
		{ "destroy", "ctrz down" },
		{ "delete", "ctrz down" },
		{ "apply", "ctrz up" },
		{ "create", "ctrz up" },
		{ "status", "ctrz ps" },
		{ "check", "ctrz validate" },
		{ "lint", "ctrz validate" },
		{ "shell", "ctrz exec -t -i NAME sh" },
		{ "ssh", "ctrz exec -t -i NAME sh" },
		{ "compose", "ctrz import, then ctrz up" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].theirs, name) == 0)
			return words[i].ours;
	return NULL;
}

static int no_such_command(struct cli *cli, const struct command *group,
			   const struct command *const *table, const char *name)
{
	AUTO_ERROR err = ERROR_INIT;
	const char *near = command_suggest(table, name);

	cli->failure_exit = EXIT_USAGE;
	if (!group && elsewhere(name))
		(void)error_set(&err, E_INVALID, "no command '%s'; what you want is: %s", name,
				elsewhere(name));
	else
		(void)error_set(&err, E_INVALID, "no command '%s%s%s'%s%s%s",
				group ? group->name : "", group ? " " : "", name,
				near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	cli_print_error(cli, &err);
	(void)fprintf(stderr, "See: ctrz help%s%s\n", group ? " " : "", group ? group->name : "");
	return EXIT_USAGE;
}

static bool is_help_word(const char *word)
{
	return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

/* Descend from the program through groups to the command that @argv names. */
static int dispatch(struct cli *cli, int argc, char **argv)
{
	const struct command *const *table = command_table();
	const struct command *group = NULL;

	while (argc > 0) {
		const struct command *c;

		if (is_help_word(argv[0]))
			return help_print(cli, group);
		if (!group && strcmp(argv[0], "--version") == 0)
			return run_command(cli, &cmd_version, 0, argv);
		c = command_find(table, argv[0]);
		if (!c)
			return no_such_command(cli, group, table, argv[0]);
		argc--;
		argv++;
		if (!c->sub)
			return run_command(cli, c, argc, argv);
		group = c;
		table = c->sub;
	}
	(void)help_print(cli, group);
	return EXIT_USAGE;
}

int cli_main(int argc, char **argv)
{
	struct cli cli = { 0 };
	int code;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)setlocale(LC_CTYPE, "");
	cli.unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	cli.color_out = wants_color(STDOUT_FILENO, NULL);
	cli.color_err = wants_color(STDERR_FILENO, NULL);
	code = dispatch(&cli, argc - 1, argv + 1);
	host_paths_release(&cli.paths);
	return code;
}
