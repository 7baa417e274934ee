/* SPDX-License-Identifier: MIT */
/* Locks of run folders and disks. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "runtime/machine/keeper_devices.h"
#include "runtime/machine/keeper_lock.h"
#include "tests/unit/test.h"

static char folder[64];

static void make_folder(void)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/ctrz-lock-XXXXXX");
	assert_non_null(mkdtemp(folder));
}

static void remove_folder(void)
{
	AUTO_ERROR err = ERROR_INIT;
	assert_ok(err, dir_remove_tree(folder, &err));
}

TEST(a_run_folder_has_one_owner)
{
	AUTO_ERROR err = ERROR_INIT;

	make_folder();
	int first = run_lock(folder, 0, &err);
	assert_true(first >= 0);
	assert_error(err, E_CONFLICT, run_lock(folder, 0, &err));
	assert_error(err, E_CONFLICT, run_lock(folder, 150, &err));
	(void)close(first);
	int second = run_lock(folder, 0, &err);
	assert_true(second >= 0);
	(void)close(second);
	remove_folder();
}

TEST(a_lock_on_a_removed_folder_counts_for_nothing)
{
	AUTO_ERROR err = ERROR_INIT;

	make_folder();
	AUTO_CLOSE int old = run_lock(folder, 0, &err);
	assert_true(old >= 0);
	assert_ok(err, dir_remove_tree(folder, &err));
	AUTO_CLOSE int fresh = run_lock(folder, 0, &err);
	assert_true(fresh >= 0);
	remove_folder();
}

TEST(a_disk_is_shared_for_reading_only)
{
	AUTO_FREE char *path = NULL;
	AUTO_ERROR err = ERROR_INIT;
	struct machine_disk reader = { .read_only = true }, writer = { .read_only = false };

	make_folder();
	path = path_join(folder, "disk");
	assert_ok(err, file_write_atomic(path, "x", 1, 0600, &err));
	reader.path = writer.path = path;
	int a = disk_open(&reader, &err), b = disk_open(&reader, &err);
	assert_true(a >= 0 && b >= 0);
	assert_error(err, E_CONFLICT, disk_open(&writer, &err));
	(void)close(a);
	(void)close(b);
	AUTO_CLOSE int c = disk_open(&writer, &err);
	assert_true(c >= 0);
	assert_error(err, E_CONFLICT, disk_open(&reader, &err));
	reader.path = folder;
	assert_error(err, E_INVALID, disk_open(&reader, &err));
	remove_folder();
}
