/* SPDX-License-Identifier: MIT */
/* A saved plan: what `ctrz plan -o` writes, and `ctrz up` carries out only if it is still true. */
#ifndef CTRZ_ORCHESTRATOR_CLI_PLAN_FILE_H
#define CTRZ_ORCHESTRATOR_CLI_PLAN_FILE_H

#include "orchestrator/apply/world.h"
#include "orchestrator/cli/open.h"

struct plan_file {
	char *path;      /* owned; of itself */
	char *id;        /* owned; of the environment; NULL = it was not known yet */
	uint64_t serial; /* of its record */
	char *spec;      /* owned hash of the spec */
	char *steps;     /* owned hash of plan_steps() */
	struct strlist files, profiles, names;
	struct spec_source source; /* of the spec, if it is in git */
	bool update;               /* registries were asked about all images */
};

#define AUTO_PLAN_FILE CLEANUP(plan_file_release) struct plan_file

void plan_file_release(struct plan_file *f);

/** plan_file_is() - whether a file looks like a saved plan; false if it cannot be read */
bool plan_file_is(const char *path);
/** plan_file_write() - 0600, atomic; @target, @w and @p are what the plan was made of and is */
int plan_file_write(const char *path, const struct target *target, bool update,
		    const struct world *w, const struct plan *p, struct error *err) MUST_CHECK;
/** plan_file_read() - Return: 0, -E_INVALID for a damaged one, -E_CONFLICT for one of a newer ctrz
 */
int plan_file_read(const char *path, struct plan_file *ret, struct error *err) MUST_CHECK;
/** plan_file_target() - what was planned for, as `ctrz up` takes it */
int plan_file_target(const struct plan_file *f, struct target *ret, struct error *err) MUST_CHECK;
/** plan_file_check_state() - whether record and spec are what they were. Return: 0, or -E_CONFLICT:
 * the plan is stale, and why */
int plan_file_check_state(const struct plan_file *f, const struct world *w,
			  struct error *err) MUST_CHECK;
/** plan_file_check_steps() - whether the same is to be done. Return: as above */
int plan_file_check_steps(const struct plan_file *f, const struct plan *now,
			  struct error *err) MUST_CHECK;

#endif
