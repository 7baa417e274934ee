/* SPDX-License-Identifier: MIT */
/* Asking before a file reaches more of the host than was agreed to. */
#include "orchestrator/cli/trust.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/git_url.h"
#include "base/text.h"
#include "base/trace.h"
#include "orchestrator/apply/host_facts.h"
#include "orchestrator/cli/confirm.h"

enum { SHORT_ITEMS_MAX = 8 };

void trust_case_release(struct trust_case *c)
{
	trust_record_release(&c->source);
	spec_reach_set_release(&c->wanted);
	spec_reach_set_release(&c->grown);
	trust_record_release(&c->found);
	free(c->old);
	*c = (struct trust_case){ 0 };
}

/* A repository is agreed to once, whatever its file says. */
static int name_source(struct trust_case *c, const char *file, const struct spec_source *git,
		       struct error *err)
{
	struct spec_reach item = { .kind = SPEC_REACH_SOURCE, .level = SPEC_LEVEL_ONE };

	if (!git || !spec_source_is_git(git))
		return trust_record_of_file(file, &c->source, err);
	c->source.source = xasprintf("%s#:%s", git->url, git->path);
	item.what = git->url;
	spec_reach_set_add(&c->wanted, &item);
	return 0;
}

/* Repositories that the user's settings name need no question. */
static void free_allowed(struct spec_reach_set *set, const struct config *config)
{
	for (size_t i = 0; config && i < set->count; i++)
		for (size_t n = 0; n < config->sources.allow.count; n++)
			if (set->items[i].kind == SPEC_REACH_SOURCE &&
			    git_url_has_prefix(set->items[i].what,
					       config->sources.allow.items[n].text))
				set->items[i].is_free = true;
}

int trust_case_open(const struct cli *cli, const struct config *config, const char *file,
		    const struct spec_source *git, const struct environment *env,
		    struct trust_case *ret, struct error *err)
{
	AUTO_TRUST_CASE c = { 0 };
	const struct host_paths *paths = &cli->paths;
	struct host_facts facts = { .paths = paths };
	struct spec_host host;
	int r;

	host_facts_init(&facts, &host);
	spec_reach_set(env, &host, &c.wanted);
	r = name_source(&c, file, git, err);
	spec_reach_set_sort(&c.wanted);
	free_allowed(&c.wanted, config);
	if (r == 0)
		r = trust_find(paths, &c.source, &c.found, &c.old, err);
	if (r == -E_NOT_FOUND && c.source.source) {
		error_clear(err);
		r = 0;
	}
	if (r < 0)
		return r;
	trust_grown(&c.found.agreed, &c.wanted, &c.grown);
	trust_hash(&c.wanted, c.hash);
	*ret = c;
	c = (struct trust_case){ 0 };
	return 0;
}

int trust_case_agree(const struct host_paths *paths, const struct trust_case *c, struct error *err)
{
	struct trust_record r = { .source = c->source.source,
				  .folder_device = c->source.folder_device,
				  .folder_inode = c->source.folder_inode,
				  .agreed_unix_ms = clock_unix_ms() };
	int ret;

	for (size_t i = 0; i < c->found.agreed.count; i++)
		spec_reach_set_add(&r.agreed, &c->found.agreed.items[i]);
	for (size_t i = 0; i < c->wanted.count; i++)
		if (!c->wanted.items[i].is_free)
			spec_reach_set_add(&r.agreed, &c->wanted.items[i]);
	spec_reach_set_sort(&r.agreed);
	ret = trust_write(paths, &r, err);
	spec_reach_set_release(&r.agreed);
	if (ret == 0 && c->old)
		ret = trust_remove(paths, c->old, err);
	return ret;
}

/* "./src rw", owned and safe to print. */
static char *item_text(const struct spec_reach *item)
{
	AUTO_FREE char *level = spec_level_text(item->kind, item->level);
	AUTO_FREE char *what = text_escaped(item->what);

	return xasprintf("%s%s%s", what, *what && *level ? " " : "", level);
}

static void print_item(const struct trust_case *c, const struct spec_reach *item,
		       struct buffer *out)
{
	AUTO_FREE char *text = item_text(item);
	AUTO_FREE char *inside = text_escaped(item->inside);
	uint64_t agreed = spec_reach_set_level(&c->found.agreed, item->kind, item->what);

