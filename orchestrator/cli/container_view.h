/* SPDX-License-Identifier: MIT */
/* One container as it is now, for the commands that show it. */
#ifndef CTRZ_ORCHESTRATOR_CLI_CONTAINER_VIEW_H
#define CTRZ_ORCHESTRATOR_CLI_CONTAINER_VIEW_H

#include "orchestrator/cli/command.h"
#include "orchestrator/state/env_record.h"
#include "runtime/machine/machine.h"

struct container_view {
	const struct env_record *env;     /* lent */
	const struct container_record *c; /* lent from @env */
	struct machine_status status;
};

struct container_views {
	struct container_view *items;
	size_t count, room;
};

#define AUTO_VIEWS CLEANUP(container_views_release) struct container_views

void container_views_release(struct container_views *v);

/**
 * container_views_add() - look at the containers of an environment
 * @names: which; none = all that were made
 *
 * @env must outlive the views. Return: 0, or -E_NOT_FOUND as select_container()
 */
int container_views_add(const struct cli *cli, const struct env_record *env,
			const struct strlist *names, struct container_views *v,
			struct error *err) MUST_CHECK;
/** container_view_look() - look again */
int container_view_look(const struct cli *cli, struct container_view *v,
			struct error *err) MUST_CHECK;

/** container_status_name() - "running", "stopped", ... */
const char *container_status_name(const struct container_view *v);
/** container_status_text() - owned: "exited (137), out of memory" */
char *container_status_text(const struct container_view *v);
/** process_status_text() - owned: "running (healthy)", "failed (1)" */
char *process_status_text(const struct status_process *p);
/** container_is_ready() - of one that runs: whether its processes and probes are as they should be.
 * Return: 1; 0 if that may still come; -E_UNAVAILABLE with what failed and what it said last */
int container_is_ready(const struct container_view *v, struct error *err) MUST_CHECK;
/** container_addresses_text() / container_ports_text() - owned: "10.1.0.2, 10.2.0.2",
 * "127.0.0.1:8080->80/tcp" */
char *container_addresses_text(const struct container_record *c);
char *container_ports_text(const struct container_record *c);
/** container_ports_json() - owned: [{"address", "host", "container", "protocol"}] */
struct json *container_ports_json(const struct container_record *c);
/** container_view_json() - owned: what ps --json prints of it */
struct json *container_view_json(const struct container_view *v);

#endif
