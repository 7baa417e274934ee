/* SPDX-License-Identifier: MIT */
/* One container for `ctrz run`: a machine and a network of its own that end with the command. */
#ifndef CTRZ_ORCHESTRATOR_APPLY_RUN_ONCE_H
#define CTRZ_ORCHESTRATOR_APPLY_RUN_ONCE_H

#include "base/error.h"
#include "orchestrator/apply/host_facts.h"
#include "spec/spec.h"

struct run_once_options {
	const struct host_paths *paths; /* lent, as all here */
	const struct host_config *config;
	const struct environment *env; /* with just one container, on the network "default" */
	image_progress_fn progress;    /* of a pull; may be NULL */
	void *progress_arg;
	bool tty, stdin_open;
	unsigned rows, columns;
};

struct run_once;

/**
 * run_once_start() - start the container
 * @ret: what run_once_end() takes down; also if this process is killed, everything of it ends by
 * itself
 * @ret_sock: the session of its process (runtime/guest/session.h); owned by the caller
 *
 * Return: 0; -E_NOT_FOUND: see @ret_image_found, which tells a missing command from a missing
 * image; ...
 */
int run_once_start(const struct run_once_options *o, struct run_once **ret, int *ret_sock,
		   bool *ret_image_found, struct error *err) MUST_CHECK;

/** run_once_end() - wait for the machine's end, or bring it about, and remove what it used; frees
 * @r */
void run_once_end(struct run_once *r);

/** run_tidy_main() - the hidden command "ctrz __tidy PID NAME": remove what the run NAME left,
 * whose command PID is about to end */
int run_tidy_main(int argc, char **argv);

#endif
