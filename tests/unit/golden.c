/* SPDX-License-Identifier: MIT */
/* Golden texts in files. */
#include "tests/unit/golden.h"

#include <dirent.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/unit/test.h"

void golden_each(const char *dir, const char *ending, size_t least, bool (*check)(const char *path))
{
	struct dirent **entries = NULL;
	int count = scandir(dir, &entries, NULL, alphasort);
	size_t found = 0, wrong = 0;

	for (int i = 0; i < count; i++) {
		AUTO_FREE char *path = path_join(dir, entries[i]->d_name);

		if (str_ends(path, ending)) {
			found++;
			wrong += !check(path);
		}
		free(entries[i]);
	}
	free(entries);
	assert_true(found >= least);
	assert_int_equal(wrong, 0);
}

static bool is_updating(void)
{
	return getenv("CTRZ_GOLDEN_UPDATE") != NULL;
}

static void print_difference(const char *path, const char *want, const struct buffer *made)
{
	print_error("%s: expected (./tests/golden/update rewrites it)\n%s\ngot\n%s\n", path,
		    want ? want : "(nothing)", buffer_str(made));
}

bool golden_same(const char *path, const struct buffer *made)
{
	AUTO_BUFFER want = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (is_updating()) {
		assert_ok(err, file_write_atomic(path, made->data ? made->data : "", made->size,
						 0644, &err));
		return true;
	}
	if (file_exists(path))
		assert_ok(err, file_read(path, GOLDEN_FILE_MAX, &want, &err));
	if (str_equal(buffer_str(&want), buffer_str(made)))
		return true;
	print_difference(path, buffer_str(&want), made);
	return false;
}

static bool begins_section(const char *line, const char *name)
{
	return str_starts(line, name) && line[strlen(name)] == '\n';
}

void golden_case_read(const char *path, const char *const *names, struct golden_case *ret)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	char *ends[GOLDEN_SECTIONS_MAX];
	size_t end_count = 0;

	assert_ok(err, file_read(path, GOLDEN_FILE_MAX, &text, &err));
	*ret = (struct golden_case){ .path = path, .text = buffer_steal(&text) };
	for (char *line = ret->text; line && *line;) {
		for (size_t i = 0; names[i]; i++) {
			if (!begins_section(line, names[i]))
				continue;
			assert_true(end_count < GOLDEN_SECTIONS_MAX);
			ends[end_count++] = line;
			ret->sections[i] = line + strlen(names[i]) + 1;
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	for (size_t i = 0; i < end_count; i++)
		*ends[i] = '\0';
}

void golden_case_release(struct golden_case *c)
{
	free(c->text);
}

/* What stands before the last section, as the file has it. */
static void keep_head(const struct golden_case *c, const char *name, struct buffer *out)
{
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, file_read(c->path, GOLDEN_FILE_MAX, out, &err));
	for (char *line = out->data; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (begins_section(line, name)) {
			out->size = (size_t)(line - out->data);
			return;
		}
	}
}

bool golden_case_same(const struct golden_case *c, const char *const *names,
		      const struct buffer *made)
{
	AUTO_BUFFER whole = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	size_t last = 0;

	while (names[last + 1])
		last++;
	if (c->sections[last] && str_equal(c->sections[last], buffer_str(made)))
		return true;
	if (!is_updating()) {
		print_difference(c->path, c->sections[last], made);
		return false;
	}
	keep_head(c, names[last], &whole);
	buffer_printf(&whole, "%s\n%s", names[last], buffer_str(made));
	assert_ok(err, file_write_atomic(c->path, whole.data, whole.size, 0644, &err));
	return true;
}
