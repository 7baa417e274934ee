/* SPDX-License-Identifier: MIT */
/* JSON values over jansson. A struct json is never defined: its pointers are jansson's. */
#include "base/json/json.h"

#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

static json_t *raw(const struct json *v)
{
	json_t *j;
	memcpy(&j, &v, sizeof(j)); /* jansson's getters take pointers that are not const */
	return j;
}

static struct json *wrap(json_t *j)
{
	return (struct json *)j;
}

/* Building fails in jansson only without memory. */
static struct json *made(json_t *j)
{
	if (!j)
		abort();
	return wrap(j);
}

int json_parse(const char *text, size_t size, size_t max, const char *what, struct json **ret,
	       struct error *err)
{
	if (size > max)
		return error_set(err, E_INVALID, "%s is larger than %zu bytes", what, max);
	json_error_t e;
	json_t *j = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (!j) {
		AUTO_FREE char *said = text_escaped(e.text);
		return error_set(err, E_INVALID, "%s is not valid JSON: line %d column %d: %s",
				 what, e.line, e.column, said);
	}
	*ret = wrap(j);
	return 0;
}

int json_read_file(const char *path, size_t max, struct json **ret, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;
	int r = file_read(path, max, &b, err);
	if (r < 0)
		return r;
	return json_parse(buffer_str(&b), b.size, max, path, ret, err);
}

static int add_to_buffer(const char *data, size_t size, void *arg)
{
	buffer_add(arg, data, size);
	return 0;
}

void json_print(const struct json *v, unsigned indent, bool sorted, struct buffer *out)
{
	size_t flags = JSON_ENCODE_ANY | JSON_INDENT(indent) | (sorted ? JSON_SORT_KEYS : 0) |
		       (indent ? 0 : JSON_COMPACT) | JSON_REAL_PRECISION(15);
	if (json_dump_callback(raw(v), add_to_buffer, out, flags) < 0)
		abort();
}

char *json_text(const struct json *v)
{
	struct buffer b = BUFFER_INIT;
	json_print(v, 0, false, &b);
	return buffer_steal(&b);
}

void json_free(struct json *v)
{
	json_decref(raw(v));
}

struct json *json_ref(struct json *v)
{
	return wrap(json_incref(raw(v)));
}

enum json_kind json_kind_of(const struct json *v)
{
	switch (json_typeof(raw(v))) {
	case JSON_OBJECT:
		return JSON_OBJECT_T;
	case JSON_ARRAY:
		return JSON_ARRAY_T;
	case JSON_STRING:
		return JSON_STRING_T;
	case JSON_INTEGER:
		return JSON_INT_T;
	case JSON_REAL:
		return JSON_REAL_T;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_BOOL_T;
	case JSON_NULL:
	default:
		return JSON_NULL_T;
	}
}

struct json *json_member(const struct json *o, const char *key)
{
	return o ? wrap(json_object_get(raw(o), key)) : NULL;
}

static json_t *member(const struct json *o, const char *key)
{
	return raw(json_member(o, key));
}

int json_get_string(const struct json *o, const char *key, const char *what, const char **ret,
		    struct error *err)
{
	json_t *v = member(o, key);
	if (!v)
		return error_set(err, E_INVALID, "%s: \"%s\" is missing", what, key);
	if (!json_is_string(v))
		return error_set(err, E_INVALID, "%s: \"%s\" is no string", what, key);
	*ret = json_string_value(v);
	return 0;
}

