/* SPDX-License-Identifier: MIT */
/* What a container was made from, as it was applied last. */
#ifndef CTRZ_ORCHESTRATOR_CLI_APPLIED_H
#define CTRZ_ORCHESTRATOR_CLI_APPLIED_H

#include "orchestrator/cli/cli.h"
#include "orchestrator/state/env_record.h"
#include "spec/spec.h"

/** applied_container() - @c as the applied spec has it. *ret_spec is owned, *ret lent from it.
 * Return: 0 or -code */
int applied_container(const struct cli *cli, const struct env_record *env,
		      const struct container_record *c, struct environment **ret_spec,
		      const struct spec_container **ret, struct error *err) MUST_CHECK;

#endif
