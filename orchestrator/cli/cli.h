/* SPDX-License-Identifier: MIT */
/* What every command gets: paths, the streams' abilities, exit codes. */
#ifndef CTRZ_ORCHESTRATOR_CLI_CLI_H
#define CTRZ_ORCHESTRATOR_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/json/json.h"
#include "runtime/host/host_paths.h"

/* The exit codes of ctrz(1). */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_CHANGES = 2, /* only plan --detailed-exitcode */
	EXIT_INVALID = 3,
	EXIT_NOT_FOUND = 4,
	EXIT_LOCKED = 5,
	EXIT_TRUST = 6,
	EXIT_UNEXPECTED_CHANGES = 7,
	EXIT_USAGE = 64,
	EXIT_RUN_FAILED = 125,     /* run, exec: ctrz itself failed */
	EXIT_RUN_DENIED = 126,     /* run, exec: not executable */
	EXIT_RUN_NO_COMMAND = 127, /* run, exec: not in the image */
	EXIT_INTERRUPTED = 130,
};

struct cli {
	struct host_paths paths;   /* empty for COMMAND_NO_SETUP */
	const char *command_name;  /* of the running command, "image pull"; lent */
	bool color_out, color_err; /* colour on stdout, stderr */
	bool unicode;              /* the locale is UTF-8 */
	bool tty_err;              /* progress may be redrawn on stderr */
	bool quiet;
	bool json;        /* --json was given */
	int failure_exit; /* exit code of a failure; 0 = by the error's code */
	bool locks;       /* the command waits for others: E_TIMEOUT is EXIT_LOCKED */
};

/** cli_usage() - a wrong use of the command: exit code EXIT_USAGE. Return: -E_INVALID */
int cli_usage(struct cli *cli, struct error *err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/** cli_exit_code() - the exit code of a failure */
int cli_exit_code(const struct cli *cli, enum error_code code);
/** cli_print_error() - "ctrz: error: ..." on stderr, or a JSON object with --json; escaped for
 * terminals */
void cli_print_error(const struct cli *cli, const struct error *err);
/** cli_main() - the whole program. Return: its exit code */
int cli_main(int argc, char **argv);

#endif
