/* SPDX-License-Identifier: MIT */
/* Putting trees together: overlays and includes. */
#include "spec/tree/merge.h"

#include <string.h>

#include "base/map.h"
#include "base/text.h"

static bool is_null(const struct node *n)
{
	return n->kind == NODE_SCALAR && n->type == SCALAR_NULL && !n->is_interpolated;
}

static struct node *merge_value(struct decode *d, const struct field *f, struct node *base,
				struct node *over);

typedef struct node *(*merge_fn)(struct decode *d, const void *arg, const char *key,
				 struct node *base, struct node *over);

/* Two mappings key by key; @fn joins what both have. */
static struct node *merge_keys(struct decode *d, struct node *base, struct node *over, merge_fn fn,
			       const void *arg)
{
	struct node *out =
		node_new_collection(d->arena, base, NODE_MAPPING, base->count + over->count);
	struct map places = MAP_INIT;
	for (size_t i = 0; i < over->count; i++)
		map_set(&places, over->entries[i].key->text, &over->entries[i]);
	struct map taken = MAP_INIT;
	for (size_t i = 0; i < base->count; i++) {
		struct node_entry e = base->entries[i];
		struct node_entry *o = map_get(&places, e.key->text);
		if (o) {
			map_set(&taken, e.key->text, o);
			if (is_null(o->value))
				continue;
			e.value = fn(d, arg, e.key->text, e.value, o->value);
			/* Neither has a form that can be read; that is reported. */
			if (!e.value)
				continue;
		}
		node_add(out, e.key, e.value);
	}
	for (size_t i = 0; i < over->count; i++)
		if (!map_has(&taken, over->entries[i].key->text) &&
		    !is_null(over->entries[i].value))
			node_add(out, over->entries[i].key, over->entries[i].value);
	map_release(&taken, NULL);
	map_release(&places, NULL);
	return out;
}

static struct node *merge_field(struct decode *d, const void *arg, const char *key,
				struct node *base, struct node *over)
{
	const struct field *f = field_find(arg, key);
	return f ? merge_value(d, f, base, over) : over;
}

static struct node *merge_named(struct decode *d, const void *arg, const char *key,
				struct node *base, struct node *over)
{
	(void)key;
	const struct object_type *type = arg;
	if (base->kind != NODE_MAPPING && type->expand)
		base = type->expand(d, base);
	if (over->kind != NODE_MAPPING && type->expand)
		over = type->expand(d, over);
	if (!base || !over)
		return over ? over : base;
	return merge_overlay(d, type, base, over);
}

static struct node *take_over(struct decode *d, const void *arg, const char *key, struct node *base,
			      struct node *over)
{
	(void)d;
	(void)arg;
	(void)key;
	(void)base;
	return over;
}

static const char *item_key(struct decode *d, const struct object_type *type,
			    const struct node *item)
{
	const struct node *a = node_get(item, type->key);
	const struct node *b = type->key2 ? node_get(item, type->key2) : NULL;
	if (!a || a->kind != NODE_SCALAR)
		return NULL;
	/* The one second key there is has a default: the protocol of a port. */
	return type->key2 ? arena_printf(d->arena, "%s/%s", a->text,
					 b && b->kind == NODE_SCALAR ? b->text : "tcp")
			  : a->text;
}

static struct node *merge_list(struct decode *d, const struct object_type *type, struct node *base,
			       struct node *over)
{
	struct node *out =
		node_new_collection(d->arena, base, NODE_SEQUENCE, base->count + over->count);
	struct map places = MAP_INIT;
	for (size_t i = 0; i < over->count; i++) {
		const char *key = item_key(d, type, over->items[i]);
		if (key)
			map_set(&places, key, over->items[i]);
	}
	struct map taken = MAP_INIT;
	for (size_t i = 0; i < base->count; i++) {
		const char *key = item_key(d, type, base->items[i]);
		struct node *o = key ? map_get(&places, key) : NULL;
		if (o)
			map_set(&taken, key, o);
		node_add(out, NULL, o ? merge_overlay(d, type, base->items[i], o) : base->items[i]);
	}
	for (size_t i = 0; i < over->count; i++) {
		const char *key = item_key(d, type, over->items[i]);
		if (!key || !map_has(&taken, key))
			node_add(out, NULL, over->items[i]);
	}
	map_release(&taken, NULL);
	map_release(&places, NULL);
	return out;
}

