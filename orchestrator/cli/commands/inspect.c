/* SPDX-License-Identifier: MIT */
/* ctrz inspect: all that is known of a container, for programs. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "orchestrator/apply/translate.h"
#include "orchestrator/cli/container_view.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/state/env_store.h"

/* What ps does not show: where things are, and what it was made of. */
static struct json *view_in_full(const struct cli *cli, const struct container_view *v)
{
	AUTO_FREE char *state_dir = env_store_container_dir(&cli->paths, v->env->id, v->c->name);
	AUTO_FREE char *run_dir = env_store_run_dir(&cli->paths, v->c->run_id);
	AUTO_FREE char *disk = path_join(state_dir, UPPER_DISK_NAME);
	AUTO_FREE char *log = path_join(state_dir, "log");
	struct json *o = container_view_json(v), *spec;

	json_set_string(o, "environment_id", v->env->id);
	json_set_string(o, "environment_file", v->env->file);
	json_set_string(o, "image_digest", v->c->image_digest);
	json_set_string(o, "image_disk", v->c->image_disk);
	json_set_string(o, "kernel", v->c->kernel);
	json_set_string(o, "writable_disk", disk);
	json_set_string(o, "log", log);
	json_set_string(o, "run_folder", run_dir);
	json_set_int(o, "made_unix_ms", (int64_t)v->c->made_unix_ms);
	json_set_int(o, "exited_unix_ms", (int64_t)v->status.exited_unix_ms);
	spec = container_record_spec(v->c);
	json_set(o, "spec", spec ? spec : json_new_null());
	return o;
}

static int run_inspect(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	AUTO_VIEWS views = { 0 };
	AUTO_JSON all = json_new_array();
	int r = select_environment(cli, o, &env, err);

	if (r == 0) {
		env_store_take_specs(&cli->paths, &env);
		r = container_views_add(cli, &env, &o->args, &views, err);
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < views.count; i++)
		json_add(all, view_in_full(cli, &views.items[i]));
	return out_json(all, err);
}

const struct command cmd_inspect = {
	.name = "inspect",
	.operands = "[NAME...]",
	.summary = "print all that is known of containers, as JSON",
	.text = "What ps --json prints, and where disk and log are, what it was made of, and its "
		"part of the spec as it was applied. Values of secrets are in none of it.",
	.example = "ctrz inspect web",
	.run = run_inspect,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
