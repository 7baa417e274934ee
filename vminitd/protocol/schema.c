/* SPDX-License-Identifier: MIT */
/* Packing, unpacking, copying and releasing structs by their table of fields. */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/text.h"
#include "vminitd/protocol/schema_internal.h"

struct reader {
	const uint8_t *at;
	size_t left;
	const char *message; /* for errors */
};

static void *member(void *base, size_t offset)
{
	return (char *)base + offset;
}

static const void *const_member(const void *base, size_t offset)
{
	return (const char *)base + offset;
}

static const char *get_pointer(const void *base, size_t offset)
{
	const char *p;
	memcpy(&p, const_member(base, offset), sizeof(p));
	return p;
}

static size_t get_size(const void *base, size_t offset)
{
	size_t n;
	memcpy(&n, const_member(base, offset), sizeof(n));
	return n;
}

static void set_pointer(void *base, size_t offset, const void *p)
{
	memcpy(member(base, offset), &p, sizeof(p));
}

static void set_size(void *base, size_t offset, size_t n)
{
	memcpy(member(base, offset), &n, sizeof(n));
}

static void add_u32(struct buffer *out, uint32_t v)
{
	uint8_t bytes[4];
	put_be32(bytes, v);
	buffer_add(out, bytes, sizeof(bytes));
}

static void add_u64(struct buffer *out, uint64_t v)
{
	uint8_t bytes[8];
	put_be64(bytes, v);
	buffer_add(out, bytes, sizeof(bytes));
}

static int add_bytes(struct buffer *out, const void *data, size_t size, uint32_t max,
		     const struct field *f, struct error *err)
{
	if (size > max)
		return error_set(err, E_INVALID, "%s of %zu bytes is over the limit of %u bytes",
				 f->name, size, max);
	add_u32(out, (uint32_t)size);
	if (size > 0)
		buffer_add(out, data, size);
	return 0;
}

static int add_count(struct buffer *out, size_t count, const struct field *f, struct error *err)
{
	if (count > f->max)
		return error_set(err, E_INVALID, "%zu %s are over the limit of %u", count, f->name,
				 f->max);
	add_u32(out, (uint32_t)count);
	return 0;
}

static int pack_fields(const struct schema *s, const void *m, struct buffer *out,
		       struct error *err);

static int pack_strings(const struct field *f, const struct strlist *l, struct buffer *out,
			struct error *err)
{
	int r = add_count(out, l->count, f, err);

	for (size_t i = 0; r == 0 && i < l->count; i++)
		r = add_bytes(out, l->items[i], strlen(l->items[i]), FIELD_ITEM_MAX, f, err);
	return r;
}

static int pack_list(const struct field *f, const void *m, struct buffer *out, struct error *err)
{
	const char *items = get_pointer(m, f->offset);
	size_t count = get_size(m, f->count_offset);
	int r = add_count(out, count, f, err);

	for (size_t i = 0; r == 0 && i < count; i++)
		r = pack_fields(f->element, items + i * f->element->size, out, err);
	return r;
}

static int pack_scalar(const struct field *f, const void *at, struct buffer *out, struct error *err)
{
	uint32_t u32;
	uint64_t u64;
	bool flag;

	switch ((int)f->kind) {
	case FIELD_BOOL:
		memcpy(&flag, at, sizeof(flag));
		buffer_add_char(out, (char)flag);
		return 0;
	case FIELD_U64:
		memcpy(&u64, at, sizeof(u64));
		add_u64(out, u64);
		return 0;
	default:
		memcpy(&u32, at, sizeof(u32));
		if (f->kind == FIELD_ENUM && u32 >= f->max)
			return error_set(err, E_INVALID, "%s %u is unknown", f->name, u32);
		add_u32(out, u32);
		return 0;
	}
}

static int pack_field(const struct field *f, const void *m, struct buffer *out, struct error *err)
{
	const void *at = const_member(m, f->offset);
	const char *text;

	switch (f->kind) {
	case FIELD_STRING:
		text = get_pointer(m, f->offset);
		return add_bytes(out, text, text ? strlen(text) : 0, f->max, f, err);
	case FIELD_BYTES:
		return add_bytes(out, get_pointer(m, f->offset), get_size(m, f->count_offset),
				 f->max, f, err);
	case FIELD_FIXED:
		buffer_add(out, at, f->max);
		return 0;
	case FIELD_STRINGS:
		return pack_strings(f, at, out, err);
	case FIELD_LIST:
		return pack_list(f, m, out, err);
	case FIELD_STRUCT:
		return pack_fields(f->element, at, out, err);
	case FIELD_BOOL:
	case FIELD_U32:
	case FIELD_I32:
	case FIELD_U64:
	case FIELD_ENUM:
		break;
	}
	return pack_scalar(f, at, out, err);
}

