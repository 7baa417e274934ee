/* SPDX-License-Identifier: MIT */
/* Compose files of tests/golden/import: each becomes the env.yaml of NAME.out, with what was said
 * of it as comments; what comes out is an env.yaml that loads. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include "spec/compose/import.h"
#include "spec/spec.h"
#include "tests/unit/golden.h"
#include "tests/unit/test.h"

#define DIR_PATH TEST_SOURCE_DIR "/golden/import"

/* What was made loads, but for what this host does not have. */
static bool loads(const struct buffer *yaml)
{
	AUTO_ENVIRONMENT env = NULL;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct spec_options o = SPEC_OPTIONS_INIT;
	o.text = buffer_str(yaml);
	o.text_size = yaml->size;
	o.text_name = "env.yaml";
	o.text_dir = "/project";
	o.keeps_later_keys = true;
	if (spec_load(&o, &env, &diags, &err) < 0)
		error_clear(&err);
	bool is_good = true;
	for (size_t i = 0; i < diags.count; i++) {
		static const char *const fine[] = { "E401" };
		bool is_fine = !diags.items[i].is_error;
		for (size_t j = 0; j < ARRAY_SIZE(fine); j++)
			is_fine = is_fine || str_equal(diags.items[i].code, fine[j]);
		/* What needs a value from the host says so, as it did. */
		is_fine = is_fine || str_equal(diags.items[i].code, "E208");
		is_good = is_good && is_fine;
	}
	if (!is_good) {
		AUTO_BUFFER out = BUFFER_INIT;
		diagnostics_print(&diags, false, &out);
		print_error("%s", buffer_str(&out));
	}
	return is_good;
}

static bool check_file(const char *path)
{
	AUTO_BUFFER text = BUFFER_INIT, yaml = BUFFER_INIT, said = BUFFER_INIT;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *out_path = xasprintf("%.*s.out", (int)(strlen(path) - 5), path);
	assert_ok(err, file_read(path, 1 << 20, &text, &err));
	assert_ok(err, compose_import(buffer_str(&text), text.size, "compose.yaml", &yaml, &diags,
				      &err));
	diagnostics_print_most(&diags, SIZE_MAX, false, &said);
	buffer_printf(&said, "---\n%s", buffer_str(&yaml));
	bool is_good = loads(&yaml);
	return golden_same(out_path, &said) && is_good;
}

TEST(compose_files_become_env_files)
{
	golden_each(DIR_PATH, ".yaml", 40, check_file);
}

TEST(every_key_of_a_service_has_a_rule)
{
	static const char prefix[] = "services.*.";
	AUTO_STRLIST rules = STRLIST_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	size_t count = 0;
	compose_keys(&rules);
	AUTO_ERROR err = ERROR_INIT;
	assert_ok(err, file_read(DIR_PATH "/keys.txt", 1 << 20, &text, &err));
	for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n")) {
		if (!str_starts(line, prefix))
			continue;
		char *key = line + sizeof(prefix) - 1;
		key[strcspn(key, ".\t")] = 0;
		if (!strlist_has(&rules, key))
			fail_msg("no rule for %s", key);
		count++;
	}
	assert_true(count > 90);
}

TEST(other_files_are_refused)
{
	static const char *const bad[] = {
		"", "a: b\n", "services: []\n", "services: {}\n", "- a\n", "services:\n\ta: b\n"
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO_BUFFER yaml = BUFFER_INIT;
		AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
		AUTO_ERROR err = ERROR_INIT;
		assert_error(err, E_INVALID,
			     compose_import(bad[i], strlen(bad[i]), "c.yaml", &yaml, &diags, &err));
		assert_true(diags.errors > 0);
		assert_int_equal(yaml.size, 0);
	}
}
