/* SPDX-License-Identifier: MIT */
/* ctrz template: what machines start from. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/output.h"
#include "runtime/machine/template.h"

static struct json *template_json(const struct template_info *t)
{
	struct json *o = json_new_object();

	json_set_string(o, "name", t->name);
	json_set_string(o, "state", template_state_name(t->state));
	json_set_string(o, "kernel", t->kernel);
	json_set_string(o, "image_disk", t->image);
	json_set_string(o, "accelerator", t->kvm ? "kvm" : "tcg");
	json_set_int(o, "cpus", t->cpus);
	json_set_int(o, "memory_bytes", (int64_t)t->memory_bytes);
	json_set_int(o, "devices", t->devices);
	json_set_int(o, "size_bytes", (int64_t)t->size_bytes);
	json_set_int(o, "created_unix_ms", (int64_t)t->created_unix_ms);
	json_set_int(o, "used_unix_ms", (int64_t)t->used_unix_ms);
	return o;
}

/* The kernel's own name is that of its folder. */
static char *kernel_name(const char *path)
{
	AUTO_FREE char *folder = path_dirname(path);

	return path_basename(folder)[0] ? xstrdup(path_basename(folder)) : xstrdup(path);
}

/* The chain of layers that the image's disk is named by, as far as anybody reads it. */
static char *image_id(const char *disk)
{
	enum { SHOWN = 12 };

	return xasprintf("%.*s", SHOWN, path_basename(disk));
}

static int print_templates(const struct template_list *list, struct error *err)
{
	static const char *const headings[] = { "NAME", "STATE",  "CPUS",  "MEMORY", "DEVICES",
						"SIZE", "KERNEL", "IMAGE", NULL };
	AUTO_TABLE t = { 0 };

	table_init(&t, headings);
	for (size_t i = 0; i < list->count; i++) {
		const struct template_info *item = &list->items[i];
		AUTO_FREE char *memory = text_size(item->memory_bytes);
		AUTO_FREE char *size = text_size(item->size_bytes);
		AUTO_FREE char *cpus = xasprintf("%u", item->cpus);
		AUTO_FREE char *devices = xasprintf("%u", item->devices);
		AUTO_FREE char *kernel = kernel_name(item->kernel);
		AUTO_FREE char *image = image_id(item->image);
		bool is_known = item->state != TEMPLATE_BROKEN;
		table_cell(&t, item->name);
		table_cell(&t, template_state_name(item->state));
		table_cell(&t, is_known ? cpus : NULL);
		table_cell(&t, is_known ? memory : NULL);
		table_cell(&t, is_known ? devices : NULL);
		table_cell(&t, is_known ? size : NULL);
		table_cell(&t, is_known ? kernel : NULL);
		table_cell(&t, *item->image ? image : NULL);
	}
	return out_table(&t, err);
}

static int print_json(const struct template_list *list, struct error *err)
{
	AUTO_JSON a = json_new_array();

	for (size_t i = 0; i < list->count; i++)
		json_add(a, template_json(&list->items[i]));
	return out_json(a, err);
}

static int run_template_ls(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_FREE char *folder = path_join(cli->paths.data, "templates");
	struct template_list list = { 0 };
	int r = template_list(folder, &list, err);

	(void)o;
	if (r == 0)
		r = cli->json ? print_json(&list, err) : print_templates(&list, err);
	template_list_release(&list);
	return r;
}

static const struct command cmd_template_ls = {
	.name = "ls",
	.summary = "list templates",
	.run = run_template_ls,
	.flags = COMMAND_JSON,
	.group = GROUP_HOST,
};

static int print_removed(const struct template_list *list, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	for (size_t i = 0; i < list->count; i++)
		buffer_printf(&b, "%s\n", list->items[i].name);
	return out_write(&b, err);
}

static int run_template_prune(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_FREE char *folder = path_join(cli->paths.data, "templates");
	struct template_list removed = { 0 };
	int r = template_prune(folder, option_given(o, "all"), &removed, err);

	if (r == 0 && cli->json)
		r = print_json(&removed, err);
	else if (r == 0 && !cli->quiet)
		r = print_removed(&removed, err);
	template_list_release(&removed);
	return r;
}

static const struct option_def template_prune_options[] = {
	{ .name = "all", .letter = 'a', .help = "also those that could still be used" },
	OPTIONS_END,
};

static const struct command cmd_template_prune = {
	.name = "prune",
	.summary = "remove templates that are stale or broken",
	.text = "Machines that run do not need them any more. What is missing is made again when "
		"the next machine of its kind starts.",
	.options = template_prune_options,
	.run = run_template_prune,
	.flags = COMMAND_JSON,
	.group = GROUP_HOST,
};

static const struct command *const template_commands[] = {
	&cmd_template_ls,
	&cmd_template_prune,
	NULL,
};

const struct command cmd_template = {
	.name = "template",
	.summary = "what virtual machines start from",
	.text = "The first machine with a kernel, a number of processors and a size of memory is "
		"booted, and saved before it knows of any container. All others like it start from "
		"there, each with a copy of its memory of its own.",
	.sub = template_commands,
	.group = GROUP_HOST,
};
