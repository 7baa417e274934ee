/* SPDX-License-Identifier: MIT */
/* ctrz init and import: a first env.yaml, of a folder or of a Compose file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "orchestrator/apply/host_facts.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/trust.h"
#include "spec/compose/import.h"
#include "spec/init.h"

/* A file that is there is never touched. */
static int write_new(const char *path, const struct buffer *text, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0644);
	int r;

	if (fd < 0 && errno == EEXIST)
		return error_set(err, E_EXISTS,
				 "'%s' is there already, and is left as it is; move it away or "
				 "choose another name",
				 path);
	if (fd < 0)
		return error_sys(err, "create '%s'", path);
	r = fd_write_full(fd, text->data, text->size, err);
	if (r < 0) {
		(void)unlink(path);
		return error_wrap(err, "write '%s'", path);
	}
	return 0;
}

/* What ctrz itself wrote need not be asked about. */
static int agree(const struct cli *cli, const struct spec_host *host, const char *path,
		 struct error *err)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ENVIRONMENT env = NULL;
	AUTO_TRUST_CASE c = { 0 };
	struct spec_options options = SPEC_OPTIONS_INIT;
	int r;

	options.files = &path;
	options.file_count = 1;
	options.host = host;
	r = spec_load(&options, &env, &diags, err);
	if (r == 0)
		r = trust_case_open(cli, NULL, path, NULL, env, &c, err);
	return r == 0 && c.grown.count ? trust_case_agree(&cli->paths, &c, err) : r;
}

static int run_init(struct cli *cli, const struct options *o, struct error *err)
{
	const char *dir = option_arg(o, 0) ? option_arg(o, 0) : ".";
	AUTO_FREE char *path =
		strcmp(dir, ".") == 0 ? xstrdup("env.yaml") : path_join(dir, "env.yaml");
	AUTO_FREE char *real = realpath(dir, NULL);
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_BUFFER said = BUFFER_INIT;
	AUTO_ERROR agree_err = ERROR_INIT;
	struct host_facts facts = { .paths = &cli->paths };
	struct spec_host host;
	const char *found;
	int r;

	if (!real)
		return error_sys(err, "look into '%s'", dir);
	host_facts_init(&facts, &host);
	found = spec_init(&host, real, &text);
	if (option_given(o, "print"))
		return out_write(&text, err);
	r = write_new(path, &text, err);
	if (r < 0)
		return r;
	if (agree(cli, &host, path, &agree_err) < 0)
		error_ignore(&agree_err, "agree to what the new file reaches");
	buffer_printf(&said, "%s: written, for %s\nLook at it, then: ctrz up%s%s\n", path, found,
		      option_arg(o, 0) ? " " : "", option_arg(o, 0) ? path : "");
	return cli->quiet ? EXIT_OK : out_write(&said, err);
}

static const struct option_def init_options[] = {
	{ .name = "print", .help = "print the file instead of writing it" },
	OPTIONS_END,
};

const struct command cmd_init = {
	.name = "init",
	.operands = "[FOLDER]",
	.summary = "write a first env.yaml after looking at the folder",
	.text = "What lies in the folder (package.json, go.mod, requirements.txt, ...) tells which "
		"image, command and port to begin with. A file that is there is never overwritten.",
	.example = "ctrz init\nctrz init --print ~/src/shop",
	.options = init_options,
	.run = run_init,
	.max_args = 1,
	.group = GROUP_ENVIRONMENT,
	.operand = OPERAND_FILE,
};

static int read_compose(const char *file, struct buffer *text, struct error *err)
{
	if (strcmp(file, "-") != 0)
		return file_read(file, SPEC_FILE_MAX, text, err);
	if (fd_read_all(STDIN_FILENO, text, SPEC_FILE_MAX, err) < 0)
		return error_wrap(err, "read standard input");
	return 0;
}

/* What is lost is told in full, however much it is. */
static int print_losses(const struct cli *cli, const struct diagnostics *diags, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	diagnostics_print_most(diags, SIZE_MAX, cli->color_err, &b);
	return b.size ? fd_write_full(STDERR_FILENO, b.data, b.size, err) : 0;
}

static int run_import(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_BUFFER yaml = BUFFER_INIT;
	AUTO_BUFFER said = BUFFER_INIT;
	AUTO_ERROR import_err = ERROR_INIT;
	const char *file = option_arg(o, 0), *to = option_value(o, "output");
	int imported, r = read_compose(file, &text, err);

	if (r < 0)
		return r;
	imported = compose_import(buffer_str(&text), text.size, file, &yaml, &diags, &import_err);
	r = print_losses(cli, &diags, err);
	if (imported < 0)
		return error_move(err, &import_err);
	if (r < 0 || !to)
		return r < 0 ? r : out_write(&yaml, err);
	r = write_new(to, &yaml, err);
	if (r < 0)
		return r;
	buffer_printf(&said, "%s: written; %zu thing%s of %s to look at\nNext: ctrz validate %s\n",
		      to, diags.count, diags.count == 1 ? "" : "s", file, to);
	return cli->quiet ? EXIT_OK : out_write(&said, err);
}

static const struct option_def import_options[] = {
	{ .name = "output",
	  .letter = 'o',
	  .value = "FILE",
	  .help = "write a new file instead of standard output" },
	OPTIONS_END,
};

const struct command cmd_import = {
	.name = "import",
	.operands = "FILE|-",
	.summary = "make an env.yaml of a Compose file",
	.text = "Each key that cannot be carried over, or that means something else here, is told "
		"with its place. The Compose file stays as it is.",
	.example =
		"ctrz import compose.yaml -o env.yaml\nctrz import compose.yaml | ctrz validate -",
	.options = import_options,
	.run = run_import,
	.min_args = 1,
	.max_args = 1,
	.group = GROUP_ENVIRONMENT,
	.operand = OPERAND_FILE,
};
