/* SPDX-License-Identifier: MIT */
/* ctrz image: images on this host. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/image_progress.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/run_plan.h"
#include "orchestrator/cli/settings.h"

/* What every subcommand works with. */
struct images {
	struct host_config config;
	struct progress *drawing;
	struct image_progress progress;
	struct image_store *store;
};

static void images_close(struct images *i)
{
	image_store_close(i->store);
	progress_free(i->drawing);
	image_progress_release(&i->progress);
	host_config_release(&i->config);
}

#define AUTO_IMAGES CLEANUP(images_close) struct images

/* The value of an option that not every command here takes. */
static const char *value_of(const struct options *o, const char *name)
{
	return option_find(o->command, name, 0) ? option_value(o, name) : NULL;
}

static int images_open(struct cli *cli, const char *title, const struct options *options,
		       struct images *ret, struct error *err)
{
	struct progress_options o = {
		.title = title,
		.color = cli->color_err,
		.unicode = cli->unicode,
		.mode = PROGRESS_QUIET,
		.fd = 2,
	};
	int r = 0;
	if (option_find(options->command, "progress", 0))
		r = progress_option(cli, options, &o.mode, err);
	if (r < 0) {
		cli->failure_exit = EXIT_USAGE;
		return r;
	}
	r = settings_load(cli, &ret->config, err);
	if (r < 0)
		return r;
	ret->drawing = progress_new(&o);
	ret->progress.drawing = ret->drawing;
	return settings_images(cli, &ret->config, value_of(options, "platform"),
			       image_progress_report, &ret->progress, &ret->store, err);
}

static struct json *image_json(const struct image *i)
{
	struct json *o = json_new_object();
	json_set_string(o, "reference", i->reference);
	json_set_string(o, "digest", i->digest);
	json_set_string(o, "index_digest", i->index_digest);
	json_set_string(o, "chain_id", i->chain_id);
	json_set_string(o, "disk", i->disk);
	json_set_int(o, "size_bytes", (int64_t)i->size_bytes);
	json_set_int(o, "disk_bytes", (int64_t)i->disk_bytes);
	json_set_int(o, "created_unix_ms", (int64_t)i->created_unix_ms);
	json_set_int(o, "pulled_unix_ms", (int64_t)i->pulled_unix_ms);
	json_set_string(o, "architecture", i->config.architecture);
	json_set_string(o, "os", i->config.os);
	json_set_strings(o, "entrypoint", &i->config.entrypoint);
	json_set_strings(o, "cmd", &i->config.cmd);
	json_set_strings(o, "env", &i->config.env);
	json_set_string(o, "user", i->config.user);
	json_set_string(o, "working_dir", i->config.working_dir);
	json_set_string(o, "stop_signal", i->config.stop_signal);
	return o;
}

/* "docker.io/library/alpine:latest  sha256:77ab...", or JSON. */
static int say_image(const struct cli *cli, const struct image *i, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;
	if (cli->json) {
		AUTO_JSON o = image_json(i);
		return out_json(o, err);
	}
	if (cli->quiet)
		return 0;
	AUTO_FREE char *name = text_escaped(i->reference ? i->reference : "(no name)");
	buffer_printf(&b, "%s %s\n", name, i->digest);
	return out_write(&b, err);
}

#define PLATFORM_OPTION                                         \
	{                                                       \
		.name = "platform", .value = "OS/ARCH",         \
		.help = "for another platform than this host's" \
	}

#define PROGRESS_OPTION                                                                           \
	{                                                                                         \
		.name = "progress", .value = "MODE",                                              \
		.help = "how to show what goes on: auto, tty, plain, json (a line per event, on " \
			"standard error) or quiet"                                                \
	}

static const struct option_def pull_options[] = {
	PLATFORM_OPTION,
	PROGRESS_OPTION,
	OPTIONS_END,
};

static int run_image_pull(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_IMAGES images = { 0 };
	int r = images_open(cli, "pull", o, &images, err);
	for (size_t i = 0; r == 0 && i < o->args.count; i++) {
		struct image image = { 0 };
		r = image_store_pull(images.store, o->args.items[i], &image, err);
		if (r == 0)
			r = say_image(cli, &image, err);
		image_release(&image);
	}
	return r;
}

