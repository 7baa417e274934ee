/* SPDX-License-Identifier: MIT */
/* --help and the man page's command list from the command table. */
#include "orchestrator/cli/help.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "orchestrator/cli/output.h"

enum { MAX_TABLES = 4, HELP_WIDTH = 78 };

static const char *const group_titles[] = {
	[GROUP_ENVIRONMENT] = "Environments",
	[GROUP_CONTAINERS] = "Containers",
	[GROUP_HOST] = "Images, kernels and this host",
	[GROUP_OTHER] = "Other",
};
static_assert(ARRAY_SIZE(group_titles) == GROUP_COUNT, "every group has a title");

static void add_heading(struct buffer *out, bool color, const char *text)
{
	buffer_printf(out, "\n%s%s:%s\n", color_on(color, COLOR_BOLD), text,
		      color_off(color, COLOR_BOLD));
}

/* Paragraphs of @text, words wrapped at HELP_WIDTH. */
static void add_wrapped(struct buffer *out, const char *text, size_t indent)
{
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " \n");

		if (word) {
			if (column && column + 1 + word > HELP_WIDTH) {
				buffer_add_char(out, '\n');
				column = 0;
			}
			if (column)
				buffer_add_char(out, ' ');
			else
				buffer_printf(out, "%*s", (int)indent, "");
			buffer_add(out, text, word);
			column = (column ? column + 1 : indent) + word;
			text += word;
		}
		if (text[0] == '\n' && text[1] == '\n') {
			buffer_add_str(out, "\n\n");
			column = 0;
			text += 2;
		} else if (*text) {
			text++;
		}
	}
	buffer_add_char(out, '\n');
}

static char *option_form(const struct option_def *d)
{
	const char *space = d->value ? " " : "";
	const char *value = d->value ? d->value : "";

	if (d->letter)
		return xasprintf("-%c, --%s%s%s", d->letter, d->name, space, value);
	return xasprintf("    --%s%s%s", d->name, space, value);
}

static size_t options_width(const struct option_def *const *tables, size_t count)
{
	size_t width = 0;

	for (size_t i = 0; i < count; i++) {
		for (const struct option_def *d = tables[i]; d->name; d++) {
			AUTO_FREE char *form = option_form(d);
			size_t length = strlen(form);

			width = length > width ? length : width;
		}
	}
	return width;
}

static void add_options(struct buffer *out, bool color, const struct command *c)
{
	const struct option_def *tables[MAX_TABLES];
	size_t count = option_tables(c, tables, MAX_TABLES);
	size_t width = options_width(tables, count);

	add_heading(out, color, "Options");
	for (size_t i = 0; i < count; i++) {
		for (const struct option_def *d = tables[i]; d->name; d++) {
			AUTO_FREE char *form = option_form(d);

			buffer_printf(out, "  %-*s  %s%s\n", (int)width, form, d->help,
				      d->repeat ? " (repeatable)" : "");
		}
	}
}

static void add_lines(struct buffer *out, const char *text, const char *before, const char *after)
{
	while (*text) {
		size_t length = strcspn(text, "\n");

		buffer_add_str(out, before);
		buffer_add(out, text, length);
		buffer_add_str(out, after);
		text += length;
		text += *text == '\n';
	}
}

static void add_command_line(struct buffer *out, const char *name, const char *summary)
{
	buffer_printf(out, "  %-12s  %s\n", name, summary);
}

static void program_help(bool color, struct buffer *out)
{
	buffer_add_str(out, "ctrz - development environments whose containers are virtual "
			    "machines\n\nUsage: ctrz COMMAND [OPTION...]\n");
	for (int group = 0; group < GROUP_COUNT; group++) {
		add_heading(out, color, group_titles[group]);
		for (const struct command *const *c = command_table(); *c; c++)
			if ((int)(*c)->group == group && !((*c)->flags & COMMAND_HIDDEN))
				add_command_line(out, (*c)->name, (*c)->summary);
	}
	buffer_add_str(out, "\n'ctrz help COMMAND' explains one. The file is described in "
			    "env.yaml(5).\n");
}

static void group_help(const struct command *group, bool color, struct buffer *out)
{
	buffer_printf(out, "ctrz %s - %s\n\nUsage: ctrz %s COMMAND [OPTION...]\n", group->name,
		      group->summary, group->name);
	add_heading(out, color, "Commands");
	for (const struct command *const *c = group->sub; *c; c++)
		add_command_line(out, (*c)->name, (*c)->summary);
}

void help_text(const struct command *c, bool color, struct buffer *out)
{
	AUTO_FREE char *name = NULL;

	if (!c) {
		program_help(color, out);
		return;
	}
	if (c->sub) {
		group_help(c, color, out);
		return;
	}
	name = command_full_name(c);
	buffer_printf(out, "ctrz %s - %s\n\nUsage: ctrz %s [OPTION...]%s%s\n", name, c->summary,
		      name, c->operands ? " " : "", c->operands ? c->operands : "");
	if (c->text) {
		buffer_add_char(out, '\n');
		add_wrapped(out, c->text, 0);
	}
	add_options(out, color, c);
	if (c->example) {
		add_heading(out, color, "Examples");
		add_lines(out, c->example, "  ", "\n");
	}
}

int help_print(const struct cli *cli, const struct command *c)
{
	AUTO_BUFFER b = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	help_text(c, cli->color_out, &b);
	if (out_write(&b, &err) < 0) {
		cli_print_error(cli, &err);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

/* scdoc marks underlines with "_" and takes "\" as escape. */
static void add_scdoc(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("_*\\<#`~", *text))
			buffer_add_char(out, '\\');
		buffer_add_char(out, *text);
	}
}

static void scdoc_command(struct buffer *out, const struct command *c)
{
	AUTO_FREE char *name = command_full_name(c);

	buffer_printf(out, "## ctrz %s", name);
	buffer_add_str(out, c->operands ? " " : "");
	add_scdoc(out, c->operands ? c->operands : "");
	buffer_add_str(out, "\n\n");
	add_scdoc(out, c->summary);
	buffer_add_str(out, ".\n\n");
	if (c->text) {
		add_scdoc(out, c->text);
		buffer_add_str(out, "\n\n");
	}
	for (const struct option_def *d = c->options; d && d->name; d++) {
		if (d->letter)
			buffer_printf(out, "*-%c*, ", d->letter);
		buffer_printf(out, "*--%s*", d->name);
		if (d->value) {
			buffer_add_str(out, " _");
			buffer_add_str(out, d->value);
			buffer_add_char(out, '_');
		}
		buffer_add_str(out, "\n\t");
		add_scdoc(out, d->help);
		buffer_printf(out, "%s.\n\n", d->repeat ? "; may be given more than once" : "");
	}
	if (c->example) {
		buffer_add_str(out, "```\n");
		add_lines(out, c->example, "", "\n");
		buffer_add_str(out, "```\n\n");
	}
}

void help_scdoc(struct buffer *out)
{
	buffer_add_str(out, "# COMMANDS\n\n");
	for (const struct command *const *c = command_table(); *c; c++) {
		if ((*c)->flags & COMMAND_HIDDEN)
			continue;
		if (!(*c)->sub) {
			scdoc_command(out, *c);
			continue;
		}
		for (const struct command *const *sub = (*c)->sub; *sub; sub++)
			scdoc_command(out, *sub);
	}
}
