/* SPDX-License-Identifier: MIT */
/* A container's log: lines, parts of lines, rotation. */
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "runtime/machine/keeper_log.h"
#include "tests/unit/test.h"

static char folder[64];

static void make_folder(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/ctrz-log-XXXXXX");
	assert_non_null(mkdtemp(folder));
}

static void remove_folder(void)
{
	AUTO_ERROR err = ERROR_INIT;
	assert_ok(err, dir_remove_tree(folder, &err));
}

static void read_log(const char *name, struct buffer *text)
{
	AUTO_FREE char *path = path_join(folder, name);
	AUTO_ERROR err = ERROR_INIT;
	assert_ok(err, file_read(path, 1 << 22, text, &err));
}

/* The n-th line of a log, parsed. */
static struct log_line line_at(const struct buffer *text, size_t n)
{
	const char *at = buffer_str(text);
	struct log_line l = { 0 };

	while (n-- > 0) {
		at = strchr(at, '\n');
		assert_non_null(at);
		at++;
	}
	assert_true(log_line_parse(at, strcspn(at, "\n"), &l));
	return l;
}

static void assert_line(const struct buffer *text, size_t n, enum log_stream stream, bool partial,
			const char *want)
{
	struct log_line l = line_at(text, n);
	AUTO_FREE char *got = xstrndup(l.text, l.size);

	assert_string_equal(got, want);
	assert_int_equal(l.stream, stream);
	assert_int_equal(l.is_partial, partial);
}

TEST(lines_of_two_streams)
{
	struct keeper_log l;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	make_folder();
	assert_ok(err, keeper_log_open(&l, folder, "log", 0, 0, &err));
	keeper_log_write(&l, LOG_STDOUT, "one\ntw", 6);
	keeper_log_write(&l, LOG_STDERR, "bad\n", 4);
	keeper_log_write(&l, LOG_STDOUT, "o\n\nrest", 7);
	keeper_log_close(&l);
	read_log("log", &text);
	assert_line(&text, 0, LOG_STDOUT, false, "one");
	assert_line(&text, 1, LOG_STDERR, false, "bad");
	assert_line(&text, 2, LOG_STDOUT, false, "two");
	assert_line(&text, 3, LOG_STDOUT, false, "");
	assert_line(&text, 4, LOG_STDOUT, true, "rest");
	remove_folder();
}

TEST(long_lines_are_cut)
{
	struct keeper_log l;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *bytes = xmalloc(LOG_LINE_MAX + 5);

	make_folder();
	memset(bytes, 'x', LOG_LINE_MAX + 5);
	assert_ok(err, keeper_log_open(&l, folder, "log", 0, 0, &err));
	keeper_log_write(&l, LOG_STDOUT, bytes, LOG_LINE_MAX + 5);
	keeper_log_write(&l, LOG_STDOUT, "\n", 1);
	keeper_log_close(&l);
	read_log("log", &text);
	struct log_line first = line_at(&text, 0);
	assert_true(first.is_partial);
	assert_int_equal(first.size, LOG_LINE_MAX);
	assert_line(&text, 1, LOG_STDOUT, false, "xxxxx");
	remove_folder();
}

TEST(rotation_bounds_the_whole)
{
	struct keeper_log l;
	AUTO_ERROR err = ERROR_INIT;
	static const char *const kept[] = { "log", "log.1", "log.2" };

	make_folder();
	assert_ok(err, keeper_log_open(&l, folder, "log", 4096, 2, &err));
	for (int i = 0; i < 1000; i++)
		keeper_log_write(&l, LOG_STDOUT, "forty bytes of text, more or less, here\n", 40);
	keeper_log_close(&l);
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		AUTO_BUFFER text = BUFFER_INIT;
		read_log(kept[i], &text);
		assert_in_range(text.size, 1, 4096 + 100);
		assert_line(&text, 0, LOG_STDOUT, false, "forty bytes of text, more or less, here");
	}
	AUTO_FREE char *beyond = path_join(folder, "log.3");
	assert_false(file_exists(beyond));
	remove_folder();
}

TEST(lines_of_several_processes)
{
	struct keeper_log l;
	struct log_lines web = { 0 };
	struct log_line line;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	make_folder();
	assert_ok(err, keeper_log_open(&l, folder, "log", 0, 0, &err));
	keeper_log_write_as(&l, &web, "web", LOG_STDOUT, "be", 2);
	keeper_log_write(&l, LOG_STDOUT, "main\n", 5);
	keeper_log_write_as(&l, &web, "web", LOG_STDOUT, "gun\nnot ended", 13);
	keeper_log_end_lines(&l, &web, "web");
	keeper_log_close(&l);
	log_lines_release(&web);
	read_log("log", &text);
	line = line_at(&text, 0);
	assert_null(line.process);
	assert_line(&text, 1, LOG_STDOUT, false, "begun");
	line = line_at(&text, 1);
	assert_int_equal(line.process_size, 3);
	assert_memory_equal(line.process, "web", 3);
	assert_line(&text, 2, LOG_STDOUT, true, "not ended");
	remove_folder();
}

TEST(fewer_files_are_kept_from_now_on)
{
	struct keeper_log l;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *gone = NULL;

	make_folder();
	gone = path_join(folder, "log.2");
	assert_ok(err, keeper_log_open(&l, folder, "log", 1024, 3, &err));
	for (int i = 0; i < 200; i++)
		keeper_log_write(&l, LOG_STDOUT, "0123456789\n", 11);
	assert_true(file_exists(gone));
	keeper_log_limit(&l, 1024, 1);
	assert_false(file_exists(gone));
	keeper_log_close(&l);
	remove_folder();
}

TEST(parse_refuses_other_lines)
{
	static const char *const bad[] = {
		"",
		"hello",
		"2026-01-31T12:00:00.123456Z stdin F x",
		"2026-01-31T12:00:00.123456Z stdout X x",
		"2026-01-31T12:00:00.123456Z stdout F",
		"2026-01-31T12:00:00.123456Z stdout F@ x",
		"2026-01-31T12:00:00.123456Z stdout F@web",
		"2026-01-31 12:00:00.123456Z stdout F x",
	};
	struct log_line l;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(log_line_parse(bad[i], strlen(bad[i]), &l));
}
