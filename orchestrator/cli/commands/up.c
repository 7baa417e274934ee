/* SPDX-License-Identifier: MIT */
/* ctrz up: bring an environment to what its file says. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/trace.h"
#include "orchestrator/cli/ask_secret.h"
#include "orchestrator/cli/confirm.h"
#include "orchestrator/cli/locking.h"
#include "orchestrator/cli/open.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/plan_file.h"
#include "orchestrator/cli/run_plan.h"
#include "orchestrator/cli/settings.h"
#include "orchestrator/cli/trace_file.h"
#include "orchestrator/cli/trust.h"
#include "orchestrator/state/env_lock.h"
#include "orchestrator/state/env_store.h"

enum { TAIL_BYTES = 4096, LOG_MAX_BYTES = 1 << 28 };

/* Everything one run of up works with. */
struct upping {
	struct cli *cli;
	struct plan_file saved;        /* path NULL = none given */
	const struct options *options; /* lent */
	struct target target;
	struct host_config config;
	struct world w;
	struct plan plan;
	enum progress_mode progress;
	uint64_t lock_timeout_ms;
	enum resolve_mode resolve;
	unsigned parallel;
	bool fail_fast;
	int lock;
};

static void upping_release(struct upping *u)
{
	if (u->lock >= 0)
		env_lock_release(&u->cli->paths, u->w.record.id, &u->lock);
	plan_release(&u->plan);
	world_release(&u->w);
	host_config_release(&u->config);
	target_release(&u->target);
	plan_file_release(&u->saved);
}

#define AUTO_UPPING CLEANUP(upping_release) struct upping

static int read_options(struct upping *u, const struct options *o, struct error *err)
{
	int r = progress_option(u->cli, o, &u->progress, err);

	u->fail_fast = option_given(o, "fail-fast");
	u->resolve = option_given(o, "offline")  ? RESOLVE_STORE
		     : option_given(o, "update") ? RESOLVE_UPDATE
						 : RESOLVE_SPEC;

	if (r == 0)
		r = lock_timeout(o, &u->lock_timeout_ms, err);
	if (r == 0)
		r = parallel_option(o, &u->parallel, err);
	if (r < 0)
		u->cli->failure_exit = EXIT_USAGE;
	return r;
}

static int make_plan(struct upping *u, struct error *err)
{
	int r;

	plan_release(&u->plan);
	world_load_applied(&u->w);
	r = world_observe(&u->w, err);
	return r < 0 ? r
		     : world_plan(&u->w, &u->target.names, &u->config, u->resolve, &u->plan, err);
}

static struct json *ports_json(const struct world *w)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < w->record.container_count; i++) {
		const struct container_record *c = &w->record.containers[i];

		for (size_t n = 0; n < c->port_count; n++) {
			struct json *o = json_new_object();
			char address[ADDRESS_TEXT_SIZE];

			address_text(c->ports[n].host_address, address);
			json_set_string(o, "name", c->name);
			json_set_string(o, "address", address);
			json_set_int(o, "host", c->ports[n].host_port);
			json_set_int(o, "container", c->ports[n].guest_port);
			json_set_string(o, "protocol", c->ports[n].udp ? "udp" : "tcp");
			json_add(list, o);
		}
	}
	return list;
}

static int report_json(const struct upping *u, struct error *err)
{
	AUTO_JSON o = plan_to_json(&u->plan);

	json_set_string(o, "id", u->w.record.id);
	json_set(o, "ports", ports_json(&u->w));
	return out_json(o, err);
}

static void add_ports(const struct world *w, struct buffer *out)
{
	for (size_t i = 0; i < w->record.container_count; i++) {
		const struct container_record *c = &w->record.containers[i];

		for (size_t n = 0; n < c->port_count; n++) {
			char address[ADDRESS_TEXT_SIZE];

			address_text(c->ports[n].host_address, address);
			buffer_printf(out, "  %s  %s:%u -> %u/%s\n", c->name, address,
				      c->ports[n].host_port, c->ports[n].guest_port,
				      c->ports[n].udp ? "udp" : "tcp");
		}
	}
}

static int report_up(const struct upping *u, size_t done, struct error *err)
{
	const char *message = u->w.wanted->message.text;
	AUTO_BUFFER b = BUFFER_INIT;

	if (u->cli->json)
		return report_json(u, err);
	buffer_printf(&b, "%s: up (%zu container%s, %zu change%s)\n", u->w.record.name,
		      u->plan.container_count, u->plan.container_count == 1 ? "" : "s", done,
		      done == 1 ? "" : "s");
	if (!u->cli->quiet)
		add_ports(&u->w, &b);
	if (message && !u->cli->quiet)
		text_escape(&b, message, strlen(message), true);
	if (b.size && b.data[b.size - 1] != '\n')
		buffer_add_char(&b, '\n');
	return out_write(&b, err);
}

static int report_nothing(const struct upping *u, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	if (u->cli->json)
		return report_json(u, err);
	buffer_printf(&b, "%s: up to date (%zu container%s, 0 changes)\n", u->w.wanted->name.text,
		      u->plan.container_count, u->plan.container_count == 1 ? "" : "s");
	return out_write(&b, err);
}