static const struct command cmd_image_pull = {
	.name = "pull",
	.operands = "IMAGE...",
	.summary = "get images from their registries",
	.text = "Ends when the image can be started: its layers are verified and its disk is "
		"built. A name "
		"without a registry is read as docker.io/library/NAME, one without a tag as "
		":latest. "
		"Mirrors of config.yaml are asked first. Several layers are fetched at a time "
		"(images.downloads of config.yaml). A pull that broke goes on where it broke, and "
		"one of a tag that has not changed costs one request, and those of a login where "
		"one is needed.",
	.example = "ctrz image pull alpine:latest",
	.options = pull_options,
	.run = run_image_pull,
	.flags = COMMAND_JSON,
	.min_args = 1,
	.max_args = ARGS_ANY,
	.group = GROUP_HOST,
};

static int print_images(const struct image_list *list, struct error *err)
{
	static const char *const headings[] = { "NAME", "DIGEST", "PULLED", "SIZE", "DISK", NULL };
	AUTO_TABLE t = { 0 };
	table_init(&t, headings);
	for (size_t i = 0; i < list->count; i++) {
		const struct image *m = &list->items[i];
		AUTO_FREE char *age = text_age(m->pulled_unix_ms);
		AUTO_FREE char *size = text_size(m->size_bytes);
		AUTO_FREE char *disk = text_size(m->disk_bytes);
		table_cell(&t, m->reference);
		table_cellf(&t, "%.19s", m->digest);
		table_cell(&t, age);
		table_cell(&t, size);
		table_cell(&t, disk);
	}
	return out_table(&t, err);
}

static int run_image_ls(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_IMAGES images = { 0 };
	struct image_list list = { 0 };
	int r = images_open(cli, "ls", o, &images, err);
	if (r == 0)
		r = image_store_list(images.store, &list, err);
	if (r < 0)
		return r;
	if (cli->json) {
		AUTO_JSON a = json_new_array();
		for (size_t i = 0; i < list.count; i++)
			json_add(a, image_json(&list.items[i]));
		r = out_json(a, err);
	} else if (option_given(o, "names")) {
		AUTO_BUFFER b = BUFFER_INIT;
		for (size_t i = 0; i < list.count; i++) {
			const char *name = list.items[i].reference;
			text_escape(&b, name, strlen(name), false);
			buffer_add_char(&b, '\n');
		}
		r = out_write(&b, err);
	} else {
		r = print_images(&list, err);
	}
	image_list_release(&list);
	return r;
}

static const struct option_def image_ls_options[] = {
	{ .name = "names", .help = "print names only" },
	OPTIONS_END,
};

static const struct command cmd_image_ls = {
	.name = "ls",
	.summary = "list images",
	.options = image_ls_options,
	.run = run_image_ls,
	.flags = COMMAND_JSON,
	.group = GROUP_HOST,
};

static int say_freed(const struct cli *cli, uint64_t bytes, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;
	AUTO_FREE char *size = text_size(bytes);
	if (cli->json) {
		AUTO_JSON v = json_new_object();
		json_set_int(v, "freed_bytes", (int64_t)bytes);
		return out_json(v, err);
	}
	if (cli->quiet)
		return 0;
	buffer_printf(&b, "freed %s\n", size);
	return out_write(&b, err);
}

static int run_image_rm(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_IMAGES images = { 0 };
	uint64_t total = 0;
	int r = images_open(cli, "rm", o, &images, err);
	for (size_t i = 0; r == 0 && i < o->args.count; i++) {
		uint64_t freed = 0;
		r = image_store_remove(images.store, o->args.items[i], &freed, err);
		total += freed;
	}
	return r < 0 ? r : say_freed(cli, total, err);
}

static const struct command cmd_image_rm = {
	.name = "rm",
	.operands = "IMAGE...",
	.summary = "remove images",
	.text = "Layers and disks that no other image uses go with them. An image that a machine "
		"runs from stays.",
	.run = run_image_rm,
	.flags = COMMAND_JSON,
	.min_args = 1,
	.max_args = ARGS_ANY,
	.group = GROUP_HOST,
	.operand = OPERAND_IMAGE,
};

static int run_image_prune(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_IMAGES images = { 0 };
	uint64_t freed = 0;
	int r = images_open(cli, "prune", o, &images, err);
	if (r == 0)
		r = image_store_prune(images.store, NULL, NULL, &freed, err);
	return r < 0 ? r : say_freed(cli, freed, err);
}

static const struct command cmd_image_prune = {
	.name = "prune",
	.summary = "remove layers and disks that no image uses",
	.run = run_image_prune,
	.flags = COMMAND_JSON,
	.group = GROUP_HOST,
};

