/* SPDX-License-Identifier: MIT */
/* Showing a plan, carrying it out with progress, checking that it worked. */
#ifndef CTRZ_ORCHESTRATOR_CLI_RUN_PLAN_H
#define CTRZ_ORCHESTRATOR_CLI_RUN_PLAN_H

#include "orchestrator/apply/apply.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/progress.h"

/** show_plan() - the plan as text to @fd */
int show_plan(const struct cli *cli, const struct plan *p, int fd, struct error *err) MUST_CHECK;

/** print_plan() - the plan to stdout, as JSON with --json */
int print_plan(const struct cli *cli, const struct plan *p, struct error *err) MUST_CHECK;

/**
 * run_plan() - carry out a plan; progress and failures go to stderr
 * @mode: how progress is shown
 * @ret: how it went
 *
 * Return: 0 if all was done; 1 if something failed, which was printed; -E_CANCELED after Ctrl-C;
 * another -code if it could not begin
 */
int run_plan(const struct cli *cli, struct apply_options *o, enum progress_mode mode,
	     struct executor_result *ret, struct error *err) MUST_CHECK;

/** progress_option() - the value of --progress */
int progress_option(const struct cli *cli, const struct options *o, enum progress_mode *ret,
		    struct error *err) MUST_CHECK;

/** plan_options: options of all commands that change an environment */
#define PLAN_RUN_OPTIONS                                                       \
	{ .name = "progress",                                                  \
	  .value = "HOW",                                                      \
	  .help = "auto (default), tty, plain, json or quiet" },               \
		{ .name = "parallel",                                          \
		  .value = "N",                                                \
		  .help = "actions at a time; by default one per processor" }, \
	{                                                                      \
		.name = "lock-timeout", .value = "TIME",                       \
		.help = "how long to wait for another ctrz; 60s by default"    \
	}

/* Of commands that can show what they would do instead of doing it. */
#define DRY_RUN_OPTION                                                                   \
	{                                                                                \
		.name = "dry-run", .help = "show what would be done, and change nothing" \
	}

/** parallel_option() - the value of --parallel; 0 if not given */
int parallel_option(const struct options *o, unsigned *ret, struct error *err) MUST_CHECK;

#endif