/* The folder of a spec in git holds what is used from here on, and the record says so. */
static int settle_source(struct upping *u, struct error *err)
{
	AUTO_STRLIST warnings = STRLIST_INIT;
	struct env_record *r = &u->w.record;
	AUTO_FREE char *before = spec_source_text(&r->source);
	AUTO_FREE char *now = spec_source_text(&u->w.source);
	int ret = git_files_write(u->w.git, &warnings, err);

	for (size_t i = 0; i < warnings.count && !u->cli->quiet; i++)
		(void)fprintf(stderr, "warning: %s\n", warnings.items[i]);
	if (ret < 0 || (str_equal(before, now) && str_equal(r->source.commit, u->w.source.commit)))
		return ret;
	spec_source_release(&r->source);
	spec_source_copy(&r->source, &u->w.source);
	return env_store_write(u->w.paths, r, err);
}

static int nothing_to_do(struct upping *u, struct error *err)
{
	int r = settle_source(u, err);

	if (r == 0)
		r = lock_settle(&u->w, err);

	return r < 0 ? r : report_nothing(u, err);
}

/* The end of a container's log, for people to see why it ended. */
static void print_log_tail(const struct upping *u, const char *name)
{
	AUTO_FREE char *dir = env_store_container_dir(u->w.paths, u->w.record.id, name);
	AUTO_FREE char *path = path_join(dir, "log");
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_BUFFER shown = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (file_read(path, LOG_MAX_BYTES, &text, &err) < 0) {
		error_ignore(&err, "read a log");
		return;
	}
	if (text.size > TAIL_BYTES)
		buffer_drop(&text, text.size - TAIL_BYTES);
	text_escape(&shown, buffer_str(&text), text.size, true);
	(void)fprintf(stderr, "%s%s", buffer_str(&shown),
		      text.size && text.data[text.size - 1] != '\n' ? "\n" : "");
	(void)fprintf(stderr, "  (more: ctrz logs %s)\n", name);
}

/* What is there now must be what was wanted. Return: 0, or 1 if it is not, which was printed */
static int verify(struct upping *u, struct error *err)
{
	TRACE("verify");
	struct plan_style style = { .color = u->cli->color_err, .unicode = u->cli->unicode };
	AUTO_PLAN rest = { 0 };
	AUTO_BUFFER b = BUFFER_INIT;
	int r;

	world_load_applied(&u->w);
	r = world_observe(&u->w, err);
	if (r == 0)
		r = world_plan(&u->w, &u->target.names, &u->config, RESOLVE_STORE, &rest, err);
	if (r < 0)
		return error_wrap(err, "look at the result");
	if (!rest.count)
		return 0;
	(void)fprintf(stderr, "ctrz: error: after all was done, this still differs:\n");
	plan_print(&rest, &style, &b);
	(void)fputs(buffer_str(&b), stderr);
	for (size_t i = 0; i < rest.count; i++)
		if (rest.actions[i].object == OBJECT_CONTAINER && rest.actions[i].drift)
			print_log_tail(u, rest.actions[i].name);
	return 1;
}

static void announce(const struct upping *u)
{
	AUTO_ERROR err = ERROR_INIT;

	if (u->progress != PROGRESS_QUIET && u->progress != PROGRESS_JSON &&
	    show_plan(u->cli, &u->plan, 2, &err) < 0)
		error_ignore(&err, "show the plan");
}

/* Nothing may be fetched: what has to be is told before anything is done. */
static int check_offline(const struct upping *u, struct error *err)
{
	for (size_t i = 0; u->target.offline && i < u->plan.count; i++)
		if (u->plan.actions[i].object == OBJECT_IMAGE)
			return error_set(err, E_UNAVAILABLE,
					 "image '%s' is not on this host, and --offline was given; "
					 "get it with: ctrz image pull %s",
					 u->plan.actions[i].name, u->plan.actions[i].name);
	return 0;
}

static int apply_changes(struct upping *u, struct error *err)
{
	struct executor_result result;
	struct apply_options o = {
		.w = &u->w,
		.plan = &u->plan,
		.config = &u->config,
		.command = "ctrz up",
		.bound = u->parallel,
		.fail_fast = u->fail_fast,
	};
	int r;

	announce(u);
	r = check_offline(u, err);
	if (r == 0)
		r = confirm_data_loss(u->cli, u->options, &u->plan, &u->w.record, err);
	if (r < 0)
		return r;
	r = apply_check(&u->w, &u->plan, err);
	if (r < 0) {
		u->cli->failure_exit = EXIT_FAILED;
		return r;
	}
	r = ask_secrets(&u->w, &u->plan, err);
	if (r == 0)
		r = settle_source(u, err);
	if (r == 0)
		r = lock_settle(&u->w, err);
	if (r < 0)
		return r;
	r = run_plan(u->cli, &o, u->progress, &result, err);
	if (r != 0)
		return r;
	r = verify(u, err);
	return r != 0 ? r : report_up(u, result.done, err);
}

