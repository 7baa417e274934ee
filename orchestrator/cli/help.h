/* SPDX-License-Identifier: MIT */
/* Text made from the command table: help, completion scripts, the man page's command list. */
#ifndef CTRZ_ORCHESTRATOR_CLI_HELP_H
#define CTRZ_ORCHESTRATOR_CLI_HELP_H

#include "base/buffer.h"
#include "orchestrator/cli/command.h"

/** help_print() - help on @c, or on the whole program if NULL, to stdout. Return: EXIT_OK */
int help_print(const struct cli *cli, const struct command *c);
/** help_text() - the same, appended to @out */
void help_text(const struct command *c, bool color, struct buffer *out);
/** help_scdoc() - the COMMANDS section of ctrz(1) in scdoc */
void help_scdoc(struct buffer *out);
/** help_completion() - a completion script. Return: false if @shell is not bash, zsh or fish */
bool help_completion(const char *shell, struct buffer *out);

#endif
