/* SPDX-License-Identifier: MIT */
/* Pictures of an environment: containers, networks, mounts, dependencies. */
#ifndef CTRZ_SPEC_PRINT_GRAPH_H
#define CTRZ_SPEC_PRINT_GRAPH_H

#include "base/buffer.h"
#include "spec/model/environment.h"

/** graph_text() - an indented list for the terminal; what comes first stands first */
void graph_text(const struct environment *env, struct buffer *out);
/** graph_dot() - for Graphviz */
void graph_dot(const struct environment *env, struct buffer *out);
/** graph_svg() - a picture of its own: columns by dependency, one color per network */
void graph_svg(const struct environment *env, struct buffer *out);

#endif
