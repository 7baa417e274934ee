/* SPDX-License-Identifier: MIT */
/* ctrz down: stop an environment and remove what it made. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "orchestrator/cli/confirm.h"
#include "orchestrator/cli/open.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/run_plan.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/state/env_lock.h"
#include "orchestrator/state/env_store.h"

static int find_record(struct cli *cli, const struct options *o, struct env_record *ret,
		       struct error *err)
{
	const char *file = option_arg(o, 0);
	AUTO_GIT_URL u = GIT_URL_INIT;
	int r;

	if (!file)
		return select_environment(cli, o, ret, err);
	if (option_value(o, "environment"))
		return cli_usage(cli, err, "a file and -e name an environment each");
	if (!git_url_is(file))
		return env_store_find_file(&cli->paths, file, ret, NULL, err);
	r = git_url_parse(file, &u, err);
	return r < 0 ? r : env_store_find_source(&cli->paths, &u, ret, err);
}

static int report(const struct cli *cli, const struct world *w, const struct plan *p,
		  struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	if (cli->json) {
		AUTO_JSON o = plan_to_json(p);

		json_set_string(o, "id", w->record.id);
		return out_json(o, err);
	}
	if (p->count)
		buffer_printf(&b, "%s: down\n", w->record.name);
	else
		buffer_printf(&b, "%s: nothing to take down\n", w->record.name);
	return out_write(&b, err);
}

/* What is left of the environment besides its record. */
static int remove_rest(const struct world *w, struct error *err)
{
	AUTO_FREE char *containers = env_store_path(w->paths, w->record.id, "containers");
	AUTO_FREE char *journal = env_store_path(w->paths, w->record.id, "journal");
	int r = dir_remove_tree(containers, err);

	return r < 0 ? r : file_remove(journal, err);
}

static int take_down(struct cli *cli, struct world *w, const struct options *o, struct error *err)
{
	AUTO_PLAN plan = { 0 };
	AUTO_HOST_CONFIG config = { 0 };
	struct executor_result result = { 0 };
	enum progress_mode mode = PROGRESS_QUIET;
	struct apply_options apply = { .w = w,
				       .plan = &plan,
				       .config = &config,
				       .command = "ctrz down",
				       .keeps_orphan_records = true };
	int r = progress_option(cli, o, &mode, err);

	if (r == 0)
		r = parallel_option(o, &apply.bound, err);
	if (r < 0)
		return r;
	world_load_applied(w);
	r = world_observe(w, err);
	if (r < 0)
		return r;
	plan_make_down(&w->observed, option_given(o, "volumes"), &plan);
	if (option_given(o, "dry-run"))
		return print_plan(cli, &plan, err);
	r = confirm_data_loss(cli, o, &plan, &w->record, err);
	if (r == 0 && plan.count)
		r = run_plan(cli, &apply, mode, &result, err);
	if (r == 0)
		r = remove_rest(w, err);
	return r != 0 ? r : report(cli, w, &plan, err);
}

static int run_down(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_WORLD w = { 0 };
	AUTO_ENV_RECORD record = { 0 };
	uint64_t timeout_ms = 0;
	bool forget = option_given(o, "forget");
	int lock, r = lock_timeout(o, &timeout_ms, err);

	if (r == 0)
		r = find_record(cli, o, &record, err);
	if (r < 0)
		return r;
	if (forget && record.volume_count && !option_given(o, "volumes"))
		return error_set(err, E_CONFLICT,
				 "'%s' has volumes, which nothing could find once it is forgotten; "
				 "remove them too, with --volumes",
				 record.name);
	world_open_record(&cli->paths, &record, &w);
	if (option_given(o, "dry-run"))
		return take_down(cli, &w, o, err);
	lock = lock_world(cli, &w, "ctrz down", timeout_ms, err);
	if (lock < 0)
		return lock;
	r = take_down(cli, &w, o, err);
	if (r == 0 && forget)
		r = env_store_forget(&cli->paths, w.record.id, err);
	env_lock_release(&cli->paths, w.record.id, &lock);
	return r;
}

static const struct option_def down_options[] = {
	PLAN_RUN_OPTIONS,
	DRY_RUN_OPTION,
	{ .name = "volumes", .help = "remove its volumes and all their data too; asks" },
	CONFIRM_OPTION,
	{ .name = "forget", .help = "forget its record and addresses too" },
	OPTIONS_END,
};

const struct command cmd_down = {
	.name = "down",
	.operands = "[FILE]",
	.summary = "stop an environment and remove what it made",
	.text = "Containers are stopped, those that depend on others first, and removed with their "
		"writable disks. Volumes, images and the environment's addresses are kept; "
		"--volumes lists the volumes and asks, and refuses those that are protected. The "
		"file "
		"is not read, so that this works when it is broken or gone.",
	.example = "ctrz down\nctrz down -e shop\nctrz down --volumes",
	.options = down_options,
	.run = run_down,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = 1,
	.group = GROUP_ENVIRONMENT,
	.operand = OPERAND_FILE,
};
