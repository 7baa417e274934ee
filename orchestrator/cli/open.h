/* SPDX-License-Identifier: MIT */
/* What up, plan and down begin with: the environment its operands mean, its spec, its state. */
#ifndef CTRZ_ORCHESTRATOR_CLI_OPEN_H
#define CTRZ_ORCHESTRATOR_CLI_OPEN_H

#include "orchestrator/apply/world.h"
#include "orchestrator/cli/command.h"

/* What the operands of a command mean. */
struct target {
	char *file;              /* owned; the spec; NULL = of the record, which is known */
	struct strlist files;    /* the same, and its overlays */
	struct strlist profiles; /* asked for with --profile */
	struct strlist names;    /* containers */
	struct git_url url;      /* of the spec, if it is in git: is_git */
	char *commit; /* owned; which one of the URL's ref, of a saved plan; NULL = as it is pinned
		       */
	bool is_git;
	bool offline, may_be_file, update, locked;
};

#define AUTO_TARGET CLEANUP(target_release) struct target

void target_release(struct target *t);
/* Options of commands that read a spec. */
#define SPEC_OPTIONS                                                                          \
	{ .name = "file",                                                                     \
	  .letter = 'f',                                                                      \
	  .value = "FILE",                                                                    \
	  .help = "the file; the second and further ones are laid over it",                   \
	  .repeat = true },                                                                   \
		{ .name = "profile",                                                          \
		  .value = "NAME",                                                            \
		  .help = "take in the containers of this profile",                           \
		  .repeat = true },                                                           \
		{ .name = "offline", .help = "ask no server, neither git's nor a registry" }, \
	{                                                                                     \
		.name = "allow-file", .help = "git+file:// may be read"                       \
	}

/* Of commands that plan by a spec. */
#define UPDATE_OPTION                                                                         \
	{                                                                                     \
		.name = "update", .help = "take what registries and a branch in git have now" \
	}

#define LOCKED_OPTION                                                                          \
	{                                                                                      \
		.name = "locked",                                                              \
		.help = "fail if the lock beside the file is missing or not what it should be" \
	}

/** target_find() - from "[FILE] [NAME...]", -f, -e, ./env.yaml or the only environment there is */
int target_find(struct cli *cli, const struct options *o, struct target *ret,
		struct error *err) MUST_CHECK;

/** target_read_git() - the options that say where things may come from, and whether the first file
 * is in git */
int target_read_git(struct cli *cli, const struct options *o, struct target *t,
		    struct error *err) MUST_CHECK;
/** target_lock_mode() - what the lock beside the file is for */
enum spec_lock_mode target_lock_mode(const struct target *t);
/** open_git_files() - for specs in git and what files include from there; owned */
struct git_files *open_git_files(struct cli *cli, const struct target *t,
				 const struct host_config *config);

/**
 * open_wanted() - open the environment of a target's file and read it; findings are printed
 *
 * Return: 0; -E_INVALID after its findings were printed (the error says how many); an exit code
 * after a failure with a place was printed
 */
int open_wanted(struct cli *cli, struct target *target, const struct host_config *config,
		struct world *ret, struct error *err) MUST_CHECK;
/** open_target() - the same without reading it. The file of a target in git becomes its path here
 */
int open_target(struct cli *cli, struct target *target, const struct host_config *config,
		struct world *ret, struct error *err) MUST_CHECK;

/** print_findings() - on stderr, or as JSON on stdout with --json */
int print_findings(const struct cli *cli, const struct diagnostics *diags,
		   struct error *err) MUST_CHECK;

/** print_placed() - print a failure @r whose place is lent from a spec that the caller is about to
 * release. Return: its exit code; @r as it is if there is nothing to print */
int print_placed(const struct cli *cli, int r, struct error *err) MUST_CHECK;

/** lock_world() - take the environment's lock, saying for whom we wait, and read the record again.
 * @timeout_ms: see env_lock_take(). Return: the descriptor or -code */
int lock_world(struct cli *cli, struct world *w, const char *command, uint64_t timeout_ms,
	       struct error *err) MUST_CHECK;

/** lock_timeout() - the value of --lock-timeout, "60s" */
int lock_timeout(const struct options *o, uint64_t *ret_ms, struct error *err) MUST_CHECK;
/** duration_parse() - "90", "90s", "2m", "1h", "250ms" */
int duration_parse(const char *text, uint64_t *ret_ms, struct error *err) MUST_CHECK;

#endif
