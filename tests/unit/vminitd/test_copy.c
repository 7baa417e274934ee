/* SPDX-License-Identifier: MIT */
/* A tree told by one end and made by the other: holes, files with several names, attributes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "tests/unit/test.h"
#include "vminitd/protocol/copy.h"
#include "vminitd/protocol/copy_seen.h"

static char folder[] = "/tmp/ctrz-copy-XXXXXX";

static char *at(const char *name)
{
	return path_join(folder, name);
}

/* All of @from to @to, through a decoder as between two machines. */
static void copy(const char *from, const char *to, struct copy_counts *ret)
{
	AUTO_CLOSE int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FREE char *source_path = at(from);
	AUTO_FREE char *target_path = at(to);
	struct copy_target_options o = {
		.root = root, .path = target_path, .name = "copy", .mode_mask = 0777
	};
	CLEANUP(copy_target_free_p) struct copy_target *target = copy_target_new(&o);
	CLEANUP(copy_source_free_p) struct copy_source *source = NULL;
	struct frame_decoder d;
	struct frame f;
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	int r = 1, more;

	frame_decoder_init(&d, FRAME_SOCKET);
	assert_ok(err, copy_source_open(root, source_path, false, &source, &err));
	while ((more = copy_source_next(source, &out, &err)) > 0) {
		assert_true(out.size <= COPY_CHUNK + COPY_ATTRIBUTE_MAX);
		frame_decoder_add(&d, out.data, out.size);
		buffer_clear(&out);
		while (frame_decoder_next(&d, &f, &err) > 0)
			r = copy_target_frame(target, &f, &err);
		assert_true(r >= 0);
	}
	assert_ok(err, more);
	assert_int_equal(r, 0);
	assert_int_equal(copy_source_counts(source)->bytes, copy_target_counts(target)->bytes);
	*ret = *copy_target_counts(target);
	frame_decoder_release(&d);
}

static void write_at(const char *name, off_t where, const char *text)
{
	AUTO_FREE char *path = at(name);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, strlen(text), where), strlen(text));
}

static void look(const char *name, struct stat *ret)
{
	AUTO_FREE char *path = at(name);

	assert_int_equal(lstat(path, ret), 0);
}

static void read_at(const char *name, off_t where, const char *wanted)
{
	AUTO_FREE char *path = at(name);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[16] = "";

	assert_int_equal(pread(fd, text, strlen(wanted), where), strlen(wanted));
	assert_string_equal(text, wanted);
}

static void make(void)
{
	AUTO_FREE char *sub = at("from/sub");
	AUTO_FREE char *one = at("from/one");
	AUTO_FREE char *two = at("from/sub/two");
	AUTO_FREE char *three = at("from/three");
	AUTO_FREE char *tail = at("from/tail");
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, dir_make(sub, 0755, &err));
	write_at("from/holes", 0, "begin");
	write_at("from/holes", INT64_C(3) << 30, "end");
	write_at("from/tail", 0, "data");
	assert_int_equal(truncate(tail, 50 << 20), 0);
	write_at("from/one", 0, "shared");
	assert_int_equal(link(one, two), 0);
	assert_int_equal(link(one, three), 0);
	assert_int_equal(setxattr(one, "user.note", "kept", 4, 0), 0);
	assert_int_equal(setxattr(one, "user.empty", "", 0, 0), 0);
	assert_int_equal(setxattr(sub, "user.folder", "too", 3, 0), 0);
}

static void check(void)
{
	AUTO_FREE char *one = at("to/one");
	AUTO_FREE char *sub = at("to/sub");
	char value[16] = "";
	struct stat a, b, c;

	look("to/holes", &a);
	assert_int_equal(a.st_size, (INT64_C(3) << 30) + 3);
	assert_true(a.st_blocks * 512 < 10 << 20);
	read_at("to/holes", 0, "begin");
	read_at("to/holes", INT64_C(3) << 30, "end");
	look("to/tail", &a);
	assert_int_equal(a.st_size, 50 << 20);
	assert_true(a.st_blocks * 512 < 10 << 20);
	look("to/one", &a);
	look("to/sub/two", &b);
	look("to/three", &c);
	assert_true(a.st_ino == b.st_ino && b.st_ino == c.st_ino && a.st_nlink == 3);
	read_at("to/sub/two", 0, "shared");
	assert_int_equal(getxattr(one, "user.note", value, sizeof(value)), 4);
	assert_memory_equal(value, "kept", 4);
	assert_int_equal(getxattr(one, "user.empty", value, sizeof(value)), 0);
	assert_int_equal(getxattr(sub, "user.folder", value, sizeof(value)), 3);
}

TEST(holes_names_and_attributes_come_along)
{
	struct copy_counts counts;
	AUTO_ERROR err = ERROR_INIT;

	assert_non_null(mkdtemp(folder));
	make();
	copy("from", "to", &counts);
	check();
	assert_int_equal(counts.files, 5);
	assert_int_equal(counts.bare, 0);
	/* Into a folder that is there. */
	AUTO_FREE char *contents = at("to");
	copy("from", "to", &counts);
	AUTO_FREE char *again = at("to/copy/sub/two");
	assert_int_equal(access(again, R_OK), 0);
	assert_ok(err, dir_remove_tree(contents, &err));
	assert_ok(err, dir_remove_tree(folder, &err));
}

TEST(files_are_known_by_device_and_inode)
{
	CLEANUP(copy_seen_release) struct copy_seen seen = { 0 };
	bool is_new;

	for (uint32_t i = 0; i < 5000; i++) {
		assert_int_equal(copy_seen_number(&seen, i % 3, i, &is_new), i + 1);
		assert_true(is_new);
	}
	for (uint32_t i = 0; i < 5000; i++) {
		assert_int_equal(copy_seen_number(&seen, i % 3, i, &is_new), i + 1);
		assert_false(is_new);
	}
}
