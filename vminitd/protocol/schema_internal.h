/* SPDX-License-Identifier: MIT */
/* The engine behind message.c: packs, unpacks, copies and releases a struct by a table of its
 * fields. */
#ifndef CTRZ_VMINITD_PROTOCOL_SCHEMA_INTERNAL_H
#define CTRZ_VMINITD_PROTOCOL_SCHEMA_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum field_kind {
	FIELD_BOOL, /* u8, 0 or 1 */
	FIELD_U32,
	FIELD_I32,
	FIELD_U64,
	FIELD_ENUM,    /* u32 below max */
	FIELD_STRING,  /* u32 size, bytes without NUL; at most max bytes */
	FIELD_BYTES,   /* u32 size, bytes; at most max */
	FIELD_FIXED,   /* exactly max bytes */
	FIELD_STRINGS, /* struct strlist: u32 count, strings; at most max, each at most
			  FIELD_ITEM_MAX bytes */
	FIELD_LIST,    /* u32 count, structs; at most max */
	FIELD_STRUCT,  /* in place */
};

enum { FIELD_ITEM_MAX = 128 * 1024 };

struct schema;

struct field {
	const char *name;
	enum field_kind kind;
	size_t offset;
	size_t count_offset; /* FIELD_BYTES and FIELD_LIST: a size_t */
	uint32_t max;
	const struct schema *element; /* FIELD_LIST and FIELD_STRUCT */
};

struct schema {
	const char *name;
	size_t size;
	const struct field *fields;
	size_t field_count;
};

int schema_pack(const struct schema *s, const void *m, struct buffer *out,
		struct error *err) MUST_CHECK;
int schema_unpack(const struct schema *s, const void *data, size_t size, void *ret,
		  struct error *err) MUST_CHECK;
void schema_copy(const struct schema *s, void *ret, const void *m);
void schema_release(const struct schema *s, void *m);

#endif
