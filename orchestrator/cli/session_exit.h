/* SPDX-License-Identifier: MIT */
/* What `exec`, `attach` and `run` share: relaying a guest's process and its exit code. */
#ifndef CTRZ_ORCHESTRATOR_CLI_SESSION_EXIT_H
#define CTRZ_ORCHESTRATOR_CLI_SESSION_EXIT_H

#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/options.h"
#include "orchestrator/state/env_store.h"
#include "runtime/guest/session.h"
#include "vminitd/protocol/message.h"

/** session_check_running() - where a running container's machine is reached. *ret_run_dir is owned.
 * Return: 0, or -E_UNAVAILABLE saying how the container ended and what to do */
int session_check_running(const struct host_paths *paths, const struct env_record *env,
			  const struct container_record *c, char **ret_run_dir,
			  struct error *err) MUST_CHECK;
/** session_start_exit() - the exit code when a process could not be started: 127, 126 or 125 */
int session_start_exit(enum error_code code);

#define OPTION_DETACH_KEYS                                                             \
	{                                                                              \
		.name = "detach-keys", .value = "KEYS",                                \
		.help = "leave by these: " DETACH_KEYS_DEFAULT " (default), none, ..." \
	}

/** session_detach_keys() - what --detach-keys says, for a session with a terminal. Return: 0 or a
 * wrong use */
int session_detach_keys(struct cli *cli, const struct options *o, struct session_options *ret,
			struct error *err) MUST_CHECK;
/** session_streams() - our standard streams for a process of ours, as @spawn wants them */
void session_streams(const struct msg_spawn *spawn, struct session_options *ret);
/** session_relay() - until the guest's process ends, or the user leaves it; @sock is taken. @where
 * names the container. Return: its exit code, 0 if it was left, or -code */
int session_relay(const struct cli *cli, int sock, const struct session_options *s,
		  const char *where, struct error *err) MUST_CHECK;

#endif
