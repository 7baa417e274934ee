/* SPDX-License-Identifier: MIT */
/* ctrz ps: what runs, from observation. */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/container_view.h"
#include "orchestrator/cli/env_watch.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/state/env_store.h"

/* On a terminal uptimes are drawn anew this often. */
enum { REDRAW_MS = 1000 };

static void add_table(const struct container_views *rows, bool all, struct buffer *out)
{
	static const char *const headings[] = { "NAME",    "IMAGE", "STATUS", "UPTIME",
						"ADDRESS", "PORTS", NULL };
	static const char *const all_headings[] = { "ENVIRONMENT", "NAME",    "IMAGE", "STATUS",
						    "UPTIME",      "ADDRESS", "PORTS", NULL };
	AUTO_TABLE t = { 0 };

	table_init(&t, all ? all_headings : headings);
	for (size_t i = 0; i < rows->count; i++) {
		const struct container_view *v = &rows->items[i];
		AUTO_FREE char *status = container_status_text(v);
		AUTO_FREE char *addresses = container_addresses_text(v->c);
		AUTO_FREE char *ports = container_ports_text(v->c);
		AUTO_FREE char *age = text_age(
			v->status.phase == MACHINE_RUNNING ? v->status.started_unix_ms : 0);

		if (all)
			table_cell(&t, v->env->name);
		table_cell(&t, v->c->name);
		table_cell(&t, v->c->image);
		table_cell(&t, status);
		table_cell(&t, age);
		table_cell(&t, addresses);
		table_cell(&t, ports);
	}
	table_print(&t, out);
}

static void add_process_row(struct table *t, const struct container_view *v,
			    const struct status_process *p, bool all)
{
	AUTO_FREE char *status = process_status_text(p);
	AUTO_FREE char *age = text_age(p->pid ? p->started_unix_ms : 0);

	if (all)
		table_cell(t, v->env->name);
	table_cell(t, v->c->name);
	table_cell(t, p->name);
	table_cell(t, p->is_task ? "task" : "service");
	table_cell(t, status);
	table_cell(t, age);
	table_cellf(t, "%u", p->restarts);
	table_cell(t, p->text);
}

/* The one process of a container that has no several. */
static void add_only_row(struct table *t, const struct container_view *v, bool all)
{
	const struct machine_status *s = &v->status;
	AUTO_FREE char *status = container_status_text(v);
	AUTO_FREE char *age = text_age(s->phase == MACHINE_RUNNING ? s->started_unix_ms : 0);

	if (all)
		table_cell(t, v->env->name);
	table_cell(t, v->c->name);
	table_cell(t, NULL);
	table_cell(t, NULL);
	table_cell(t, status);
	table_cell(t, age);
	table_cellf(t, "%u", s->restarts);
	table_cell(t, s->error ? s->error : s->health_text);
}

static void add_processes(const struct container_views *rows, bool all, struct buffer *out)
{
	/* Without --all from the second on. */
	static const char *const headings[] = { "ENVIRONMENT", "CONTAINER", "PROCESS",
						"KIND",        "STATUS",    "UPTIME",
						"RESTARTS",    "LAST WORD", NULL };
	AUTO_TABLE t = { 0 };

	table_init(&t, all ? headings : headings + 1);
	for (size_t i = 0; i < rows->count; i++) {
		const struct container_view *v = &rows->items[i];

		if (!v->status.process_count)
			add_only_row(&t, v, all);
		for (size_t n = 0; n < v->status.process_count; n++)
			add_process_row(&t, v, &v->status.processes[n], all);
	}
	table_print(&t, out);
}

static void add_json(const struct container_views *rows, bool one_line, struct buffer *out)
{
	AUTO_JSON all = json_new_array();

	for (size_t i = 0; i < rows->count; i++)
		json_add(all, container_view_json(&rows->items[i]));
	json_print(all, one_line ? 0 : 2, false, out);
	buffer_add_char(out, '\n');
}

