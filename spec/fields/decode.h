/* SPDX-License-Identifier: MIT */
/* From tree to model by the field tables. */
#ifndef CTRZ_SPEC_FIELDS_DECODE_H
#define CTRZ_SPEC_FIELDS_DECODE_H

#include "base/map.h"
#include "spec/fields/fields.h"
#include "spec/report/report.h"
#include "spec/report/sources.h"
#include "spec/tree/arena.h"
#include "spec/tree/yaml_tree.h"

/* Where the decoder is, for messages: container "db", its resources, ... */
struct place {
	const struct place *up;
	const struct object_type *type;
	const char *name; /* in a map; NULL otherwise */
};

struct decode {
	struct spec_arena *arena;
	struct diagnostics *diags;
	struct spec_sources *sources;
	const struct spec_host *host; /* never NULL; callbacks may be */
	const struct place *place;
	struct map resolved;  /* see model_resolve(); values are texts of the arena */
	struct map host_vars; /* see host_vars_note(); values are struct spec_text of the arena */
	bool keeps_later;     /* no E120 */
	bool skips_rules;     /* values are missing: what rules would say is not true */
	bool is_canonical;    /* computed fields are read */
};

/** decode_object() - fill @out, zeroed, from a node */
void decode_object(struct decode *d, const struct object_type *type, struct node *n, void *out,
		   const char *name);
/** decode_fill() - defaults for what is not set, all the way down */
void decode_fill(struct decode *d, const struct object_type *type, void *object);
/** decode_long_form() - the value of a field with reshape and expand of its items applied; NULL if
 * it cannot be */
struct node *decode_long_form(struct decode *d, const struct field *f, struct node *value);

/** expected() - E103: "expected a list of texts, got a map" */
struct diagnostic *expected(struct decode *d, const struct node *n, const char *what);
/** place_text() - " in resources of container "db"", made in the arena; "" at the top */
const char *place_text(struct decode *d);
/** shown() - a text shortened for a message, made in the arena */
const char *shown(struct decode *d, const char *text);
/** host_vars_note() - the value of a node goes into the environment: so may those of the host's
 * variables that it refers to */
void host_vars_note(struct decode *d, const struct node *n);
/** host_path() - a path of a file made absolute, from the folder of the file at @pos */
const char *host_path(struct decode *d, struct source_pos pos, const char *path);

/** check_text() - what the field's row asks of a text; findings go to @d */
void check_text(struct decode *d, enum text_check check, const struct node *n, const char *text);
/** check_key() - the same for a name that is a key; @what: "the name of a ", @of: "container" */
void check_key(struct decode *d, enum text_check check, const struct node *key, const char *what,
	       const char *of);
/** text_check_pattern() - JSON Schema pattern of a check, NULL if it is more than one */
const char *text_check_pattern(enum text_check check);

/** spec_subnet_parse() - "10.77.0.0/24" in host byte order; false if it is none */
bool spec_subnet_parse(const char *text, uint32_t *ret_base, unsigned *ret_bits);

/** report_unknown_key() - E102, E104, E105 with the best advice there is */
void report_unknown_key(struct decode *d, const struct object_type *type, const struct node *key);

#endif
