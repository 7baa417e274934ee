/* SPDX-License-Identifier: MIT */
/* ctrz run: one container in a machine of its own, until its process ends. */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/trace.h"
#include "orchestrator/apply/run_once.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/image_progress.h"
#include "orchestrator/cli/open.h"
#include "orchestrator/cli/run_spec.h"
#include "orchestrator/cli/session_exit.h"
#include "orchestrator/cli/settings.h"
#include "orchestrator/cli/trace_file.h"

static int load_spec(struct cli *cli, const struct options *o, const struct host_config *config,
		     struct environment **ret, struct error *err)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR ignored = ERROR_INIT;
	AUTO_FREE char *cwd = getcwd(NULL, 0);
	TRACE("read the options as a spec");
	struct spec_options options = SPEC_OPTIONS_INIT;
	struct host_facts facts = { .paths = &cli->paths };
	struct spec_host host;
	int r = run_spec_build(cli, o, &text, err);
	if (r < 0)
		return r;
	host_facts_init(&facts, &host);
	options.text = buffer_str(&text);
	options.text_size = text.size;
	options.text_name = "ctrz run";
	options.text_dir = cwd ? cwd : "/";
	options.host = &host;
	options.resources = &config->config->resources;
	r = spec_load(&options, ret, &diags, err);
	if (r < 0 && diags.count && print_findings(cli, &diags, &ignored) < 0)
		error_ignore(&ignored, "print findings");
	return r;
}

/* Start, relay, end. Return: the process's exit code, or -code */
static int run_container(struct cli *cli, const struct run_once_options *options, struct error *err)
{
	struct msg_spawn spawn = { .tty = options->tty, .stdin_open = options->stdin_open };
	struct session_options session = { 0 };
	struct run_once *run = NULL;
	bool image_found = false;
	int sock = -1;
	int r = run_once_start(options, &run, &sock, &image_found, err);
	if (r < 0) {
		cli->failure_exit = image_found ? session_start_exit(err->code) : EXIT_RUN_FAILED;
		return r;
	}
	session_streams(&spawn, &session);
	uint64_t begin = trace_now(), ended;
	r = session_relay(cli, sock, &session, "the container", err);
	ended = trace_now();
	run_once_end(run);
	trace_note(NULL, "the container runs", begin, ended);
	trace_note(NULL, "clean up", ended, trace_now());
	return r;
}

static int run_run(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_HOST_CONFIG config = { 0 };
	AUTO_ENVIRONMENT env = NULL;
	struct progress_options style = {
		.title = "run",
		.mode = cli->tty_err && !cli->quiet ? PROGRESS_TTY : PROGRESS_QUIET,
		.color = cli->color_err,
		.unicode = cli->unicode,
		.fd = 2,
	};
	cli->failure_exit = EXIT_RUN_FAILED;
	int r = host_paths_make(&cli->paths, err);
	if (r == 0)
		r = settings_load(cli, &config, err);
	if (r == 0)
		r = load_spec(cli, o, &config, &env, err);
	if (r < 0)
		return r;
	config.cold = option_given(o, "cold");
	struct run_once_options options = {
		.paths = &cli->paths,
		.config = &config,
		.env = env,
		.tty = option_given(o, "tty"),
		.stdin_open = option_given(o, "interactive"),
		.progress = image_progress_report,
	};
	struct image_progress progress = { .drawing = progress_new(&style) };
	options.progress_arg = &progress;
	if (options.tty)
		(void)session_terminal_size(0, 1, &options.rows, &options.columns);
	r = run_container(cli, &options, err);
	image_progress_release(&progress);
	progress_free(progress.drawing);
	return r;
}

static const struct option_def run_options[] = {
	{ .name = "rm", .help = "remove it when it ends (always done; accepted for habit)" },
	{ .name = "cold", .help = "boot the kernel, start from no template" },
	TRACE_OPTION,
	{ .name = "tty", .letter = 't', .help = "give it a terminal" },
	{ .name = "interactive", .letter = 'i', .help = "pass standard input on" },
	{ .name = "env",
	  .letter = 'e',
	  .value = "NAME=VALUE",
	  .help = "set a variable",
	  .repeat = true },
	{ .name = "mount",
	  .letter = 'v',
	  .value = "SRC:DST[:ro|rw]",
	  .help = "share a folder or file, read-only unless told",
	  .repeat = true },
	{ .name = "publish",
	  .letter = 'p',
	  .value = "[IP:]HOST:PORT",
	  .help = "publish a port",
	  .repeat = true },
	{ .name = "network", .value = "NAME", .help = "default, or none for no network at all" },
	{ .name = "user", .letter = 'u', .value = "USER[:GROUP]", .help = "run as this user" },
	{ .name = "workdir", .letter = 'w', .value = "DIR", .help = "run in this folder" },
	{ .name = "name", .value = "NAME", .help = "its host name" },
	{ .name = "cpus", .value = "N", .help = "processors" },
	{ .name = "memory", .letter = 'm', .value = "SIZE", .help = "memory, as 512MiB" },
	{ .name = "pull", .value = "WHEN", .help = "missing (default), always or never" },
	OPTIONS_END,
};

const struct command cmd_run = {
	.name = "run",
	.operands = "IMAGE [COMMAND [ARG...]]",
	.summary = "run one container from an image",
	.text = "The container gets a machine and a network of its own, which end with the "
		"command; nothing of it stays. "
		"The image is pulled if it is not here. The exit code is that of the container's "
		"process; 128 + N if "
		"signal N ended it, 126 if it cannot be executed, 127 if it is not there, 125 if "
		"ctrz itself failed.",
	.example = "ctrz run -t -i alpine:latest sh",
	.options = run_options,
	.run = run_run,
	.flags = COMMAND_OPTIONS_FIRST,
	.min_args = 1,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_IMAGE,
};
