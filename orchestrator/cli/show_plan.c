/* SPDX-License-Identifier: MIT */
/* Printing a plan; nothing here can carry one out. */
#include "base/fd.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/run_plan.h"

int show_plan(const struct cli *cli, const struct plan *p, int fd, struct error *err)
{
	struct plan_style style = { .color = fd == 2 ? cli->color_err : cli->color_out,
				    .unicode = cli->unicode };
	AUTO_BUFFER b = BUFFER_INIT;

	plan_print(p, &style, &b);
	return fd == 1 ? out_write(&b, err) : fd_write_full(fd, b.data, b.size, err);
}

int print_plan(const struct cli *cli, const struct plan *p, struct error *err)
{
	if (cli->json) {
		AUTO_JSON o = plan_to_json(p);

		return out_json(o, err);
	}
	return show_plan(cli, p, 1, err);
}
