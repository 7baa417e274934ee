/* SPDX-License-Identifier: MIT */
/* Locks as commands see them: what changes in one, and when it is written. */
#ifndef CTRZ_ORCHESTRATOR_CLI_LOCKING_H
#define CTRZ_ORCHESTRATOR_CLI_LOCKING_H

#include "base/json/json.h"
#include "orchestrator/apply/lock.h"
#include "orchestrator/cli/open.h"

/** lock_changes_print() - a line for each difference. Return: how many there are */
size_t lock_changes_print(const struct spec_pins *old, const struct spec_pins *new,
			  struct buffer *out);
/** lock_changes_json() - an array of them, owned */
struct json *lock_changes_json(const struct spec_pins *old, const struct spec_pins *new);

/**
 * lock_take_up() - after a spec was read: what its lock lacks is said; with --update all of it is
 * asked for anew and the difference shown, on stderr
 *
 * A spec in git has the lock of its commit, which is never made anew here. Return: 0 or -code
 */
int lock_take_up(const struct cli *cli, const struct target *t, const struct host_config *config,
		 struct world *w, struct error *err) MUST_CHECK;
/** lock_settle() - write the lock if lock_take_up() changed it */
int lock_settle(struct world *w, struct error *err) MUST_CHECK;

#endif
