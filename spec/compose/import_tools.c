/* SPDX-License-Identifier: MIT */
/* Small things the import is made of: nodes, notes, names, sizes, words; printing a tree. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/text.h"
#include "spec/compose/import_internal.h"
#include "spec/print/canonical.h"

/* Collections grow by doubling: the room is the power of two at or above the count. */
static bool is_full(uint32_t count)
{
	return count == 0 || (count >= 4 && (count & (count - 1)) == 0);
}

void put(struct import *im, struct node *map, const char *key, struct node *value)
{
	if (!value)
		return;
	if (is_full(map->count)) {
		struct node_entry *more =
			arena_array(im->arena, map->count ? map->count * 2 : 4, sizeof(*more));
		if (map->count)
			memcpy(more, map->entries, map->count * sizeof(*more));
		map->entries = more;
	}
	node_add(map, node_new_scalar(im->arena, value, arena_strdup(im->arena, key)), value);
}

void put_text(struct import *im, struct node *map, const char *key, const struct node *like,
	      const char *value)
{
	put(im, map, key, new_text(im, like, value));
}

void add_item(struct import *im, struct node *list, struct node *value)
{
	if (!value)
		return;
	if (is_full(list->count)) {
		struct node **more =
			arena_array(im->arena, list->count ? list->count * 2 : 4, sizeof(*more));
		if (list->count)
			memcpy(more, list->items, list->count * sizeof(*more));
		list->items = more;
	}
	node_add(list, NULL, value);
}

struct node *new_map(struct import *im, const struct node *like)
{
	return node_new_collection(im->arena, like, NODE_MAPPING, 0);
}

struct node *new_list(struct import *im, const struct node *like)
{
	return node_new_collection(im->arena, like, NODE_SEQUENCE, 0);
}

struct node *new_text(struct import *im, const struct node *like, const char *text)
{
	struct node *n = node_new_scalar(im->arena, like, arena_strdup(im->arena, text));
	n->type = (uint8_t)scalar_classify(text);
	/* Printed without quotes where the text has a type of its own. */
	if (n->type == SCALAR_BOOL || n->type == SCALAR_INT)
		n->style = STYLE_PLAIN;
	else
		n->type = SCALAR_TEXT;
	return n;
}

static void note(struct import *im, const char *code, const struct node *key, const char *what)
{
	const char *name = key->kind == NODE_SCALAR ? key->text : "this";
	if (im->service)
		report(im->diags, code, key->pos, key->width, "%s: \"%s\" %s", im->service, name,
		       what);
	else
		report(im->diags, code, key->pos, key->width, "\"%s\" %s", name, what);
}

void lost(struct import *im, const struct node *key, const char *why)
{
	AUTO_FREE char *what = xasprintf("is not carried over: %s", why);
	note(im, "W801", key, what);
}

void changed(struct import *im, const struct node *key, const char *what)
{
	note(im, "W802", key, what);
}

void lost_rest(struct import *im, const struct node *map, const char *const *known, const char *why)
{
	for (size_t i = 0; map && map->kind == NODE_MAPPING && i < map->count; i++) {
		const struct node *key = map->entries[i].key;
		bool is_known = str_starts(key->text, "x-");
		for (const char *const *k = known; !is_known && *k; k++)
			is_known = strcmp(*k, key->text) == 0;
		if (!is_known)
			lost(im, key, why);
	}
}

const char *text_of(const struct node *n)
{
	return n && n->kind == NODE_SCALAR && n->type != SCALAR_NULL ? n->text : NULL;
}

bool is_true(const struct node *n)
{
	const char *text = text_of(n);
	return text && (str_equal(text, "true") || str_equal(text, "True") ||
			str_equal(text, "TRUE") || str_equal(text, "yes"));
}

const char *our_name(struct import *im, const struct node *key)
{
	const char *text = text_of(key) ? text_of(key) : "none";
	char *out = arena_strndup(im->arena, text, strnlen(text, 63));
	size_t n = 0;
	for (size_t i = 0; out[i]; i++) {
		char c = (char)tolower((unsigned char)out[i]);
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789", c))
			c = '-';
		if (n || c != '-')
			out[n++] = c;
	}
	out[n] = 0;
	if (!n)
		return "none";
	if (strcmp(out, text) != 0) {
		AUTO_FREE char *what = xasprintf("is called \"%s\" here", out);
		changed(im, key, what);
	}
	return out;
}

const char *our_size(struct import *im, const char *text)
{
	size_t digits = strspn(text, "0123456789");
	if (!digits || digits > 15)
		return NULL;
	static const struct {
		const char *theirs, *ours;
	} units[] = { { "", "B" },    { "b", "B" },    { "k", "KiB" }, { "kb", "KiB" },
		      { "m", "MiB" }, { "mb", "MiB" }, { "g", "GiB" }, { "gb", "GiB" },
		      { "t", "TiB" }, { "tb", "TiB" } };
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (strcasecmp(text + digits, units[i].theirs) == 0)
			return arena_printf(im->arena, "%.*s%s", (int)digits, text, units[i].ours);
	return NULL;
}