static struct node *merge_value(struct decode *d, const struct field *f, struct node *base,
				struct node *over)
{
	if (f->object) {
		base = decode_long_form(d, f, base);
		over = decode_long_form(d, f, over);
	}
	if (!base || !over)
		return over ? over : base;
	bool both_maps = base->kind == NODE_MAPPING && over->kind == NODE_MAPPING;
	bool both_lists = base->kind == NODE_SEQUENCE && over->kind == NODE_SEQUENCE;
	if (f->kind == KIND_OBJECT && both_maps)
		return merge_overlay(d, f->object, base, over);
	if (f->kind == KIND_MAP && both_maps)
		return merge_keys(d, base, over, merge_named, f->object);
	if (f->kind == KIND_PAIRS && both_maps)
		return merge_keys(d, base, over, take_over, NULL);
	if (f->kind == KIND_LIST && both_lists && f->object->key)
		return merge_list(d, f->object, base, over);
	return over;
}

struct node *merge_overlay(struct decode *d, const struct object_type *type, struct node *base,
			   struct node *over)
{
	if (base->kind != NODE_MAPPING || over->kind != NODE_MAPPING)
		return over;
	return merge_keys(d, base, over, merge_field, type);
}

static struct node *add_objects(struct decode *d, const struct field *f, struct node *base,
				struct node *more)
{
	struct node *out =
		node_new_collection(d->arena, base, NODE_MAPPING, base->count + more->count);
	struct map seen = MAP_INIT;
	for (size_t i = 0; i < base->count; i++) {
		map_set(&seen, base->entries[i].key->text, base->entries[i].key);
		node_add(out, base->entries[i].key, base->entries[i].value);
	}
	for (size_t i = 0; i < more->count; i++) {
		struct node *key = more->entries[i].key, *first = map_get(&seen, key->text);
		if (!first) {
			node_add(out, key, more->entries[i].value);
			continue;
		}
		struct diagnostic *e = report(d->diags, "E702", key->pos, key->width,
					      "the included file redefines %s \"%s\"",
					      f->object->word, shown(d, key->text));
		report_other(e, first->pos, "the first definition");
		report_help(e, "to change it, give the file as an overlay: -f a.yaml -f b.yaml");
	}
	map_release(&seen, NULL);
	return out;
}

/* The containers of an included file with the defaults of that file. */
static struct node *with_defaults(struct decode *d, struct node *defaults, struct node *containers)
{
	struct node *out =
		node_new_collection(d->arena, containers, NODE_MAPPING, containers->count);
	for (size_t i = 0; i < containers->count; i++) {
		struct node_entry e = containers->entries[i];
		if (e.value->kind == NODE_MAPPING)
			e.value = merge_overlay(d, &container_type, defaults, e.value);
		node_add(out, e.key, e.value);
	}
	return out;
}

struct node *merge_include(struct decode *d, struct node *base, struct node *included)
{
	struct node *defaults = node_get(included, "defaults");
	struct node *out =
		node_new_collection(d->arena, base, NODE_MAPPING, base->count + included->count);
	for (size_t i = 0; i < base->count; i++)
		node_add(out, base->entries[i].key, base->entries[i].value);
	for (size_t i = 0; i < included->count; i++) {
		struct node *key = included->entries[i].key, *value = included->entries[i].value;
		const struct field *f = field_find(&environment_type, key->text);
		bool is_taken = !f || (f->kind == KIND_MAP && f->object != &var_type);
		if (!is_taken || str_starts(key->text, "x-"))
			continue;
		if (f && f->object == &container_type && defaults &&
		    defaults->kind == NODE_MAPPING && value->kind == NODE_MAPPING)
			value = with_defaults(d, defaults, value);
		struct node_entry *there = node_find(out, key->text);
		if (!there)
			node_add(out, key, value);
		else if (f && there->value->kind == NODE_MAPPING && value->kind == NODE_MAPPING)
			there->value = add_objects(d, f, there->value, value);
	}
	return out;
}
