/* SPDX-License-Identifier: MIT */
/* ${NAME} in the values of a file. */
#ifndef CTRZ_SPEC_TREE_INTERPOLATE_H
#define CTRZ_SPEC_TREE_INTERPOLATE_H

#include "base/map.h"
#include "spec/fields/decode.h"

enum { INTERPOLATE_DEPTH_MAX = 32, INTERPOLATE_VALUE_MAX = 1 << 20 };

enum var_state { VAR_NEW, VAR_BUSY, VAR_DONE };

struct var {
	const char *name;
	const struct node *key;
	const struct node *fallback; /* of "default:"; NULL = none */
	const char *env;             /* NULL = none */
	const char *value;           /* NULL = unset; known when DONE */
	enum var_state state;
	bool is_used, is_private;
	bool is_given;              /* see host_vars_note() */
	const struct var_use *uses; /* of others, by its default */
};

/* A variable that a text refers to. */
struct var_use {
	struct var *var;
	const struct var_use *next; /* NULL = the last */
};

/* The variables of a file, or of the files given by -f together. */
struct vars {
	struct map by_name; /* to struct var of the arena */
	size_t total;       /* bytes made so far */
	bool is_flooded;
};

/** vars_read() - from the "vars" node of a file; NULL is none */
void vars_read(struct decode *d, const struct node *node, struct vars *vars);
void vars_release(struct vars *vars);
/** vars_report_unused() - W207 */
void vars_report_unused(struct decode *d, const struct vars *vars);

/** interpolate_file() - all values of a file in place, but not vars, include and name */
void interpolate_file(struct decode *d, struct vars *vars, struct node *root);

#endif
