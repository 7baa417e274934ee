/* SPDX-License-Identifier: MIT */
/* Values of the model as text. */
#include "spec/print/canonical.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/text.h"
#include "spec/fields/units.h"
#include "spec/tree/yaml_tree.h"

bool canonical_prints(const struct field *f, const void *object, bool hashed_only)
{
	if ((f->flags & FIELD_APPLIED) || (hashed_only && (f->flags & FIELD_UNHASHED)))
		return false;
	return field_value(f, object)->is_set;
}

bool canonical_is_active(const struct object_type *type, const struct spec_object *o)
{
	return type != &container_type ||
	       ((const struct spec_container *)(const void *)o)->is_active;
}

/* Inside double quotes, for JSON and YAML alike. A "$" that would begin something is doubled. */
static void add_escaped(struct buffer *out, const char *s, bool keeps_dollar)
{
	for (size_t i = 0; s[i];) {
		size_t plain = i;
		while (s[plain] >= ' ' && s[plain] < 0x7f && s[plain] != '"' && s[plain] != '\\' &&
		       s[plain] != '$')
			plain++;
		buffer_add(out, s + i, plain - i);
		i = plain;
		unsigned char c = (unsigned char)s[i];
		uint32_t code;
		size_t used;
		if (!c)
			break;
		if (c == '$') {
			bool is_special = !keeps_dollar && (s[i + 1] == '$' || s[i + 1] == '{');
			buffer_add_str(out, is_special ? "$$" : "$");
			i++;
		} else if (c == '"' || c == '\\') {
			buffer_add_char(out, '\\');
			buffer_add_char(out, (char)c);
			i++;
		} else if (c == '\n' || c == '\t') {
			buffer_add_str(out, c == '\n' ? "\\n" : "\\t");
			i++;
		} else if ((used = utf8_decode(s + i, strlen(s + i), &code)) != 0) {
			bool is_hidden = code < 0x20 || (code >= 0x7f && code < 0xa0) ||
					 code == 0x2028 || code == 0x2029 || code == 0xfeff ||
					 (code & 0xfffe) == 0xfffe;
			if (is_hidden && code < 0x10000)
				buffer_printf(out, "\\u%04x", (unsigned)code);
			else
				buffer_add(out, s + i, used);
			i += used;
		} else {
			/* Bytes that are not UTF-8 can only come from the host's environment. */
			buffer_add_str(out, "\\ufffd");
			i++;
		}
	}
}

