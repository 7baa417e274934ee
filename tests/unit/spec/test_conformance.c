/* SPDX-License-Identifier: MIT */
/* The YAML test suite, where it lies beside the checkout: what is read must be read right. How each
 * case comes out is held in conformance.txt, which CTRZ_GOLDEN_UPDATE writes anew. */
#include <ftw.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json/json.h"
#include "base/text.h"
#include "spec/report/sources.h"
#include "spec/tree/yaml_tree.h"
#include "tests/unit/golden.h"
#include "tests/unit/test.h"

#define SUITE TEST_SOURCE_DIR "/../../shared/conformance/yaml"
#define HELD TEST_SOURCE_DIR "/unit/spec/conformance.txt"

enum { CASE_MAX = 1 << 20 };

static struct strlist found;

static int on_file(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (flag == FTW_F && str_ends(path, "/in.yaml"))
		strlist_take(&found, path_dirname(path));
	return 0;
}

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
		return json_new_int(strtoll(n->text + (n->text[1] == 'o' ? 2 : 0), NULL,
					    n->text[1] == 'o'   ? 8
					    : n->text[1] == 'x' ? 16
								: 10));
	if (n->type == SCALAR_FLOAT)
		return json_new_real(strtod(n->text, NULL));
	return json_new_string(n->text);
}

/* Reals that are whole look like integers in the suite's files, and the other way round. */
static char *flat(const struct json *v)
{
	AUTO_BUFFER out = BUFFER_INIT, plain = BUFFER_INIT;
	json_print(v, 0, true, &out);
	const char *s = buffer_str(&out);
	for (size_t i = 0; s[i]; i++) {
		if (s[i] == '.' && s[i + 1] == '0' && !strchr("0123456789", s[i + 2]))
			i++;
		else
			buffer_add_char(&plain, s[i]);
	}
	return buffer_steal(&plain);
}

/* "right", "rejected" (valid, and refused), "loose" (not valid, and read all the same), "misread"
 */
static const char *judge(const char *dir)
{
	AUTO_FREE char *in = path_join(dir, "in.yaml"), *error = path_join(dir, "error");
	AUTO_FREE char *json_path = path_join(dir, "in.json");
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	assert_ok(err, file_read(in, CASE_MAX, &text, &err));
	diags.sources = sources_new();
	size_t size = text.size;
	struct source *s = sources_add(diags.sources, "in.yaml", "/", buffer_steal(&text), size);
	struct spec_arena *arena = arena_new();
	struct node *root = NULL;
	bool is_read = yaml_read(arena, s, &diags, &root) && !diags.errors;
	const char *verdict;
	if (file_exists(error)) {
		verdict = is_read ? "loose" : "right";
	} else if (!is_read) {
		verdict = "rejected";
	} else {
		AUTO_JSON want = NULL;
		AUTO_JSON got = root ? to_json(root) : json_new_null();
		AUTO_ERROR json_err = ERROR_INIT;
		if (!file_exists(json_path) ||
		    json_read_file(json_path, CASE_MAX, &want, &json_err) < 0) {
			/* No value to compare with: streams of none or several, keys that are no
			 * text. */
			verdict = file_exists(json_path) && root == NULL ? "right" : "unknown";
		} else {
			AUTO_FREE char *a = flat(want), *b = flat(got);
			verdict = str_equal(a, b) ? "right" : "misread";
		}
	}
	arena_free(arena);
	return verdict;
}

TEST(suite_comes_out_as_held)
{
	AUTO_BUFFER made = BUFFER_INIT;
	if (!file_exists(SUITE)) {
		print_message("SKIPPED: the YAML test suite is not at %s\n", SUITE);
		skip();
	}
	nftw(SUITE, on_file, 16, FTW_PHYS);
	strlist_sort(&found);
	assert_true(found.count > 300);
	for (size_t i = 0; i < found.count; i++) {
		buffer_printf(&made, "%s %s\n", found.items[i] + strlen(SUITE) + 1,
			      judge(found.items[i]));
	}
	strlist_release(&found);
	assert_true(golden_same(HELD, &made));
}
