/* SPDX-License-Identifier: MIT */
/* The build from the outside: progress, canceling, errors that name the layer, files left behind.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/image/disk_build.h"
#include "runtime/image/disk_temp.h"
#include "tests/unit/image/tar_text.h"
#include "tests/unit/test.h"

struct fixture {
	char folder[32];
	char path[64];
	struct buffer tar;
	struct text_source text;
	struct layer_source layer;
	struct disk_build_options options;
	unsigned reports;
	unsigned cancel_at;
	struct disk_progress last;
};

static void fixture_release(struct fixture *f)
{
	AUTO_ERROR err = ERROR_INIT;

	buffer_release(&f->tar);
	assert_ok(err, dir_remove_tree(f->folder, &err));
}

static int on_progress(void *arg, const struct disk_progress *p)
{
	struct fixture *f = arg;

	f->last = *p;
	return ++f->reports == f->cancel_at;
}

static void fixture_init(struct fixture *f)
{
	*f = (struct fixture){ .folder = "/tmp/ctrz-disk-XXXXXX" };
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->path, sizeof(f->path), "%s/disk", f->folder);
	tar_text_add(&f->tar, '0', "a", NULL, "content");
	tar_text_end(&f->tar);
	f->text = (struct text_source){ .data = f->tar.data, .left = f->tar.size };
	f->layer = (struct layer_source){
		.name = "abc", .size = f->tar.size, .read = text_read, .arg = &f->text
	};
	f->options = (struct disk_build_options){
		.path = f->path, .sync = DISK_SYNC_FULL, .progress = on_progress, .progress_arg = f
	};
}

static unsigned files_in(const char *folder)
{
	AUTO_DIR DIR *d = opendir(folder);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n - 2;
}

TEST(builds_and_reports)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	struct disk_build_result result = { 0 };
	struct stat st;

	fixture_init(&f);
	assert_ok(err, disk_build(&f.options, &f.layer, 1, &result, &err));
	assert_int_equal(stat(f.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, result.disk_bytes);
	assert_int_equal(result.layer_bytes, f.tar.size);
	assert_int_equal(result.entries, 1);
	assert_int_equal(result.inodes, 2);
	assert_true(f.reports >= 2);
	assert_int_equal(f.last.done, f.tar.size);
	assert_int_equal(f.last.total, f.tar.size);
	assert_int_equal(f.last.layer_count, 1);
	assert_int_equal(files_in(f.folder), 1);
}

TEST(canceling_leaves_nothing)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;

	fixture_init(&f);
	f.cancel_at = 1;
	assert_error(err, E_CANCELED, disk_build(&f.options, &f.layer, 1, NULL, &err));
	assert_int_equal(files_in(f.folder), 0);
}

TEST(no_layers_make_an_empty_image)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	struct disk_build_result result = { 0 };

	fixture_init(&f);
	assert_ok(err, disk_build(&f.options, NULL, 0, &result, &err));
	assert_int_equal(result.inodes, 1);
	f.layer.read = NULL;
	f.layer.size = 0;
	assert_ok(err, disk_build(&f.options, &f.layer, 1, &result, &err));
}

TEST(errors_name_the_layer)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	struct text_source bad = { .data = "", .fails = true };
	struct layer_source layers[2];

	fixture_init(&f);
	layers[0] = f.layer;
	layers[1] = (struct layer_source){ .read = text_read, .arg = &bad };
	assert_int_equal(disk_build(&f.options, layers, 2, NULL, &err), -E_UNAVAILABLE);
	assert_string_equal(error_message(&err), "layer 2: registry closed the connection");
	assert_int_equal(files_in(f.folder), 0);
	error_clear(&err);
	f.options.limits.layers = 1;
	assert_error(err, E_INTEGRITY, disk_build(&f.options, layers, 2, NULL, &err));
}

TEST(a_temporary_file_in_use_stays_and_a_dead_one_goes)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	AUTO_DISK_TEMP running = DISK_TEMP_INIT;
	AUTO_DISK_TEMP second = DISK_TEMP_INIT;
	char dead[80];
	FILE *file;

	fixture_init(&f);
	(void)snprintf(dead, sizeof(dead), "%s/.disk-0123.building", f.folder);
	assert_ok(err, disk_temp_open(f.path, &running, &err));
	file = fopen(dead, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(files_in(f.folder), 2);
	assert_ok(err, disk_temp_open(f.path, &second, &err));
	assert_false(file_exists(dead));
	assert_int_equal(files_in(f.folder), 2);
	assert_ok(err, disk_temp_commit(&running, f.path, false, false, &err));
	assert_error(err, E_EXISTS, disk_temp_commit(&second, f.path, false, false, &err));
	assert_ok(err, disk_temp_commit(&second, f.path, true, true, &err));
	assert_int_equal(files_in(f.folder), 1);
}
