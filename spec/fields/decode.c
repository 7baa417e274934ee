/* SPDX-License-Identifier: MIT */
/* From tree to model by the field tables. */
#include "spec/fields/decode.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/text.h"
#include "spec/fields/units.h"

const struct field *field_find(const struct object_type *t, const char *name)
{
	for (size_t i = 0; i < t->field_count; i++)
		if (t->fields[i].name[0] == name[0] && strcmp(t->fields[i].name, name) == 0)
			return &t->fields[i];
	return NULL;
}

const char *choice_name(const struct choice *choices, int value)
{
	for (; choices->name; choices++)
		if (choices->value == value)
			return choices->name;
	return "";
}

const char *shown(struct decode *d, const char *text)
{
	enum { SHOWN_MAX = 100 };
	size_t n = strcspn(text, "\n");
	if (n <= SHOWN_MAX && !text[n])
		return text;
	if (n > SHOWN_MAX)
		n = SHOWN_MAX;
	while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	return arena_printf(d->arena, "%.*s...", (int)n, text);
}

const char *place_text(struct decode *d)
{
	AUTO_BUFFER out = BUFFER_INIT;
	for (const struct place *p = d->place; p && p->up; p = p->up) {
		buffer_add_str(&out, out.size ? " of " : " in ");
		buffer_add_str(&out, p->type->word);
		if (p->name)
			buffer_printf(&out, " \"%s\"", p->name);
	}
	return arena_strdup(d->arena, buffer_str(&out));
}

struct diagnostic *expected(struct decode *d, const struct node *n, const char *what)
{
	const char *got = node_describe(n);
	if (n->kind == NODE_SCALAR && n->type != SCALAR_NULL)
		return report(d->diags, "E103", n->pos, n->width, "expected %s, got %s \"%s\"",
			      what, n->type == SCALAR_BOOL ? "the word" : got, shown(d, n->text));
	return report(d->diags, "E103", n->pos, n->width, "expected %s, got %s", what, got);
}

const char *host_path(struct decode *d, struct source_pos pos, const char *path)
{
	if (path[0] == '~' && (path[1] == '/' || !path[1]) && d->host->home) {
		AUTO_FREE char *full = xasprintf("%s%s", d->host->home, path + 1);
		return arena_take(d->arena, path_clean(full));
	}
	struct source *s = sources_find(d->sources, pos.file);
	AUTO_FREE char *full = path_join(s ? s->dir : "/", path);
	return arena_take(d->arena, path_clean(full));
}

static struct spec_value value_of(const struct node *n)
{
	unsigned short width = n->width > USHRT_MAX ? USHRT_MAX : (unsigned short)n->width;
	return (struct spec_value){ n->pos, true, n->is_private, false, width };
}

/* --- scalars --- */

static bool is_scalar(struct decode *d, const struct node *n, const char *what)
{
	if (n->kind == NODE_SCALAR && n->is_broken)
		return false;
	if (n->kind == NODE_SCALAR && n->type != SCALAR_NULL)
		return true;
	struct diagnostic *f = expected(d, n, what);
	if (n->kind == NODE_SCALAR)
		report_help(f, "write a value, or remove the key");
	return false;
}

static void decode_text(struct decode *d, const struct field *f, const struct node *n,
			struct spec_text *out)
{
	if (!is_scalar(d, n, "text"))
		return;
	if (n->type == SCALAR_BOOL) {
		report_help(expected(d, n, "text"), "put it in quotes if it is meant as text");
		return;
	}
	out->at = value_of(n);
	out->text = n->text;
	check_text(d, f->check, n, n->text);
	if ((f->flags & FIELD_PATH) && *n->text)
		out->text = host_path(d, n->pos, n->text);
}