/* Whether YAML readers of any age take it for the same text without quotes. */
static bool is_plain(const char *s, bool in_flow)
{
	static const char *const words[] = { "yes", "no",   "on",    "off", "y",
					     "n",   "true", "false", "null" };
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char more[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./@+=-";
	if (!*s || strlen(s) > 100)
		return false;
	if (in_flow) {
		/* For people only: whatever has no ambiguity to the eye. */
		return s[strspn(s, more)] == 0 ||
		       (strspn(s, more) && !strpbrk(s, ",[]{}\"'#\\ \t\n") &&
			(unsigned char)s[0] < 0x80);
	}
	bool has_good_start = strchr(letters, s[0]) || s[0] == '/';
	if (!has_good_start || s[strspn(s, more)])
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return false;
	return scalar_classify(s) == SCALAR_TEXT;
}

static void add_text(struct buffer *out, const char *s, bool may_be_plain, bool in_flow)
{
	if (may_be_plain && is_plain(s, in_flow)) {
		buffer_add_str(out, s);
		return;
	}
	buffer_add_char(out, '"');
	add_escaped(out, s, in_flow);
	buffer_add_char(out, '"');
}

void canonical_text(const struct canonical *c, const char *text)
{
	add_text(c->out, text, c->form == FORM_FLOW, c->form == FORM_FLOW);
}

/* Keys are never interpolated: a "$" is one. */
static void add_key(const struct canonical *c, const char *key)
{
	if (c->form == FORM_FLOW) {
		canonical_text(c, key);
		return;
	}
	buffer_add_char(c->out, '"');
	add_escaped(c->out, key, true);
	buffer_add_char(c->out, '"');
}

/* Scalars other than text; false if the kind is none. */
static bool add_scalar(struct buffer *out, const struct field *f, const void *at, bool may_be_plain,
		       bool in_flow)
{
	const struct spec_number *n = at;
	AUTO_FREE char *text = NULL;
	switch (f->kind) {
	case KIND_FLAG:
		buffer_add_str(out, ((const struct spec_flag *)at)->value ? "true" : "false");
		return true;
	case KIND_NUMBER:
		if ((f->flags & FIELD_ZERO_WORD) && n->value == 0)
			add_text(out, "auto", may_be_plain, in_flow);
		else if ((f->flags & FIELD_MINUS_WORD) && n->value == -1)
			add_text(out, "unlimited", may_be_plain, in_flow);
		else
			buffer_printf(out, "%lld", (long long)n->value);
		return true;
	case KIND_MODE:
		buffer_printf(out, "\"%04llo\"", (unsigned long long)n->value);
		return true;
	case KIND_SIZE:
		text = units_size_text(n->value);
		break;
	case KIND_DURATION:
		text = units_duration_text(n->value);
		break;
	case KIND_CHOICE: {
		const char *name = choice_name(f->choices, ((const struct spec_choice *)at)->value);
		add_text(out, name, may_be_plain, in_flow);
		return true;
	}
	case KIND_TEXT:
	case KIND_TEXTS:
	case KIND_COMMAND:
	case KIND_PAIRS:
	case KIND_OBJECT:
	case KIND_LIST:
	case KIND_MAP:
	default:
		return false;
	}
	if (may_be_plain)
		buffer_add_str(out, text);
	else
		buffer_printf(out, "\"%s\"", text);
	return true;
}

static void separator(const struct canonical *c, bool is_first)
{
	if (!is_first)
		buffer_add_str(c->out, c->form == FORM_JSON ? "," : ", ");
}

static void colon(const struct canonical *c)
{
	buffer_add_str(c->out, c->form == FORM_JSON ? ":" : ": ");
}

static void add_list(const struct canonical *c, const struct spec_text *items, size_t count)
{
	buffer_add_char(c->out, '[');
	for (size_t i = 0; i < count; i++) {
		separator(c, i == 0);
		canonical_text(c, items[i].text);
	}
	buffer_add_char(c->out, ']');
}

static void add_pairs(const struct canonical *c, const struct spec_pairs *p)
{
	buffer_add_char(c->out, '{');
	for (size_t i = 0; i < p->count; i++) {
		separator(c, i == 0);
		add_key(c, p->items[i].key);
		colon(c);
		canonical_text(c, p->items[i].value.text);
	}
	buffer_add_char(c->out, '}');
}

static void add_objects(const struct canonical *c, const struct field *f, const void *at)
{
	struct object_list list;
	memcpy(&list, at, sizeof(list));
	bool is_map = f->kind == KIND_MAP, is_first = true;
	buffer_add_char(c->out, is_map ? '{' : '[');
	for (size_t i = 0; i < list.count; i++) {
		const struct spec_object *o = list_item(&list, f->object, i);
		if (!canonical_is_active(f->object, o))
			continue;
		separator(c, is_first);
		is_first = false;
		if (is_map) {
			add_key(c, o->name);
			colon(c);
		}
		canonical_object(c, f->object, o);
	}
	buffer_add_char(c->out, is_map ? '}' : ']');
}

void canonical_value(const struct canonical *c, const struct field *f, const void *object)
{
	const void *at = field_at(f, object);
	if (add_scalar(c->out, f, at, c->form == FORM_FLOW, c->form == FORM_FLOW))
		return;
	const struct spec_command *command = at;
	const struct spec_texts *texts = at;
	switch (f->kind) {
	case KIND_TEXT:
		canonical_text(c, ((const struct spec_text *)at)->text);
		break;
	case KIND_TEXTS:
		add_list(c, texts->items, texts->count);
		break;
	case KIND_COMMAND:
		if (command->is_shell)
			canonical_text(c, command->items[0].text);
		else
			add_list(c, command->items, command->count);
		break;
	case KIND_PAIRS:
		add_pairs(c, at);
		break;
	case KIND_OBJECT:
		canonical_object(c, f->object, at);
		break;
	case KIND_LIST:
	case KIND_MAP:
		add_objects(c, f, at);
		break;
	case KIND_FLAG:
	case KIND_NUMBER:
	case KIND_SIZE:
	case KIND_DURATION:
	case KIND_MODE:
	case KIND_CHOICE:
		break;
	}
}

void canonical_object(const struct canonical *c, const struct object_type *type, const void *object)
{
	bool is_first = true;
	buffer_add_char(c->out, '{');
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		if (!canonical_prints(f, object, c->hashed_only))
			continue;
		separator(c, is_first);
		is_first = false;
		add_key(c, f->name);
		colon(c);
		canonical_value(c, f, object);
	}
	buffer_add_char(c->out, '}');
}

