/* SPDX-License-Identifier: MIT */
/* The entry of ctrz: the command line, or one of the programs it starts of itself. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "orchestrator/apply/run_once.h"
#include "orchestrator/cli/cli.h"
#include "runtime/machine/machine.h"
#include "runtime/network/switch_client.h"
#include "runtime/share/share.h"

/* No commands: they take no options. */
static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} helpers[] = {
	{ "__keeper", keeper_main },
	{ "__switch", switch_main },
	{ "__share", share_main },
	{ "__tidy", run_tidy_main },
};

/* Descriptors 0 to 2 must be open, or files opened later would take their place. */
static void hold_standard_fds(void)
{
	FILE *const streams[] = { stdin, stdout, stderr };
	struct stat st;

	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &st) < 0 && !freopen("/dev/null", fd ? "w" : "r", streams[fd]))
			_exit(EXIT_FAILED);
}

int main(int argc, char **argv)
{
	hold_standard_fds();
	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(helpers); i++)
		if (strcmp(argv[1], helpers[i].name) == 0)
			return helpers[i].main(argc - 1, argv + 1);
	return cli_main(argc, argv);
}
