/* SPDX-License-Identifier: MIT */
/* The user's config.yaml. */
#include "spec/config.h"

#include <string.h>

#include "base/file.h"
#include "base/git_url.h"
#include "base/text.h"
#include "spec/fields/decode.h"
#include "spec/load.h"

static void check_certificates(struct decode *d, const struct config *c)
{
	for (size_t i = 0; i < c->registries.count; i++) {
		const struct config_registry *r = &c->registries.items[i];
		if (r->cert.at.is_set == r->key.at.is_set)
			continue;
		const struct spec_text *t = r->cert.at.is_set ? &r->cert : &r->key;
		report(d->diags, "E113", t->at.pos, 1,
		       "a client certificate needs both cert and key, in registry \"%s\"",
		       r->o.name);
	}
}

static void check_allowed(struct decode *d, const struct config *c)
{
	for (size_t i = 0; i < c->sources.allow.count; i++) {
		const struct spec_text *t = &c->sources.allow.items[i];
		const char *problem = git_url_prefix_problem(t->text);
		if (problem)
			report_help(report(d->diags, "E703", AT(t->at),
					   "\"%s\" is no beginning of git URLs", shown(d, t->text)),
				    "%s, as git+https://git.example/team/", problem);
	}
}

static struct config *read_config(struct decode *d, const struct source *source)
{
	struct config *c = arena_alloc(d->arena, sizeof(*c));
	c->arena = d->arena;
	c->texts = d->sources;
	struct node *root = NULL;
	bool is_good = !source || yaml_read(d->arena, source, d->diags, &root);
	bool is_empty = !root || (root->kind == NODE_SCALAR && root->type == SCALAR_NULL);
	if (is_good && !is_empty)
		decode_object(d, &config_type, root, c, NULL);
	decode_fill(d, &config_type, c);
	check_certificates(d, c);
	check_allowed(d, c);
	return c;
}

int config_load(const char *path, struct config **ret, struct diagnostics *diags, struct error *err)
{
	struct spec_arena *arena = arena_new();
	struct decode d = {
		.arena = arena, .diags = diags, .sources = sources_new(), .host = &no_host
	};
	sources_unref(diags->sources);
	diags->sources = sources_ref(d.sources);
	struct source *source = NULL;
	int r = 0;
	if (file_exists(path)) {
		source = load_file(&d, path, path, err);
		if (!source)
			r = -(int)err->code;
	}
	struct config *c = r < 0 ? NULL : read_config(&d, source);
	diagnostics_sort(diags);
	if (r == 0 && diags->errors)
		r = load_summary(path, diags, err);
	if (r < 0) {
		sources_unref(d.sources);
		arena_free(arena);
		return r;
	}
	*ret = c;
	return 0;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	struct spec_arena *arena = c->arena;
	sources_unref(c->texts);
	arena_free(arena);
}

const struct config_registry *config_registry(const struct config *c, const char *host)
{
	for (size_t i = 0; i < c->registries.count; i++)
		if (strcmp(c->registries.items[i].o.name, host) == 0)
			return &c->registries.items[i];
	return NULL;
}
