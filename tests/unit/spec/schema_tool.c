/* SPDX-License-Identifier: MIT */
/* Prints the JSON Schema of env.yaml; with "tree FILE" the values of a file as JSON, for an
 * independent validator to judge; with "hash FILE" its hash. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json/json.h"
#include "spec/spec.h"
#include "spec/tree/yaml_tree.h"

static struct json *to_json(const struct node *n)
{
	struct json *out;
	if (n->kind == NODE_SEQUENCE) {
		out = json_new_array();
		for (size_t i = 0; i < n->count; i++)
			json_add(out, to_json(n->items[i]));
		return out;
	}
	if (n->kind == NODE_MAPPING) {
		out = json_new_object();
		for (size_t i = 0; i < n->count; i++)
			json_set(out, n->entries[i].key->text, to_json(n->entries[i].value));
		return out;
	}
	if (n->type == SCALAR_NULL)
		return json_new_null();
	if (n->type == SCALAR_BOOL)
		return json_new_bool(n->text[0] == 't' || n->text[0] == 'T');
	if (n->type == SCALAR_INT)
		return json_new_int(strtoll(n->text, NULL, 10));
	if (n->type == SCALAR_FLOAT)
		return json_new_real(strtod(n->text, NULL));
	return json_new_string(n->text);
}

static int print_tree(const char *path)
{
	AUTO_BUFFER text = BUFFER_INIT, out = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	if (file_read(path, SPEC_FILE_MAX, &text, &err) < 0)
		return 1;
	diags.sources = sources_new();
	size_t size = text.size;
	struct source *s = sources_add(diags.sources, path, "/", buffer_steal(&text), size);
	struct spec_arena *arena = arena_new();
	struct node *root = NULL;
	bool is_read = yaml_read(arena, s, &diags, &root) && !diags.errors && root;
	if (is_read) {
		AUTO_JSON v = to_json(root);
		json_print(v, 0, false, &out);
		puts(buffer_str(&out));
	}
	arena_free(arena);
	return is_read ? 0 : 2;
}

/* Without a host: rules that look at one say nothing, and files that include others are refused. */
static int print_hash(const char *path)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ENVIRONMENT env = NULL;
	struct spec_options o = SPEC_OPTIONS_INIT;
	char hash[65];
	if (file_read(path, SPEC_FILE_MAX, &text, &err) < 0)
		return 1;
	o.text = buffer_str(&text);
	o.text_size = text.size;
	o.text_name = "env.yaml";
	o.text_dir = "/project";
	o.keeps_later_keys = true;
	if (spec_load(&o, &env, &diags, &err) < 0)
		return 2;
	spec_hash(env, hash);
	puts(hash);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "hash") == 0)
		return print_hash(argv[2]);
	if (argc == 3 && strcmp(argv[1], "tree") == 0)
		return print_tree(argv[2]);
	AUTO_BUFFER out = BUFFER_INIT;
	spec_schema(&out);
	fputs(buffer_str(&out), stdout);
	return 0;
}
