/* SPDX-License-Identifier: MIT */
/* Secrets that people type. */
#ifndef CTRZ_ORCHESTRATOR_CLI_ASK_SECRET_H
#define CTRZ_ORCHESTRATOR_CLI_ASK_SECRET_H

#include "base/buffer.h"
#include "base/error.h"
#include "orchestrator/apply/world.h"

/**
 * ask_secret() - one line of standard input without its end, appended to @out
 * @what: asked for on stderr if standard input is a terminal, which then does not show what is
 * typed; escaped
 *
 * Return: 0; -E_INVALID if it is empty; -E_CANCELED after Ctrl-C on the terminal
 */
int ask_secret(const char *what, struct buffer *out, struct error *err) MUST_CHECK;

/** ask_secrets() - ask for the secrets a plan makes that come from the terminal, and keep them.
 * Without a terminal nothing is asked: the plan's action says what to do */
int ask_secrets(const struct world *w, const struct plan *plan, struct error *err) MUST_CHECK;

#endif
