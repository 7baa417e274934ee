/* SPDX-License-Identifier: MIT */
/* Shared by the files of field tables. */
#ifndef CTRZ_SPEC_FIELDS_FIELDS_INTERNAL_H
#define CTRZ_SPEC_FIELDS_FIELDS_INTERNAL_H

#include "spec/fields/fields.h"

/* The part of an object_type that follows from its struct: the rows are in type_##_fields. */
#define OBJECT(type_, word_, doc_)                                               \
	.word = (word_), .size = sizeof(struct type_), .fields = type_##_fields, \
	.field_count = sizeof(type_##_fields) / sizeof(type_##_fields[0]), .doc = (doc_)

#endif