static int pack_fields(const struct schema *s, const void *m, struct buffer *out, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->field_count; i++)
		r = pack_field(&s->fields[i], m, out, err);
	return r;
}

int schema_pack(const struct schema *s, const void *m, struct buffer *out, struct error *err)
{
	size_t begin = out->size;
	int r = pack_fields(s, m, out, err);

	if (r == 0)
		return 0;
	out->size = begin;
	if (out->data)
		out->data[begin] = '\0';
	return error_wrap(err, "%s", s->name);
}

static int bad(const struct reader *r, const struct field *f, const char *what, struct error *err)
{
	return error_set(err, E_INTEGRITY, "message %s: %s: %s", r->message, f->name, what);
}

/* The next @size bytes, or NULL with @err set. */
static const uint8_t *take(struct reader *r, size_t size, const struct field *f, struct error *err)
{
	const uint8_t *p = r->at;

	if (size > r->left) {
		(void)bad(r, f, "cut off", err);
		return NULL;
	}
	r->at += size;
	r->left -= size;
	return p;
}

static int take_u32(struct reader *r, const struct field *f, uint32_t *ret, struct error *err)
{
	const uint8_t *p = take(r, 4, f, err);

	if (!p)
		return -E_INTEGRITY;
	*ret = get_be32(p);
	return 0;
}

static const uint8_t *take_bytes(struct reader *r, const struct field *f, size_t *ret_size,
				 uint32_t max, struct error *err)
{
	uint32_t size = 0;

	if (take_u32(r, f, &size, err) < 0)
		return NULL;
	if (size > max) {
		(void)bad(r, f, "too long", err);
		return NULL;
	}
	*ret_size = size;
	return take(r, size, f, err);
}

static char *take_string(struct reader *r, const struct field *f, uint32_t max, struct error *err)
{
	size_t size = 0;
	const uint8_t *data = take_bytes(r, f, &size, max, err);

	if (!data)
		return NULL;
	if (memchr(data, 0, size)) {
		(void)bad(r, f, "holds a NUL byte", err);
		return NULL;
	}
	return xstrndup((const char *)data, size);
}

static int unpack_fields(struct reader *r, const struct schema *s, void *m, struct error *err);

static int unpack_strings(struct reader *r, const struct field *f, struct strlist *l,
			  struct error *err)
{
	uint32_t count = 0;

	if (take_u32(r, f, &count, err) < 0)
		return -E_INTEGRITY;
	if (count > f->max)
		return bad(r, f, "too many", err);
	for (uint32_t i = 0; i < count; i++) {
		char *item = take_string(r, f, FIELD_ITEM_MAX, err);
		if (!item)
			return -E_INTEGRITY;
		strlist_take(l, item);
	}
	return 0;
}

static int unpack_list(struct reader *r, const struct field *f, void *m, struct error *err)
{
	uint32_t count = 0;
	int n = take_u32(r, f, &count, err);

	if (n < 0)
		return n;
	/* Every element takes at least one byte: a claim beyond what came costs no memory. */
	if (count > f->max || count > r->left)
		return bad(r, f, "too many", err);
	if (count == 0)
		return 0;
	char *items = xcalloc(count, f->element->size);
	set_pointer(m, f->offset, items);
	set_size(m, f->count_offset, count);
	for (uint32_t i = 0; n == 0 && i < count; i++)
		n = unpack_fields(r, f->element, items + i * f->element->size, err);
	return n;
}

static int unpack_bytes(struct reader *r, const struct field *f, void *m, struct error *err)
{
	size_t size = 0;
	const uint8_t *data = take_bytes(r, f, &size, f->max, err);

	if (!data)
		return -E_INTEGRITY;
	if (size == 0)
		return 0;
	set_pointer(m, f->offset, xmemdup(data, size));
	set_size(m, f->count_offset, size);
	return 0;
}

static int unpack_scalar(struct reader *r, const struct field *f, void *at, struct error *err)
{
	size_t size = f->kind == FIELD_BOOL ? 1 : f->kind == FIELD_U64 ? 8 : 4;
	const uint8_t *p = take(r, size, f, err);

	if (!p)
		return -E_INTEGRITY;
	if (f->kind == FIELD_BOOL) {
		bool flag = p[0] == 1;
		if (p[0] > 1)
			return bad(r, f, "neither true nor false", err);
		memcpy(at, &flag, sizeof(flag));
	} else if (f->kind == FIELD_U64) {
		uint64_t v = get_be64(p);
		memcpy(at, &v, sizeof(v));
	} else {
		uint32_t v = get_be32(p);
		if (f->kind == FIELD_ENUM && v >= f->max)
			return bad(r, f, "unknown value", err);
		memcpy(at, &v, sizeof(v));
	}
	return 0;
}

