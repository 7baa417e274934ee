/* SPDX-License-Identifier: MIT */
/* ctrz lock: writes down what the names in a file mean. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/git_url.h"
#include "orchestrator/cli/locking.h"
#include "orchestrator/cli/open_spec.h"
#include "orchestrator/cli/output.h"
#include "runtime/oci/platform.h"

static int report_json(const char *path, const struct spec_pins *was, const struct spec_pins *now,
		       struct error *err)
{
	AUTO_JSON o = json_new_object();
	struct json *changes = lock_changes_json(was, now);

	json_set_string(o, "file", path);
	json_set_bool(o, "changed", json_count(changes) > 0);
	json_set(o, "changes", changes);
	return out_json(o, err);
}

static int report(const struct cli *cli, const char *path, bool is_new, const struct spec_pins *was,
		  const struct spec_pins *now, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;
	AUTO_FREE char *name = text_escaped(path);
	size_t count;

	if (cli->json)
		return report_json(path, was, now, err);
	count = lock_changes_print(was, now, &b);
	if (!count)
		buffer_printf(&b, "%s: %s\n", name,
			      is_new ? "written; nothing in the file is a matter of it"
				     : "up to date");
	else
		buffer_printf(&b, "%s: %zu change%s\n", name, count, count == 1 ? "" : "s");
	return out_write(&b, err);
}

static int check_platforms(struct cli *cli, const struct strlist *platforms, struct error *err)
{
	AUTO_ERROR unused = ERROR_INIT;

	for (size_t i = 0; platforms && i < platforms->count; i++) {
		AUTO_PLATFORM p = PLATFORM_INIT;
		AUTO_FREE char *text = NULL;

		if (platform_parse(platforms->items[i], &p, &unused) == 0)
			text = platform_text(&p);
		if (!text || strcmp(text, platforms->items[i]) != 0 || !strchr(text, '/'))
			return cli_usage(cli, err, "'%s' is no platform; write it as linux/amd64",
					 platforms->items[i]);
	}
	return 0;
}

static int open_to_lock(struct cli *cli, const struct options *o, struct opened_spec *ret,
			struct error *err)
{
	const char *file = open_spec_name(o);
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR print_err = ERROR_INIT;
	int r;

	if (str_equal(file, "-"))
		return cli_usage(cli, err, "a lock lies beside a file; name it");
	if (git_url_is(file))
		return cli_usage(cli, err,
				 "the lock of a spec in git is a file of its commit: run ctrz lock "
				 "in a clone of it, commit and push");
	r = open_spec(cli, o, OPEN_SPEC_ANYTIME | OPEN_SPEC_LATER, ret, &diags, err);
	if (r < 0 && diags.count && print_findings(cli, &diags, &print_err) < 0)
		error_ignore(&print_err, "print findings");
	return r;
}

static int run_lock(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_OPENED_SPEC s = { 0 };
	AUTO_PINS was = { 0 };
	AUTO_PINS now = { 0 };
	AUTO_FREE char *path = spec_lock_path(open_spec_name(o));
	struct lock_request q = {
		.paths = &cli->paths,
		.config = &s.config,
		.was = &was,
		.platforms = option_values(o, "platform"),
		.renews = option_given(o, "update"),
		.is_offline = option_given(o, "offline"),
	};
	int r = check_platforms(cli, q.platforms, err);

	if (r == 0)
		r = open_to_lock(cli, o, &s, err);
	if (r < 0)
		return r;
	q.env = s.env;
	if (s.env->lock)
		spec_pins_of(s.env->lock, &was);
	r = lock_make(&q, &now, err);
	if (r < 0)
		return print_placed(cli, r, err);
	AUTO_BUFFER before = BUFFER_INIT;
	AUTO_BUFFER after = BUFFER_INIT;

	spec_pins_print(&was, &before);
	spec_pins_print(&now, &after);
	if (!s.env->lock || strcmp(buffer_str(&before), buffer_str(&after)) != 0)
		r = lock_write(path, &now, err);
	return r < 0 ? r : report(cli, path, !s.env->lock, &was, &now, err);
}

static const struct option_def lock_options[] = {
	SPEC_OPTIONS,
	{ .name = "update", .help = "ask for everything anew, also for what the lock has" },
	{ .name = "platform",
	  .value = "OS/ARCH",
	  .help = "lock images for this platform, too",
	  .repeat = true },
	OPTIONS_END,
};

const struct command cmd_lock = {
	.name = "lock",
	.operands = "[FILE]",
	.summary = "write down what images and includes of a file mean now",
	.text = "Beside FILE (else ./env.yaml), in env.lock(5): images by digest, files included "
		"from git by commit and content. What the lock has stays as it is, what it lacks "
		"is asked for, what FILE does not use any more goes; with --update all of it is "
		"asked for anew. What changed is printed. Commit the file: ctrz up then takes the "
		"same images everywhere, and asks no registry what a tag means.\n\n"
		"Images with a digest, with pull: always or pull: never are no matter of the lock. "
		"With --offline the images of this host are taken.",
	.example = "ctrz lock\nctrz lock --update\nctrz lock --platform linux/arm64\n"
		   "ctrz validate --locked",
	.options = lock_options,
	.run = run_lock,
	.flags = COMMAND_JSON,
	.max_args = 1,
	.group = GROUP_ENVIRONMENT,
	.operand = OPERAND_FILE,
};
