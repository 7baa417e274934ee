/* SPDX-License-Identifier: MIT */
/* Which environment and containers a command means. */
#ifndef CTRZ_ORCHESTRATOR_CLI_SELECT_H
#define CTRZ_ORCHESTRATOR_CLI_SELECT_H

#include "orchestrator/cli/command.h"
#include "orchestrator/state/env_record.h"

/** select_environment() - by -e, else ./env.yaml, else the only one; see env_store_select() */
int select_environment(const struct cli *cli, const struct options *o, struct env_record *ret,
		       struct error *err) MUST_CHECK;

/**
 * select_container() - a container of an environment that was made
 *
 * Return: 0 and *ret lent from @r, or -E_NOT_FOUND with a suggestion and the list of those there
 * are
 */
int select_container(const struct env_record *r, const char *name, struct container_record **ret,
		     struct error *err) MUST_CHECK;

/** is_spec_operand() - whether an operand is a spec file rather than a container: it has a slash or
 * a dot, or is a URL */
bool is_spec_operand(const char *operand);

#endif
