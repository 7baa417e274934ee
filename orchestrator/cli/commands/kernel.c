/* SPDX-License-Identifier: MIT */
/* ctrz kernel: guest kernels. */
#include <stdio.h>
#include <string.h>

#include "orchestrator/cli/command.h"
#include "orchestrator/cli/output.h"
#include "runtime/machine/kernel_store.h"

static struct json *kernel_json(const struct kernel *k)
{
	struct json *o = json_new_object();
	json_set_string(o, "name", k->name);
	json_set_string(o, "release", k->release);
	json_set_string(o, "source", k->source);
	json_set_string(o, "vmlinux", k->vmlinux);
	json_set_string(o, "initrd", k->initrd);
	json_set_int(o, "size_bytes", (int64_t)k->size_bytes);
	json_set_bool(o, "default", k->is_default);
	return o;
}

static int print_kernels(const struct kernel_list *list, struct error *err)
{
	static const char *const headings[] = {
		"NAME", "RELEASE", "SIZE", "DEFAULT", "SOURCE", NULL
	};
	AUTO_TABLE t = { 0 };
	table_init(&t, headings);
	for (size_t i = 0; i < list->count; i++) {
		const struct kernel *k = &list->items[i];
		AUTO_FREE char *size = text_size(k->size_bytes);
		table_cell(&t, k->name);
		table_cell(&t, k->release);
		table_cell(&t, size);
		table_cell(&t, k->is_default ? "yes" : NULL);
		table_cell(&t, k->source);
	}
	return out_table(&t, err);
}

static int print_names(const struct kernel_list *list, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;
	for (size_t i = 0; i < list->count; i++) {
		text_escape(&b, list->items[i].name, strlen(list->items[i].name), false);
		buffer_add_char(&b, '\n');
	}
	return out_write(&b, err);
}

static int run_kernel_ls(struct cli *cli, const struct options *o, struct error *err)
{
	struct kernel_list list = { 0 };
	int r = kernel_store_list(&cli->paths, &list, err);
	if (r < 0)
		return r;
	if (cli->json) {
		AUTO_JSON a = json_new_array();
		for (size_t i = 0; i < list.count; i++)
			json_add(a, kernel_json(&list.items[i]));
		r = out_json(a, err);
	} else {
		r = option_given(o, "names") ? print_names(&list, err) : print_kernels(&list, err);
	}
	kernel_list_release(&list);
	return r;
}

static const struct option_def kernel_ls_options[] = {
	{ .name = "names", .help = "print names only" },
	OPTIONS_END,
};

static const struct command cmd_kernel_ls = {
	.name = "ls",
	.summary = "list kernels",
	.options = kernel_ls_options,
	.run = run_kernel_ls,
	.flags = COMMAND_JSON,
	.group = GROUP_HOST,
};

/* What was installed; @k is released. */
static int print_kernel(const struct cli *cli, struct kernel *k, struct error *err)
{
	int r = 0;
	if (cli->json) {
		AUTO_JSON v = kernel_json(k);
		r = out_json(v, err);
	} else if (!cli->quiet) {
		AUTO_BUFFER b = BUFFER_INIT;
		buffer_printf(&b, "%s, Linux %s%s\n", k->name, k->release,
			      k->is_default ? ", the default" : "");
		r = out_write(&b, err);
	}
	kernel_release(k);
	return r;
}

static int run_kernel_install(struct cli *cli, const struct options *o, struct error *err)
{
	const char *source = option_arg(o, 0);
	struct kernel k = { 0 };
	int r = host_paths_make(&cli->paths, err);
	if (r == 0)
		r = kernel_store_install(&cli->paths, source ? source : "debian-cloud",
					 option_value(o, "modules"), &k, err);
	return r < 0 ? r : print_kernel(cli, &k, err);
}

static const struct option_def kernel_install_options[] = {
	{ .name = "modules",
	  .value = "DIR",
	  .help = "the modules that belong to a kernel given as a file" },
	OPTIONS_END,
};

static const struct command cmd_kernel_install = {
	.name = "install",
	.operands = "[SOURCE]",
	.summary = "get a kernel: debian-cloud (default), host, or a file",
	.text = "debian-cloud is downloaded with apt-get and unpacked; nothing of it is installed "
		"on the host. "
		"host is the running kernel of this host. A file is a .deb, a bzImage or a vmlinux "
		"with "
		"virtio, PVH and overlayfs.",
	.options = kernel_install_options,
	.run = run_kernel_install,
	.flags = COMMAND_JSON,
	.max_args = 1,
	.group = GROUP_HOST,
	.operand = OPERAND_FILE,
};

static void show_step(void *arg, const char *what)
{
	const struct cli *cli = arg;
	if (!cli->quiet)
		(void)fprintf(stderr, "kernel: %s\n", what);
}

static int run_kernel_build(struct cli *cli, const struct options *o, struct error *err)
{
	struct kernel_build_options build = {
		.source = option_arg(o, 0),
		.config = option_value(o, "config"),
		.check_only = option_given(o, "check"),
		.step = show_step,
		.arg = cli,
	};
	struct kernel k = { 0 };
	int r = host_paths_make(&cli->paths, err);
	if (r == 0)
		r = kernel_store_build(&cli->paths, &build, &k, err);
	return r < 0 || build.check_only ? r : print_kernel(cli, &k, err);
}

static const struct option_def kernel_build_options[] = {
	{ .name = "config", .value = "FILE", .help = "this configuration instead of ctrz's own" },
	{ .name = "check",
	  .help = "only see whether the source takes every setting of the configuration" },
	OPTIONS_END,
};

static const struct command cmd_kernel_build = {
	.name = "build",
	.operands = "[SOURCE]",
	.summary = "build a small kernel from source, which starts in less than half of the time",
	.text = "SOURCE is an archive of Linux's source; by default the newest that a package "
		"linux-source of Debian left in /usr/src. Everything guests need is built in, and "
		"nothing else. The kernel becomes the default. It takes minutes and 2 GB below the "
		"cache folder while it is built; what is built is not built again. Packages that "
		"are missing are named.",
	.options = kernel_build_options,
	.run = run_kernel_build,
	.flags = COMMAND_JSON,
	.max_args = 1,
	.group = GROUP_HOST,
	.operand = OPERAND_FILE,
};

static int run_kernel_use(struct cli *cli, const struct options *o, struct error *err)
{
	return kernel_store_use(&cli->paths, option_arg(o, 0), err);
}

static const struct command cmd_kernel_use = {
	.name = "use",
	.operands = "NAME",
	.summary = "make a kernel the default",
	.run = run_kernel_use,
	.min_args = 1,
	.max_args = 1,
	.group = GROUP_HOST,
	.operand = OPERAND_KERNEL,
};

static int run_kernel_rm(struct cli *cli, const struct options *o, struct error *err)
{
	return kernel_store_remove(&cli->paths, option_arg(o, 0), err);
}

static const struct command cmd_kernel_rm = {
	.name = "rm",
	.operands = "NAME",
	.summary = "remove a kernel",
	.run = run_kernel_rm,
	.min_args = 1,
	.max_args = 1,
	.group = GROUP_HOST,
	.operand = OPERAND_KERNEL,
};

static const struct command *const kernel_commands[] = {
	&cmd_kernel_ls,  &cmd_kernel_install, &cmd_kernel_build,
	&cmd_kernel_use, &cmd_kernel_rm,      NULL,
};

const struct command cmd_kernel = {
	.name = "kernel",
	.summary = "guest kernels",
	.sub = kernel_commands,
	.group = GROUP_HOST,
};
