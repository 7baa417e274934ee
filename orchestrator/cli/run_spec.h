/* SPDX-License-Identifier: MIT */
/* The options of `ctrz run` as a spec, so that they are checked and mean the same as in a file. */
#ifndef CTRZ_ORCHESTRATOR_CLI_RUN_SPEC_H
#define CTRZ_ORCHESTRATOR_CLI_RUN_SPEC_H

#include "base/json/json.h"
#include "orchestrator/cli/command.h"

/** run_spec_build() - an environment of one container, as JSON text for spec_load(); owned */
int run_spec_build(struct cli *cli, const struct options *o, struct buffer *ret,
		   struct error *err) MUST_CHECK;

#endif
