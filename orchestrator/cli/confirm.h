/* SPDX-License-Identifier: MIT */
/* Asking before data is lost. */
#ifndef CTRZ_ORCHESTRATOR_CLI_CONFIRM_H
#define CTRZ_ORCHESTRATOR_CLI_CONFIRM_H

#include <stdbool.h>

#include "base/error.h"
#include "orchestrator/cli/cli.h"
#include "orchestrator/cli/options.h"
#include "orchestrator/plan/plan.h"
#include "orchestrator/state/env_record.h"

#define CONFIRM_OPTION                                                                 \
	{                                                                              \
		.name = "yes", .letter = 'y', .help = "do not ask before data is lost" \
	}

/** confirm_yes() - ask on the terminal; the end of the input and everything but yes is a no */
bool confirm_yes(const char *question);

/**
 * confirm_data_loss() - list the volumes whose data a plan destroys, and ask
 *
 * Return: 0 if there are none, or the answer or -y is yes; -E_DENIED if not, if nobody can be
 * asked, or if one of them is protected
 */
int confirm_data_loss(struct cli *cli, const struct options *o, const struct plan *p,
		      const struct env_record *record, struct error *err) MUST_CHECK;

#endif
