/* SPDX-License-Identifier: MIT */
/* What each kind of action does to the host. Runs in a job's own process; the parent records the
 * result. */
#ifndef CTRZ_ORCHESTRATOR_APPLY_ACTIONS_H
#define CTRZ_ORCHESTRATOR_APPLY_ACTIONS_H

#include "base/error.h"
#include "base/map.h"
#include "orchestrator/apply/executor.h"
#include "orchestrator/apply/world.h"
#include "orchestrator/plan/plan.h"

/* What an action may use; all lent. */
struct action_context {
	const struct world *w;
	const struct host_config *config;
	const struct action *action;
	struct job_channel *channel; /* NULL = no progress */
	/* Containers whose end somebody waits for: name -> const enum spec_condition, done or
	 * exited. NULL = nobody waits for any */
	const struct map *ends;
};

/**
 * action_run() - do one action
 * @ret_result: of a container that was made or started: {"image", "digest", "disk", "kernel",
 *"stop_signal", "ports": [...]}; may stay NULL
 *
 * A failed start has undone what it did.
 */
int action_run(const struct action_context *c, struct json **ret_result,
	       struct error *err) MUST_CHECK;

/* The parts, in action_volume.c, */
int action_volume_make(const struct action_context *c, struct json **ret_result,
		       struct error *err) MUST_CHECK;
int action_volume_grow(const struct action_context *c, struct json **ret_result,
		       struct error *err) MUST_CHECK;
int action_volume_replace(const struct action_context *c, struct json **ret_result,
			  struct error *err) MUST_CHECK;
int action_volume_destroy(const struct action_context *c, struct json **ret_result,
			  struct error *err) MUST_CHECK;

/* and in action_container.c. */
int action_container_make(const struct action_context *c, struct json **ret_result,
			  struct error *err) MUST_CHECK;
int action_container_start(const struct action_context *c, struct json **ret_result,
			   struct error *err) MUST_CHECK;
int action_container_reboot(const struct action_context *c, struct json **ret_result,
			    struct error *err) MUST_CHECK;
int action_container_replace(const struct action_context *c, struct json **ret_result,
			     struct error *err) MUST_CHECK;
int action_container_update(const struct action_context *c, struct json **ret_result,
			    struct error *err) MUST_CHECK;
int action_container_destroy(const struct action_context *c, struct json **ret_result,
			     struct error *err) MUST_CHECK;
/** action_container_stop() - stop the machine as the applied spec says; its disk stays */
int action_container_stop(const struct world *w, const struct container_record *r,
			  struct error *err) MUST_CHECK;

/** ports_set() - (re)make the container's ports on its networks; *ret_dirs: owned array of owned
 * strings, may be NULL; *ret_ports: owned JSON array of the bound ports */
int ports_set(const struct world *w, const struct spec_container *c, char ***ret_dirs,
	      struct json **ret_ports, struct error *err) MUST_CHECK;
void ports_dirs_free(char **dirs, size_t count);

#endif
