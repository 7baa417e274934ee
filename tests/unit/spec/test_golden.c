/* SPDX-License-Identifier: MIT */
/* Every file of tests/golden/spec/accept is accepted, prints exactly NAME.out, reads back as itself
 * with the same hash; every file of reject is refused with exactly the text of NAME.out. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "fixture.h"
#include "tests/unit/golden.h"
#include "tests/unit/test.h"

/* What config prints is read back as itself. */
static bool is_fixed_point(struct fixture *f, const struct environment *env, const char *yaml,
			   size_t size)
{
	AUTO_ENVIRONMENT again = NULL;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct spec_options o = SPEC_OPTIONS_INIT;
	o.text = yaml;
	o.text_size = size;
	o.text_name = "config";
	o.text_dir = "/project";
	o.host = &f->host;
	o.keeps_later_keys = true;
	if (spec_load(&o, &again, &diags, &err) < 0) {
		AUTO_BUFFER text = BUFFER_INIT;
		diagnostics_print(&diags, false, &text);
		print_error("config is not read back:\n%s", buffer_str(&text));
		return false;
	}
	AUTO_BUFFER second = BUFFER_INIT;
	spec_yaml(again, false, &second);
	char a[65], b[65];
	spec_hash(env, a);
	spec_hash(again, b);
	if (!str_equal(yaml, buffer_str(&second)) || !str_equal(a, b)) {
		print_error("not a fixed point (%s, %s):\n%s\n---\n%s", a, b, yaml,
			    buffer_str(&second));
		return false;
	}
	return true;
}

static bool json_reads_back(const struct environment *env)
{
	AUTO_BUFFER first = BUFFER_INIT, second = BUFFER_INIT;
	AUTO_ENVIRONMENT again = NULL;
	AUTO_ERROR err = ERROR_INIT;
	spec_json(env, &first);
	if (spec_load_json(buffer_str(&first), first.size, "spec.json", &again, &err) < 0) {
		print_error("spec.json is not read back: %s\n%s", error_message(&err),
			    buffer_str(&first));
		return false;
	}
	spec_json(again, &second);
	if (!str_equal(buffer_str(&first), buffer_str(&second)))
		print_error("spec.json changes:\n%s\n%s", buffer_str(&first), buffer_str(&second));
	return str_equal(buffer_str(&first), buffer_str(&second));
}

static bool check_file(const char *path, bool is_accepted)
{
	AUTO_FREE char *dir = path_dirname(path);
	AUTO_FREE char *out_path = xasprintf("%.*s.out", (int)(strlen(path) - 5), path);
	AUTO_BUFFER text = BUFFER_INIT, made = BUFFER_INIT, yaml = BUFFER_INIT;
	AUTO_ENVIRONMENT env = NULL;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR err = ERROR_INIT;
	assert_ok(err, file_read(path, 32 << 20, &text, &err));
	struct fixture f;
	fixture_init(&f, dir, buffer_str(&text));
	int r = fixture_load(&f, text.data ? text.data : "", text.size, &env, &diags, &err);
	diagnostics_print(&diags, false, &made);
	bool is_good = true;
	if (r == 0) {
		spec_yaml(env, false, &yaml);
		buffer_add_str(&made, buffer_str(&yaml));
		is_good = is_fixed_point(&f, env, buffer_str(&yaml), yaml.size) &&
			  json_reads_back(env);
	}
	fixture_release(&f);
	if ((r == 0) != is_accepted)
		print_error("%s is %s:\n%s", path, r == 0 ? "accepted" : "refused",
			    buffer_str(&made));
	return (r == 0) == is_accepted && is_good && golden_same(out_path, &made);
}

/* Parts are used by others. */
static bool is_part(const char *path)
{
	return str_starts(path_basename(path), "part-");
}

static bool check_accepted(const char *path)
{
	return is_part(path) || check_file(path, true);
}

static bool check_rejected(const char *path)
{
	return is_part(path) || check_file(path, false);
}

TEST(accepted_files_print_as_expected)
{
	golden_each(TEST_SOURCE_DIR "/golden/spec/accept", ".yaml", 70, check_accepted);
}

TEST(rejected_files_say_why)
{
	golden_each(TEST_SOURCE_DIR "/golden/spec/reject", ".yaml", 120, check_rejected);
}
