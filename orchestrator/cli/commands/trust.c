/* SPDX-License-Identifier: MIT */
/* ctrz trust: what files may reach of the host. */
#include "orchestrator/cli/trust.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/git_url.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/open.h"
#include "orchestrator/cli/open_spec.h"
#include "orchestrator/cli/output.h"

static struct json *item_json(const struct spec_reach *item)
{
	struct json *o = json_new_object();

	json_set_string(o, "kind", spec_reach_kind_name(item->kind));
	json_set_string(o, "what", item->what);
	json_set_int(o, "level", (int64_t)item->level);
	return o;
}

/* --- ls --- */

static struct json *record_json(const struct trust_record *r)
{
	struct json *o = json_new_object(), *list = json_new_array();

	json_set_string(o, "source", r->source);
	json_set_int(o, "agreed_unix_ms", (int64_t)r->agreed_unix_ms);
	for (size_t i = 0; i < r->agreed.count; i++)
		json_add(list, item_json(&r->agreed.items[i]));
	json_set(o, "agreed", list);
	return o;
}

static int run_trust_ls(struct cli *cli, const struct options *o, struct error *err)
{
	static const char *const headings[] = { "SOURCE", "ITEMS", "AGREED", NULL };
	AUTO_TRUST_LIST list = { 0 };
	AUTO_TABLE t = { 0 };
	AUTO_JSON all = json_new_array();
	int r = trust_list(&cli->paths, &list, err);

	(void)o;
	if (r < 0)
		return r;
	table_init(&t, headings);
	for (size_t i = 0; i < list.count; i++) {
		AUTO_FREE char *age = text_age(list.items[i].agreed_unix_ms);

		json_add(all, record_json(&list.items[i]));
		table_cell(&t, list.items[i].source);
		table_cellf(&t, "%zu", list.items[i].agreed.count);
		table_cell(&t, age);
	}
	return cli->json ? out_json(all, err) : out_table(&t, err);
}

static const struct command cmd_trust_ls = {
	.name = "ls",
	.summary = "list the files for which something was agreed to",
	.run = run_trust_ls,
	.flags = COMMAND_JSON,
	.group = GROUP_HOST,
};

/* --- show --- */

static const char *item_state(const struct trust_case *c, const struct spec_reach *item)
{
	uint64_t agreed = spec_reach_set_level(&c->found.agreed, item->kind, item->what);

	return item->is_free ? "free" : agreed >= item->level ? "agreed" : "new";
}

static int show_json(const struct trust_case *c, struct error *err)
{
	AUTO_JSON o = json_new_object();
	struct json *list = json_new_array();

	json_set_string(o, "source", c->source.source);
	json_set_string(o, "hash", c->hash);
	json_set_bool(o, "asks", c->grown.count > 0);
	for (size_t i = 0; i < c->wanted.count; i++) {
		const struct spec_reach *item = &c->wanted.items[i];
		struct json *v = item_json(item);

		json_set_string(v, "state", item_state(c, item));
		json_set_string(v, "inside", item->inside);
		if (item->pos.line) {
			json_set_string(v, "file", item->pos.file);
			json_set_int(v, "line", item->pos.line);
		}
		json_add(list, v);
	}
	json_set(o, "reach", list);
	return out_json(o, err);
}

static int show_table(const struct trust_case *c, struct error *err)
{
	static const char *const headings[] = { "STATE",  "KIND",  "WHAT", "LEVEL",
						"INSIDE", "PLACE", NULL };
	AUTO_TABLE t = { 0 };
	AUTO_BUFFER b = BUFFER_INIT;

	table_init(&t, headings);
	for (size_t i = 0; i < c->wanted.count; i++) {
		const struct spec_reach *item = &c->wanted.items[i];
		AUTO_FREE char *level = spec_level_text(item->kind, item->level);

		table_cell(&t, item_state(c, item));
		table_cell(&t, spec_reach_kind_name(item->kind));
		table_cell(&t, item->what);
		table_cell(&t, level);
		table_cell(&t, item->inside);
		if (item->pos.line)
			table_cellf(&t, "%s:%u", item->pos.file, item->pos.line);
		else
			table_cell(&t, NULL);
	}
	table_print(&t, &b);
	if (c->grown.count)
		buffer_printf(&b, "\nctrz up asks about what is new, or takes --trust=%s\n",
			      c->hash);
	return out_write(&b, err);
}

