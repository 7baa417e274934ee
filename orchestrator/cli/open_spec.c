/* SPDX-License-Identifier: MIT */
/* Reading a spec for its own sake: no environment is made of it. */
#include "orchestrator/cli/open_spec.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "orchestrator/apply/world.h"
#include "orchestrator/cli/open.h"
#include "orchestrator/cli/settings.h"

#define DEFAULT_FILE "env.yaml"

/* All that has to live as long as the spec is being read. */
struct spec_reading {
	struct world w; /* of the file, if it is one */
	struct host_config config;
	struct host_facts facts;
	struct spec_host host;
	struct target target;
	struct buffer text; /* of standard input */
	char *dir;
};

static void spec_reading_release(struct spec_reading *s)
{
	world_release(&s->w);
	host_config_release(&s->config);
	target_release(&s->target);
	buffer_release(&s->text);
	free(s->dir);
	image_store_close(s->facts.images);
}

void opened_spec_release(struct opened_spec *s)
{
	environment_free(s->env);
	spec_source_release(&s->source);
	free(s->file);
	host_config_release(&s->config);
	*s = (struct opened_spec){ 0 };
}

#define AUTO_SPEC_READING CLEANUP(spec_reading_release) struct spec_reading

const char *open_spec_name(const struct options *o)
{
	const struct strlist *files = option_values(o, "file");

	if (files && files->count)
		return files->items[0];
	return option_arg(o, 0) ? option_arg(o, 0) : DEFAULT_FILE;
}

static int collect_files(struct cli *cli, const struct options *o, struct strlist *files,
			 struct error *err)
{
	const struct strlist *given = option_values(o, "file");

	if (given && option_arg(o, 0))
		return cli_usage(cli, err, "a file is given twice: -f %s and %s", given->items[0],
				 option_arg(o, 0));
	for (size_t i = 0; given && i < given->count; i++)
		strlist_add(files, given->items[i]);
	if (!given)
		strlist_add(files, open_spec_name(o));
	if (strlist_has(files, "-") && files->count > 1)
		return cli_usage(cli, err, "standard input can be the only file, not one of %zu",
				 files->count);
	return 0;
}

static int read_stdin(struct spec_reading *s, struct error *err)
{
	int r = fd_read_all(STDIN_FILENO, &s->text, SPEC_FILE_MAX, err);

	if (r < 0)
		return error_wrap(err, "read standard input");
	s->dir = realpath(".", NULL);
	return 0;
}

/* The environment of the file, whose own ports and memory count as free. */
static int open_file(struct cli *cli, struct spec_reading *s, struct error *err)
{
	const char *file = s->target.file;
	int r;

	if (strcmp(file, DEFAULT_FILE) == 0 && !file_exists(file))
		return error_set(err, E_NOT_FOUND,
				 "there is no %s here; name a file, or let ctrz init write one",
				 file);
	r = open_target(cli, &s->target, &s->config, &s->w, err);
	if (r < 0)
		return r;
	s->facts.own = &s->w.record;
	s->facts.file = s->w.record.file;
	return 0;
}

static void look_only_at_files(struct spec_host *host)
{
	host->port_holder = NULL;
	host->subnet_holder = NULL;
	host->memory_total = host->memory_available = 0;
	host->cpus = 0;
}

/* What is left of it when the spec was read. */
static void hand_over(struct spec_reading *s, struct environment *env, struct opened_spec *ret)
{
	*ret = (struct opened_spec){
		.env = env,
		.source = s->w.source,
		.file = TAKE_PTR(s->target.file),
		.config = s->config,
	};
	s->w.source = SPEC_SOURCE_INIT;
	s->config = (struct host_config){ 0 };
}

int open_spec(struct cli *cli, const struct options *o, unsigned flags, struct opened_spec *ret,
	      struct diagnostics *diags, struct error *err)
{
	struct environment *env = NULL;
	AUTO_SPEC_READING s = { .facts.paths = &cli->paths };
	struct spec_options options = SPEC_OPTIONS_INIT;
	const struct strlist *profiles = option_values(o, "profile");
	bool is_stdin;
	int r = collect_files(cli, o, &s.target.files, err);

	if (r < 0)
		return r;
	s.target.file = xstrdup(s.target.files.items[0]);
	r = target_read_git(cli, o, &s.target, err);
	if (r < 0)
		return r;
	is_stdin = strcmp(s.target.file, "-") == 0;
	r = settings_load(cli, &s.config, err);
	if (r == 0)
		r = is_stdin ? read_stdin(&s, err) : open_file(cli, &s, err);
	if (r == 0 && is_stdin)
		s.w.git = open_git_files(cli, &s.target, &s.config);
	s.facts.git = s.w.git;
	if (r < 0)
		return r;
	if (flags & OPEN_SPEC_REGISTRY)
		r = host_images_read(&cli->paths, &s.config, NULL, &s.facts.images, err);
	if (r < 0)
		return r;
	host_facts_init(&s.facts, &s.host);
	if (flags & OPEN_SPEC_ANYTIME)
		look_only_at_files(&s.host);
	if (is_stdin) {
		options.text = buffer_str(&s.text);
		options.text_size = s.text.size;
		options.text_name = "-";
		options.text_dir = s.dir;
	} else {
		options.files = (const char *const *)s.target.files.items;
		options.file_count = s.target.files.count;
		options.first_name = s.w.source.path;
	}
	options.profiles = profiles ? (const char *const *)profiles->items : NULL;
	options.profile_count = profiles ? profiles->count : 0;
	options.host = &s.host;
	options.resources = &s.config.config->resources;
	options.lock = target_lock_mode(&s.target);
	options.is_strict = flags & OPEN_SPEC_STRICT;
	options.keeps_later_keys = flags & OPEN_SPEC_LATER;
	r = spec_load(&options, &env, diags, err);
	if (r == 0)
		hand_over(&s, env, ret);
	return r;
}
