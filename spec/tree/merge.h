/* SPDX-License-Identifier: MIT */
/* Putting trees together: overlays and includes. */
#ifndef CTRZ_SPEC_TREE_MERGE_H
#define CTRZ_SPEC_TREE_MERGE_H

#include "spec/fields/decode.h"

/** merge_overlay() - @over laid over @base: maps by key, lists of named things by name, KEY: null
 * takes away. Neither tree is changed */
struct node *merge_overlay(struct decode *d, const struct object_type *type, struct node *base,
			   struct node *over);
/** merge_include() - the objects of an included file added to @base; one that is there is E702 */
struct node *merge_include(struct decode *d, struct node *base, struct node *included);

#endif
