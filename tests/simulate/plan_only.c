/* SPDX-License-Identifier: MIT */
/* The plan command alone: whatever it cannot reach is not linked into this program, which a test
 * looks at. */
#include "base/error.h"
#include "orchestrator/cli/command.h"

int main(void)
{
	struct cli cli = { 0 };
	struct options o = { .command = &cmd_plan };
	AUTO_ERROR err = ERROR_INIT;

	return cmd_plan.run(&cli, &o, &err) < 0;
}
