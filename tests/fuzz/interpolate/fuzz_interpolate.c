/* SPDX-License-Identifier: MIT */
/* ${...}: the first line is the default of A, the second that of B, the rest is the text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "spec/load.h"
#include "spec/tree/interpolate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct node *text_node(struct spec_arena *arena, const char *text)
{
	static const struct node like = { .kind = NODE_SCALAR, .width = 1 };
	struct node *n = node_new_scalar(arena, &like, text);
	n->is_interpolated = false;
	return n;
}

static void add_var(struct spec_arena *arena, struct node *vars, const char *name,
		    const char *value)
{
	struct node *body = node_new_collection(arena, vars, NODE_MAPPING, 2);
	node_add(body, text_node(arena, "default"), text_node(arena, value));
	node_add(vars, text_node(arena, name), body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	struct spec_arena *arena = arena_new();
	diags.sources = sources_new();
	struct decode d = {
		.arena = arena, .diags = &diags, .sources = diags.sources, .host = &no_host
	};
	char *text = arena_strndup(arena, (const char *)data, strnlen((const char *)data, size));
	char *second = strchr(text, '\n'), *rest = NULL;
	if (second)
		*second++ = 0;
	rest = second ? strchr(second, '\n') : NULL;
	if (rest)
		*rest++ = 0;
	struct node *like = text_node(arena, "");
	struct node *vars_node = node_new_collection(arena, like, NODE_MAPPING, 3);
	add_var(arena, vars_node, "A", text);
	add_var(arena, vars_node, "B", second ? second : "");
	node_add(vars_node, text_node(arena, "C"),
		 node_new_collection(arena, like, NODE_MAPPING, 0));
	struct node *root = node_new_collection(arena, like, NODE_MAPPING, 2);
	struct node *value = text_node(arena, rest ? rest : "${A}${B}");
	node_add(root, text_node(arena, "key"), value);
	node_add(root, text_node(arena, "again"), value);
	struct vars vars = { 0 };
	vars_read(&d, vars_node, &vars);
	interpolate_file(&d, &vars, root);
	vars_report_unused(&d, &vars);
	vars_release(&vars);
	if (strlen(value->text) > INTERPOLATE_VALUE_MAX)
		abort();
	arena_free(arena);
	return 0;
}
