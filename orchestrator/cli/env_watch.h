/* SPDX-License-Identifier: MIT */
/* Sleeping until something of an environment may have changed. */
#ifndef CTRZ_ORCHESTRATOR_CLI_ENV_WATCH_H
#define CTRZ_ORCHESTRATOR_CLI_ENV_WATCH_H

#include "orchestrator/cli/container_view.h"

/* Of use in this order, again and again: env_watch_arm(), look, env_watch_sleep(). What changes
 * after the look wakes the sleep. */
struct env_watch {
	int fd; /* of inotify */
};

#define ENV_WATCH_INIT ((struct env_watch){ .fd = -1 })
#define AUTO_ENV_WATCH CLEANUP(env_watch_release) struct env_watch

void env_watch_release(struct env_watch *w);
/** env_watch_arm() - watch the record and the status of all containers */
int env_watch_arm(struct env_watch *w, const struct cli *cli, const struct env_record *env,
		  struct error *err) MUST_CHECK;
/**
 * env_watch_sleep() - until a file changed or a keeper of @views ended
 * @timeout_ms: -1 = no bound
 *
 * Return: 1 if something may have changed, 0 after the time is over, or -code
 */
int env_watch_sleep(const struct env_watch *w, const struct container_views *views, int timeout_ms,
		    struct error *err) MUST_CHECK;

#endif