static void decode_flag(struct decode *d, const struct node *n, struct spec_flag *out)
{
	static const char *const old_words[] = { "yes", "no", "on", "off", "Yes", "No", "On", "Off",
						 "YES", "NO", "ON", "OFF", "y",   "n",  "Y",  "N" };
	if (!is_scalar(d, n, "true or false"))
		return;
	bool is_word = n->type == SCALAR_BOOL ||
		       (n->is_interpolated && scalar_classify(n->text) == SCALAR_BOOL);
	if (is_word) {
		out->at = value_of(n);
		out->value = n->text[0] == 't' || n->text[0] == 'T';
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(old_words); i++) {
		if (strcmp(n->text, old_words[i]) != 0)
			continue;
		bool is_true = strchr("yYoO", n->text[0]) && !str_equal(n->text, "off") &&
			       !str_equal(n->text, "Off") && !str_equal(n->text, "OFF");
		struct diagnostic *e =
			report(d->diags, "E108", n->pos, n->width,
			       "\"%s\" is a text in YAML 1.2, not true or false", n->text);
		report_hint(e, "write %s", is_true ? "true" : "false");
		return;
	}
	struct diagnostic *e = expected(d, n, "true or false");
	if (n->style != STYLE_PLAIN && scalar_classify(n->text) == SCALAR_BOOL)
		report_hint(e, "remove the quotes");
}

static void bad_unit(struct decode *d, const struct field *f, const struct node *n,
		     const char *problem)
{
	struct diagnostic *e;
	switch (f->kind) {
	case KIND_SIZE: {
		size_t digits = strspn(n->text, "0123456789.");
		const char *unit = n->text + digits;
		e = report(d->diags, "E109", n->pos, n->width, "%s: \"%s\"", problem,
			   shown(d, n->text));
		if (digits && !*unit)
			report_hint(e, "%.*sMiB or %.*sB?", (int)digits, n->text, (int)digits,
				    n->text);
		else if (digits && strchr("KMGTkmgt", *unit) &&
			 (!unit[1] || str_equal(unit + 1, "i"))) {
			char c = *unit >= 'a' ? (char)(*unit - 'a' + 'A') : *unit;
			report_hint(e, "%.*s%ciB (1024) or %.*s%cB (1000)?", (int)digits, n->text,
				    c, (int)digits, n->text, c);
		}
		return;
	}
	case KIND_DURATION:
		e = report(d->diags, "E110", n->pos, n->width, "%s: \"%s\"", problem,
			   shown(d, n->text));
		if (*n->text && n->text[strspn(n->text, "0123456789")] == 0)
			report_hint(e, "%ss?", n->text);
		return;
	case KIND_MODE:
		report(d->diags, "E112", n->pos, n->width, "%s", problem);
		return;
	case KIND_TEXT:
	case KIND_FLAG:
	case KIND_NUMBER:
	case KIND_CHOICE:
	case KIND_TEXTS:
	case KIND_COMMAND:
	case KIND_PAIRS:
	case KIND_OBJECT:
	case KIND_LIST:
	case KIND_MAP:
	default:
		e = report(d->diags, "E103", n->pos, n->width, "%s: \"%s\"", problem,
			   shown(d, n->text));
		if (f->min || f->max)
			report_help(e, "%s is a whole number from %lld to %lld", f->name,
				    (long long)f->min, (long long)f->max);
	}
}

static char *number_text(const struct field *f, int64_t value)
{
	if (f->kind == KIND_SIZE)
		return units_size_text(value);
	if (f->kind == KIND_DURATION)
		return units_duration_text(value);
	return xasprintf("%lld", (long long)value);
}

static bool in_range(struct decode *d, const struct field *f, const struct node *n, int64_t value)
{
	int64_t max = f->max ? f->max : INT64_MAX;
	if (value >= f->min && value <= max)
		return true;
	const char *code = f->kind == KIND_SIZE       ? "E109"
			   : f->kind == KIND_DURATION ? "E110"
						      : "E103";
	AUTO_FREE char *low = number_text(f, f->min), *high = number_text(f, max);
	struct diagnostic *e = report(d->diags, code, n->pos, n->width, "%s is out of range: %s",
				      f->name, shown(d, n->text));
	if (f->max)
		report_hint(e, "from %s to %s", low, high);
	else
		report_hint(e, "at least %s", low);
	return false;
}

