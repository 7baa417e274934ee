/* SPDX-License-Identifier: MIT */
/* What the kernels of containers' machines said. */
#ifndef CTRZ_ORCHESTRATOR_CLI_COMMANDS_BOOT_LOG_H
#define CTRZ_ORCHESTRATOR_CLI_COMMANDS_BOOT_LOG_H

#include "orchestrator/cli/command.h"
#include "orchestrator/state/env_record.h"

/**
 * boot_log_print() - of the containers the operands name, or of all
 * @previous: of which boot: 1 = the last one that ended, ... MACHINE_BOOT_LOGS; 0 = of now
 * @tail: only so many of the last lines of each; 0 = all
 *
 * A machine that runs is asked; of another it is what its console said last, from its file.
 */
int boot_log_print(struct cli *cli, const struct options *o, const struct env_record *env,
		   uint64_t previous, uint64_t tail, struct error *err) MUST_CHECK;

#endif