static void add_names(const struct container_views *rows, struct buffer *out)
{
	for (size_t i = 0; i < rows->count; i++)
		buffer_printf(out, "%s\n", rows->items[i].c->name);
}

static void add_rows(const struct cli *cli, const struct options *o,
		     const struct container_views *rows, struct buffer *out)
{
	if (cli->json)
		add_json(rows, option_given(o, "watch"), out);
	else if (option_given(o, "names"))
		add_names(rows, out);
	else if (option_given(o, "processes"))
		add_processes(rows, option_given(o, "all"), out);
	else
		add_table(rows, option_given(o, "all"), out);
}

/* What is there is drawn over itself on a terminal; elsewhere it is printed when it is another. */
static int show_change(struct buffer *before, const struct buffer *now, bool redraws,
		       struct error *err)
{
	AUTO_BUFFER out = BUFFER_INIT;

	if (!redraws && before->size == now->size &&
	    memcmp(buffer_str(before), buffer_str(now), now->size) == 0)
		return 0;
	buffer_clear(before);
	buffer_add(before, buffer_str(now), now->size);
	if (redraws)
		buffer_add_str(&out, "\033[H\033[2J");
	buffer_add(&out, buffer_str(now), now->size);
	return out_write(&out, err);
}

static int watch(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_WATCH w = ENV_WATCH_INIT;
	AUTO_BUFFER shown = BUFFER_INIT;
	bool redraws = !cli->json && isatty(1);
	int r = 0;

	while (r >= 0) {
		AUTO_ENV_RECORD env = { 0 };
		AUTO_VIEWS rows = { 0 };
		AUTO_BUFFER now = BUFFER_INIT;

		r = select_environment(cli, o, &env, err);
		if (r == 0)
			r = env_watch_arm(&w, cli, &env, err);
		if (r == 0)
			r = container_views_add(cli, &env, &o->args, &rows, err);
		if (r < 0)
			return r;
		add_rows(cli, o, &rows, &now);
		r = show_change(&shown, &now, redraws, err);
		if (r == 0)
			r = env_watch_sleep(&w, &rows, redraws ? REDRAW_MS : -1, err);
	}
	return r;
}

static int run_ps(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	AUTO_ENV_LIST list = { 0 };
	AUTO_VIEWS rows = { 0 };
	AUTO_BUFFER out = BUFFER_INIT;
	int r;

	if (option_given(o, "all") && option_given(o, "watch"))
		return cli_usage(cli, err, "--watch shows one environment, --all shows all");
	if (option_given(o, "watch"))
		return watch(cli, o, err);
	if (option_given(o, "all")) {
		r = env_store_list(&cli->paths, &list, err);
		for (size_t i = 0; r == 0 && i < list.count; i++)
			r = container_views_add(cli, &list.items[i], &o->args, &rows, err);
	} else {
		r = select_environment(cli, o, &env, err);
		if (r == 0)
			r = container_views_add(cli, &env, &o->args, &rows, err);
	}
	if (r < 0)
		return r;
	add_rows(cli, o, &rows, &out);
	return out_write(&out, err);
}

static const struct option_def ps_options[] = {
	{ .name = "all", .letter = 'a', .help = "all environments" },
	{ .name = "names", .help = "print names only" },
	{ .name = "processes", .letter = 'p', .help = "a line for each process of a container" },
	{ .name = "watch", .letter = 'w', .help = "go on showing it as it changes" },
	OPTIONS_END,
};

const struct command cmd_ps = {
	.name = "ps",
	.operands = "[NAME...]",
	.summary = "list containers and how they are",
	.text = "What is printed was looked at now: a machine that died is told, whoever ended "
		"it. With --processes the last column is what a probe saw last, or why it "
		"failed; --json has the processes in any case.\n\n"
		"With --watch a terminal shows it anew once a second and with every change; "
		"elsewhere it is printed again when something changed, with --json as one line "
		"each.",
	.options = ps_options,
	.run = run_ps,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
