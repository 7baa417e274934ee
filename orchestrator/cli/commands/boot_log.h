/* SPDX-License-Identifier: MIT */
/* What the kernels of containers' machines said. */
#ifndef CTRZ_ORCHESTRATOR_CLI_COMMANDS_BOOT_LOG_H
#define CTRZ_ORCHESTRATOR_CLI_COMMANDS_BOOT_LOG_H

#include "orchestrator/cli/command.h"
#include "orchestrator/state/env_record.h"

/**
 * boot_log_print() - of the containers the operands name, or of all
 * @tail: only so many of the last lines of each; 0 = all
 *
 * A machine that runs is asked; of another it is what its console said last, from its file.
 */
int boot_log_print(struct cli *cli, const struct options *o, const struct env_record *env,
		   uint64_t tail, struct error *err) MUST_CHECK;

#endif