static const char *parse_number(const struct field *f, const char *text, int64_t *ret)
{
	if (f->kind == KIND_SIZE)
		return units_size(text, ret);
	if (f->kind == KIND_DURATION)
		return units_duration(text, ret);
	if (f->kind == KIND_MODE)
		return units_mode(text, ret);
	return units_number(text, ret);
}

static void decode_number(struct decode *d, const struct field *f, const struct node *n,
			  struct spec_number *out)
{
	static const char *const words[] = { [KIND_NUMBER] = "a whole number",
					     [KIND_SIZE] = "a size, as 512MiB",
					     [KIND_DURATION] = "a duration, as 1m30s",
					     [KIND_MODE] = "a mode in quotes, as \"0644\"" };
	if (!is_scalar(d, n, words[f->kind]))
		return;
	bool is_zero_word = (f->flags & FIELD_ZERO_WORD) && str_equal(n->text, "auto");
	bool is_minus_word = (f->flags & FIELD_MINUS_WORD) && str_equal(n->text, "unlimited");
	if (is_zero_word || is_minus_word) {
		out->at = value_of(n);
		out->value = is_zero_word ? 0 : -1;
		return;
	}
	if (f->kind == KIND_NUMBER && !n->is_interpolated && n->type != SCALAR_INT) {
		struct diagnostic *e = expected(d, n, words[f->kind]);
		if (n->style != STYLE_PLAIN && scalar_classify(n->text) == SCALAR_INT)
			report_hint(e, "remove the quotes");
		return;
	}
	if (f->kind == KIND_MODE && n->style == STYLE_PLAIN && !n->is_interpolated) {
		struct diagnostic *e =
			report(d->diags, "E112", n->pos, n->width,
			       "a mode needs quotes; YAML reads %s as a decimal number",
			       shown(d, n->text));
		report_hint(e, "\"%s\"", shown(d, n->text));
		return;
	}
	int64_t value;
	const char *problem = parse_number(f, n->text, &value);
	if (problem) {
		bad_unit(d, f, n, problem);
		return;
	}
	if (!in_range(d, f, n, value))
		return;
	out->at = value_of(n);
	out->value = value;
}

static void decode_choice(struct decode *d, const struct field *f, const struct node *n,
			  struct spec_choice *out)
{
	if (!is_scalar(d, n, "a word"))
		return;
	const char *names[16];
	size_t count = 0;
	AUTO_BUFFER list = BUFFER_INIT;
	for (const struct choice *c = f->choices; c->name; c++) {
		if (strcmp(c->name, n->text) == 0) {
			if (c->is_later && !d->keeps_later) {
				struct diagnostic *e =
					report(d->diags, "E120", n->pos, n->width,
					       "%s: %s has no effect in this version yet", f->name,
					       c->name);
				report_help(e, "%s", f->doc);
				return;
			}
			out->at = value_of(n);
			out->value = c->value;
			return;
		}
		if (count < ARRAY_SIZE(names))
			names[count++] = c->name;
		buffer_printf(&list, "%s%s", list.size ? ", " : "", c->name);
	}
	struct diagnostic *e = report(d->diags, "E107", n->pos, n->width,
				      "\"%s\" is no value of %s", shown(d, n->text), f->name);
	const char *near = text_suggest(n->text, names, count);
	if (near)
		report_hint(e, "did you mean \"%s\"?", near);
	report_help(e, "one of: %s", buffer_str(&list));
}

/* --- lists and maps of text --- */

static bool decode_item(struct decode *d, const struct field *f, const struct node *n,
			struct spec_text *out)
{
	host_vars_note(d, n);
	if (!is_scalar(d, n, "text"))
		return false;
	out->at = value_of(n);
	out->text = n->text;
	if (f->kind == KIND_TEXTS) {
		check_text(d, f->check, n, n->text);
		if (f->flags & FIELD_PATH)
			out->text = host_path(d, n->pos, n->text);
	}
	return true;
}

