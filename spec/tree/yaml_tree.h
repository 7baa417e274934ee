/* SPDX-License-Identifier: MIT */
/* A YAML document as a tree in which every node knows its place. Aliases share nodes; merge keys
 * are resolved. */
#ifndef CTRZ_SPEC_TREE_YAML_TREE_H
#define CTRZ_SPEC_TREE_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/report/diagnostics.h"
#include "spec/report/sources.h"
#include "spec/tree/arena.h"

enum {
	YAML_DEPTH_MAX = 64,
	YAML_NODES_MAX = 2000000,
	YAML_ALIAS_NODES_MAX = 100000,
};

enum node_kind { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING };
enum node_style { STYLE_PLAIN, STYLE_SINGLE, STYLE_DOUBLE, STYLE_LITERAL, STYLE_FOLDED };
/* What a scalar is by the core schema of YAML 1.2, or by its tag. */
enum scalar_type { SCALAR_NULL, SCALAR_BOOL, SCALAR_INT, SCALAR_FLOAT, SCALAR_TEXT };

struct node_entry;
struct var_use;

struct node {
	struct source_pos pos;
	uint8_t kind;               /* enum node_kind */
	uint8_t style;              /* enum node_style */
	uint8_t type;               /* enum scalar_type */
	bool is_interpolated;       /* the text came out of ${...}: the schema alone types it */
	bool is_private;            /* some of it came from the host's environment */
	bool is_broken;             /* interpolation failed: no second finding about it */
	bool is_done;               /* interpolation has been here */
	const struct var_use *uses; /* of variables, NULL = none; see interpolate.h */
	unsigned width;             /* code points on its first line */
	uint32_t weight;            /* nodes in it, those of aliases counted each time */
	uint32_t count;
	union {
		const char *text;
		struct node **items;
		struct node_entry *entries;
	};
};

struct node_entry {
	struct node *key; /* a scalar */
	struct node *value;
};

/**
 * yaml_read() - parse a source
 * @ret: the root; NULL for an empty document
 *
 * Findings go to @diags. Return: false if there is no tree to go on with
 */
bool yaml_read(struct spec_arena *arena, const struct source *source, struct diagnostics *diags,
	       struct node **ret);

/** node_get() - value of a key in a mapping, NULL if there is none */
struct node *node_get(const struct node *map, const char *key);
/** node_entry() - the entry of a key, NULL if there is none */
struct node_entry *node_find(const struct node *map, const char *key);
/** node_new_scalar() - a text node with the place of @like */
struct node *node_new_scalar(struct spec_arena *arena, const struct node *like, const char *text);
/** node_new_collection() - an empty mapping or sequence with room for @room and the place of @like
 */
struct node *node_new_collection(struct spec_arena *arena, const struct node *like,
				 enum node_kind kind, size_t room);
/** node_add() - to a collection made with enough room; @key is NULL for sequences */
void node_add(struct node *collection, struct node *key, struct node *value);
/** node_add_text() - key and value as text at the place of @like */
void node_add_text(struct spec_arena *arena, struct node *map, const struct node *like,
		   const char *key, const char *value);
/** node_describe() - "a list", "a map", "text", "a number", "true" ... for messages */
const char *node_describe(const struct node *n);

/** scalar_classify() - type of a plain scalar by the core schema */
enum scalar_type scalar_classify(const char *text);

#endif