int json_get_u64(const struct json *o, const char *key, const char *what, uint64_t *ret,
		 struct error *err)
{
	json_t *v = member(o, key);
	if (!v)
		return error_set(err, E_INVALID, "%s: \"%s\" is missing", what, key);
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return error_set(err, E_INVALID, "%s: \"%s\" is no whole number of 0 or more", what,
				 key);
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

const char *json_str(const struct json *o, const char *key, const char *fallback)
{
	const char *s = json_string_value(member(o, key));
	return s ? s : fallback;
}

uint64_t json_u64(const struct json *o, const char *key, uint64_t fallback)
{
	json_t *v = member(o, key);
	return v && json_is_integer(v) && json_integer_value(v) >= 0
		       ? (uint64_t)json_integer_value(v)
		       : fallback;
}

int64_t json_i64(const struct json *o, const char *key, int64_t fallback)
{
	json_t *v = member(o, key);
	return v && json_is_integer(v) ? json_integer_value(v) : fallback;
}

bool json_bool(const struct json *o, const char *key, bool fallback)
{
	json_t *v = member(o, key);
	return v && json_is_boolean(v) ? json_is_true(v) : fallback;
}

struct json *json_member_array(const struct json *o, const char *key)
{
	json_t *v = member(o, key);
	return v && json_is_array(v) ? wrap(v) : NULL;
}

struct json *json_member_object(const struct json *o, const char *key)
{
	json_t *v = member(o, key);
	return v && json_is_object(v) ? wrap(v) : NULL;
}

size_t json_count(const struct json *v)
{
	if (!v)
		return 0;
	return json_is_array(raw(v)) ? json_array_size(raw(v)) : json_object_size(raw(v));
}

struct json *json_item(const struct json *array, size_t index)
{
	return wrap(json_array_get(raw(array), index));
}

const char *json_string_value_of(const struct json *v)
{
	return v ? json_string_value(raw(v)) : NULL;
}

int64_t json_int_value_of(const struct json *v, int64_t fallback)
{
	return v && json_is_integer(raw(v)) ? json_integer_value(raw(v)) : fallback;
}

bool json_strings(const struct json *o, const char *key, struct strlist *out)
{
	json_t *v = member(o, key);
	if (!v || json_is_null(v))
		return true;
	if (!json_is_array(v))
		return false;
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *s = json_string_value(json_array_get(v, i));
		if (!s)
			return false;
		strlist_add(out, s);
	}
	return true;
}

void *json_iter(struct json *o)
{
	return o ? json_object_iter(raw(o)) : NULL;
}

void *json_iter_next(struct json *o, void *iter)
{
	return json_object_iter_next(raw(o), iter);
}

const char *json_iter_key(void *iter)
{
	return json_object_iter_key(iter);
}

struct json *json_iter_value(void *iter)
{
	return wrap(json_object_iter_value(iter));
}

struct json *json_new_object(void)
{
	return made(json_object());
}

struct json *json_new_array(void)
{
	return made(json_array());
}

struct json *json_new_string_n(const char *s, size_t size)
{
	json_t *j = json_stringn(s, size);
	if (j)
		return wrap(j);
	AUTO_BUFFER b = BUFFER_INIT;
	for (size_t i = 0; i < size;) {
		uint32_t code;
		size_t n = utf8_decode(s + i, size - i, &code);
		if (n)
			buffer_add(&b, s + i, n);
		else
			buffer_add_str(&b, "\xef\xbf\xbd");
		i += n ? n : 1;
	}
	return made(json_stringn(buffer_str(&b), b.size));
}

struct json *json_new_string(const char *s)
{
	return s ? json_new_string_n(s, strlen(s)) : made(json_null());
}

struct json *json_new_int(int64_t v)
{
	return made(json_integer(v));
}

struct json *json_new_real(double v)
{
	json_t *j = json_real(v);
	return made(j ? j : json_null()); /* infinity and NaN have no JSON form */
}

struct json *json_new_bool(bool v)
{
	return made(json_boolean(v));
}

struct json *json_new_null(void)
{
	return made(json_null());
}

void json_set(struct json *o, const char *key, struct json *v)
{
	if (json_object_set_new(raw(o), key, raw(v)) < 0)
		abort();
}

void json_set_string(struct json *o, const char *key, const char *s)
{
	json_set(o, key, json_new_string(s));
}

void json_set_int(struct json *o, const char *key, int64_t v)
{
	json_set(o, key, json_new_int(v));
}

void json_set_bool(struct json *o, const char *key, bool v)
{
	json_set(o, key, json_new_bool(v));
}

void json_set_strings(struct json *o, const char *key, const struct strlist *l)
{
	struct json *a = json_new_array();
	for (size_t i = 0; i < l->count; i++)
		json_add(a, json_new_string(l->items[i]));
	json_set(o, key, a);
}

void json_add(struct json *array, struct json *v)
{
	if (json_array_append_new(raw(array), raw(v)) < 0)
		abort();
}
