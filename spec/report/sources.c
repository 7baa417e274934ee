/* SPDX-License-Identifier: MIT */
/* The texts of the files of a run. */
#include "spec/report/sources.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct spec_sources *sources_new(void)
{
	struct spec_sources *s = xcalloc(1, sizeof(*s));
	s->refs = 1;
	return s;
}

struct spec_sources *sources_ref(struct spec_sources *s)
{
	s->refs++;
	return s;
}

void sources_unref(struct spec_sources *s)
{
	if (!s || --s->refs)
		return;
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i]->name);
		free(s->items[i]->dir);
		free(s->items[i]->text);
		free(s->items[i]->lines);
		free(s->items[i]);
	}
	free(s->items);
	free(s);
}

struct source *sources_add(struct spec_sources *s, const char *name, const char *dir, char *text,
			   size_t size)
{
	struct source *item = xcalloc(1, sizeof(*item));
	item->name = xstrdup(name);
	item->dir = xstrdup(dir);
	item->text = text;
	item->size = size;
	GROW_ARRAY(s->items, s->count, s->room);
	s->items[s->count++] = item;
	return item;
}

struct source *sources_find(const struct spec_sources *s, const char *file)
{
	for (size_t i = 0; s && i < s->count; i++)
		if (s->items[i]->name == file)
			return s->items[i];
	return NULL;
}

static void find_lines(struct source *s)
{
	size_t room = 0;
	for (size_t at = 0; at <= s->size; at++) {
		if (at && s->text[at - 1] != '\n' &&
		    (s->text[at - 1] != '\r' || s->text[at] == '\n'))
			continue;
		GROW_ARRAY(s->lines, s->line_count, room);
		s->lines[s->line_count++] = at;
	}
}

const char *source_line(struct source *s, unsigned line, size_t *ret_size)
{
	if (!s->lines)
		find_lines(s);
	if (line == 0 || line > s->line_count)
		return NULL;
	size_t from = s->lines[line - 1];
	size_t to = line < s->line_count ? s->lines[line] : s->size;
	while (to > from && (s->text[to - 1] == '\n' || s->text[to - 1] == '\r'))
		to--;
	*ret_size = to - from;
	return s->text + from;
}