	buffer_printf(out, "  %-9s %s", spec_reach_kind_name(item->kind), text);
	if (*inside)
		buffer_printf(out, " -> %s", inside);
	if (agreed && agreed < item->level) {
		AUTO_FREE char *before = spec_level_text(item->kind, agreed);

		buffer_printf(out, " (so far: %s)", before);
	}
	if (item->pos.line && item->pos.file) {
		AUTO_FREE char *file = text_escaped(item->pos.file);

		buffer_printf(out, "  %s:%u", file, item->pos.line);
	}
	buffer_add_char(out, '\n');
}

void trust_case_print(const struct trust_case *c, const struct spec_reach_set *set,
		      struct buffer *out)
{
	for (size_t i = 0; i < set->count; i++)
		print_item(c, &set->items[i], out);
}

static void print_question(const struct trust_case *c, const struct environment *env,
			   struct buffer *out)
{
	AUTO_FREE char *source = text_escaped(c->source.source);
	size_t before = c->found.agreed.count;

	buffer_printf(out, "\"%s\" (%s) wants to reach %s of your host:\n", env->name.text, source,
		      before ? "more" : "this");
	trust_case_print(c, &c->grown, out);
	if (before)
		buffer_printf(out, "  agreed to before: %zu more (ctrz trust show)\n", before);
}

/* "mount ./ rw, variable KEY", owned. */
static char *short_list(const struct spec_reach_set *set)
{
	struct buffer b = BUFFER_INIT;

	for (size_t i = 0; i < set->count && i < SHORT_ITEMS_MAX; i++) {
		AUTO_FREE char *text = item_text(&set->items[i]);

		buffer_printf(&b, "%s%s %s", i ? ", " : "",
			      spec_reach_kind_name(set->items[i].kind), text);
	}
	if (set->count > SHORT_ITEMS_MAX)
		buffer_printf(&b, " and %zu more", set->count - SHORT_ITEMS_MAX);
	return buffer_steal(&b);
}

static int ask(const struct trust_case *c, const struct environment *env, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	print_question(c, env, &b);
	if (fd_write_full(STDERR_FILENO, b.data, b.size, err) < 0)
		return -(int)err->code;
	return confirm_yes("Allow it?") ? 0 : error_set(err, E_DENIED, "nothing was done");
}

static int refuse(const struct trust_case *c, const char *given, struct error *err)
{
	AUTO_FREE char *list = short_list(&c->grown);

	if (given)
		return error_set(err, E_DENIED,
				 "--trust=%s agrees to something else; '%s' wants to reach of the "
				 "host: %s; if that is fine, say --trust=%s",
				 given, c->source.source, list, c->hash);
	return error_set(err, E_DENIED,
			 "'%s' wants to reach of the host what nobody agreed to yet: %s; to agree, "
			 "run this on a terminal, or say --trust=%s",
			 c->source.source, list, c->hash);
}

int trust_require(struct cli *cli, const struct options *o, const struct config *config,
		  const char *file, const struct spec_source *git, const struct environment *env,
		  struct error *err)
{
	TRACE("trust");
	AUTO_TRUST_CASE c = { 0 };
	const char *given = option_value(o, "trust");
	int r = trust_case_open(cli, config, file, git, env, &c, err);

	if (r < 0) {
		cli->failure_exit = EXIT_FAILED;
		return r;
	}
	if (!c.grown.count)
		return c.old ? trust_case_agree(&cli->paths, &c, err) : 0;
	if (!given || strcmp(given, c.hash) != 0) {
		bool can_ask =
			!given && !cli->json && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);

		r = can_ask ? ask(&c, env, err) : refuse(&c, given, err);
	}
	if (r < 0) {
		cli->failure_exit = EXIT_TRUST;
		return r;
	}
	return trust_case_agree(&cli->paths, &c, err);
}

int trust_foretell(const struct cli *cli, const struct config *config, const char *file,
		   const struct spec_source *git, const struct environment *env, struct error *err)
{
	AUTO_TRUST_CASE c = { 0 };
	AUTO_BUFFER b = BUFFER_INIT;
	int r = trust_case_open(cli, config, file, git, env, &c, err);

	if (r < 0 || !c.grown.count || cli->quiet)
		return r;
	buffer_printf(&b, "ctrz up will ask first, or take --trust=%s: ", c.hash);
	print_question(&c, env, &b);
	return fd_write_full(STDERR_FILENO, b.data, b.size, err);
}
