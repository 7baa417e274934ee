/* SPDX-License-Identifier: MIT */
/* ctrz diff: what the file says other than what was applied. Looks at no machine. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/cli/open.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/settings.h"

struct diffing {
	const struct cli *cli;
	struct buffer text;
	struct json *list;
	size_t count;
};

static char *object_of(const struct spec_change *c)
{
	if (strcmp(c->object, "container") == 0)
		return xstrdup(c->name);
	if (c->container)
		return xasprintf("%s/%s", c->container, c->name);
	return xasprintf("%s%s%s", c->object, c->name && *c->name ? " " : "",
			 c->name ? c->name : "");
}

static void add_json(struct diffing *d, const struct spec_change *c, const char *object)
{
	struct json *o = json_new_object();

	json_set_string(o, "object", object);
	json_set_string(o, "field", c->field);
	json_set_string(o, "class", spec_class_name(c->change_class));
	json_set_string(o, "old", c->old_text);
	json_set_string(o, "new", c->new_text);
	if (c->pos.line) {
		json_set_string(o, "file", c->pos.file);
		json_set_int(o, "line", c->pos.line);
	}
	json_add(d->list, o);
}

static void add_side(struct diffing *d, char sign, const struct spec_change *c, const char *object,
		     const char *value)
{
	enum color color = sign == '-' ? COLOR_RED : COLOR_GREEN;
	const char *base = c->pos.file ? strrchr(c->pos.file, '/') : NULL;

	if (!value)
		return;
	buffer_printf(&d->text, "%s%c ", color_on(d->cli->color_out, color), sign);
	text_escape(&d->text, object, strlen(object), false);
	if (*c->field) {
		buffer_add_char(&d->text, ' ');
		text_escape(&d->text, c->field, strlen(c->field), false);
		buffer_add_str(&d->text, ": ");
		text_escape(&d->text, value, strlen(value), false);
	}
	buffer_add_str(&d->text, color_off(d->cli->color_out, color));
	if (sign == '+' && c->pos.line && c->pos.file) {
		const char *file = base ? base + 1 : c->pos.file;

		buffer_add_str(&d->text, "  # ");
		text_escape(&d->text, file, strlen(file), false);
		buffer_printf(&d->text, ":%u", c->pos.line);
	}
	buffer_add_char(&d->text, '\n');
}

static void on_change(void *arg, const struct spec_change *c)
{
	struct diffing *d = arg;
	AUTO_FREE char *object = object_of(c);

	d->count++;
	if (d->cli->json) {
		add_json(d, c, object);
		return;
	}
	add_side(d, '-', c, object, c->old_text);
	add_side(d, '+', c, object, c->new_text);
}

static int report(struct diffing *d, const struct options *o, struct error *err)
{
	int r = d->cli->json ? out_json(d->list, err) : out_write(&d->text, err);

	if (r < 0)
		return r;
	return d->count && option_given(o, "detailed-exitcode") ? EXIT_CHANGES : EXIT_OK;
}

static int run_diff(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_TARGET target = { 0 };
	AUTO_HOST_CONFIG config = { 0 };
	AUTO_WORLD w = { 0 };
	struct diffing d = { .cli = cli, .text = BUFFER_INIT };
	int r = target_find(cli, o, &target, err);

	if (r == 0 && target.names.count)
		return cli_usage(cli, err, "it compares whole files, not '%s' alone",
				 target.names.items[0]);
	if (r == 0)
		r = settings_load(cli, &config, err);
	if (r == 0)
		r = open_wanted(cli, &target, &config, &w, err);
	if (r != 0)
		return r;
	world_load_applied(&w);
	if (!w.applied)
		return error_set(err, E_NOT_FOUND,
				 "nothing of '%s' is up to compare with; bring it up with: ctrz up",
				 target.file);
	d.list = json_new_array();
	spec_diff(w.applied, w.wanted, on_change, &d);
	r = report(&d, o, err);
	json_free(d.list);
	buffer_release(&d.text);
	return r;
}

static const struct option_def diff_options[] = {
	SPEC_OPTIONS,
	{ .name = "detailed-exitcode", .help = "exit with 2 if there is a difference" },
	OPTIONS_END,
};

const struct command cmd_diff = {
	.name = "diff",
	.operands = "[FILE]",
	.summary = "show what the file says other than what was applied",
	.text = "Field by field, by their meaning: another order, quotes or comments are no "
		"difference. Machines are not looked at; what a change costs and what happened "
		"meanwhile is what ctrz plan shows. Values of secrets are shown as (changed).",
	.example = "ctrz diff\nctrz diff -f env.yaml -f mine.yaml",
	.options = diff_options,
	.run = run_diff,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = 1,
	.group = GROUP_ENVIRONMENT,
	.operand = OPERAND_FILE,
};