struct node *pairs_of(struct import *im, const struct node *n, char separator)
{
	struct node *out = new_map(im, n);
	for (size_t i = 0; n->kind == NODE_MAPPING && i < n->count; i++) {
		const char *text = text_of(n->entries[i].value);
		put(im, out, n->entries[i].key->text,
		    text ? n->entries[i].value : new_text(im, n->entries[i].key, ""));
	}
	for (size_t i = 0; n->kind == NODE_SEQUENCE && i < n->count; i++) {
		const char *text = text_of(n->items[i]);
		const char *sign = text ? strchr(text, separator) : NULL;
		if (!text)
			continue;
		const char *key =
			sign ? arena_strndup(im->arena, text, (size_t)(sign - text)) : text;
		struct node *value = node_new_scalar(im->arena, n->items[i], sign ? sign + 1 : "");
		put(im, out, key, value);
	}
	return out;
}

struct node *list_of(struct import *im, struct node *n)
{
	if (n->kind == NODE_SEQUENCE)
		return n;
	struct node *out = new_list(im, n);
	if (text_of(n))
		add_item(im, out, n);
	return out;
}

struct node *words_of(struct import *im, struct node *n)
{
	if (n->kind != NODE_SCALAR || !text_of(n))
		return n->kind == NODE_SEQUENCE ? n : NULL;
	struct node *out = new_list(im, n);
	AUTO_BUFFER word = BUFFER_INIT;
	bool has_word = false;
	char quote = 0;
	for (const char *s = n->text;; s++) {
		bool is_blank = *s == ' ' || *s == '\t' || *s == '\n';
		if (!*s || (is_blank && !quote)) {
			if (has_word)
				add_item(im, out,
					 node_new_scalar(im->arena, n,
							 arena_strndup(im->arena, buffer_str(&word),
								       word.size)));
			buffer_clear(&word);
			has_word = false;
			if (!*s)
				break;
			continue;
		}
		has_word = true;
		if ((*s == '"' || *s == '\'') && (!quote || quote == *s))
			quote = quote ? 0 : *s;
		else if (*s == '\\' && quote != '\'' && s[1])
			buffer_add_char(&word, *++s);
		else
			buffer_add_char(&word, *s);
	}
	return out;
}

/* --- printing --- */

static void print_scalar(const struct node *n, struct buffer *out)
{
	if (n->style == STYLE_PLAIN && n->type != SCALAR_TEXT && n->type != SCALAR_NULL)
		buffer_add_str(out, n->text);
	else
		canonical_yaml_text(n->text, out);
}

static void print_indent(unsigned indent, struct buffer *out)
{
	for (unsigned i = 0; i < indent; i++)
		buffer_add_str(out, "  ");
}

static void print_flow(const struct node *n, struct buffer *out)
{
	buffer_add_char(out, '[');
	for (size_t i = 0; i < n->count; i++) {
		if (i)
			buffer_add_str(out, ", ");
		print_scalar(n->items[i], out);
	}
	buffer_add_str(out, "]\n");
}

static bool is_flat(const struct node *n)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->items[i]->kind != NODE_SCALAR)
			return false;
	return true;
}

static void print_value(const struct node *n, unsigned indent, struct buffer *out)
{
	if (n->kind == NODE_SCALAR) {
		buffer_add_char(out, ' ');
		print_scalar(n, out);
		buffer_add_char(out, '\n');
	} else if (n->kind == NODE_SEQUENCE && is_flat(n)) {
		buffer_add_char(out, ' ');
		print_flow(n, out);
	} else if (!n->count) {
		buffer_add_str(out, " {}\n");
	} else {
		buffer_add_char(out, '\n');
		tree_print(n, indent + 1, out);
	}
}

void tree_print(const struct node *n, unsigned indent, struct buffer *out)
{
	for (size_t i = 0; n->kind == NODE_MAPPING && i < n->count; i++) {
		print_indent(indent, out);
		canonical_yaml_text(n->entries[i].key->text, out);
		buffer_add_char(out, ':');
		print_value(n->entries[i].value, indent, out);
	}
	for (size_t i = 0; n->kind == NODE_SEQUENCE && i < n->count; i++) {
		print_indent(indent, out);
		buffer_add_char(out, '-');
		const struct node *item = n->items[i];
		if (item->kind != NODE_MAPPING || !item->count) {
			print_value(item, indent, out);
			continue;
		}
		/* The first entry stands behind the dash. */
		size_t from = out->size;
		tree_print(item, indent + 1, out);
		size_t skip = (indent + 1) * 2;
		memmove(out->data + from + 1, out->data + from + skip, out->size - from - skip);
		out->data[from] = ' ';
		out->size -= skip - 1;
		out->data[out->size] = 0;
	}
}
