/* SPDX-License-Identifier: MIT */
/* Watching trees, on real folders. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "runtime/machine/tree_watch.h"
#include "tests/unit/test.h"

/* inotify tells at once what was done before; nothing is waited for that does not come. */
enum { TURN_MS = 0, TURNS = 8 };

struct seen {
	char *folder;
	struct loop *loop;
	struct tree_watch *watch;
	struct strlist paths; /* "0 src/a" */
};

static void on_change(void *arg, size_t root, const char *path)
{
	struct seen *s = arg;
	AUTO_FREE char *line = xasprintf("%zu %s", root, path + strlen(s->folder) + 1);

	if (!strlist_has(&s->paths, line))
		strlist_add(&s->paths, line);
}

static char *in(const struct seen *s, const char *name)
{
	return path_join(s->folder, name);
}

static void make_dir(const struct seen *s, const char *name)
{
	AUTO_FREE char *path = in(s, name);
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, dir_make(path, 0700, &err));
}

static void write_to(const struct seen *s, const char *name)
{
	AUTO_FREE char *path = in(s, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs("text", f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void move(const struct seen *s, const char *from, const char *to)
{
	AUTO_FREE char *a = in(s, from);
	AUTO_FREE char *b = in(s, to);

	assert_int_equal(rename(a, b), 0);
}

static void begin(struct seen *s)
{
	AUTO_ERROR err = ERROR_INIT;
	char template[] = "/tmp/ctrz-tree-XXXXXX";

	assert_non_null(mkdtemp(template));
	*s = (struct seen){ .folder = xstrdup(template), .loop = loop_new() };
	s->watch = tree_watch_new(s->loop, on_change, s, &err);
	if (!s->watch)
		fail_msg("%s", error_message(&err));
}

static void add(struct seen *s, const char *name, const char *ignored)
{
	AUTO_FREE char *path = in(s, name);
	AUTO_STRLIST ignore = STRLIST_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (ignored)
		strlist_add(&ignore, ignored);
	assert_ok(err, tree_watch_add(s->watch, path, &ignore, &err));
}

static void end(struct seen *s)
{
	AUTO_ERROR err = ERROR_INIT;

	tree_watch_free(s->watch);
	loop_free(s->loop);
	assert_ok(err, dir_remove_tree(s->folder, &err));
	strlist_release(&s->paths);
	free(s->folder);
}

/* What was seen since the last time, in order. */
static void assert_seen(struct seen *s, const char *wanted)
{
	for (int i = 0; i < TURNS; i++)
		loop_turn(s->loop, TURN_MS);
	AUTO_FREE char *got = strlist_join(&s->paths, ", ");
	assert_string_equal(got, wanted);
	strlist_release(&s->paths);
}

TEST(folders_with_all_below)
{
	struct seen s;

	begin(&s);
	make_dir(&s, "src/deep/deeper");
	add(&s, "src", NULL);
	assert_seen(&s, "");
	write_to(&s, "src/a");
	assert_seen(&s, "0 src/a");
	write_to(&s, "src/deep/deeper/b");
	assert_seen(&s, "0 src/deep/deeper/b");
	/* a new one, and what comes into it later */
	make_dir(&s, "src/new");
	assert_seen(&s, "0 src/new");
	write_to(&s, "src/new/c");
	assert_seen(&s, "0 src/new/c");
	/* one that is moved within is still watched, under its new name */
	move(&s, "src/new", "src/other");
	assert_seen(&s, "0 src/new, 0 src/other");
	write_to(&s, "src/other/d");
	assert_seen(&s, "0 src/other/d");
	/* and one that is moved away no more */
	move(&s, "src/deep", "away");
	assert_seen(&s, "0 src/deep");
	write_to(&s, "away/e");
	write_to(&s, "away/deeper/f");
	assert_seen(&s, "");
	/* nor is anything beside it */
	write_to(&s, "beside");
	assert_seen(&s, "");
	end(&s);
}

TEST(names_that_are_left_out)
{
	struct seen s;

	begin(&s);
	make_dir(&s, "src/node_modules/x");
	make_dir(&s, "src/.git");
	add(&s, "src", "node_modules/");
	add(&s, "src", "*.tmp");
	write_to(&s, "src/node_modules/x/y");
	assert_seen(&s, "1 src/node_modules/x/y");
	write_to(&s, "src/a.tmp");
	assert_seen(&s, "0 src/a.tmp");
	write_to(&s, "src/.git/index");
	write_to(&s, "src/.a.swp");
	write_to(&s, "src/a~");
	assert_seen(&s, "");
	write_to(&s, "src/a");
	assert_seen(&s, "0 src/a, 1 src/a");
	end(&s);
}

TEST(files_that_are_replaced_and_come_later)
{
	struct seen s;
	AUTO_STRLIST none = STRLIST_INIT;
	AUTO_ERROR err = ERROR_INIT;

	begin(&s);
	write_to(&s, "conf");
	add(&s, "conf", NULL);
	add(&s, "later", NULL);
	write_to(&s, "conf");
	assert_seen(&s, "0 conf");
	/* as editors do: the inode is another one now */
	write_to(&s, "conf.new");
	assert_seen(&s, "");
	move(&s, "conf.new", "conf");
	assert_seen(&s, "0 conf");
	write_to(&s, "conf");
	assert_seen(&s, "0 conf");
	make_dir(&s, "later");
	assert_seen(&s, "1 later");
	write_to(&s, "later/x");
	assert_seen(&s, "1 later/x");
	AUTO_FREE char *path = in(&s, "no/such");
	assert_error(err, E_NOT_FOUND, tree_watch_add(s.watch, path, &none, &err));
	end(&s);
}

TEST(links_are_followed_to_a_root_and_no_further)
{
	struct seen s;

	begin(&s);
	make_dir(&s, "real");
	make_dir(&s, "elsewhere");
	AUTO_FREE char *link = in(&s, "link");
	AUTO_FREE char *below = in(&s, "real/below");
	AUTO_FREE char *elsewhere = in(&s, "elsewhere");
	assert_int_equal(symlink("real", link), 0);
	assert_int_equal(symlink(elsewhere, below), 0);
	add(&s, "link", NULL);
	write_to(&s, "real/a");
	assert_seen(&s, "0 link/a");
	write_to(&s, "elsewhere/b");
	assert_seen(&s, "");
	end(&s);
}
