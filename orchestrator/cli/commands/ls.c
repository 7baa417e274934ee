/* SPDX-License-Identifier: MIT */
/* ctrz ls: the environments on this host. */
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/state/env_store.h"

static size_t made_count(const struct env_record *r)
{
	size_t count = 0;

	for (size_t i = 0; i < r->container_count; i++)
		count += r->containers[i].stage != STAGE_NONE;
	return count;
}

static struct json *record_json(const struct env_record *r)
{
	struct json *o = json_new_object();

	json_set_string(o, "name", r->name);
	json_set_string(o, "id", r->id);
	json_set_string(o, "file", r->file);
	json_set_bool(o, "up", env_record_is_up(r));
	json_set_int(o, "containers", (int64_t)made_count(r));
	json_set_int(o, "serial", (int64_t)r->serial);
	json_set_int(o, "changed_unix_ms", (int64_t)r->changed_unix_ms);
	return o;
}

static int print_json(const struct env_list *l, struct error *err)
{
	AUTO_JSON all = json_new_array();

	for (size_t i = 0; i < l->count; i++)
		json_add(all, record_json(&l->items[i]));
	return out_json(all, err);
}

static void add_name(struct buffer *b, const char *name)
{
	text_escape(b, name, strlen(name), false);
	buffer_add_char(b, '\n');
}

static int print_names(const struct env_list *l, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	for (size_t i = 0; i < l->count; i++)
		add_name(&b, l->items[i].name);
	return out_write(&b, err);
}

static int print_table(const struct env_list *l, struct error *err)
{
	static const char *const headings[] = { "NAME",    "ID",   "STATE", "CONTAINERS",
						"CHANGED", "FILE", NULL };
	AUTO_TABLE t = { 0 };

	table_init(&t, headings);
	for (size_t i = 0; i < l->count; i++) {
		const struct env_record *r = &l->items[i];
		AUTO_FREE char *age = text_age(r->changed_unix_ms);

		table_cell(&t, r->name);
		table_cell(&t, r->id);
		table_cell(&t, env_record_is_up(r) ? "up" : "down");
		table_cellf(&t, "%zu", made_count(r));
		table_cell(&t, age);
		table_cell(&t, r->file);
	}
	return out_table(&t, err);
}

static int run_ls(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_LIST list = { 0 };
	int r = env_store_list(&cli->paths, &list, err);

	if (r < 0)
		return r;
	if (cli->json)
		return print_json(&list, err);
	return option_given(o, "names") ? print_names(&list, err) : print_table(&list, err);
}

static const struct option_def ls_options[] = {
	{ .name = "names", .help = "print names only" },
	OPTIONS_END,
};

const struct command cmd_ls = {
	.name = "ls",
	.summary = "list environments",
	.text = "Environments that were taken down stay listed, with their addresses; ctrz down "
		"--forget removes them from the list.",
	.options = ls_options,
	.run = run_ls,
	.flags = COMMAND_JSON,
	.group = GROUP_ENVIRONMENT,
};
