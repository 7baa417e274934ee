/* SPDX-License-Identifier: MIT */
/* Keeping and choosing last words. */
#include "runtime/machine/keeper_words.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

enum { LINE_MAX_SHOWN = 300 };

void words_add(struct buffer *words, const void *data, size_t size)
{
	const char *at = data;

	if (size > WORDS_MAX) {
		at += size - WORDS_MAX;
		size = WORDS_MAX;
	}
	buffer_add(words, at, size);
	if (words->size > WORDS_MAX)
		buffer_drop(words, words->size - WORDS_MAX);
}

/* A kernel's "[    1.234567] " says nothing to people. */
static const char *skip_stamp(const char *at, const char *end)
{
	if (at < end && *at == '[') {
		const char *p = at + 1;
		while (p < end && (*p == ' ' || *p == '.' || (*p >= '0' && *p <= '9')))
			p++;
		if (p < end && *p == ']')
			at = p + 1;
	}
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
		at++;
	return at;
}

static void list_lines(const struct buffer *words, struct strlist *lines)
{
	const char *at = words->data, *stop = at + words->size;
	bool over = false;

	while (at < stop && !over) {
		const char *newline = memchr(at, '\n', (size_t)(stop - at));
		const char *end = newline ? newline : stop, *next = newline ? newline + 1 : stop;
		while (end > at && (end[-1] == '\r' || end[-1] == ' '))
			end--;
		at = skip_stamp(at, end);
		if (end - at > LINE_MAX_SHOWN)
			end = at + LINE_MAX_SHOWN;
		if (end > at) {
			struct buffer shown = BUFFER_INIT;
			text_escape(&shown, at, (size_t)(end - at), false);
			over = strstr(buffer_str(&shown), "Kernel panic - not syncing") != NULL;
			strlist_take(lines, buffer_steal(&shown));
		}
		at = next;
	}
}

char *words_tell(const struct buffer *words)
{
	AUTO_STRLIST lines = STRLIST_INIT;

	if (words->size == 0)
		return NULL;
	list_lines(words, &lines);
	if (lines.count == 0)
		return NULL;
	size_t first = lines.count > WORDS_LINES ? lines.count - WORDS_LINES : 0;
	struct buffer out = BUFFER_INIT;
	for (size_t i = first; i < lines.count; i++) {
		if (i > first)
			buffer_add_str(&out, "; ");
		buffer_add_str(&out, lines.items[i]);
	}
	return buffer_steal(&out);
}
