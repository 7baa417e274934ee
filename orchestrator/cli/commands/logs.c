/* SPDX-License-Identifier: MIT */
/* ctrz logs: the output of containers, from their log files. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/commands/boot_log.h"
#include "orchestrator/cli/log_reader.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/state/env_store.h"
#include "runtime/machine/machine.h"

struct logs {
	struct log_source *sources;
	char **names; /* lent from the record */
	size_t count;
	size_t width; /* of the widest name */
	bool prefix, times, raw, color, json;
};

static void logs_release(struct logs *l)
{
	for (size_t i = 0; i < l->count; i++)
		log_source_release(&l->sources[i]);
	free(l->sources);
	free(l->names);
}

#define AUTO_LOGS CLEANUP(logs_release) struct logs

static void add_source(struct logs *l, const struct cli *cli, const struct env_record *env,
		       const struct container_record *c)
{
	l->sources = xreallocarray(l->sources, l->count + 1, sizeof(*l->sources));
	l->names = xreallocarray(l->names, l->count + 1, sizeof(*l->names));
	l->sources[l->count] = LOG_SOURCE_INIT;
	l->sources[l->count].folder = env_store_container_dir(&cli->paths, env->id, c->name);
	l->names[l->count++] = c->name;
	if (strlen(c->name) > l->width)
		l->width = strlen(c->name);
}

static int choose_sources(struct logs *l, const struct cli *cli, const struct options *o,
			  const struct env_record *env, struct error *err)
{
	for (size_t i = 0; i < o->args.count; i++) {
		struct container_record *c = NULL;
		int r = select_container(env, o->args.items[i], &c, err);
		if (r < 0)
			return r;
		add_source(l, cli, env, c);
	}
	for (size_t i = 0; !o->args.count && i < env->container_count; i++)
		if (env->containers[i].stage != STAGE_NONE)
			add_source(l, cli, env, &env->containers[i]);
	return 0;
}

static void print_json(const struct logs *l, const struct log_entry *e, struct buffer *out)
{
	AUTO_JSON o = json_new_object();
	json_set_string(o, "container", l->names[e->source]);
	json_set_string(o, "process", e->process);
	json_set_string(o, "time", e->time);
	json_set_string(o, "stream", e->is_stderr ? "stderr" : "stdout");
	json_set(o, "text", json_new_string_n(e->text, e->size));
	json_print(o, 0, false, out);
	buffer_add_char(out, '\n');
}

static void print_entry(const struct logs *l, const struct log_entry *e, struct buffer *out)
{
	if (l->json) {
		print_json(l, e, out);
		return;
	}
	const char *name = l->names[e->source];
	if (l->prefix)
		buffer_printf(out, "%s%-*s |%s ", color_on(l->color, color_of_name(name)),
			      (int)l->width, name, color_off(l->color, color_of_name(name)));
	if (l->times)
		buffer_printf(out, "%s ", e->time);
	if (l->prefix && e->process)
		buffer_printf(out, "%s: ", e->process);
	if (l->raw)
		buffer_add(out, e->text, e->size);
	else
		text_escape(out, e->text, e->size, true);
	buffer_add_char(out, '\n');
}

static int print_entries(const struct logs *l, struct log_entries *entries, struct error *err)
{
	AUTO_BUFFER out = BUFFER_INIT;
	int r = 0;
	log_entries_sort(entries);
	for (size_t i = 0; r == 0 && i < entries->count; i++) {
		print_entry(l, &entries->items[i], &out);
		if (out.size > 65536 || i + 1 == entries->count) {
			r = out_write(&out, err);
			buffer_clear(&out);
		}
	}
	log_entries_release(entries);
	return r;
}

