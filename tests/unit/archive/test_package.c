/* SPDX-License-Identifier: MIT */
/* Packages, good and hostile, put together with ar and tar. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/process.h"
#include "runtime/archive/package.h"
#include "tests/unit/test.h"

struct seen {
	struct strlist paths;
	char first[16];
	enum error_code fail_with; /* 0 = go on */
};

static bool wants_all(void *arg, const char *path, uint64_t size)
{
	struct seen *s = arg;
	(void)size;
	strlist_add(&s->paths, path);
	return !str_ends(path, "unwanted");
}

static int take(void *arg, const char *path, const void *data, size_t size, struct error *err)
{
	struct seen *s = arg;
	if (!s->first[0] && size > 0 && size < sizeof(s->first))
		memcpy(s->first, data, size);
	return s->fail_with ? error_set(err, s->fail_with, "stop at %s", path) : 0;
}

/* Runs @script in a new folder that has a file debian-binary; it leaves the package there as "p".
 */
static char *build(const char *script)
{
	AUTO_ERROR err = ERROR_INIT;
	char *dir = xstrdup("/tmp/pkXXXXXX");
	assert_non_null(mkdtemp(dir));
	AUTO_FREE char *full =
		xasprintf("set -e; cd %s; echo 2.0 > debian-binary; mkdir t; %s", dir, script);
	const char *const argv[] = { "/bin/sh", "-c", full, NULL };
	assert_ok(err, process_run(argv, NULL, 1 << 16, &err));
	return dir;
}

static int read_built(const char *script, struct seen *s, struct error *err)
{
	AUTO_ERROR ignored = ERROR_INIT;
	AUTO_FREE char *dir = build(script);
	AUTO_FREE char *package = path_join(dir, "p");
	const struct package_reader reader = { wants_all, take, s };
	int r = package_read(package, &reader, err);
	assert_ok(ignored, dir_remove_tree(dir, &ignored));
	return r;
}

static void seen_release(struct seen *s)
{
	strlist_release(&s->paths);
}
#define AUTO_SEEN CLEANUP(seen_release) struct seen

TEST(every_compression_of_the_data_member_is_read)
{
	static const char *const suffixes[] = { "", ".gz", ".xz", ".zst", ".bz2" };
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_SEEN s = { 0 };
		AUTO_FREE char *script = xasprintf(
			"mkdir t/boot; printf kernel > t/boot/vmlinuz; ln -s x t/boot/link; "
			"tar -C t -caf data.tar%s .; ar rc p debian-binary data.tar%s",
			suffixes[i], suffixes[i]);
		assert_ok(err, read_built(script, &s, &err));
		assert_int_equal(s.paths.count, 1);
		assert_string_equal(s.paths.items[0], "boot/vmlinuz");
		assert_string_equal(s.first, "kernel");
	}
}

TEST(paths_out_of_the_tree_are_never_offered)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_SEEN s = { 0 };
	assert_ok(err, read_built("echo x > t/a; echo x > out; cd t; "
				  "tar -P -cf ../data.tar ../out $PWD/a a --transform "
				  "'s,^a$,b/../../c,' 2>/dev/null; cd ..; "
				  "ar rc p debian-binary data.tar",
				  &s, &err));
	assert_int_equal(s.paths.count, 0);
}

TEST(unwanted_files_are_passed_over)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_SEEN s = { 0 };
	assert_ok(err, read_built("echo 1 > t/a-unwanted; printf 2 > t/b; tar -C t -cf data.tar "
				  "a-unwanted b; ar rc p debian-binary data.tar",
				  &s, &err));
	assert_int_equal(s.paths.count, 2);
	assert_string_equal(s.first, "2");
}

TEST(what_the_taker_says_ends_the_reading)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_SEEN s = { .fail_with = E_CONFLICT };
	assert_error(err, E_CONFLICT,
		     read_built("echo 1 > t/a; echo 2 > t/b; tar -C t -cf data.tar a b; "
				"ar rc p debian-binary data.tar",
				&s, &err));
	assert_int_equal(s.paths.count, 1);
}

TEST(other_files_are_no_packages)
{
	static const char *const scripts[] = {
		"ar rc p debian-binary",
		"echo x > other; ar rc p other",
		"tar -C t -cf p .",
		": > p",
	};
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_SEEN s = { 0 };
		assert_error(err, E_INVALID, read_built(scripts[i], &s, &err));
	}
	AUTO_ERROR err = ERROR_INIT;
	const struct package_reader reader = { wants_all, take, NULL };
	assert_error(err, E_NOT_FOUND, package_read("/nonexistent/p.deb", &reader, &err));
}

TEST(cut_package_is_damaged)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_SEEN s = { 0 };
	assert_error(err, E_INTEGRITY,
		     read_built("head -c 300000 /dev/urandom > t/a; tar -C t -cJf data.tar.xz a; "
				"ar rc whole debian-binary data.tar.xz; head -c 100000 whole > p",
				&s, &err));
}
