/* SPDX-License-Identifier: MIT */
/* ctrz plan: what up would do. Takes no lock and writes nothing. */
#include <stdio.h>

#include "base/alloc.h"
#include "orchestrator/cli/open.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/plan_file.h"
#include "orchestrator/cli/run_plan.h"
#include "orchestrator/cli/settings.h"
#include "orchestrator/cli/trust.h"

static int save_plan(const struct cli *cli, const struct options *o, const struct target *target,
		     const struct world *w, const struct plan *p, struct error *err)
{
	const char *path = option_value(o, "out");
	int r = path ? plan_file_write(path, target, option_given(o, "update"), w, p, err) : 0;

	if (r == 0 && path && !cli->quiet)
		(void)fprintf(stderr, "saved; carry out exactly this with: ctrz up %s\n", path);
	return r;
}

static int exit_code(const struct options *o, const struct plan *p)
{
	if (p->count && option_given(o, "expect-no-changes"))
		return EXIT_UNEXPECTED_CHANGES;
	if (p->count && option_given(o, "detailed-exitcode"))
		return EXIT_CHANGES;
	return EXIT_OK;
}

static int run_plan_command(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_TARGET target = { 0 };
	AUTO_HOST_CONFIG config = { 0 };
	AUTO_WORLD w = { 0 };
	AUTO_PLAN plan = { 0 };
	int r = target_find(cli, o, &target, err);

	if (r == 0)
		r = settings_load(cli, &config, err);
	if (r == 0)
		r = open_wanted(cli, &target, &config, &w, err);
	if (r != 0)
		return r;
	world_load_applied(&w);
	r = world_observe(&w, err);
	if (r == 0)
		r = world_plan(&w, &target.names, &config,
			       target.offline  ? RESOLVE_STORE
			       : target.update ? RESOLVE_UPDATE
					       : RESOLVE_SIZES,
			       &plan, err);
	if (r == 0)
		r = print_plan(cli, &plan, err);
	if (r == 0)
		r = trust_foretell(cli, config.config, target.file, &w.source, w.wanted, err);
	if (r == 0)
		r = save_plan(cli, o, &target, &w, &plan, err);
	return r < 0 ? print_placed(cli, r, err) : exit_code(o, &plan);
}

static const struct option_def plan_options[] = {
	SPEC_OPTIONS,
	UPDATE_OPTION,
	LOCKED_OPTION,
	{ .name = "out",
	  .letter = 'o',
	  .value = "FILE",
	  .help = "save the plan, for ctrz up FILE" },
	{ .name = "detailed-exitcode", .help = "exit with 2 if there is something to do" },
	{ .name = "expect-no-changes", .help = "exit with 7 if there is something to do" },
	OPTIONS_END,
};

const struct command cmd_plan = {
	.name = "plan",
	.operands = "[FILE] [NAME...]",
	.summary = "show what up would do; changes nothing",
	.text = "Each line is one difference: what happens to the object, the field, its old and "
		"new value, the line of the file it comes from, and what the change costs.\n\n"
		"+ create, > start, ~ change live, ^ restart a process, * reboot the machine (data "
		"kept), -/+ replace with a new root file system, - destroy, # drift: what is there "
		"differs from what was applied, <= get an image, = only the record changes. On a "
		"UTF-8 terminal some of them have shapes of their own.\n\n"
		"What nobody asked for is in a section of its own: drift. Registries are asked "
		"only about images that are not here, for the size of the download, and those with "
		"pull: always; with --update about all.\n\n"
		"A plan saved with -o is carried out by ctrz up FILE as it is, or not at all: if "
		"the "
		"file, the environment or what runs changed meanwhile, it is stale and refused.",
	.example = "ctrz plan\nctrz plan env.yaml --detailed-exitcode\n"
		   "ctrz plan -o next.plan\nctrz up ./next.plan",
	.options = plan_options,
	.run = run_plan_command,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_ENVIRONMENT,
	.operand = OPERAND_FILE,
};
