/* SPDX-License-Identifier: MIT */
/* The common beginning of commands on environments. */
#include "orchestrator/cli/open.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/git_url.h"
#include "base/trace.h"
#include "orchestrator/cli/locking.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/state/env_lock.h"
#include "orchestrator/state/env_store.h"

#define DEFAULT_FILE "env.yaml"

void target_release(struct target *t)
{
	free(t->file);
	strlist_release(&t->files);
	strlist_release(&t->profiles);
	strlist_release(&t->names);
	git_url_release(&t->url);
	free(t->commit);
	*t = (struct target){ 0 };
}

static void copy_values(const struct options *o, const char *name, struct strlist *to)
{
	const struct strlist *values = option_values(o, name);

	for (size_t i = 0; values && i < values->count; i++)
		strlist_add(to, values->items[i]);
}

int target_read_git(struct cli *cli, const struct options *o, struct target *t, struct error *err)
{
	t->offline = option_given(o, "offline");
	t->may_be_file = option_given(o, "allow-file");
	t->update = option_given(o, "update");
	t->locked = option_given(o, "locked");
	if (t->update && t->locked)
		return cli_usage(cli, err, "--locked and --update exclude each other");
	for (size_t i = 1; i < t->files.count; i++)
		if (git_url_is(t->files.items[i]))
			return cli_usage(cli, err, "only the first file can be in git, not '%s'",
					 t->files.items[i]);
	if (!t->file || !git_url_is(t->file))
		return 0;
	t->is_git = true;
	return git_url_parse(t->file, &t->url, err);
}

enum spec_lock_mode target_lock_mode(const struct target *t)
{
	return t->locked                 ? SPEC_LOCK_STRICT
	       : t->update && !t->is_git ? SPEC_LOCK_RENEW
					 : SPEC_LOCK_USE;
}

static int split_operands(struct cli *cli, const struct options *o, struct target *t,
			  struct error *err)
{
	for (size_t i = 0; i < o->args.count; i++) {
		const char *operand = o->args.items[i];

		if (!is_spec_operand(operand)) {
			strlist_add(&t->names, operand);
			continue;
		}
		if (t->file)
			return cli_usage(cli, err,
					 "two files: '%s' and '%s' (to lay one over the other: "
					 "-f %s -f %s)",
					 t->file, operand, t->file, operand);
		t->file = xstrdup(operand);
	}
	return 0;
}

int target_find(struct cli *cli, const struct options *o, struct target *ret, struct error *err)
{
	struct target t = { 0 };
	AUTO_ENV_RECORD record = { 0 };
	int r;

	copy_values(o, "profile", &t.profiles);
	copy_values(o, "file", &t.files);
	t.file = t.files.count ? xstrdup(t.files.items[0]) : NULL;
	r = split_operands(cli, o, &t, err);
	if (r == 0 && !t.file && !option_value(o, "environment") && file_exists(DEFAULT_FILE))
		t.file = xstrdup(DEFAULT_FILE);
	if (r == 0 && t.file && option_value(o, "environment"))
		r = cli_usage(cli, err, "a file and -e name an environment each");
	if (r == 0 && !t.file) {
		r = select_environment(cli, o, &record, err);
		if (r == 0 && spec_source_is_git(&record.source))
			t.file = spec_source_text(&record.source);
		if (r == 0 && !t.file)
			t.file = xstrdup(record.file);
	}
	if (r == 0 && !t.files.count)
		strlist_add(&t.files, t.file);
	if (r == 0)
		r = target_read_git(cli, o, &t, err);
	if (r < 0) {
		target_release(&t);
		return r;
	}
	*ret = t;
	return 0;
}

int print_findings(const struct cli *cli, const struct diagnostics *diags, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	if (cli->json) {
		diagnostics_json(diags, &b);
		return out_write(&b, err);
	}
	diagnostics_print(diags, cli->color_err, &b);
	return b.size ? fd_write_full(2, b.data, b.size, err) : 0;
}

int print_placed(const struct cli *cli, int r, struct error *err)
{
	if (r >= 0 || !err->pos.file)
		return r;
	cli_print_error(cli, err);
	r = cli_exit_code(cli, err->code);
	error_clear(err);
	return r;
}

static void say_fetching(void *arg, const char *url, uint64_t objects, uint64_t all, uint64_t bytes)
{
	const struct cli *cli = arg;
	AUTO_FREE char *size = text_size(bytes);

	if (cli->tty_err && !cli->quiet && all)
		(void)fprintf(stderr, "\r%s: %llu of %llu objects, %s%s", url,
			      (unsigned long long)objects, (unsigned long long)all, size,
			      objects == all ? "\n" : "");
}

struct git_files *open_git_files(struct cli *cli, const struct target *t,
				 const struct host_config *config)
{
	struct git_files *g = git_files_new(&cli->paths, config ? config->config : NULL, t->offline,
					    t->may_be_file);

	git_files_watch(g, say_fetching, cli);
	return g;
}

