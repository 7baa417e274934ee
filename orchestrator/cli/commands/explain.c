/* SPDX-License-Identifier: MIT */
/* ctrz explain and schema: the language described. */
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/output.h"
#include "spec/report/explain.h"
#include "spec/spec.h"

static void list_codes(bool names_only, struct buffer *out)
{
	size_t count;
	const struct explanation *all = spec_explanations(&count);

	for (size_t i = 0; i < count; i++) {
		if (names_only)
			buffer_printf(out, "%s\n", all[i].code);
		else
			buffer_printf(out, "%s  %s\n", all[i].code, all[i].what);
	}
}

static int run_explain(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;
	const char *code = option_arg(o, 0);

	(void)cli;
	if (!code) {
		list_codes(option_given(o, "names"), &b);
		return out_write(&b, err);
	}
	if (!spec_explain(code, &b))
		return error_set(err, E_NOT_FOUND,
				 "no finding has the code '%s'; ctrz explain lists them all", code);
	return out_write(&b, err);
}

static const struct option_def explain_options[] = {
	{ .name = "names", .help = "print just the codes" },
	OPTIONS_END,
};

const struct command cmd_explain = {
	.name = "explain",
	.operands = "[CODE]",
	.summary = "explain a finding: what it is, why, how to mend it",
	.text = "Without a code, lists all of them.",
	.example = "ctrz explain E104",
	.options = explain_options,
	.run = run_explain,
	.flags = COMMAND_NO_SETUP,
	.max_args = 1,
	.group = GROUP_OTHER,
	.operand = OPERAND_CODE,
};

static int run_schema(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	(void)cli;
	(void)o;
	spec_schema(&b);
	return out_write(&b, err);
}

const struct command cmd_schema = {
	.name = "schema",
	.summary = "print the JSON Schema of env.yaml, for editors",
	.text = "Draft 7. An editor with a YAML language server completes and checks env.yaml with "
		"it: save it, and begin the file with the line\n\n"
		"# yaml-language-server: $schema=PATH",
	.example = "ctrz schema >~/.config/ctrz/env.schema.json",
	.run = run_schema,
	.flags = COMMAND_NO_SETUP,
	.group = GROUP_OTHER,
};
