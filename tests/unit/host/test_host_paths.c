/* SPDX-License-Identifier: MIT */
/* The host folders: which variable decides, what is refused, what is created. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "runtime/host/host_paths.h"
#include "tests/unit/test.h"

static void clear_environment(void)
{
	static const char *const names[] = { "CTRZ_HOME",
					     "XDG_DATA_HOME",
					     "XDG_STATE_HOME",
					     "XDG_CACHE_HOME",
					     "XDG_CONFIG_HOME",
					     "XDG_RUNTIME_DIR",
					     "HOME" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)unsetenv(names[i]);
}

TEST(home_puts_all_under_one_root)
{
	AUTO_ERROR err = ERROR_INIT;
	struct host_paths p = { 0 };
	clear_environment();
	(void)setenv("CTRZ_HOME", "/t//x/./y", 1);
	assert_ok(err, host_paths_init(&p, &err));
	assert_string_equal(p.data, "/t/x/y/data");
	assert_string_equal(p.state, "/t/x/y/state");
	assert_string_equal(p.cache, "/t/x/y/cache");
	assert_string_equal(p.config, "/t/x/y/config");
	assert_string_equal(p.run, "/t/x/y/run");
	host_paths_release(&p);
}

TEST(long_home_gets_a_short_run_folder)
{
	AUTO_ERROR err = ERROR_INIT;
	struct host_paths a = { 0 }, b = { 0 }, other = { 0 };
	clear_environment();
	(void)setenv("CTRZ_HOME", "/a/very/long/path/that/leaves/no/room/for/any/socket/below/it",
		     1);
	assert_ok(err, host_paths_init(&a, &err));
	assert_ok(err, host_paths_init(&b, &err));
	(void)setenv("CTRZ_HOME", "/another/long/path/that/leaves/no/room/for/any/socket/below/it",
		     1);
	assert_ok(err, host_paths_init(&other, &err));
	assert_true(strlen(a.run) <= HOST_PATHS_RUN_MAX);
	assert_string_equal(a.run, b.run);
	assert_string_not_equal(a.run, other.run);
	host_paths_release(&a);
	host_paths_release(&b);
	host_paths_release(&other);
}

TEST(xdg_variables_decide_each_folder)
{
	AUTO_ERROR err = ERROR_INIT;
	struct host_paths p = { 0 };
	clear_environment();
	(void)setenv("HOME", "/home/u", 1);
	(void)setenv("XDG_DATA_HOME", "/d", 1);
	(void)setenv("XDG_RUNTIME_DIR", "/r", 1);
	assert_ok(err, host_paths_init(&p, &err));
	assert_string_equal(p.data, "/d/ctrz");
	assert_string_equal(p.state, "/home/u/.local/state/ctrz");
	assert_string_equal(p.cache, "/home/u/.cache/ctrz");
	assert_string_equal(p.config, "/home/u/.config/ctrz");
	assert_string_equal(p.run, "/r/ctrz");
	host_paths_release(&p);
}

TEST(root_keeps_to_system_folders_whatever_the_login)
{
	AUTO_ERROR err = ERROR_INIT;
	struct host_paths p = { 0 };
	clear_environment();
	(void)setenv("HOME", "/home/u", 1);
	(void)setenv("XDG_RUNTIME_DIR", "/r", 1);
	assert_ok(err, host_paths_init(&p, &err));
	assert_string_equal(p.run, geteuid() == 0 ? "/run/ctrz" : "/r/ctrz");
	assert_string_equal(p.data, geteuid() == 0 ? "/var/lib/ctrz" : "/home/u/.local/share/ctrz");
	host_paths_release(&p);
}

TEST(relative_and_missing_variables_are_refused)
{
	AUTO_ERROR err = ERROR_INIT;
	struct host_paths p = { 0 };
	clear_environment();
	(void)setenv("CTRZ_HOME", "here", 1);
	assert_error(err, E_INVALID, host_paths_init(&p, &err));
	clear_environment();
	(void)setenv("XDG_DATA_HOME", "/d", 1);
	assert_int_equal(host_paths_init(&p, &err), -E_INVALID);
	assert_non_null(strstr(error_message(&err), "HOME"));
	error_clear(&err);
	(void)setenv("HOME", "/h", 1);
	(void)setenv("XDG_STATE_HOME", "x/y", 1);
	assert_error(err, E_INVALID, host_paths_init(&p, &err));
	assert_null(p.data);
}

/* A command that begins and ends; returns what host_paths_make() said. */
static int make_and_release(struct error *err)
{
	struct host_paths p = { 0 };
	int r = host_paths_init(&p, err);
	if (r == 0)
		r = host_paths_make(&p, err);
	host_paths_release(&p);
	return r;
}

TEST(make_creates_private_folders)
{
	AUTO_ERROR err = ERROR_INIT;
	struct host_paths p = { 0 }, second = { 0 };
	struct stat st;
	char root[] = "/tmp/hpXXXXXX";
	assert_non_null(mkdtemp(root));
	clear_environment();
	(void)setenv("CTRZ_HOME", root, 1);
	assert_ok(err, host_paths_init(&p, &err));
	assert_ok(err, host_paths_make(&p, &err));
	assert_ok(err, host_paths_make(&p, &err));
	assert_int_equal(stat(p.data, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_false(file_exists(p.config));
	assert_int_equal(chmod(p.run, 0755), 0);
	assert_ok(err, host_paths_init(&second, &err));
	assert_ok(err, host_paths_make(&second, &err));
	assert_int_equal(stat(p.run, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	host_paths_release(&second);
	assert_int_equal(rmdir(p.run), 0);
	assert_int_equal(symlink(root, p.run), 0);
	assert_error(err, E_DENIED, make_and_release(&err));
	assert_ok(err, dir_remove_tree(root, &err));
	host_paths_release(&p);
}

TEST(run_folder_goes_with_the_last_who_holds_it_and_when_empty)
{
	AUTO_ERROR err = ERROR_INIT;
	struct host_paths first = { 0 }, second = { 0 };
	char root[] = "/tmp/hpXXXXXX";
	assert_non_null(mkdtemp(root));
	clear_environment();
	(void)setenv("CTRZ_HOME", root, 1);
	AUTO_FREE char *run = path_join(root, "run");
	AUTO_FREE char *machine = path_join(run, "machine");
	assert_ok(err, host_paths_init(&first, &err));
	assert_ok(err, host_paths_init(&second, &err));
	assert_ok(err, host_paths_make(&first, &err));
	assert_ok(err, host_paths_make(&second, &err));
	host_paths_release(&first);
	assert_true(file_exists(run));
	assert_int_equal(mkdir(machine, 0700), 0);
	host_paths_release(&second);
	assert_true(file_exists(machine));
	assert_int_equal(rmdir(machine), 0);
	assert_ok(err, make_and_release(&err));
	assert_false(file_exists(run));
	assert_ok(err, dir_remove_tree(root, &err));
}

TEST(run_folder_of_another_user_is_refused)
{
	AUTO_ERROR err = ERROR_INIT;
	struct host_paths p = { 0 };
	char root[] = "/tmp/hpXXXXXX";
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(root));
	clear_environment();
	(void)setenv("CTRZ_HOME", root, 1);
	assert_ok(err, host_paths_init(&p, &err));
	assert_ok(err, host_paths_make(&p, &err));
	assert_int_equal(chown(p.run, 65534, 65534), 0);
	assert_error(err, E_DENIED, make_and_release(&err));
	assert_ok(err, dir_remove_tree(root, &err));
	host_paths_release(&p);
}