static int compare_texts(const void *a, const void *b)
{
	const struct spec_text *x = a, *y = b;
	return strcmp(x->text, y->text);
}

static void decode_items(struct decode *d, const struct field *f, const struct node *n,
			 struct spec_text **ret_items, size_t *ret_count)
{
	struct spec_text *items = arena_array(d->arena, n->count, sizeof(*items));
	size_t count = 0;
	for (size_t i = 0; i < n->count; i++)
		count += decode_item(d, f, n->items[i], &items[count]);
	*ret_items = items;
	*ret_count = count;
}

static void decode_texts(struct decode *d, const struct field *f, const struct node *n,
			 struct spec_texts *out)
{
	if (n->kind != NODE_SEQUENCE) {
		struct diagnostic *e = expected(d, n, "a list of texts");
		if (n->kind == NODE_SCALAR && n->type == SCALAR_TEXT)
			report_hint(e, "write [%s]", shown(d, n->text));
		return;
	}
	out->at = value_of(n);
	decode_items(d, f, n, &out->items, &out->count);
	if (f->flags & FIELD_SET)
		qsort(out->items, out->count, sizeof(*out->items), compare_texts);
}

static void decode_command(struct decode *d, const struct field *f, const struct node *n,
			   struct spec_command *out)
{
	if (n->kind == NODE_SEQUENCE) {
		decode_items(d, f, n, &out->items, &out->count);
	} else if (n->kind == NODE_MAPPING) {
		report_help(expected(d, n, "a command"),
			    "a list is run as it is: [program, argument]; a text goes to /bin/sh");
		return;
	} else if (is_scalar(d, n, "a command")) {
		out->is_shell = true;
		out->items = arena_alloc(d->arena, sizeof(*out->items));
		out->count = decode_item(d, f, n, out->items);
	} else {
		return;
	}
	out->at = value_of(n);
	bool is_broken = n->kind == NODE_SCALAR ? n->is_broken : out->count < n->count;
	bool is_empty = out->count == 0 || (out->is_shell && !out->items[0].text[0]) ||
			(!out->is_shell && !out->items[0].text[0]);
	if (is_empty && !is_broken && strcmp(f->name, "entrypoint") != 0) {
		struct diagnostic *e =
			report(d->diags, "E602", n->pos, n->width, "%s is empty", f->name);
		report_help(e, "remove the key to run what the image says");
	}
}

static int compare_pairs(const void *a, const void *b)
{
	const struct spec_pair *x = a, *y = b;
	return strcmp(x->key, y->key);
}

static void decode_pairs(struct decode *d, const struct field *f, const struct node *n,
			 struct spec_pairs *out)
{
	if (n->kind != NODE_MAPPING) {
		struct diagnostic *e = expected(d, n, "a map");
		const char *equals = NULL;
		if (n->kind == NODE_SEQUENCE && n->count && n->items[0]->kind == NODE_SCALAR)
			equals = strchr(n->items[0]->text, '=');
		if (equals)
			report_help(e, "write %.*s: \"%s\" instead of - %s",
				    (int)(equals - n->items[0]->text), n->items[0]->text,
				    shown(d, equals + 1), shown(d, n->items[0]->text));
		return;
	}
	out->at = value_of(n);
	out->items = arena_array(d->arena, n->count, sizeof(*out->items));
	for (size_t i = 0; i < n->count; i++) {
		const struct node_entry *e = &n->entries[i];
		struct spec_pair *p = &out->items[out->count];
		check_key(d, f->key_check, e->key, "a key of ", f->name);
		if (e->value->kind == NODE_SCALAR && e->value->type == SCALAR_NULL) {
			struct diagnostic *r = expected(d, e->value, "text");
			report_help(r, "an empty value is written \"\"");
			continue;
		}
		if (!decode_item(d, f, e->value, &p->value))
			continue;
		check_text(d, f->check, e->value, e->value->text);
		p->key = e->key->text;
		p->key_pos = e->key->pos;
		out->count++;
	}
	qsort(out->items, out->count, sizeof(*out->items), compare_pairs);
}