static int unpack_field(struct reader *r, const struct field *f, void *m, struct error *err)
{
	void *at = member(m, f->offset);
	const uint8_t *p = NULL;
	char *text = NULL;

	switch (f->kind) {
	case FIELD_STRING:
		text = take_string(r, f, f->max, err);
		set_pointer(m, f->offset, text);
		return text ? 0 : -E_INTEGRITY;
	case FIELD_BYTES:
		return unpack_bytes(r, f, m, err);
	case FIELD_FIXED:
		p = take(r, f->max, f, err);
		if (!p)
			return -E_INTEGRITY;
		memcpy(at, p, f->max);
		return 0;
	case FIELD_STRINGS:
		return unpack_strings(r, f, at, err);
	case FIELD_LIST:
		return unpack_list(r, f, m, err);
	case FIELD_STRUCT:
		return unpack_fields(r, f->element, at, err);
	case FIELD_BOOL:
	case FIELD_U32:
	case FIELD_I32:
	case FIELD_U64:
	case FIELD_ENUM:
		break;
	}
	return unpack_scalar(r, f, at, err);
}

static int unpack_fields(struct reader *r, const struct schema *s, void *m, struct error *err)
{
	int n = 0;

	for (size_t i = 0; n == 0 && i < s->field_count; i++)
		n = unpack_field(r, &s->fields[i], m, err);
	return n;
}

int schema_unpack(const struct schema *s, const void *data, size_t size, void *ret,
		  struct error *err)
{
	struct reader r = { .at = data, .left = size, .message = s->name };
	AUTO_FREE char *m = xcalloc(1, s->size);
	int n = unpack_fields(&r, s, m, err);

	if (n == 0 && r.left > 0)
		n = error_set(err, E_INTEGRITY,
			      "message %s: %zu bytes too many: the other end is of another version",
			      s->name, r.left);
	if (n < 0) {
		schema_release(s, m);
		return n;
	}
	memcpy(ret, m, s->size);
	return 0;
}

static void copy_list(const struct field *f, void *ret, const void *m)
{
	const char *from = get_pointer(m, f->offset);
	size_t count = get_size(m, f->count_offset), size = f->element->size;

	if (count == 0) {
		set_pointer(ret, f->offset, NULL);
		return;
	}
	char *to = xcalloc(count, size);
	set_pointer(ret, f->offset, to);
	for (size_t i = 0; i < count; i++)
		schema_copy(f->element, to + i * size, from + i * size);
}

void schema_copy(const struct schema *s, void *ret, const void *m)
{
	memcpy(ret, m, s->size);
	for (size_t i = 0; i < s->field_count; i++) {
		const struct field *f = &s->fields[i];
		void *to = member(ret, f->offset);
		const char *text = NULL;

		if (f->kind == FIELD_STRING) {
			text = get_pointer(m, f->offset);
			set_pointer(ret, f->offset, text ? xstrdup(text) : NULL);
		} else if (f->kind == FIELD_BYTES) {
			size_t size = get_size(m, f->count_offset);
			text = get_pointer(m, f->offset);
			set_pointer(ret, f->offset, size ? xmemdup(text, size) : NULL);
		} else if (f->kind == FIELD_STRINGS) {
			memset(to, 0, sizeof(struct strlist));
			strlist_copy(to, const_member(m, f->offset));
		} else if (f->kind == FIELD_LIST) {
			copy_list(f, ret, m);
		} else if (f->kind == FIELD_STRUCT) {
			schema_copy(f->element, to, const_member(m, f->offset));
		}
	}
}

static void free_pointer(const void *m, size_t offset)
{
	void *p;
	memcpy(&p, const_member(m, offset), sizeof(p));
	free(p);
}

static void release_list(const struct field *f, void *m)
{
	void *items;
	size_t count = get_size(m, f->count_offset);

	memcpy(&items, member(m, f->offset), sizeof(items));
	for (size_t i = 0; i < count; i++)
		schema_release(f->element, member(items, i * f->element->size));
	free(items);
}

void schema_release(const struct schema *s, void *m)
{
	for (size_t i = 0; i < s->field_count; i++) {
		const struct field *f = &s->fields[i];

		if (f->kind == FIELD_STRING || f->kind == FIELD_BYTES)
			free_pointer(m, f->offset);
		else if (f->kind == FIELD_STRINGS)
			strlist_release(member(m, f->offset));
		else if (f->kind == FIELD_LIST)
			release_list(f, m);
		else if (f->kind == FIELD_STRUCT)
			schema_release(f->element, member(m, f->offset));
	}
	memset(m, 0, s->size);
}
