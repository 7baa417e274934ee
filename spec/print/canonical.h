/* SPDX-License-Identifier: MIT */
/* Values of the model as text: canonical JSON, canonical YAML, and one-line forms for people. */
#ifndef CTRZ_SPEC_PRINT_CANONICAL_H
#define CTRZ_SPEC_PRINT_CANONICAL_H

#include "base/buffer.h"
#include "spec/fields/fields.h"

enum canonical_form {
	FORM_JSON, /* one line */
	FORM_FLOW, /* one line of YAML, for people: not read back */
};

struct canonical {
	struct buffer *out;
	enum canonical_form form;
	bool hashed_only; /* without what takes no part in the hash */
};

/** canonical_prints() - whether a field appears in a canonical form */
bool canonical_prints(const struct field *f, const void *object, bool hashed_only);
/** canonical_is_active() - whether an item of a map is printed: containers that are left out are
 * not */
bool canonical_is_active(const struct object_type *type, const struct spec_object *o);
/** canonical_value() - the value of a field of @object */
void canonical_value(const struct canonical *c, const struct field *f, const void *object);
void canonical_object(const struct canonical *c, const struct object_type *type,
		      const void *object);
/** canonical_text() - a text as JSON string, or plain where that is safe (FORM_FLOW) */
void canonical_text(const struct canonical *c, const char *text);
/** canonical_yaml_text() - a text as it is in a YAML file; ${} in it stays what it is */
void canonical_yaml_text(const char *text, struct buffer *out);
/** canonical_yaml() - block YAML; @origins adds "# file:line" */
void canonical_yaml(const struct object_type *type, const void *object, bool origins,
		    struct buffer *out);

#endif