static int run_image_load(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_IMAGES images = { 0 };
	struct image image = { 0 };
	const char *name = option_arg(o, 1) ? option_arg(o, 1) : option_value(o, "name");
	if (str_equal(option_arg(o, 0), "-") && isatty(0))
		return cli_usage(cli, err,
				 "standard input is a terminal: pipe an archive into this");
	int r = images_open(cli, "load", o, &images, err);
	if (r == 0)
		r = image_store_load(images.store, option_arg(o, 0), name, &image, err);
	if (r == 0)
		r = say_image(cli, &image, err);
	image_release(&image);
	return r;
}

static const struct option_def load_options[] = {
	{ .name = "name", .value = "IMAGE", .help = "the name to give it" },
	PLATFORM_OPTION,
	PROGRESS_OPTION,
	OPTIONS_END,
};

static const struct command cmd_image_load = {
	.name = "load",
	.operands = "SOURCE [NAME]",
	.summary = "load an image from an OCI layout folder or a tar file",
	.text = "SOURCE is oci:DIR, oci-archive:FILE, docker-archive:FILE, a path, which is "
		"looked at, or - for an archive on standard input. Archives may be compressed by "
		"gzip or zstd. Where a source holds several images, :NAME behind it says which. "
		"Without a name the image keeps the one it carries.",
	.example = "ctrz image load oci:./layout localhost/mine:1\n"
		   "docker save mine:1 | ctrz image load -",
	.options = load_options,
	.run = run_image_load,
	.flags = COMMAND_JSON,
	.min_args = 1,
	.max_args = 2,
	.group = GROUP_HOST,
	.operand = OPERAND_FILE,
};

static int run_image_import(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_IMAGES images = { 0 };
	struct image image = { 0 };
	if (str_equal(option_arg(o, 0), "-") && isatty(0))
		return cli_usage(cli, err, "standard input is a terminal: pipe a tar into this");
	int r = images_open(cli, "import", o, &images, err);
	if (r == 0)
		r = image_store_import(images.store, option_arg(o, 0), option_arg(o, 1), NULL,
				       &image, err);
	if (r == 0)
		r = say_image(cli, &image, err);
	image_release(&image);
	return r;
}

static const struct command cmd_image_import = {
	.name = "import",
	.operands = "FILE NAME",
	.summary = "make an image of one layer from a root file system tar",
	.text = "FILE is a tar, plain or compressed by gzip or zstd, or - for standard input.",
	.example = "mmdebstrap bookworm | ctrz image import - localhost/debian:12",
	.options = pull_options,
	.run = run_image_import,
	.flags = COMMAND_JSON,
	.min_args = 2,
	.max_args = 2,
	.group = GROUP_HOST,
	.operand = OPERAND_FILE,
};

static int run_image_save(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_IMAGES images = { 0 };
	const char *path = option_value(o, "output");
	if (!path && isatty(1))
		return cli_usage(cli, err,
				 "standard output is a terminal: give a file with -o FILE, or "
				 "pipe it on");
	int r = images_open(cli, "save", o, &images, err);
	if (r < 0)
		return r;
	return image_store_save(images.store, (const char *const *)o->args.items, o->args.count,
				path ? path : "-", err);
}

static const struct option_def image_save_options[] = {
	{ .name = "output",
	  .letter = 'o',
	  .value = "FILE",
	  .help = "write there instead of to standard output" },
	OPTIONS_END,
};

static const struct command cmd_image_save = {
	.name = "save",
	.operands = "IMAGE...",
	.summary = "write images to an archive others can load",
	.options = image_save_options,
	.run = run_image_save,
	.min_args = 1,
	.max_args = ARGS_ANY,
	.group = GROUP_HOST,
	.operand = OPERAND_IMAGE,
};

static int run_image_push(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_IMAGES images = { 0 };
	struct image image = { 0 };
	int r = images_open(cli, "push", o, &images, err);
	if (r == 0)
		r = image_store_find(images.store, option_arg(o, 0), &image, err);
	if (r == 0)
		r = image_store_push(images.store, option_arg(o, 0), option_arg(o, 1), err);
	if (r == 0 && option_arg(o, 1)) {
		free(image.reference);
		image.reference = xstrdup(option_arg(o, 1));
	}
	if (r == 0)
		r = say_image(cli, &image, err);
	image_release(&image);
	return r;
}

static const struct option_def push_options[] = {
	PROGRESS_OPTION,
	OPTIONS_END,
};

