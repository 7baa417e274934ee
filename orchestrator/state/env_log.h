/* SPDX-License-Identifier: MIT */
/* state.log: what changed in a record since state.json was written, so that an apply of many
 * objects does not write all of them for each. */
#ifndef CTRZ_ORCHESTRATOR_STATE_ENV_LOG_H
#define CTRZ_ORCHESTRATOR_STATE_ENV_LOG_H

#include <stdbool.h>

#include "base/error.h"
#include "orchestrator/state/env_record.h"
#include "runtime/host/host_paths.h"

#define STATE_LOG_NAME "state.log"

/**
 * env_store_note() - record what one object of @r is now
 * @name: gone from @r means gone
 *
 * On disk when it returns, for the price of that object; counts r->serial up. Written whole every
 * now and then, and by the next env_store_write(). The environment's lock must be held.
 */
int env_store_note(const struct host_paths *paths, struct env_record *r, enum record_part part,
		   const char *name, struct error *err) MUST_CHECK;

/** env_log_apply() - bring @r, read from state.json, up to what was noted since. A line that is cut
 * off ends it. Return: 0, or -E_CONFLICT if the notes belong to a newer state.json */
int env_log_apply(const struct host_paths *paths, struct env_record *r,
		  struct error *err) MUST_CHECK;
/** env_log_clear() - state.json has all of it */
int env_log_clear(const struct host_paths *paths, struct env_record *r,
		  struct error *err) MUST_CHECK;
/** env_log_is_as_read() - whether nobody noted anything since @r was read */
bool env_log_is_as_read(const struct host_paths *paths, const struct env_record *r);

#endif
