/* SPDX-License-Identifier: MIT */
/* The tar reader's interface: entries, pieces, positions, errors of the source. */
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/image/tar_text.h"
#include "tests/unit/test.h"

static void sample(struct buffer *tar)
{
	tar_text_add(tar, '5', "d/", NULL, NULL);
	tar_text_add(tar, '0', "d/a", NULL, "first");
	tar_text_add(tar, '2', "l", "d/a", NULL);
	tar_text_add(tar, '1', "h", "d/a", NULL);
	tar_text_add(tar, '0', "z", NULL, "the last one");
	tar_text_end(tar);
}

static struct tar_reader *reader_of(struct text_source *source, const struct buffer *tar,
				    size_t piece)
{
	*source = (struct text_source){ .data = tar->data, .left = tar->size, .piece = piece };
	return tar_reader_new(&(struct byte_source){ text_next, source });
}

static void expect(struct tar_reader *r, struct tar_entry *e, enum tar_type type, const char *name)
{
	AUTO_ERROR err = ERROR_INIT;

	if (tar_reader_next(r, e, &err) != 1)
		fail_msg("%s: %s", name, error_message(&err));
	assert_int_equal(e->type, type);
	assert_string_equal(e->name, name);
}

TEST(entries_whatever_the_size_of_the_pieces)
{
	AUTO_BUFFER tar = BUFFER_INIT;
	static const size_t pieces[] = { 0, 1, 7, 512, 513, 100000 };

	sample(&tar);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		AUTO_ERROR err = ERROR_INIT;
		struct text_source source;
		CLEANUP(tar_reader_free_p)
		struct tar_reader *r = reader_of(&source, &tar, pieces[i]);
		struct tar_entry e;
		char text[64] = "";

		expect(r, &e, TAR_DIRECTORY, "d/");
		expect(r, &e, TAR_FILE, "d/a");
		assert_int_equal(e.size, 5);
		assert_int_equal(e.uid, 12);
		assert_int_equal(e.gid, 34);
		assert_int_equal(e.mode, 0644);
		assert_int_equal(e.mtime, 1700000000);
		assert_int_equal(e.data_offset, 1024);
		assert_int_equal(tar_reader_read(r, text, sizeof(text), &err), 5);
		assert_string_equal(text, "first");
		assert_int_equal(tar_reader_read(r, text, sizeof(text), &err), 0);
		expect(r, &e, TAR_SYMLINK, "l");
		assert_string_equal(e.link_name, "d/a");
		expect(r, &e, TAR_HARD_LINK, "h");
		expect(r, &e, TAR_FILE, "z"); /* its data is not asked for */
		assert_int_equal(tar_reader_next(r, &e, &err), 0);
		assert_int_equal(tar_reader_next(r, &e, &err), 0);
	}
}

TEST(data_comes_without_copies)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER tar = BUFFER_INIT;
	struct text_source source;
	struct tar_entry e;
	uint64_t offset = 99;
	const void *data = NULL;
	CLEANUP(tar_reader_free_p) struct tar_reader *r = NULL;

	sample(&tar);
	r = reader_of(&source, &tar, 0);
	expect(r, &e, TAR_DIRECTORY, "d/");
	expect(r, &e, TAR_FILE, "d/a");
	assert_int_equal(tar_reader_data(r, &offset, &data, &err), 5);
	assert_int_equal(offset, 0);
	assert_ptr_equal(data, tar.data + 1024);
	assert_int_equal(tar_reader_data(r, &offset, &data, &err), 0);
}

TEST(from_a_descriptor_with_positions)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER tar = BUFFER_INIT;
	AUTO_FILE FILE *f = tmpfile();
	CLEANUP(tar_reader_free_p) struct tar_reader *r = NULL;
	struct tar_entry e;
	char text[5];

	assert_non_null(f);
	sample(&tar);
	assert_int_equal(write(fileno(f), tar.data, tar.size), tar.size);
	assert_int_equal(lseek(fileno(f), 0, SEEK_SET), 0);
	r = tar_reader_new_fd(fileno(f));
	expect(r, &e, TAR_DIRECTORY, "d/");
	expect(r, &e, TAR_FILE, "d/a");
	assert_int_equal(pread(fileno(f), text, 5, (off_t)e.data_offset), 5);
	assert_memory_equal(text, "first", 5);
	assert_ok(err, tar_reader_drain(r, &err));
	assert_int_equal(tar_reader_next(r, &e, &err), 0);
}

TEST(failures_of_the_source_come_through)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER tar = BUFFER_INIT;
	struct text_source source;
	struct tar_entry e;
	CLEANUP(tar_reader_free_p) struct tar_reader *r = NULL;

	sample(&tar);
	tar.size = 700;
	r = reader_of(&source, &tar, 0);
	source.fails = true;
	expect(r, &e, TAR_DIRECTORY, "d/");
	assert_error(err, E_UNAVAILABLE, tar_reader_next(r, &e, &err));
}

TEST(drain_reads_what_follows_the_archive)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER tar = BUFFER_INIT;
	struct text_source source;
	struct tar_entry e;
	CLEANUP(tar_reader_free_p) struct tar_reader *r = NULL;

	tar_text_end(&tar);
	buffer_add_str(&tar, "anything at all");
	r = reader_of(&source, &tar, 8);
	assert_int_equal(tar_reader_next(r, &e, &err), 0);
	assert_int_not_equal(source.left, 0);
	assert_ok(err, tar_reader_drain(r, &err));
	assert_int_equal(source.left, 0);
}

TEST(an_empty_stream_is_an_empty_archive)
{
	AUTO_ERROR err = ERROR_INIT;
	struct text_source source = { .data = "", .left = 0 };
	struct tar_entry e;
	CLEANUP(tar_reader_free_p)
	struct tar_reader *r = tar_reader_new(&(struct byte_source){ text_next, &source });

	assert_int_equal(tar_reader_next(r, &e, &err), 0);
}
