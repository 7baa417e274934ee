/* SPDX-License-Identifier: MIT */
/* The pure parts of reading from git: refs, links, credential helpers. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "runtime/source/answers.h"
#include "runtime/source/credential.h"
#include "runtime/source/refs.h"
#include "runtime/source/source.h"
#include "runtime/source/worktree.h"
#include "tests/unit/test.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccc"

static const struct advertised refs[] = {
	{ "HEAD", "refs/heads/main", A }, { "refs/heads/a/main", NULL, B },
	{ "refs/heads/both", NULL, A },   { "refs/heads/main", NULL, A },
	{ "refs/pull/7/head", NULL, C },  { "refs/tags/both", NULL, B },
	{ "refs/tags/v1", NULL, C },      { "refs/tags/v1^{}", NULL, B },
	{ "refs/tags/x^{}", NULL, B },
};

static void check(const char *ref, const char *name, const char *commit)
{
	AUTO_ERROR err = ERROR_INIT;
	struct ref_choice c = { 0 };
	assert_ok(err, ref_choose(refs, ARRAY_SIZE(refs), ref, &c, &err));
	assert_string_equal(c.commit, commit);
	assert_string_equal(c.ref ? c.ref->name : "-", name);
}

TEST(a_ref_is_one_of_those_there_are)
{
	check(NULL, "refs/heads/main", A);
	check("main", "refs/heads/main", A);
	check("a/main", "refs/heads/a/main", B);
	check("v1", "refs/tags/v1", B);
	check("refs/tags/v1", "refs/tags/v1", B);
	check("refs/tags/both", "refs/tags/both", B);
	check("pull/7/head", "refs/pull/7/head", C);
	check("refs/pull/7/head", "refs/pull/7/head", C);
	check(B, "refs/heads/a/main", B);
	check("dddddddddddddddddddddddddddddddddddddddd", "-",
	      "dddddddddddddddddddddddddddddddddddddddd");
}

TEST(a_ref_that_is_none_or_two)
{
	AUTO_ERROR err = ERROR_INIT;
	struct ref_choice c = { 0 };
	static const char *const none[] = { "ain", "heads/main", "MAIN", "aaaaaaa", "pull/8/head" };
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_error(err, E_NOT_FOUND,
			     ref_choose(refs, ARRAY_SIZE(refs), none[i], &c, &err));
	assert_error(err, E_CONFLICT, ref_choose(refs, ARRAY_SIZE(refs), "both", &c, &err));
	assert_error(err, E_NOT_FOUND, ref_choose(refs, 0, NULL, &c, &err));
	assert_error(err, E_NOT_FOUND, ref_choose(refs, 0, "main", &c, &err));
}

TEST(a_head_that_is_not_named)
{
	AUTO_ERROR err = ERROR_INIT;
	struct ref_choice c = { 0 };
	static const struct advertised old[] = { { "HEAD", NULL, B }, { "refs/heads/x", NULL, B } };
	assert_ok(err, ref_choose(old, 2, NULL, &c, &err));
	assert_string_equal(c.ref->name, "refs/heads/x");
	assert_ok(err, ref_choose(old, 1, NULL, &c, &err));
	assert_string_equal(c.ref->name, "HEAD");
}

TEST(a_link_stays_inside_or_is_refused)
{
	static const char *const good[][2] = {
		{ "a", "b" },     { "a/b", "../c" }, { "a/b/c", "../../d/e" },
		{ "a", "..b/c" }, { "a", "." },      { "a/b", ".." }
	};
	static const char *const bad[][2] = {
		{ "a", "/etc/passwd" }, { "a", ".." },   { "a", "../b" }, { "a/b", "../../c" },
		{ "a", "b/../c" },      { "a", "b/.." }, { "a", "" },     { "a/b", "./../../x" }
	};
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(link_stays_inside(good[i][0], good[i][1]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(link_stays_inside(bad[i][0], bad[i][1]));
}

static void check_helper(const char *helper, const char *words)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_STRLIST argv = STRLIST_INIT;
	if (!words) {
		assert_error(err, E_INVALID, credential_helper_argv(helper, &argv, &err));
		return;
	}
	assert_ok(err, credential_helper_argv(helper, &argv, &err));
	AUTO_FREE char *joined = strlist_join(&argv, "|");
	assert_string_equal(joined, words);
}

TEST(a_helper_is_run_by_its_words)
{
	check_helper("store", "git|credential-store|get");
	check_helper("cache --timeout 60", "git|credential-cache|--timeout|60|get");
	check_helper("/usr/bin/x -a", "/usr/bin/x|-a|get");
	check_helper("!gh auth git-credential", "gh|auth|git-credential|get");
	check_helper("!f() { echo; }; f", NULL);
	check_helper("$(id)", NULL);
	check_helper("-x", NULL);
	check_helper("!", NULL);
	check_helper(" ", NULL);
}

TEST(a_helper_answers_in_lines)
{
	AUTO_GIT_LOGIN l = { 0 };
	assert_true(credential_answer_read("protocol=https\nusername=a\npassword=b=c\nquit=0", &l));
	assert_string_equal(l.user, "a");
	assert_string_equal(l.secret, "b=c");
	AUTO_GIT_LOGIN none = { 0 };
	assert_false(credential_answer_read("username=a\npassword=\n", &none));
	assert_false(credential_answer_read("", &none));
}

/* A repository of the cache as it is on disk: used at a time, of a size. */
static void make_cached(const char *cache, char digit, const char *rest, time_t used, size_t bytes)
{
	AUTO_FREE char *hash = xasprintf("%064d%s", 0, rest);
	AUTO_ERROR err = ERROR_INIT;
	memset(hash, digit, 64);
	AUTO_FREE char *dir = path_join(cache, hash);
	AUTO_FREE char *name = path_join(dir, "ctrz-url");
	AUTO_FREE char *pack = path_join(dir, "pack");
	AUTO_FREE char *content = xcalloc(bytes, 1);
	struct timespec times[2] = { { .tv_sec = used }, { .tv_sec = used } };
	memset(content, digit, bytes);
	assert_ok(err, dir_make(dir, 0700, &err));
	assert_ok(err, file_write_atomic(pack, content, bytes, 0600, &err));
	assert_ok(err, file_write_atomic(name, &digit, 1, 0600, &err));
	assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

static void check_cached(const char *cache, const char *digits)
{
	CLEANUP(source_cache_list_release) struct source_cache_list l = { 0 };
	AUTO_ERROR err = ERROR_INIT;
	assert_ok(err, source_cache_list(cache, &l, &err));
	assert_int_equal(l.count, strlen(digits));
	for (size_t i = 0; i < l.count; i++) {
		assert_int_equal(l.items[i].url[0], digits[i]);
		assert_true(l.items[i].bytes >= 1 << 20);
	}
}

TEST(the_cache_is_bounded)
{
	char cache[] = "/tmp/ctrz-cache-XXXXXX";
	AUTO_ERROR err = ERROR_INIT;
	uint64_t freed = 0;
	assert_non_null(mkdtemp(cache));
	make_cached(cache, 'a', "", 3000, 1 << 20);
	make_cached(cache, 'b', "", 1000, 1 << 20);
	make_cached(cache, 'c', "", 4000, 1 << 20);
	make_cached(cache, 'd', "", 2000, 1 << 20);
	make_cached(cache, 'e', ".new", 5000, 1 << 20);
	check_cached(cache, "cadb");
	assert_ok(err, source_cache_prune(cache, UINT64_MAX, &freed, &err));
	assert_true(freed >= 1 << 20 && freed < 2 << 20); /* what a killed fetch left */
	check_cached(cache, "cadb");
	assert_ok(err, source_cache_prune(cache, (5 << 20) / 2, &freed, &err));
	assert_true(freed >= 2 << 20 && freed < 3 << 20);
	check_cached(cache, "ca");
	AUTO_FREE char *locked = xasprintf("%s/%064d.lock", cache, 0);
	memset(strrchr(locked, '/') + 1, 'a', 64);
	AUTO_CLOSE int lock = lock_file(locked, LOCK_TRY, &err);
	assert_true(lock >= 0);
	assert_ok(err, source_cache_prune(cache, 0, &freed, &err));
	check_cached(cache, "a"); /* somebody fetches into it */
	assert_ok(err, dir_remove_tree(cache, &err));
}

static void check_answers(const struct answers *a)
{
	const struct answer *file = answers_find(a, "env.yaml");
	const struct answer *dir = answers_find(a, "a folder/x");
	assert_true(file && file->kind == SOURCE_FILE && file->is_read);
	assert_int_equal(file->content.size, 5);
	assert_memory_equal(buffer_str(&file->content), "a\0\nb\n", 5);
	assert_true(dir && dir->kind == SOURCE_DIR && !dir->is_read);
	assert_true(answers_find(a, "empty")->is_read);
	assert_null(answers_find(a, "env"));
}

TEST(what_was_read_is_known_again)
{
	CLEANUP(answers_release) struct answers a = { .path = xstrdup("x") };
	AUTO_BUFFER content = BUFFER_INIT;
	AUTO_BUFFER empty = BUFFER_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	buffer_add(&content, "a\0\nb\n", 5);
	answers_add(&a, "env.yaml", SOURCE_FILE, NULL);
	answers_add(&a, "env.yaml", SOURCE_FILE, &content);
	answers_add(&a, "env.yaml", SOURCE_MISSING, NULL);
	answers_add(&a, "a folder/x", SOURCE_DIR, NULL);
	answers_add(&a, "empty", SOURCE_FILE, &empty);
	check_answers(&a);
	answers_format(&a, &text);
	CLEANUP(answers_release) struct answers again = { 0 };
	assert_ok(err, answers_parse(buffer_str(&text), text.size, &again, &err));
	check_answers(&again);
	/* One byte of it changed, or missing: none of it counts. */
	for (size_t i = 0; i < text.size; i++) {
		CLEANUP(answers_release) struct answers none = { 0 };
		text.data[i] ^= 1;
		assert_error(err, E_INVALID, answers_parse(text.data, text.size, &none, &err));
		text.data[i] ^= 1;
		assert_error(err, E_INVALID, answers_parse(text.data, i, &none, &err));
		assert_int_equal(none.by_path.count, 0);
	}
}

TEST(what_is_known_of_a_commit_is_bounded)
{
	CLEANUP(answers_release) struct answers a = { .path = xstrdup("x") };
	AUTO_BUFFER large = BUFFER_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	memset(buffer_reserve(&large, 600 << 10), 'x', 600 << 10);
	large.size = 600 << 10;
	answers_add(&a, "one", SOURCE_FILE, &large);
	answers_add(&a, "two", SOURCE_FILE, &large);
	assert_null(answers_find(&a, "two"));
	for (int i = 0; i < 1000; i++) {
		AUTO_FREE char *name = xasprintf("f%d", i);
		answers_add(&a, name, SOURCE_FILE, NULL);
	}
	assert_int_equal(a.by_path.count, 256);
	answers_format(&a, &text);
	assert_true(text.size <= 1 << 20);
}