/* The target's first file becomes a path of this host. */
static int open_git(struct cli *cli, struct target *t, struct world *w, struct error *err)
{
	AUTO_FREE char *moved = NULL;
	AUTO_FREE char *file = NULL;
	struct git_want want = { .url = &t->url, .update = t->update, .commit = t->commit };
	int r = world_open_git(w, &want, &file, &moved, err);

	if (r < 0)
		return r;
	free(t->files.items[0]);
	t->files.items[0] = xstrdup(file);
	free(t->file);
	t->file = TAKE_PTR(file);
	if (moved && !cli->quiet) {
		AUTO_FREE char *shown = text_escaped(moved);

		(void)fprintf(stderr, "%s\n", shown);
	}
	return 0;
}

int open_target(struct cli *cli, struct target *target, const struct host_config *config,
		struct world *ret, struct error *err)
{
	AUTO_WORLD w = { .paths = &cli->paths };
	int r = 0;

	if (target->is_git) {
		w.git = open_git_files(cli, target, config);
		r = open_git(cli, target, &w, err);
	} else {
		r = world_open_file(&cli->paths, target->file, &w, err);
		if (r == 0)
			w.git = open_git_files(cli, target, config);
	}
	if (r < 0)
		return r;
	*ret = w;
	w = (struct world){ 0 };
	return 0;
}

int open_wanted(struct cli *cli, struct target *target, const struct host_config *config,
		struct world *ret, struct error *err)
{
	TRACE("read the spec");
	struct spec_request request = {
		.files = &target->files,
		.profiles = &target->profiles,
		.resources = config ? &config->config->resources : NULL,
		.lock = target_lock_mode(target),
	};
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR print_err = ERROR_INIT;
	AUTO_WORLD w = { 0 };
	int r = open_target(cli, target, config, &w, err);

	if (r < 0)
		return r;
	request.first_name = w.source.path;
	r = world_load_wanted(&w, &request, &diags, err);
	if (diags.count && (!cli->json || r < 0) && print_findings(cli, &diags, &print_err) < 0)
		error_ignore(&print_err, "print findings");
	if (r == 0)
		r = lock_take_up(cli, target, config, &w, err);
	if (r < 0)
		return print_placed(cli, r, err);
	*ret = w;
	w = (struct world){ 0 };
	return 0;
}

int duration_parse(const char *text, uint64_t *ret_ms, struct error *err)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = { { "ms", 1 },    { "s", 1000 },    { "", 1000 },
		      { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	size_t digits = strspn(text, "0123456789");
	AUTO_FREE char *number = xstrndup(text, digits);
	uint64_t value = 0;

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(text + digits, units[i].unit) == 0 &&
		    parse_u64(number, UINT32_MAX, &value)) {
			*ret_ms = value * units[i].ms;
			return 0;
		}
	}
	return error_set(err, E_INVALID, "'%s' is no duration; write it as 30s, 5m or 2h", text);
}

int lock_timeout(const struct options *o, uint64_t *ret_ms, struct error *err)
{
	const char *text = option_value(o, "lock-timeout");

	*ret_ms = LOCK_TIMEOUT_DEFAULT_MS;
	return text ? duration_parse(text, ret_ms, err) : 0;
}

static void say_waiting(void *arg, const struct lock_holder *holder)
{
	const struct cli *cli = arg;
	AUTO_FREE char *text = lock_holder_text(holder);

	if (!cli->quiet)
		(void)fprintf(stderr, "waiting for the lock held by %s ...\n", text);
}

static int find_registered(const struct world *w, struct env_record *ret, struct error *err)
{
	AUTO_GIT_URL u = GIT_URL_INIT;
	int r;

	if (!spec_source_is_git(&w->source))
		return env_store_find_file(w->paths, w->record.file, ret, NULL, err);
	r = git_url_parse(w->source.url, &u, err);
	u.path = xstrdup(w->source.path);
	return r < 0 ? r : env_store_find_source(w->paths, &u, ret, err);
}

/* A file that is brought up for the first time by two at once must get one record, not two. */
static int register_world(struct cli *cli, struct world *w, struct error *err)
{
	AUTO_FREE char *path = path_join(w->paths->state, "register.lock");
	struct env_record found = { 0 };
	AUTO_CLOSE int lock = -1;
	int r = host_paths_make(&cli->paths, err);

	if (r < 0 || w->is_known)
		return r;
	lock = lock_file(path, LOCK_WAIT, err);
	if (lock < 0)
		return lock;
	r = find_registered(w, &found, err);
	if (r == 0) {
		env_record_release(&w->record);
		w->record = found;
	} else if (r == -E_NOT_FOUND) {
		error_clear(err);
		if (w->wanted) {
			free(w->record.name);
			w->record.name = xstrdup(w->wanted->name.text);
		}
		spec_source_release(&w->record.source);
		spec_source_copy(&w->record.source, &w->source);
		r = env_store_write(w->paths, &w->record, err);
	}
	w->is_known = r == 0;
	return r;
}

int lock_world(struct cli *cli, struct world *w, const char *command, uint64_t timeout_ms,
	       struct error *err)
{
	TRACE("lock");
	int fd, r = register_world(cli, w, err);

	if (r < 0)
		return r;
	fd = env_lock_take(w->paths, w->record.id, command, timeout_ms, say_waiting, cli, err);
	if (fd < 0)
		return fd;
	r = world_read_again(w, err);
	/* What a run that was killed has noted. */
	if (r == 0 && w->record.log_bytes)
		r = env_store_write(w->paths, &w->record, err);
	if (r < 0) {
		env_lock_release(w->paths, w->record.id, &fd);
		return r;
	}
	return fd;
}
