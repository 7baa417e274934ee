/* SPDX-License-Identifier: MIT */
/* The field tables against everything made from them, and the list of keys without effect. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json/json.h"
#include "spec/fields/fields.h"
#include "tests/unit/golden.h"
#include "tests/unit/test.h"

/* Paths of the properties of a schema, as spec_keys() writes them. */
static void schema_paths(struct json *schema, const char *path, struct strlist *out);

static void below(struct json *schema, const char *path, struct strlist *out)
{
	schema_paths(schema, path, out);
	struct json *any = json_member_array(schema, "anyOf");
	for (size_t i = 0; i < json_count(any); i++) {
		struct json *item = json_item(any, i);
		schema_paths(item, path, out);
		struct json *values = json_member_object(item, "additionalProperties");
		if (values) {
			AUTO_FREE char *name = xasprintf("%s.NAME", path);
			below(values, name, out);
		}
	}
	struct json *items = json_member_object(schema, "items");
	if (items) {
		AUTO_FREE char *item = xasprintf("%s[]", path);
		below(items, item, out);
	}
}

static void schema_paths(struct json *schema, const char *path, struct strlist *out)
{
	struct json *properties = json_member_object(schema, "properties");
	if (!properties)
		return;
	for (void *i = json_iter(properties); i; i = json_iter_next(properties, i)) {
		AUTO_FREE char *full =
			xasprintf("%s%s%s", path, *path ? "." : "", json_iter_key(i));
		strlist_add(out, full);
		below(json_iter_value(i), full, out);
	}
}

TEST(schema_and_manual_have_every_key)
{
	AUTO_BUFFER schema = BUFFER_INIT, manual = BUFFER_INIT;
	AUTO_STRLIST keys = STRLIST_INIT, in_schema = STRLIST_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_JSON v = NULL;
	spec_keys(&keys);
	spec_schema(&schema);
	spec_manual(&manual);
	assert_ok(err, json_parse(schema.data, schema.size, schema.size + 1, "schema", &v, &err));
	schema_paths(v, "", &in_schema);
	assert_true(keys.count > 150);
	strlist_sort(&keys);
	strlist_sort(&in_schema);
	AUTO_FREE char *a = strlist_join(&keys, "\n"), *b = strlist_join(&in_schema, "\n");
	assert_string_equal(a, b);
	for (size_t i = 0; i < keys.count; i++) {
		const char *last = strrchr(keys.items[i], '.');
		AUTO_FREE char *row = xasprintf("*%s* (", last ? last + 1 : keys.items[i]);
		assert_non_null(strstr(buffer_str(&manual), row));
	}
}

static void check_rows(const struct object_type *type)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		assert_true(f->doc && strlen(f->doc) > 5 && str_ends(f->doc, "."));
		assert_true(f->offset < type->size);
		assert_ptr_equal(field_find(type, f->name), f);
		bool has_object =
			f->kind == KIND_OBJECT || f->kind == KIND_LIST || f->kind == KIND_MAP;
		assert_int_equal(has_object, f->object != NULL);
		assert_int_equal(f->kind == KIND_CHOICE, f->choices != NULL);
		if (f->object)
			check_rows(f->object);
	}
}

TEST(rows_are_whole)
{
	check_rows(&environment_type);
	check_rows(&config_type);
	check_rows(&lock_type);
}

/* The keys this version refuses with E120. The file is what a reader of the manual is told. */
TEST(keys_without_effect_are_held)
{
	static const char path[] = TEST_SOURCE_DIR "/golden/spec/later-keys.out";
	AUTO_STRLIST keys = STRLIST_INIT;
	AUTO_BUFFER made = BUFFER_INIT;
	spec_later_keys(&keys);
	for (size_t i = 0; i < keys.count; i++)
		buffer_printf(&made, "%s\n", keys.items[i]);
	print_message("no effect in this version yet:\n%s", buffer_str(&made));
	assert_true(golden_same(path, &made));
}
