/* SPDX-License-Identifier: MIT */
/* The JSON Schema of the language, from the field tables. */
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "spec/fields/decode.h"
#include "spec/print/canonical.h"

/* What ${} stands for is known later. */
#define REFERENCE "\\\\$\\\\{"
#define ANY_TEXT "{\"type\":\"string\",\"pattern\":\"" REFERENCE "\"}"
#define SCALARS "[\"string\",\"number\",\"boolean\"]"

static void add_type(struct buffer *out, const struct object_type *type);

static void add_json(struct buffer *out, const char *text)
{
	struct canonical c = { out, FORM_JSON, false };
	canonical_text(&c, text);
}

/* The doc line without the marks of the manual. */
static void add_doc(struct buffer *out, const char *doc)
{
	AUTO_BUFFER plain = BUFFER_INIT;
	for (const char *s = doc; *s; s++)
		if (*s != '*')
			buffer_add_char(&plain, *s);
	buffer_add_str(out, "\"description\":");
	add_json(out, buffer_str(&plain));
}

static void add_pattern(struct buffer *out, enum text_check check, bool may_refer)
{
	const char *pattern = text_check_pattern(check);
	if (!pattern)
		return;
	/* The patterns have no backslash. */
	buffer_printf(out, ",\"pattern\":\"%s%s\"", pattern, may_refer ? "|" REFERENCE : "");
}

static void add_number(struct buffer *out, const struct field *f)
{
	buffer_printf(out, "\"anyOf\":[{\"type\":\"integer\",\"minimum\":%lld", (long long)f->min);
	if (f->max)
		buffer_printf(out, ",\"maximum\":%lld", (long long)f->max);
	buffer_add_str(out, "}," ANY_TEXT);
	if (f->flags & FIELD_ZERO_WORD)
		buffer_add_str(out, ",{\"const\":\"auto\"}");
	if (f->flags & FIELD_MINUS_WORD)
		buffer_add_str(out, ",{\"const\":\"unlimited\"}");
	if (f->object == NULL && strcmp(f->name, "container") == 0)
		buffer_add_str(out, ",{\"type\":\"string\",\"pattern\":\"^[0-9]+-[0-9]+$\"}");
	if (f->flags & FIELD_ZERO_WORD)
		buffer_add_str(out, ",{\"type\":\"string\",\"pattern\":\"^[0-9]+-[0-9]+$\"}");
	buffer_add_char(out, ']');
}

static void add_choice(struct buffer *out, const struct field *f)
{
	buffer_add_str(out, "\"anyOf\":[{\"enum\":[");
	for (const struct choice *c = f->choices; c->name; c++)
		buffer_printf(out, "%s\"%s\"", c == f->choices ? "" : ",", c->name);
	buffer_add_str(out, "]}," ANY_TEXT "]");
}

static void add_map(struct buffer *out, const struct field *f)
{
	const char *names = text_check_pattern(f->key_check);
	buffer_add_str(out, "\"anyOf\":[{\"type\":\"object\"");
	if (names)
		buffer_printf(out, ",\"propertyNames\":{\"pattern\":\"%s\"}", names);
	buffer_add_str(out, ",\"additionalProperties\":{\"anyOf\":[");
	add_type(out, f->object);
	if (f->object->short_schema)
		buffer_printf(out, ",%s", f->object->short_schema);
	buffer_add_str(out, ",{\"type\":\"null\"}]}}");
	if (f->reshape_schema)
		buffer_printf(out, ",%s", f->reshape_schema);
	buffer_add_char(out, ']');
}

static void add_list(struct buffer *out, const struct field *f)
{
	buffer_add_str(out, "\"type\":\"array\",\"items\":{\"anyOf\":[");
	add_type(out, f->object);
	if (f->object->short_schema)
		buffer_printf(out, ",%s", f->object->short_schema);
	buffer_add_str(out, "]}");
}

