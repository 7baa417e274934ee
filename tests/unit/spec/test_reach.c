/* SPDX-License-Identifier: MIT */
/* What an environment reaches of the host: files of tests/golden/reach, and that no key of the
 * language with a path of the host was forgotten. */
#include "spec/reach.h"

#include "base/alloc.h"
#include "base/file.h"
#include "fixture.h"
#include "spec/fields/fields.h"
#include "tests/unit/golden.h"
#include "tests/unit/test.h"

static const char *const sections[] = { "@SPEC", "@REACH", NULL };

static void print_set(const struct spec_reach_set *set, struct buffer *out)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct spec_reach *r = &set->items[i];
		AUTO_FREE char *level = spec_level_text(r->kind, r->level);
		buffer_printf(out, "%s %s%s%s%s%s", r->is_free ? "free" : "asks",
			      spec_reach_kind_name(r->kind), *r->what ? " " : "", r->what,
			      *level ? " " : "", level);
		if (*r->inside)
			buffer_printf(out, " -> %s", r->inside);
		if (r->pos.line)
			buffer_printf(out, "  %s:%u", r->pos.file, r->pos.line);
		buffer_add_char(out, '\n');
	}
}

static bool check_case(const char *path)
{
	struct golden_case c;
	AUTO_FREE char *dir = path_dirname(path);
	AUTO_ENVIRONMENT env = NULL;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_REACH_SET set = { 0 };
	AUTO_BUFFER made = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f;
	golden_case_read(path, sections, &c);
	fixture_init(&f, dir, c.sections[0]);
	if (fixture_load(&f, c.sections[0], strlen(c.sections[0]), &env, &diags, &err) < 0)
		diagnostics_print(&diags, false, &made);
	if (env)
		spec_reach_set(env, &f.host, &set);
	print_set(&set, &made);
	fixture_release(&f);
	bool is_same = golden_case_same(&c, sections, &made);
	golden_case_release(&c);
	return is_same;
}

TEST(sets_are_as_expected)
{
	golden_each(TEST_SOURCE_DIR "/golden/reach", ".test", 10, check_case);
}

static void check_paths(const struct object_type *type)
{
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		if (((f->flags & FIELD_PATH) || f->check == CHECK_HOST_PATH) && !f->reach)
			fail_msg("%s.%s is a path of the host that nobody is asked about",
				 type->word, f->name);
		if (f->object)
			check_paths(f->object);
	}
}

TEST(every_path_of_the_host_counts)
{
	check_paths(&environment_type);
}

TEST(of_two_the_larger_stays_and_asks)
{
	AUTO_REACH_SET set = { 0 };
	char what[] = "./data", inside[] = "";
	struct spec_reach ro = { SPEC_REACH_MOUNT, what, SPEC_LEVEL_RO, inside, { 0 }, true };
	struct spec_reach rw = { SPEC_REACH_MOUNT, what, SPEC_LEVEL_RW, inside, { 0 }, false };
	spec_reach_set_add(&set, &ro);
	spec_reach_set_add(&set, &rw);
	spec_reach_set_add(&set, &ro);
	spec_reach_set_sort(&set);
	assert_int_equal(set.count, 1);
	assert_false(set.items[0].is_free);
	assert_int_equal(spec_reach_set_level(&set, SPEC_REACH_MOUNT, "./data"), SPEC_LEVEL_RW);
	assert_int_equal(spec_reach_set_level(&set, SPEC_REACH_FILE, "./data"), 0);
}

TEST(names_of_kinds_are_found_again)
{
	for (unsigned i = 0; i < SPEC_REACH_COUNT; i++)
		assert_int_equal(spec_reach_kind_find(spec_reach_kind_name(i)), i);
	assert_int_equal(spec_reach_kind_find("device"), SPEC_REACH_COUNT);
}

/* A link that is put there after a file was read, or taken away again, changes nothing of what was
 * read and of what is asked. */
TEST(what_was_read_is_what_is_asked_about)
{
	static const char text[] = "#@ path /project/conf file\n#@ path /project/key file\n"
				   "#@ real /project/conf /home/me/conf\n"
				   "files: { c: { source: conf } }\n"
				   "secrets: { s: { file: key } }\n"
				   "containers: { a: { image: \"a:1\" } }\n";
	struct fixture f;
	AUTO_ENVIRONMENT env = NULL;
	AUTO_ENVIRONMENT again = NULL;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_REACH_SET set = { 0 };
	AUTO_BUFFER json = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	fixture_init(&f, ".", text);
	assert_ok(err, fixture_load(&f, text, sizeof(text) - 1, &env, &diags, &err));
	assert_string_equal(env->files.items[0].resolved.text, "/home/me/conf");
	assert_false(env->secrets.items[0].resolved.at.is_set);
	free(map_set(&f.real, "/project/conf", xstrdup("/project/conf")));
	free(map_set(&f.real, "/project/key", xstrdup("/etc/shadow")));
	spec_reach_set(env, &f.host, &set);
	assert_int_equal(spec_reach_set_level(&set, SPEC_REACH_FILE, "/home/me/conf"), 1);
	assert_int_equal(spec_reach_set_level(&set, SPEC_REACH_SECRET, "s from ./key"), 1);
	spec_json(env, &json);
	assert_ok(err, spec_load_json(buffer_str(&json), json.size, "spec.json", &again, &err));
	assert_string_equal(again->files.items[0].resolved.text, "/home/me/conf");
	fixture_release(&f);
}