/* An environment of which nothing ever came up is not remembered. */
static void forget_unborn(const struct upping *u)
{
	AUTO_ERROR err = ERROR_INIT;
	if (u->w.record.run <= 1 && !u->w.record.volume_count && !env_record_is_up(&u->w.record) &&
	    env_store_forget(u->w.paths, u->w.record.id, &err) < 0)
		error_ignore(&err, "forget an environment that did not come up");
}

/* A file that was moved, or replaced by an editor, keeps its environment. */
static int follow_file(struct upping *u, struct error *err)
{
	bool moved = u->w.has_moved;
	int r;

	if (spec_source_is_git(&u->w.source))
		return 0;
	if (moved && !u->cli->quiet)
		(void)fprintf(stderr, "%s was moved from %s; its environment is kept\n",
			      u->target.file, u->w.record.file);
	r = env_store_follow(&u->w.record, u->target.file, err);
	return r <= 0 ? r : env_store_write(u->w.paths, &u->w.record, err);
}

/* What is wanted: the file, or a saved plan. */
static int find_target(struct upping *u, const struct options *o, struct error *err)
{
	static const char *const others[] = { "file", "profile", "update", "locked",
					      "environment" };
	const char *path = option_arg(o, 0);
	int r;

	if (!path || !plan_file_is(path)) {
		return target_find(u->cli, o, &u->target, err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (option_given(o, others[i]) || o->args.count > 1)
			return cli_usage(
				u->cli, err,
				"'%s' is a saved plan: it says itself what it is for, and "
				"takes no further names, -f, --profile, --update, --locked or -e",
				path);
	r = plan_file_read(path, &u->saved, err);
	if (r == 0)
		r = plan_file_target(&u->saved, &u->target, err);
	if (r < 0)
		return r;
	u->target.offline = option_given(o, "offline");
	u->target.may_be_file = option_given(o, "allow-file");
	if (u->saved.update)
		u->resolve = RESOLVE_UPDATE;
	return 0;
}

/* A saved plan is for the state it was made of. */
static int check_saved(const struct upping *u, struct error *err)
{
	return u->saved.path ? plan_file_check_state(&u->saved, &u->w, err) : 0;
}

static int run_up(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_UPPING u = { .cli = cli, .options = o, .lock = -1 };
	int r;

	if (option_given(o, "dry-run"))
		return cmd_plan.run(cli, o, err);
	r = read_options(&u, o, err);
	if (r == 0)
		r = find_target(&u, o, err);
	if (r == 0)
		r = settings_load(cli, &u.config, err);
	u.config.cold = option_given(o, "cold");
	if (r == 0)
		r = open_wanted(cli, &u.target, &u.config, &u.w, err);
	if (r == 0)
		r = trust_require(cli, o, u.config.config, u.target.file, &u.w.source, u.w.wanted,
				  err);
	if (r != 0)
		return r;
	u.lock = lock_world(cli, &u.w, "ctrz up", u.lock_timeout_ms, err);
	if (u.lock < 0)
		return u.lock;
	r = check_saved(&u, err);
	if (r == 0)
		r = follow_file(&u, err);
	if (r == 0)
		r = make_plan(&u, err);
	if (r == 0 && u.saved.path)
		r = plan_file_check_steps(&u.saved, &u.plan, err);
	if (r == 0)
		r = u.plan.count ? apply_changes(&u, err) : nothing_to_do(&u, err);
	if (r != 0)
		forget_unborn(&u);
	return print_placed(cli, r, err);
}

static const struct option_def up_options[] = {
	SPEC_OPTIONS,
	UPDATE_OPTION,
	LOCKED_OPTION,
	DRY_RUN_OPTION,
	{ .name = "cold", .help = "boot the kernel, start from no template" },
	TRACE_OPTION,
	{ .name = "fail-fast", .help = "begin nothing more once something failed" },
	PLAN_RUN_OPTIONS,
	CONFIRM_OPTION,
	TRUST_OPTION,
	OPTIONS_END,
};

const struct command cmd_up = {
	.name = "up",
	.operands = "[FILE|PLAN] [NAME...]",
	.summary = "bring an environment to what its file says",
	.text = "Reads FILE (else ./env.yaml), compares it with what is there, and makes only the "
		"changes that are needed. Returns when all containers run. With NAMEs only these "
		"and what they depend on are touched. With a PLAN that ctrz plan -o saved, exactly "
		"this is done, or nothing if it is stale.\n\n"
		"What fails is undone and said; the rest goes on. Running it again takes up where "
		"it stopped. Ctrl-C lets what is in flight finish; a second one stops at once.\n\n"
		"What the file reaches of this host beyond its own folder, read-only, is asked "
		"about once: ctrz trust.",
	.example = "ctrz up\nctrz up examples/hello.yaml\nctrz up shop/env.yaml db\n"
		   "ctrz up -f env.yaml -f mine.yaml --profile edge",
	.options = up_options,
	.run = run_up,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.max_args = ARGS_ANY,
	.group = GROUP_ENVIRONMENT,
	.operand = OPERAND_FILE,
};