static void add_value(struct buffer *out, const struct field *f)
{
	const char *names = text_check_pattern(f->key_check);
	switch (f->kind) {
	case KIND_TEXT:
		buffer_add_str(out, "\"type\":[\"string\",\"number\"]");
		add_pattern(out, f->check, true);
		break;
	case KIND_FLAG:
		buffer_add_str(out, "\"anyOf\":[{\"type\":\"boolean\"}," ANY_TEXT "]");
		break;
	case KIND_NUMBER:
		add_number(out, f);
		break;
	case KIND_SIZE:
		buffer_add_str(
			out, "\"type\":\"string\",\"pattern\":\"^[0-9]+(\\\\.[0-9]+)? ?([KMGT]i?B|"
			     "kB|B)$|" REFERENCE "\"");
		break;
	case KIND_DURATION:
		buffer_add_str(out,
			       "\"anyOf\":[{\"const\":0},{\"type\":\"string\",\"pattern\":\"^0$|"
			       "^([0-9]+(\\\\.[0-9]+)?(h|ms|m|s))+$|" REFERENCE "\"}]");
		break;
	case KIND_MODE:
		buffer_add_str(out,
			       "\"type\":\"string\",\"pattern\":\"^[0-7]{3,4}$|" REFERENCE "\"");
		break;
	case KIND_CHOICE:
		add_choice(out, f);
		break;
	case KIND_TEXTS:
		buffer_add_str(out, "\"type\":\"array\",\"items\":{\"type\":" SCALARS);
		add_pattern(out, f->check, true);
		buffer_add_char(out, '}');
		break;
	case KIND_COMMAND:
		buffer_printf(out,
			      "\"type\":[\"string\",\"number\",\"boolean\",\"array\"],\"items\":{"
			      "\"type\":" SCALARS "}%s",
			      strcmp(f->name, "entrypoint") ? ",\"minItems\":1,\"minLength\":1"
							    : "");
		break;
	case KIND_PAIRS:
		buffer_add_str(
			out, "\"type\":\"object\",\"additionalProperties\":{\"type\":" SCALARS "}");
		if (names)
			buffer_printf(out, ",\"propertyNames\":{\"pattern\":\"%s\"}", names);
		break;
	case KIND_OBJECT:
		buffer_add_str(out, "\"anyOf\":[");
		add_type(out, f->object);
		if (f->object->short_schema)
			buffer_printf(out, ",%s", f->object->short_schema);
		buffer_add_char(out, ']');
		break;
	case KIND_LIST:
		add_list(out, f);
		break;
	case KIND_MAP:
		add_map(out, f);
		break;
	}
}

static void add_properties(struct buffer *out, const struct object_type *type)
{
	bool is_first = true;
	buffer_add_str(out, "\"type\":\"object\",\"additionalProperties\":false,"
			    "\"patternProperties\":{\"^x-\":{}},\"properties\":{");
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		if (f->flags & FIELD_COMPUTED)
			continue;
		buffer_printf(out, "%s\"%s\":{", is_first ? "" : ",", f->name);
		add_doc(out, f->doc);
		buffer_add_char(out, ',');
		add_value(out, f);
		buffer_add_char(out, '}');
		is_first = false;
	}
	buffer_add_char(out, '}');
	const char *before = ",\"required\":[";
	for (size_t i = 0; i < type->field_count; i++) {
		if (!(type->fields[i].flags & FIELD_REQUIRED))
			continue;
		buffer_printf(out, "%s\"%s\"", before, type->fields[i].name);
		before = ",";
	}
	if (before[1] == 0)
		buffer_add_char(out, ']');
}

static void add_type(struct buffer *out, const struct object_type *type)
{
	buffer_add_char(out, '{');
	add_properties(out, type);
	buffer_add_char(out, '}');
}

void spec_schema(struct buffer *out)
{
	buffer_add_str(out, "{\"$schema\":\"http://json-schema.org/draft-07/schema#\","
			    "\"title\":\"ctrz env.yaml\",");
	add_properties(out, &environment_type);
	buffer_add_str(out, "}\n");
}
