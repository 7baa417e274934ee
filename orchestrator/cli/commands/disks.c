/* SPDX-License-Identifier: MIT */
/* ctrz trim, freeze: orders about the disks of containers that run. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/process.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/container_view.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/cli/session_exit.h"
#include "runtime/machine/machine.h"

static void show_trimmed(const struct cli *cli, const char *name, uint64_t bytes, struct json *all,
			 struct buffer *out)
{
	AUTO_FREE char *size = text_size(bytes);

	if (!cli->json) {
		buffer_printf(out, "%s: %s of its disks' space are free and the host's\n", name,
			      size);
		return;
	}
	struct json *o = json_new_object();
	json_set_string(o, "name", name);
	json_set_int(o, "trimmed_bytes", (int64_t)bytes);
	json_add(all, o);
}

static int run_trim(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	AUTO_VIEWS views = { 0 };
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_JSON all = json_new_array();
	int r = select_environment(cli, o, &env, err);

	if (r == 0)
		r = container_views_add(cli, &env, &o->args, &views, err);
	for (size_t i = 0; r == 0 && i < views.count; i++) {
		const struct container_view *v = &views.items[i];
		AUTO_FREE char *run_dir = NULL;
		uint64_t bytes = 0;

		/* Of all there are, those that run. */
		if (o->args.count == 0 && v->status.phase != MACHINE_RUNNING)
			continue;
		r = session_check_running(&cli->paths, &env, v->c, &run_dir, err);
		if (r == 0 && machine_trim(run_dir, &bytes, err) < 0)
			r = error_wrap(err, "container '%s'", v->c->name);
		if (r == 0)
			show_trimmed(cli, v->c->name, bytes, all, &out);
	}
	if (r < 0)
		return r;
	return cli->json ? out_json(all, err) : out_write(&out, err);
}

/* The command has our terminal and our environment; a Ctrl-C is for it, we have to thaw. */
static int run_command(struct cli *cli, const struct options *o, int *ret_code, struct error *err)
{
	CLEANUP(strlist_release) struct strlist argv = STRLIST_INIT;
	struct process_options p = PROCESS_OPTIONS_INIT;
	struct process child = PROCESS_INIT;

	for (size_t i = 1; i < o->args.count; i++)
		strlist_add(&argv, o->args.items[i]);
	strlist_take(&argv, NULL);
	p.argv = (const char *const *)argv.items;
	p.env = (const char *const *)environ;
	p.stdin_fd = STDIN_FILENO;
	if (process_spawn(&p, &child, err) < 0) {
		cli->failure_exit = session_start_exit(err->code);
		return -(int)err->code;
	}
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	return process_wait(&child, -1, ret_code, err);
}

static int run_freeze(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	AUTO_ERROR late = ERROR_INIT;
	AUTO_FREE char *run_dir = NULL;
	struct container_record *c = NULL;
	int code = 0;
	int r = select_environment(cli, o, &env, err);

	if (r == 0)
		r = select_container(&env, option_arg(o, 0), &c, err);
	if (r == 0)
		r = session_check_running(&cli->paths, &env, c, &run_dir, err);
	if (r < 0)
		return r;
	if (machine_disks(run_dir, DISKS_FREEZE, err) < 0)
		return error_wrap(err, "container '%s'", c->name);
	r = run_command(cli, o, &code, err);
	int thawed = machine_disks(run_dir, DISKS_THAW, &late);
	if (r < 0 || code != 0)
		return r < 0 ? r : code;
	if (thawed < 0)
		return error_set(err, late.code,
				 "%s: the disks of '%s' did not stand still all the time (%d s at "
				 "most): what the command has read may not be whole",
				 error_message(&late), c->name, FREEZE_MAX_MS / 1000);
	return 0;
}

const struct command cmd_trim = {
	.name = "trim",
	.operands = "[NAME...]",
	.summary = "give the free space of disks back to the host",
	.text = "What is deleted in a container leaves its disk as large on the host as it was. "
		"This "
		"makes holes of it, on all the disks of the named containers, or of all that run.",
	.example = "ctrz trim\nctrz trim db",
	.run = run_trim,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};

const struct command cmd_freeze = {
	.name = "freeze",
	.operands = "NAME [--] COMMAND [ARG...]",
	.summary = "run a command on this host while a container's disks stand still",
	.text = "All that was written is on the disks then, and what writes waits, so that a copy "
		"or "
		"snapshot of their files is whole. The exit code is the command's, 126 or 127 if "
		"it cannot be executed or is not there. After 30 "
		"seconds "
		"the machine goes on in any case; a command that took longer is an error.",
	.example = "ctrz freeze db cp --sparse=always ~/.local/share/ctrz/volumes/shop/data.ext4 "
		   "backup.ext4",
	.run = run_freeze,
	.flags = COMMAND_ENVIRONMENT | COMMAND_OPTIONS_FIRST,
	.min_args = 2,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
