/* SPDX-License-Identifier: MIT */
/* Files of variables: KEY=VALUE lines, taken as they are. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/map.h"
#include "base/text.h"
#include "spec/load.h"
#include "spec/model/model.h"

enum { ENV_FILE_MAX = 1 << 20, ENV_ENTRIES_MAX = 10000 };

static size_t name_length(const char *s, size_t size)
{
	size_t n = 0;
	while (n < size && (s[n] == '_' || (s[n] >= 'A' && s[n] <= 'Z') ||
			    (s[n] >= 'a' && s[n] <= 'z') || (n && s[n] >= '0' && s[n] <= '9')))
		n++;
	return n;
}

/* The value as it is; one pair of quotes around it is taken off. */
static const char *read_value(struct decode *d, struct source_pos pos, const char *s, size_t size)
{
	if (size && (*s == '"' || *s == '\'')) {
		if (size > 1 && s[size - 1] == *s)
			return arena_strndup(d->arena, s + 1, size - 2);
		report_help(report(d->diags, "E114", pos, 1, "the quote is not closed on its line"),
			    "values of an env_file are one line each");
	}
	return arena_strndup(d->arena, s, size);
}

static void read_line(struct decode *d, struct source_pos pos, const char *s, size_t size,
		      struct spec_pairs *out, size_t *room)
{
	while (size && (s[size - 1] == ' ' || s[size - 1] == '\t' || s[size - 1] == '\r'))
		size--;
	while (size && (*s == ' ' || *s == '\t')) {
		s++;
		size--;
		pos.column++;
	}
	if (!size || *s == '#')
		return;
	if (size > 7 && memcmp(s, "export ", 7) == 0) {
		s += 7;
		size -= 7;
		pos.column += 7;
	}
	size_t name = name_length(s, size);
	if (!name || name == size || s[name] != '=') {
		/* The line is not shown: it may hold a secret. */
		report_help(report(d->diags, "E114", pos, 1, "this line is not NAME=VALUE"),
			    "nothing is expanded in an env_file; names are letters, digits and _");
		return;
	}
	if (out->count == *room) {
		*room = *room ? *room * 2 : 16;
		struct spec_pair *more = arena_array(d->arena, *room, sizeof(*more));
		if (out->count)
			memcpy(more, out->items, out->count * sizeof(*more));
		out->items = more;
	}
	struct spec_pair *p = &out->items[out->count++];
	p->key = arena_strndup(d->arena, s, name);
	p->key_pos = pos;
	p->value.at = (struct spec_value){ pos, true, true, false, 0 };
	p->value.text = read_value(d, pos, s + name + 1, size - name - 1);
}

void env_file_parse(struct decode *d, const char *name, const char *text, size_t size,
		    struct spec_pairs *out)
{
	/* Known to the sources without its text, so that no snippet shows a value. */
	struct source *s = sources_add(d->sources, name, "/", xstrdup(""), 0);
	struct source_pos pos = { s->name, 1, 1 };
	if (memchr(text, 0, size)) {
		report(d->diags, "E114", pos, 1, "the file has a NUL character in it");
		return;
	}
	size_t room = 0;
	for (size_t at = 0; at < size && out->count < ENV_ENTRIES_MAX; pos.line++) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end ? (size_t)(end - text) - at : size - at;
		read_line(d, pos, text + at, length, out, &room);
		at += length + 1;
	}
}

static int compare_pairs(const void *a, const void *b)
{
	const struct spec_pair *x = a, *y = b;
	return strcmp(x->key, y->key);
}

/* Entries of @more over those of @into. */
static void add_pairs(struct decode *d, struct spec_pairs *into, const struct spec_pairs *more)
{
	struct spec_pair *all = arena_array(d->arena, into->count + more->count, sizeof(*all));
	struct map places = MAP_INIT;
	size_t count = 0;
	for (size_t i = 0; i < into->count + more->count; i++) {
		struct spec_pair p =
			i < into->count ? into->items[i] : more->items[i - into->count];
		struct spec_pair *there = map_get(&places, p.key);
		if (!there)
			map_set(&places, p.key, there = &all[count++]);
		*there = p;
	}
	map_release(&places, NULL);
	into->items = all;
	into->count = count;
}

void model_read_env_files(struct decode *d, struct spec_container *c)
{
	struct spec_pairs all = { 0 };
	for (size_t i = 0; i < c->env_file.count; i++) {
		const struct spec_text *t = &c->env_file.items[i];
		AUTO_BUFFER text = BUFFER_INIT;
		AUTO_ERROR err = ERROR_INIT;
		int r = load_resolved(d, t->text, ENV_FILE_MAX, &text, &err);
		if (r < 0) {
			report_help(report(d->diags, "E401", AT(t->at), "env_file \"%s\": %s",
					   shown(d, t->text), load_problem(&err)),
				    "make it (an empty one will do), or take it out of env_file");
			continue;
		}
		struct spec_pairs one = { 0 };
		env_file_parse(d, t->text, buffer_str(&text), text.size, &one);
		add_pairs(d, &all, &one);
	}
	if (!all.count)
		return;
	add_pairs(d, &all, &c->env);
	qsort(all.items, all.count, sizeof(*all.items), compare_pairs);
	all.at = c->env.at.is_set ? c->env.at : c->env_file.at;
	c->env = all;
}
