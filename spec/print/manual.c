/* SPDX-License-Identifier: MIT */
/* The keys of the language as text: manual sections, lists of paths. */
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "spec/config.h"
#include "spec/fields/fields.h"

static const char *kind_words(const struct field *f)
{
	static const char *const words[] = {
		[KIND_TEXT] = "text",         [KIND_FLAG] = "true or false",
		[KIND_NUMBER] = "number",     [KIND_SIZE] = "size",
		[KIND_DURATION] = "duration", [KIND_MODE] = "mode",
		[KIND_CHOICE] = "word",       [KIND_TEXTS] = "list of texts",
		[KIND_COMMAND] = "command",   [KIND_PAIRS] = "map of texts",
		[KIND_OBJECT] = "map",        [KIND_LIST] = "list",
		[KIND_MAP] = "map by name",
	};
	return words[f->kind];
}

static void add_choices(struct buffer *out, const struct field *f)
{
	for (const struct choice *c = f->choices; c && c->name; c++)
		buffer_printf(out, "%s%s%s", c == f->choices ? " One of: " : ", ", c->name,
			      c[1].name ? "" : ".");
	const char *before = " No effect yet: ";
	for (const struct choice *c = f->choices; c && c->name; c++) {
		if (!c->is_later)
			continue;
		buffer_printf(out, "%s%s", before, c->name);
		before = ", ";
	}
	if (before[0] == ',')
		buffer_add_char(out, '.');
}

static void add_row(struct buffer *out, const struct field *f)
{
	buffer_printf(out, "*%s* (%s%s)\n\t%s", f->name, kind_words(f),
		      f->flags & FIELD_REQUIRED ? ", required" : "", f->doc);
	add_choices(out, f);
	if (f->fallback)
		buffer_printf(out, " Default: %s.", f->fallback);
	if (f->object && f->object->short_form)
		buffer_printf(out, " Short form: %s.", f->object->short_form);
	if (f->change != SPEC_CLASS_NONE)
		buffer_printf(out, " Change: %s.", spec_class_name(f->change));
	if (f->flags & FIELD_LATER)
		buffer_add_str(out, " Has no effect in this version yet: refused with E120.");
	buffer_add_str(out, "\n\n");
}

/* The section of a type, then those of the types below it. */
static void add_sections(struct buffer *out, const struct object_type *type, const char *path)
{
	buffer_printf(out, "## %s\n\n%s\n\n", *path ? path : "Top of the file", type->doc);
	for (size_t i = 0; i < type->field_count; i++)
		if (!(type->fields[i].flags & FIELD_COMPUTED))
			add_row(out, &type->fields[i]);
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		if (!f->object)
			continue;
		AUTO_BUFFER below = BUFFER_INIT;
		buffer_printf(&below, "%s%s%s%s", path, *path ? "." : "", f->name,
			      f->kind == KIND_MAP    ? ".NAME"
			      : f->kind == KIND_LIST ? "[]"
						     : "");
		add_sections(out, f->object, buffer_str(&below));
	}
}

void spec_manual(struct buffer *out)
{
	add_sections(out, &environment_type, "");
}

void config_manual(struct buffer *out)
{
	add_sections(out, &config_type, "");
}

void lock_manual(struct buffer *out)
{
	add_sections(out, &lock_type, "");
}

enum which { ALL_KEYS, LATER_KEYS };

static void add_paths(struct strlist *out, const struct object_type *type, const char *path,
		      enum which which)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		if (f->flags & FIELD_COMPUTED)
			continue;
		AUTO_BUFFER here = BUFFER_INIT;
		buffer_printf(&here, "%s%s%s", path, *path ? "." : "", f->name);
		bool is_later = f->flags & FIELD_LATER;
		if (which == ALL_KEYS || is_later)
			strlist_add(out, buffer_str(&here));
		/* What is below a key without effect has none either. */
		if (which == LATER_KEYS && is_later)
			continue;
		for (const struct choice *c = f->choices; which == LATER_KEYS && c && c->name; c++)
			if (c->is_later)
				strlist_printf(out, "%s=%s", buffer_str(&here), c->name);
		if (!f->object)
			continue;
		buffer_add_str(&here, f->kind == KIND_MAP    ? ".NAME"
				      : f->kind == KIND_LIST ? "[]"
							     : "");
		add_paths(out, f->object, buffer_str(&here), which);
	}
}

void spec_later_keys(struct strlist *out)
{
	add_paths(out, &environment_type, "", LATER_KEYS);
}

void spec_keys(struct strlist *out)
{
	add_paths(out, &environment_type, "", ALL_KEYS);
}
