/* SPDX-License-Identifier: MIT */
/* ctrz validate, config and graph: the file alone. */
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/cli/open.h"
#include "orchestrator/cli/open_spec.h"
#include "orchestrator/cli/output.h"
#include "spec/print/graph.h"

static int run_validate(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_OPENED_SPEC s = { 0 };
	AUTO_BUFFER b = BUFFER_INIT;
	AUTO_ERROR load_err = ERROR_INIT;
	unsigned flags = (option_given(o, "strict") ? OPEN_SPEC_STRICT : 0) |
			 (option_given(o, "registry") ? OPEN_SPEC_REGISTRY : 0) |
			 (option_given(o, "all") ? OPEN_SPEC_LATER : 0);
	int loaded = open_spec(cli, o, flags, &s, &diags, &load_err), r = 0;

	if (loaded < 0 && !diags.count)
		return error_move(err, &load_err);
	if (diags.count || cli->json)
		r = print_findings(cli, &diags, err);
	if (r < 0 || loaded < 0)
		return r < 0 ? r : EXIT_INVALID;
	if (cli->json || cli->quiet)
		return EXIT_OK;
	buffer_printf(&b, "%s: OK\n", open_spec_name(o));
	return out_write(&b, err);
}

static const struct option_def validate_options[] = {
	SPEC_OPTIONS,
	LOCKED_OPTION,
	{ .name = "strict", .help = "also say what is only doubtful" },
	{ .name = "registry", .help = "also ask the registries whether the images can be had" },
	{ .name = "all", .help = "accept keys of the language that have no effect yet" },
	OPTIONS_END,
};

const struct command cmd_validate = {
	.name = "validate",
	.operands = "[FILE|-]",
	.summary = "check a file",
	.text = "Prints OK, or every finding with its place; ctrz explain CODE says more of one. "
		"Nothing is started or downloaded. Exit code 3 if a finding is an error.",
	.example = "ctrz validate\nctrz validate -f env.yaml -f mine.yaml\n"
		   "ctrz validate --json env.yaml\ngenerate | ctrz validate -",
	.options = validate_options,
	.run = run_validate,
	.flags = COMMAND_JSON,
	.max_args = 1,
	.group = GROUP_ENVIRONMENT,
	.operand = OPERAND_FILE,
};

/* What cannot be read is told with all its findings. */
static int open_to_print(struct cli *cli, const struct options *o, struct opened_spec *ret,
			 struct error *err)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR print_err = ERROR_INIT;
	int r = open_spec(cli, o, OPEN_SPEC_LATER | OPEN_SPEC_ANYTIME, ret, &diags, err);

	if (r < 0 && diags.count && print_findings(cli, &diags, &print_err) < 0)
		error_ignore(&print_err, "print findings");
	return r;
}

static int add_json(const struct environment *env, struct buffer *out, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_JSON v = NULL;
	int r;

	spec_json(env, &text);
	r = json_parse(buffer_str(&text), text.size, text.size + 1, "the spec", &v, err);
	if (r < 0)
		return r;
	json_print(v, 2, false, out);
	buffer_add_char(out, '\n');
	return 0;
}

static int run_config(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_OPENED_SPEC s = { 0 };
	AUTO_BUFFER b = BUFFER_INIT;
	char hash[65];
	int r = open_to_print(cli, o, &s, err);

	if (r < 0)
		return r;
	if (option_given(o, "hash")) {
		spec_hash(s.env, hash);
		buffer_printf(&b, "%s\n", hash);
	} else if (cli->json) {
		r = add_json(s.env, &b, err);
	} else {
		spec_yaml(s.env, !option_given(o, "no-origins"), &b);
	}
	return r < 0 ? r : out_write(&b, err);
}

static const struct option_def config_options[] = {
	SPEC_OPTIONS,
	LOCKED_OPTION,
	{ .name = "hash", .help = "print the SHA-256 of what takes part in comparisons" },
	{ .name = "no-origins", .help = "leave out the comments that say where a value is from" },
	OPTIONS_END,
};

const struct command cmd_config = {
	.name = "config",
	.operands = "[FILE|-]",
	.summary = "print the file as ctrz understands it",
	.text = "In its canonical form: includes and overlays joined, variables replaced, long "
		"forms, defaults filled in, paths absolute, maps sorted; each value with the place "
		"it comes from. What is printed is an env.yaml that means the same and has the "
		"same hash. Values of env_file are in it; those of secrets are not.",
	.example = "ctrz config\nctrz config --json | jq .containers\n"
		   "ctrz config -f env.yaml -f mine.yaml --profile edge",
	.options = config_options,
	.run = run_config,
	.flags = COMMAND_JSON,
	.max_args = 1,
	.group = GROUP_ENVIRONMENT,
	.operand = OPERAND_FILE,
};

static int run_graph(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_OPENED_SPEC s = { 0 };
	AUTO_BUFFER b = BUFFER_INIT;
	int r;

	if (option_given(o, "dot") && option_given(o, "svg"))
		return cli_usage(cli, err, "--dot and --svg exclude each other");
	r = open_to_print(cli, o, &s, err);
	if (r < 0)
		return r;
	if (option_given(o, "dot"))
		graph_dot(s.env, &b);
	else if (option_given(o, "svg"))
		graph_svg(s.env, &b);
	else
		graph_text(s.env, &b);
	return out_write(&b, err);
}

static const struct option_def graph_options[] = {
	SPEC_OPTIONS,
	{ .name = "dot", .help = "print it for Graphviz" },
	{ .name = "svg", .help = "print a picture" },
	OPTIONS_END,
};

const struct command cmd_graph = {
	.name = "graph",
	.operands = "[FILE|-]",
	.summary = "show containers, networks, mounts and what waits for what",
	.example = "ctrz graph\nctrz graph --svg >env.svg\nctrz graph --dot | dot -Tpng >env.png",
	.options = graph_options,
	.run = run_graph,
	.max_args = 1,
	.group = GROUP_ENVIRONMENT,
	.operand = OPERAND_FILE,
};