/* --- objects --- */

static void decode_list(struct decode *d, const struct field *f, struct node *n, void *at)
{
	if (n->kind != NODE_SEQUENCE) {
		struct diagnostic *e = expected(d, n, "a list");
		if (f->object->short_form)
			report_help(e, "each item of %s is a map, or %s", f->name,
				    f->object->short_form);
		return;
	}
	struct object_list list = { value_of(n), NULL, n->count };
	list.items = arena_array(d->arena, n->count, f->object->size);
	for (size_t i = 0; i < n->count; i++)
		decode_object(d, f->object, n->items[i], list_item(&list, f->object, i), NULL);
	memcpy(at, &list, sizeof(list));
}

static int compare_entries(const void *a, const void *b)
{
	const struct node_entry *x = a, *y = b;
	return strcmp(x->key->text, y->key->text);
}

static void decode_map(struct decode *d, const struct field *f, struct node *n, void *at)
{
	if (n->kind != NODE_MAPPING) {
		struct diagnostic *e = expected(d, n, "a map of names");
		report_help(e, "each %s has its name as key", f->object->word);
		return;
	}
	struct object_list list = { value_of(n), NULL, 0 };
	list.items = arena_array(d->arena, n->count, f->object->size);
	struct node_entry *sorted = arena_array(d->arena, n->count, sizeof(*sorted));
	for (size_t i = 0; i < n->count; i++)
		sorted[i] = n->entries[i];
	qsort(sorted, n->count, sizeof(*sorted), compare_entries);
	for (size_t i = 0; i < n->count; i++) {
		struct node *key = sorted[i].key, *value = sorted[i].value;
		host_vars_note(d, key);
		check_key(d, f->key_check, key, "the name of a ", f->object->word);
		if (value->kind == NODE_SCALAR && value->type == SCALAR_NULL)
			value = node_new_collection(d->arena, key, NODE_MAPPING, 0);
		struct spec_object *o = list_item(&list, f->object, list.count++);
		decode_object(d, f->object, value, o, key->text);
		o->name = key->text;
		o->at.pos = key->pos;
		o->at.width = key->width > USHRT_MAX ? USHRT_MAX : (unsigned short)key->width;
	}
	memcpy(at, &list, sizeof(list));
}

struct node *decode_long_form(struct decode *d, const struct field *f, struct node *value)
{
	struct node *n = f->reshape ? f->reshape(d, f, value) : value;
	if (!n || !f->object)
		return n;
	bool is_list = f->kind == KIND_LIST && n->kind == NODE_SEQUENCE;
	if (!is_list)
		return f->kind == KIND_OBJECT && n->kind != NODE_MAPPING && f->object->expand
			       ? f->object->expand(d, n)
			       : n;
	struct node *list = node_new_collection(d->arena, n, NODE_SEQUENCE, n->count);
	for (size_t i = 0; i < n->count; i++) {
		struct node *item = n->items[i];
		if (item->kind != NODE_MAPPING && f->object->expand)
			item = f->object->expand(d, item);
		if (item)
			node_add(list, NULL, item);
	}
	return list;
}