/* Print what comes until we are interrupted. */
static int follow(struct logs *l, struct error *err)
{
	AUTO_CLOSE int fd = inotify_init1(IN_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "watch the logs");
	for (size_t i = 0; i < l->count; i++)
		if (inotify_add_watch(fd, l->sources[i].folder,
				      IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
			return error_sys(err, "watch '%s'", l->sources[i].folder);
	for (;;) {
		struct log_entries entries = { 0 };
		for (size_t i = 0; i < l->count; i++) {
			int r = log_source_read_new(&l->sources[i], i, &entries, err);
			if (r < 0)
				return r;
		}
		int r = print_entries(l, &entries, err);
		if (r < 0)
			return r;
		char events[4096];
		if (read(fd, events, sizeof(events)) < 0 && errno != EINTR)
			return error_sys(err, "watch the logs");
	}
}

static int run_logs(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	AUTO_LOGS l = { 0 };
	struct log_entries entries = { 0 };
	char since[LOG_TIME_SIZE + 1] = "";
	uint64_t tail = 0, previous = 0;
	int r = select_environment(cli, o, &env, err);
	if (r == 0 && option_number(o, "tail", UINT32_MAX, 0, &tail, err) < 0) {
		cli->failure_exit = EXIT_USAGE;
		return -(int)err->code;
	}
	if (r == 0 && option_value(o, "since") &&
	    log_since_parse(option_value(o, "since"), clock_unix_ms(), since, err) < 0)
		return cli_usage(
			cli, ((void)error_clear(err), err),
			"--since takes how long ago (10m, 2h30m) or a date (2026-01-31T12:00:00)");
	if (r == 0 && option_number(o, "previous", MACHINE_BOOT_LOGS, 0, &previous, err) < 0) {
		cli->failure_exit = EXIT_USAGE;
		return -(int)err->code;
	}
	if (r == 0 && (option_given(o, "boot") || previous > 0)) {
		if (option_given(o, "follow") || option_given(o, "since") ||
		    option_given(o, "timestamps"))
			return cli_usage(cli, err,
					 "--boot goes with --previous, --tail, --raw, --no-prefix "
					 "and --json");
		return boot_log_print(cli, o, &env, previous, tail, err);
	}
	if (r == 0)
		r = choose_sources(&l, cli, o, &env, err);
	l.prefix = !option_given(o, "no-prefix");
	l.times = option_given(o, "timestamps");
	l.raw = option_given(o, "raw") || !isatty(1);
	l.color = cli->color_out;
	l.json = cli->json;
	for (size_t i = 0; r == 0 && i < l.count; i++)
		r = log_source_read_all(&l.sources[i], i, since, tail, &entries, err);
	if (r < 0) {
		log_entries_release(&entries);
		return r;
	}
	r = print_entries(&l, &entries, err);
	return r == 0 && option_given(o, "follow") ? follow(&l, err) : r;
}

static const struct option_def logs_options[] = {
	{ .name = "follow", .letter = 'f', .help = "go on printing as it comes" },
	{ .name = "tail",
	  .letter = 'n',
	  .value = "N",
	  .help = "only the last N lines of each container" },
	{ .name = "since",
	  .value = "TIME",
	  .help = "only lines since then: 10m, 2h, or a date as 2026-01-31T12:00:00 (UTC)" },
	{ .name = "boot", .help = "what the kernels of their machines said, instead" },
	{ .name = "previous",
	  .value = "N",
	  .help = "with --boot: of the N-th last boot that has ended; 1 to 3 are kept" },
	{ .name = "timestamps", .letter = 't', .help = "print when each line was written" },
	{ .name = "no-prefix", .help = "do not print whose line it is" },
	{ .name = "raw", .help = "do not make control characters visible on a terminal" },
	OPTIONS_END,
};

const struct command cmd_logs = {
	.name = "logs",
	.operands = "[NAME...]",
	.summary = "print what containers wrote",
	.text = "Lines of all containers are merged by time. Logs are files: they are there also "
		"when nothing runs, "
		"until the environment is taken down.\n\n"
		"With --boot it is the log of the kernel of a container's machine, or, where that "
		"does not run, what it said last on its console: 256 KiB are kept. Of boots that "
		"have ended in "
		"good order it is kept, too, but for what ctrz run ran in a terminal: --boot "
		"--previous 1 is of the last one.",
	.options = logs_options,
	.run = run_logs,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