static int run_trust_show(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_OPENED_SPEC s = { 0 };
	AUTO_TRUST_CASE c = { 0 };
	AUTO_ERROR print_err = ERROR_INIT;
	int r;

	if (str_equal(open_spec_name(o), "-"))
		return cli_usage(cli, err, "trust belongs to a file; name it");
	r = open_spec(cli, o, OPEN_SPEC_ANYTIME | OPEN_SPEC_LATER, &s, &diags, err);
	if (r < 0 && diags.count && print_findings(cli, &diags, &print_err) < 0)
		error_ignore(&print_err, "print findings");
	if (r == 0)
		r = trust_case_open(cli, s.config.config, s.file, &s.source, s.env, &c, err);
	if (r < 0)
		return r;
	return cli->json ? show_json(&c, err) : show_table(&c, err);
}

static const struct option_def trust_show_options[] = {
	SPEC_OPTIONS,
	OPTIONS_END,
};

static const struct command cmd_trust_show = {
	.name = "show",
	.operands = "[FILE]",
	.summary = "show what a file reaches of the host",
	.text = "Each line is one thing: free (nobody is asked), agreed, or new. Below it is the "
		"option that agrees to all of it where nobody can be asked, as in CI.",
	.example = "ctrz trust show\nctrz trust show --json shop/env.yaml\n"
		   "ctrz trust show git+https://host/team/envs.git#v3:shop/env.yaml",
	.options = trust_show_options,
	.run = run_trust_show,
	.flags = COMMAND_JSON,
	.max_args = 1,
	.group = GROUP_HOST,
	.operand = OPERAND_FILE,
};

/* --- revoke --- */

/* A file as it is listed; it need not be there any more. */
static char *file_source(const char *given)
{
	char *real = realpath(given, NULL);
	AUTO_FREE char *here = real ? NULL : realpath(".", NULL);
	AUTO_FREE char *full = here ? path_join(here, given) : NULL;

	return real ? real : full ? path_clean(full) : xstrdup(given);
}

/* A URL as it is listed: whatever ref it is given with. Without a path it means the usual ones. */
static int revoke_url(const struct host_paths *paths, const char *given, struct error *err)
{
	static const char *const usual[] = { "env.yaml", ".ctrz/env.yaml" };
	AUTO_GIT_URL u = GIT_URL_INIT;
	AUTO_FREE char *repo = NULL;
	int r = git_url_parse(given, &u, err);

	if (r < 0)
		return r;
	repo = git_url_repo(&u);
	for (size_t i = 0; i < (u.path ? 1 : ARRAY_SIZE(usual)); i++) {
		AUTO_FREE char *name = xasprintf("%s#:%s", repo, u.path ? u.path : usual[i]);

		error_clear(err);
		r = trust_remove(paths, name, err);
		if (r != -E_NOT_FOUND)
			return r;
	}
	return r;
}

static int run_trust_revoke(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_FREE char *all = path_join(cli->paths.state, "trust");
	int r = 0;

	if (option_given(o, "all") ? o->args.count > 0 : !o->args.count)
		return cli_usage(cli, err, "name the files, or say --all");
	if (option_given(o, "all"))
		return dir_remove_tree(all, err);
	for (size_t i = 0; r == 0 && i < o->args.count; i++) {
		const char *given = o->args.items[i];
		AUTO_FREE char *name = git_url_is(given) ? NULL : file_source(given);

		r = name ? trust_remove(&cli->paths, name, err)
			 : revoke_url(&cli->paths, given, err);
	}
	return r;
}

static const struct option_def trust_revoke_options[] = {
	{ .name = "all", .help = "of all files" },
	OPTIONS_END,
};

static const struct command cmd_trust_revoke = {
	.name = "revoke",
	.operands = "[FILE...]",
	.summary = "forget what was agreed to for a file",
	.text = "The next ctrz up asks again. What runs goes on: ctrz down ends it.",
	.options = trust_revoke_options,
	.run = run_trust_revoke,
	.max_args = ARGS_ANY,
	.group = GROUP_HOST,
	.operand = OPERAND_FILE,
};

static const struct command *const trust_commands[] = {
	&cmd_trust_ls,
	&cmd_trust_show,
	&cmd_trust_revoke,
	NULL,
};

const struct command cmd_trust = {
	.name = "trust",
	.summary = "what files may reach of the host",
	.sub = trust_commands,
	.group = GROUP_HOST,
};