static void decode_field(struct decode *d, const struct field *f, const struct node *key,
			 struct node *n, void *object)
{
	void *at = field_at(f, object);
	if ((f->flags & FIELD_LATER) && !d->keeps_later) {
		struct diagnostic *e = report(d->diags, "E120", key->pos, key->width,
					      "%s has no effect in this version yet", f->name);
		report_help(e, "remove it; ctrz refuses what it would not do");
	}
	if (f->reshape && !(n = f->reshape(d, f, n)))
		return;
	if (n->kind == NODE_SCALAR && !f->object && !(f->flags & FIELD_OUTSIDE))
		host_vars_note(d, n);
	switch (f->kind) {
	case KIND_TEXT:
		decode_text(d, f, n, at);
		break;
	case KIND_FLAG:
		decode_flag(d, n, at);
		break;
	case KIND_NUMBER:
	case KIND_SIZE:
	case KIND_DURATION:
	case KIND_MODE:
		decode_number(d, f, n, at);
		break;
	case KIND_CHOICE:
		decode_choice(d, f, n, at);
		break;
	case KIND_TEXTS:
		decode_texts(d, f, n, at);
		break;
	case KIND_COMMAND:
		decode_command(d, f, n, at);
		break;
	case KIND_PAIRS:
		decode_pairs(d, f, n, at);
		break;
	case KIND_OBJECT:
		decode_object(d, f->object, n, at, NULL);
		break;
	case KIND_LIST:
		decode_list(d, f, n, at);
		break;
	case KIND_MAP:
		decode_map(d, f, n, at);
		break;
	}
}

static void check_required(struct decode *d, const struct object_type *type, const struct node *n)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		if (!(f->flags & FIELD_REQUIRED) || node_find(n, f->name) || !d->place->up)
			continue;
		const char *where = place_text(d);
		struct diagnostic *e =
			report(d->diags, "E113", n->pos, 1, "%s is missing%s", f->name, where);
		report_help(e, "%s: %s", f->name, f->doc);
	}
}

void decode_object(struct decode *d, const struct object_type *type, struct node *n, void *out,
		   const char *name)
{
	struct place place = { d->place, type, name };
	if (n->kind != NODE_MAPPING && type->expand) {
		n = type->expand(d, n);
		if (!n)
			return;
	}
	if (n->kind != NODE_MAPPING) {
		struct diagnostic *e = expected(d, n, "a map");
		report_help(e, "%s: %s", type->word, type->doc);
		return;
	}
	/* Taken off again at the end. */
	/* cppcheck-suppress autoVariables */
	d->place = &place;
	struct spec_object *o = out;
	o->at = value_of(n);
	for (size_t i = 0; i < n->count; i++) {
		const struct node *key = n->entries[i].key;
		if (str_starts(key->text, "x-"))
			continue;
		const struct field *f = field_find(type, key->text);
		if (f && (!(f->flags & FIELD_COMPUTED) || d->is_canonical)) {
			decode_field(d, f, key, n->entries[i].value, out);
			continue;
		}
		report_unknown_key(d, type, key);
		o->at.is_broken = true;
	}
	if (!o->at.is_broken)
		check_required(d, type, n);
	d->place = place.up;
}

/* --- defaults --- */

static void fill_scalar(struct decode *d, const struct field *f, void *at)
{
	/* A default is written as a value is; a mode has its quotes. */
	struct node n = { .kind = NODE_SCALAR,
			  .style = STYLE_PLAIN,
			  .is_interpolated = true,
			  .text = f->fallback };
	n.type = (uint8_t)scalar_classify(n.text);
	bool keeps_later = d->keeps_later;
	d->keeps_later = true;
	if (f->kind == KIND_FLAG)
		decode_flag(d, &n, at);
	else if (f->kind == KIND_CHOICE)
		decode_choice(d, f, &n, at);
	else if (f->kind == KIND_TEXT)
		decode_text(d, f, &n, at);
	else
		decode_number(d, f, &n, at);
	d->keeps_later = keeps_later;
}

void decode_fill(struct decode *d, const struct object_type *type, void *object)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		struct spec_value *v = field_value(f, object);
		if (!v->is_set && f->fallback)
			fill_scalar(d, f, field_at(f, object));
		if (!f->object)
			continue;
		if (f->kind == KIND_OBJECT) {
			if (!v->is_set && (f->flags & FIELD_ALWAYS))
				v->is_set = true;
			if (v->is_set)
				decode_fill(d, f->object, field_at(f, object));
			continue;
		}
		struct object_list list;
		memcpy(&list, field_at(f, object), sizeof(list));
		for (size_t j = 0; j < list.count; j++)
			decode_fill(d, f->object, list_item(&list, f->object, j));
	}
}
