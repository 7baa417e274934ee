/* SPDX-License-Identifier: MIT */
/* JSON values over jansson: bounded parsing, typed getters with good errors, building and printing.
 * The only folder that knows jansson. A "struct json" is a jansson value; ownership is by reference
 * count. */
#ifndef CTRZ_BASE_JSON_JSON_H
#define CTRZ_BASE_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"

struct json;

enum json_kind {
	JSON_NULL_T,
	JSON_BOOL_T,
	JSON_INT_T,
	JSON_REAL_T,
	JSON_STRING_T,
	JSON_ARRAY_T,
	JSON_OBJECT_T
};

/** json_parse() - one value of at most @max bytes; duplicate keys, depth over 256 and trailing text
 * are E_INVALID.
 * @what names the source in messages. *ret is owned */
int json_parse(const char *text, size_t size, size_t max, const char *what, struct json **ret,
	       struct error *err) MUST_CHECK;
/** json_read_file() - json_parse() of a file */
int json_read_file(const char *path, size_t max, struct json **ret, struct error *err) MUST_CHECK;
/** json_print() - append as text; @indent 0 = one line. Keys keep their order unless @sorted */
void json_print(const struct json *v, unsigned indent, bool sorted, struct buffer *out);
/** json_text() - owned one-line text */
char *json_text(const struct json *v);
void json_free(struct json *v); /* drops one reference; NULL is fine */
DEFINE_CLEANUP(struct json *, json_free)
#define AUTO_JSON CLEANUP(json_free_p) struct json *
struct json *json_ref(struct json *v);

enum json_kind json_kind_of(const struct json *v);

/* Getters on an object: lent values. The _opt_ forms give the default where the key is missing or
 * null and fail only on a wrong type; the others fail with E_INVALID "<what>: "key" is missing"
 * too. */
int json_get_string(const struct json *o, const char *key, const char *what, const char **ret,
		    struct error *err) MUST_CHECK;
int json_get_u64(const struct json *o, const char *key, const char *what, uint64_t *ret,
		 struct error *err) MUST_CHECK;
/* Loose forms: missing or of another type = the default. */
const char *json_str(const struct json *o, const char *key, const char *fallback);
uint64_t json_u64(const struct json *o, const char *key, uint64_t fallback);
int64_t json_i64(const struct json *o, const char *key, int64_t fallback);
bool json_bool(const struct json *o, const char *key, bool fallback);
/** json_member() - any value, NULL if missing or @o is no object */
struct json *json_member(const struct json *o, const char *key);
/** json_member_array() / json_member_object() - NULL if missing or of another type */
struct json *json_member_array(const struct json *o, const char *key);
struct json *json_member_object(const struct json *o, const char *key);
size_t json_count(const struct json *array_or_object);
struct json *json_item(const struct json *array, size_t index);
/** json_string_value() - NULL unless a string */
const char *json_string_value_of(const struct json *v);
int64_t json_int_value_of(const struct json *v, int64_t fallback);
/** json_strings() - append the strings of an array member; false if a member is there but no array
 * of strings */
bool json_strings(const struct json *o, const char *key, struct strlist *out);

/* Walking an object. */
void *json_iter(struct json *o);
void *json_iter_next(struct json *o, void *iter);
const char *json_iter_key(void *iter);
struct json *json_iter_value(void *iter);

/* Building. Setters and adders take ownership of @v; text that is not UTF-8 is stored with U+FFFD
 * in place of bad bytes. */
struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_string(const char *s); /* NULL gives null */
struct json *json_new_string_n(const char *s, size_t size);
struct json *json_new_int(int64_t v);
struct json *json_new_real(double v);
struct json *json_new_bool(bool v);
struct json *json_new_null(void);
void json_set(struct json *o, const char *key, struct json *v);
void json_set_string(struct json *o, const char *key, const char *s);
void json_set_int(struct json *o, const char *key, int64_t v);
void json_set_bool(struct json *o, const char *key, bool v);
void json_set_strings(struct json *o, const char *key, const struct strlist *l);
void json_add(struct json *array, struct json *v);

#endif