/* --- block YAML --- */

struct block {
	struct buffer *out;
	unsigned indent;
	bool origins;
};

static void block_object(struct block *b, const struct object_type *type, const void *object,
			 bool in_item);

static void indent(struct block *b)
{
	for (unsigned i = 0; i < b->indent; i++)
		buffer_add_str(b->out, "  ");
}

static void end_line(struct block *b, struct source_pos pos)
{
	if (b->origins && pos.line && pos.file) {
		buffer_add_str(b->out, "  # ");
		text_escape(b->out, pos.file, strlen(pos.file), false);
		buffer_printf(b->out, ":%u", pos.line);
	}
	buffer_add_char(b->out, '\n');
}

void canonical_yaml_text(const char *text, struct buffer *out)
{
	if (is_plain(text, false)) {
		buffer_add_str(out, text);
		return;
	}
	buffer_add_char(out, '"');
	add_escaped(out, text, true);
	buffer_add_char(out, '"');
}

static void block_key(struct block *b, const char *key)
{
	canonical_yaml_text(key, b->out);
}

static bool block_list(struct block *b, const struct field *f, const void *at)
{
	struct object_list list;
	memcpy(&list, at, sizeof(list));
	if (!list.count)
		return false;
	end_line(b, list.at.pos);
	for (size_t i = 0; i < list.count; i++) {
		const struct spec_object *o = list_item(&list, f->object, i);
		indent(b);
		buffer_add_str(b->out, "- ");
		b->indent++;
		block_object(b, f->object, o, true);
		b->indent--;
	}
	return true;
}

static bool has_fields(const struct object_type *type, const void *object)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		bool is_left_out = (f->flags & FIELD_COMPUTED) ||
				   ((f->flags & FIELD_LATER) && !field_value(f, object)->pos.line);
		if (canonical_prints(f, object, false) && !is_left_out)
			return true;
	}
	return false;
}

static bool block_map(struct block *b, const struct field *f, const void *at)
{
	struct object_list list;
	memcpy(&list, at, sizeof(list));
	bool is_empty = true;
	for (size_t i = 0; i < list.count; i++) {
		const struct spec_object *o = list_item(&list, f->object, i);
		if (!canonical_is_active(f->object, o))
			continue;
		if (is_empty)
			end_line(b, list.at.pos);
		is_empty = false;
		indent(b);
		block_key(b, o->name);
		bool is_bare = !has_fields(f->object, o);
		buffer_add_str(b->out, is_bare ? ": {}" : ":");
		end_line(b, o->at.pos);
		b->indent++;
		block_object(b, f->object, o, false);
		b->indent--;
	}
	return !is_empty;
}

static bool block_pairs(struct block *b, const struct spec_pairs *p)
{
	if (!p->count)
		return false;
	end_line(b, p->at.pos);
	for (size_t i = 0; i < p->count; i++) {
		indent(b);
		block_key(b, p->items[i].key);
		buffer_add_str(b->out, ": ");
		add_text(b->out, p->items[i].value.text, true, false);
		end_line(b, p->items[i].value.at.pos);
	}
	return true;
}

