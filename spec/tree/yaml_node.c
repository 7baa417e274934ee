/* SPDX-License-Identifier: MIT */
/* Nodes of the tree: looking up, making, describing; scalars by the core schema of YAML 1.2. */
#include <string.h>

#include "base/text.h"
#include "spec/tree/yaml_tree.h"

struct node_entry *node_find(const struct node *map, const char *key)
{
	if (!map || map->kind != NODE_MAPPING)
		return NULL;
	for (size_t i = 0; i < map->count; i++)
		if (strcmp(map->entries[i].key->text, key) == 0)
			return &map->entries[i];
	return NULL;
}

struct node *node_get(const struct node *map, const char *key)
{
	struct node_entry *e = node_find(map, key);
	return e ? e->value : NULL;
}

struct node *node_new_scalar(struct spec_arena *arena, const struct node *like, const char *text)
{
	struct node *n = arena_alloc(arena, sizeof(*n));
	n->pos = like->pos;
	n->width = like->width;
	n->kind = NODE_SCALAR;
	n->style = STYLE_DOUBLE;
	n->type = SCALAR_TEXT;
	/* What a short form says is typed by the schema. */
	n->is_interpolated = true;
	n->uses = like->uses;
	n->weight = 1;
	n->text = text;
	return n;
}

struct node *node_new_collection(struct spec_arena *arena, const struct node *like,
				 enum node_kind kind, size_t room)
{
	struct node *n = arena_alloc(arena, sizeof(*n));
	n->pos = like->pos;
	n->width = like->width;
	n->kind = (uint8_t)kind;
	n->weight = 1;
	if (kind == NODE_MAPPING)
		n->entries = arena_array(arena, room, sizeof(*n->entries));
	else
		n->items = arena_array(arena, room, sizeof(*n->items));
	return n;
}

void node_add(struct node *collection, struct node *key, struct node *value)
{
	if (collection->kind == NODE_MAPPING)
		collection->entries[collection->count++] = (struct node_entry){ key, value };
	else
		collection->items[collection->count++] = value;
}

void node_add_text(struct spec_arena *arena, struct node *map, const struct node *like,
		   const char *key, const char *value)
{
	node_add(map, node_new_scalar(arena, like, key), node_new_scalar(arena, like, value));
}

const char *node_describe(const struct node *n)
{
	static const char *const scalars[] = { [SCALAR_NULL] = "nothing",
					       [SCALAR_BOOL] = "true or false",
					       [SCALAR_INT] = "a number",
					       [SCALAR_FLOAT] = "a number",
					       [SCALAR_TEXT] = "text" };
	if (n->kind == NODE_SEQUENCE)
		return "a list";
	if (n->kind == NODE_MAPPING)
		return "a map";
	return scalars[n->type];
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

static bool is_int(const char *s)
{
	if (s[0] == '0' && s[1] == 'o')
		return s[2] && s[2 + strspn(s + 2, "01234567")] == 0;
	if (s[0] == '0' && s[1] == 'x')
		return s[2] && s[2 + strspn(s + 2, "0123456789abcdefABCDEF")] == 0;
	if (*s == '-' || *s == '+')
		s++;
	return *s && s[strspn(s, "0123456789")] == 0;
}

static bool is_float(const char *s)
{
	static const char *const words[] = { ".inf", ".Inf", ".INF", NULL };
	static const char *const nan_words[] = { ".nan", ".NaN", ".NAN", NULL };
	if (is_one_of(s, nan_words))
		return true;
	if (*s == '-' || *s == '+')
		s++;
	if (is_one_of(s, words))
		return true;
	size_t before = strspn(s, "0123456789");
	s += before;
	size_t after = 0;
	if (*s == '.') {
		after = strspn(s + 1, "0123456789");
		s += 1 + after;
	}
	if (before + after == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		if (*s == '-' || *s == '+')
			s++;
		size_t digits = strspn(s, "0123456789");
		if (!digits)
			return false;
		s += digits;
	}
	return *s == 0;
}

enum scalar_type scalar_classify(const char *text)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const bools[] = {
		"true", "True", "TRUE", "false", "False", "FALSE", NULL
	};
	if (is_one_of(text, nulls))
		return SCALAR_NULL;
	if (is_one_of(text, bools))
		return SCALAR_BOOL;
	if (is_int(text))
		return SCALAR_INT;
	return is_float(text) ? SCALAR_FLOAT : SCALAR_TEXT;
}