static const struct command cmd_image_push = {
	.name = "push",
	.operands = "IMAGE [TARGET]",
	.summary = "copy an image to its registry, or to another",
	.text = "Layers the registry has already, under this name or another one known here, are "
		"not sent. What is pushed is the image of one platform, as it is here.",
	.example = "ctrz image push localhost/mine:1 registry.example/team/mine:1",
	.options = push_options,
	.run = run_image_push,
	.flags = COMMAND_JSON,
	.min_args = 1,
	.max_args = 2,
	.group = GROUP_HOST,
	.operand = OPERAND_IMAGE,
};

static int run_image_tag(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_IMAGES images = { 0 };
	int r = images_open(cli, "tag", o, &images, err);
	if (r < 0)
		return r;
	return image_store_tag(images.store, option_arg(o, 0), option_arg(o, 1), err);
}

static const struct command cmd_image_tag = {
	.name = "tag",
	.operands = "IMAGE NAME",
	.summary = "give an image one more name",
	.run = run_image_tag,
	.min_args = 2,
	.max_args = 2,
	.group = GROUP_HOST,
	.operand = OPERAND_IMAGE,
};

/* What the store knows, with what the registry said beside it. */
static int run_image_inspect(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_IMAGES images = { 0 };
	AUTO_BUFFER text = BUFFER_INIT;
	struct image image = { 0 };
	struct json *raw = NULL;
	int r = images_open(cli, "inspect", o, &images, err);
	if (r == 0)
		r = image_store_find(images.store, option_arg(o, 0), &image, err);
	if (r == 0)
		r = image_store_inspect(images.store, option_arg(o, 0), &text, err);
	if (r == 0)
		r = json_parse(buffer_str(&text), text.size, text.size, "the image's own data",
			       &raw, err);
	if (r == 0) {
		AUTO_JSON v = image_json(&image);
		json_set(v, "source", raw);
		r = out_json(v, err);
	}
	image_release(&image);
	return r;
}

static const struct command cmd_image_inspect = {
	.name = "inspect",
	.operands = "IMAGE",
	.summary = "print all that is known of an image, as JSON",
	.run = run_image_inspect,
	.flags = COMMAND_JSON,
	.min_args = 1,
	.max_args = 1,
	.group = GROUP_HOST,
	.operand = OPERAND_IMAGE,
};

static struct json *history_json(const struct image_history *h)
{
	struct json *a = json_new_array();
	for (size_t i = 0; i < h->count; i++) {
		const struct image_step *s = &h->items[i];
		struct json *o = json_new_object();
		json_set_string(o, "created_by", s->created_by);
		json_set_string(o, "comment", s->comment);
		json_set_string(o, "layer", s->layer);
		json_set_int(o, "size_bytes", (int64_t)s->size_bytes);
		json_set_int(o, "created_unix_ms", (int64_t)s->created_unix_ms);
		json_add(a, o);
	}
	return a;
}

static int run_image_history(struct cli *cli, const struct options *o, struct error *err)
{
	static const char *const headings[] = { "CREATED", "SIZE", "BY", NULL };
	AUTO_IMAGES images = { 0 };
	AUTO_TABLE t = { 0 };
	struct image_history h = { 0 };
	int r = images_open(cli, "history", o, &images, err);
	if (r == 0)
		r = image_store_history(images.store, option_arg(o, 0), &h, err);
	if (r < 0)
		return r;
	table_init(&t, headings);
	for (size_t i = 0; i < h.count; i++) {
		AUTO_FREE char *age = text_age(h.items[i].created_unix_ms);
		AUTO_FREE char *size = text_size(h.items[i].size_bytes);
		table_cell(&t, age);
		table_cell(&t, size);
		table_cellf(&t, "%.100s", h.items[i].created_by);
	}
	AUTO_JSON v = history_json(&h);
	image_history_release(&h);
	return cli->json ? out_json(v, err) : out_table(&t, err);
}

static const struct command cmd_image_history = {
	.name = "history",
	.operands = "IMAGE",
	.summary = "print how an image was made",
	.run = run_image_history,
	.flags = COMMAND_JSON,
	.min_args = 1,
	.max_args = 1,
	.group = GROUP_HOST,
	.operand = OPERAND_IMAGE,
};

static const struct command *const image_commands[] = {
	&cmd_image_pull,    &cmd_image_ls,      &cmd_image_rm,    &cmd_image_load,
	&cmd_image_inspect, &cmd_image_tag,     &cmd_image_push,  &cmd_image_save,
	&cmd_image_import,  &cmd_image_history, &cmd_image_prune, NULL,
};

const struct command cmd_image = {
	.name = "image",
	.summary = "images on this host",
	.sub = image_commands,
	.group = GROUP_HOST,
};