static void block_texts(struct block *b, const struct spec_text *items, size_t count)
{
	buffer_add_str(b->out, " [");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buffer_add_str(b->out, ", ");
		add_text(b->out, items[i].text, true, false);
	}
	buffer_add_char(b->out, ']');
}

/* Behind "key:". */
static void block_value(struct block *b, const struct field *f, const void *object)
{
	const void *at = field_at(f, object);
	const struct spec_value *v = at;
	const struct spec_command *command = at;
	const struct spec_texts *texts = at;
	bool has_lines = false;
	b->indent++;
	if (f->kind == KIND_LIST) {
		has_lines = block_list(b, f, at);
	} else if (f->kind == KIND_MAP) {
		has_lines = block_map(b, f, at);
	} else if (f->kind == KIND_PAIRS) {
		has_lines = block_pairs(b, at);
	} else if (f->kind == KIND_OBJECT && has_fields(f->object, at)) {
		end_line(b, v->pos);
		block_object(b, f->object, at, false);
		has_lines = true;
	}
	b->indent--;
	if (has_lines)
		return;
	if (f->kind == KIND_TEXTS || (f->kind == KIND_COMMAND && !command->is_shell)) {
		block_texts(b,
			    texts->at.is_set && f->kind == KIND_TEXTS ? texts->items
								      : command->items,
			    f->kind == KIND_TEXTS ? texts->count : command->count);
	} else if (f->object || f->kind == KIND_PAIRS) {
		buffer_add_str(b->out, f->kind == KIND_LIST ? " []" : " {}");
	} else {
		buffer_add_char(b->out, ' ');
		if (!add_scalar(b->out, f, at, true, false))
			add_text(b->out,
				 f->kind == KIND_COMMAND ? command->items[0].text
							 : ((const struct spec_text *)at)->text,
				 true, false);
	}
	end_line(b, v->pos);
}

static void block_object(struct block *b, const struct object_type *type, const void *object,
			 bool in_item)
{
	bool is_first = true;
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		if (!canonical_prints(f, object, false) || (f->flags & FIELD_COMPUTED))
			continue;
		/* The default of what has no effect yet would be refused when it is read back. */
		if ((f->flags & FIELD_LATER) && !field_value(f, object)->pos.line)
			continue;
		if (!is_first || !in_item)
			indent(b);
		is_first = false;
		buffer_printf(b->out, "%s:", f->name);
		block_value(b, f, object);
	}
	if (is_first && in_item)
		buffer_add_str(b->out, "{}\n");
}

void canonical_yaml(const struct object_type *type, const void *object, bool origins,
		    struct buffer *out)
{
	struct block b = { out, 0, origins };
	block_object(&b, type, object, false);
}

/* --- the environment --- */

void spec_json(const struct environment *env, struct buffer *out)
{
	struct canonical c = { out, FORM_JSON, false };
	canonical_object(&c, &environment_type, env);
	buffer_add_char(out, '\n');
}

void spec_yaml(const struct environment *env, bool origins, struct buffer *out)
{
	canonical_yaml(&environment_type, env, origins, out);
}

/* The form's version is part of what is hashed. */
static const char hash_head[] = "ctrz spec 1\n";

static void hash_of(const struct object_type *type, const void *object, char out[65])
{
	AUTO_BUFFER text = BUFFER_INIT;
	buffer_add_str(&text, hash_head);
	struct canonical c = { &text, FORM_JSON, true };
	canonical_object(&c, type, object);
	sha256_hex(text.data, text.size, out);
}

void spec_hash(const struct environment *env, char out[65])
{
	hash_of(&environment_type, env, out);
}

void spec_container_hash(const struct environment *env, const struct spec_container *c,
			 char out[65])
{
	(void)env;
	hash_of(&container_type, c, out);
}
