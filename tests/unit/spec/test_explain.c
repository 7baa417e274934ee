/* SPDX-License-Identifier: MIT */
/* Every code that is said is explained, and every code explained has its golden files. */
#include <dirent.h>
#include <stdio.h>

#include "../test.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include "spec/report/explain.h"

#define GOLDEN TEST_SOURCE_DIR "/golden/"

/* How many .out files of a folder whose name begins with @prefix say @code, and how many do not. */
struct tally {
	size_t saying, silent;
};

static struct tally count_files(const char *dir, const char *prefix, const char *code)
{
	struct tally n = { 0 };
	AUTO_FREE char *mark = xasprintf("[%s]", code);
	AUTO_DIR DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (!str_starts(e->d_name, prefix) || !str_ends(e->d_name, ".out"))
			continue;
		AUTO_FREE char *path = path_join(dir, e->d_name);
		AUTO_BUFFER text = BUFFER_INIT;
		AUTO_ERROR err = ERROR_INIT;
		assert_ok(err, file_read(path, 1 << 20, &text, &err));
		if (strstr(buffer_str(&text), mark))
			n.saying++;
		else
			n.silent++;
	}
	return n;
}

static bool has_pair(const char *code)
{
	if (code[1] == '8') {
		struct tally n = count_files(GOLDEN "import", "", code);
		return n.saying && n.silent;
	}
	struct tally accepted = count_files(GOLDEN "spec/accept", code, code);
	if (code[0] == 'W')
		return accepted.saying && accepted.silent;
	return accepted.silent && !accepted.saying &&
	       count_files(GOLDEN "spec/reject", code, code).saying;
}

/* A rule is shown by a file that it accepts and one that it does not. */
TEST(every_code_has_its_pair_of_files)
{
	size_t count, missing = 0;
	const struct explanation *all = spec_explanations(&count);
	for (size_t i = 0; i < count; i++) {
		assert_true(i == 0 || strcmp(all[i - 1].code, all[i].code) < 0);
		if (has_pair(all[i].code))
			continue;
		print_error("%s has no pair of golden files\n", all[i].code);
		missing++;
	}
	assert_int_equal(missing, 0);
}

static void check_said(const char *dir)
{
	AUTO_DIR DIR *d = opendir(dir);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (!str_ends(e->d_name, ".out"))
			continue;
		AUTO_FREE char *path = path_join(dir, e->d_name);
		AUTO_BUFFER text = BUFFER_INIT;
		AUTO_ERROR err = ERROR_INIT;
		assert_ok(err, file_read(path, 1 << 20, &text, &err));
		for (const char *at = buffer_str(&text); (at = strchr(at, '[')); at++) {
			bool is_code = (at[1] == 'E' || at[1] == 'W') &&
				       strspn(at + 2, "0123456789") == 3 && at[5] == ']';
			AUTO_FREE char *code = is_code ? xstrndup(at + 1, 4) : NULL;
			if (code && !spec_explanation(code))
				fail_msg("%s of %s is not explained", code, e->d_name);
		}
	}
}

TEST(all_that_is_said_is_explained)
{
	check_said(GOLDEN "spec/reject");
	check_said(GOLDEN "spec/accept");
	check_said(GOLDEN "import");
}

/* The codes in the source are those of the table. */
TEST(every_code_of_the_source_is_explained)
{
	static const char *const folders[] = { "fields", "model", "tree", "compose", "." };
	size_t found = 0;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		AUTO_FREE char *dir = xasprintf("%s/../spec/%s", TEST_SOURCE_DIR, folders[i]);
		AUTO_DIR DIR *d = opendir(dir);
		assert_non_null(d);
		for (struct dirent *e; (e = readdir(d));) {
			AUTO_FREE char *path = path_join(dir, e->d_name);
			AUTO_BUFFER text = BUFFER_INIT;
			AUTO_ERROR err = ERROR_INIT;
			if (!str_ends(e->d_name, ".c"))
				continue;
			assert_ok(err, file_read(path, 1 << 20, &text, &err));
			for (const char *at = buffer_str(&text); (at = strchr(at, '"')); at++) {
				if ((at[1] != 'E' && at[1] != 'W') ||
				    strspn(at + 2, "0123456789") != 3 || at[5] != '"')
					continue;
				AUTO_FREE char *code = xstrndup(at + 1, 4);
				if (!spec_explanation(code))
					fail_msg("%s of %s is not explained", code, path);
				found++;
			}
		}
	}
	assert_true(found > 100);
}

TEST(an_explanation_is_whole)
{
	AUTO_BUFFER out = BUFFER_INIT;
	assert_true(spec_explain("e104", &out));
	assert_non_null(strstr(buffer_str(&out), "E104 (error): "));
	assert_non_null(strstr(buffer_str(&out), "Why: "));
	assert_non_null(strstr(buffer_str(&out), "write:\n    image: nginx"));
	assert_false(spec_explain("E999", &out));
}
