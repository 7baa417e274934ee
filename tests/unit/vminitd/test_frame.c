/* SPDX-License-Identifier: MIT */
/* The frame codec: whole, in pieces, out of step. */
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/test.h"
#include "vminitd/protocol/frame.h"

static void add_text(struct buffer *out, uint16_t type, const char *text)
{
	frame_add(out, type, 2, 9, text, strlen(text));
}

static void expect(struct frame_decoder *d, unsigned type, const char *text)
{
	struct frame f = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	assert_int_equal(frame_decoder_next(d, &f, &err), 1);
	assert_int_equal(f.type, type);
	if (type == FRAME_TYPE_MARKER)
		return;
	assert_int_equal(f.channel, 2);
	assert_int_equal(f.stream, 9);
	assert_int_equal(f.size, strlen(text));
	if (f.size > 0)
		assert_memory_equal(f.payload, text, f.size);
}

static void expect_nothing(struct frame_decoder *d)
{
	struct frame f;
	AUTO_ERROR err = ERROR_INIT;

	assert_int_equal(frame_decoder_next(d, &f, &err), 0);
}

TEST(frame_header_is_big_endian)
{
	static const uint8_t wanted[] = { 0, 0, 0, 2, 0, 19, 0, 2, 0, 0, 0, 9, 'h', 'i' };
	AUTO_BUFFER out = BUFFER_INIT;

	add_text(&out, 19, "hi");
	assert_int_equal(out.size, sizeof(wanted));
	assert_memory_equal(out.data, wanted, sizeof(wanted));
}

TEST(frame_arrives_byte_by_byte)
{
	struct frame_decoder d;
	AUTO_BUFFER out = BUFFER_INIT;

	frame_decoder_init(&d, FRAME_SOCKET);
	add_text(&out, 19, "hello");
	add_text(&out, 20, "");
	for (size_t i = 0; i < out.size; i++) {
		frame_decoder_add(&d, out.data + i, 1);
		if (i == FRAME_HEADER_SIZE + 4)
			expect(&d, 19, "hello");
		else if (i == out.size - 1)
			expect(&d, 20, "");
		expect_nothing(&d);
	}
	frame_decoder_release(&d);
}

TEST(frame_many_in_one_read)
{
	struct frame_decoder d;
	AUTO_BUFFER out = BUFFER_INIT;

	frame_decoder_init(&d, FRAME_SOCKET);
	for (int i = 0; i < 1000; i++)
		add_text(&out, 19, "x");
	frame_decoder_add(&d, out.data, out.size);
	for (int i = 0; i < 1000; i++)
		expect(&d, 19, "x");
	expect_nothing(&d);
	frame_decoder_release(&d);
}

TEST(frame_broken_header_ends_a_socket)
{
	static const uint8_t too_long[FRAME_HEADER_SIZE] = { 0, 4, 0, 1, 0, 1 };
	static const uint8_t no_type[FRAME_HEADER_SIZE] = { 0 };
	const uint8_t *broken[] = { too_long, no_type };

	for (size_t i = 0; i < 2; i++) {
		struct frame_decoder d;
		struct frame f;
		AUTO_ERROR err = ERROR_INIT;
		frame_decoder_init(&d, FRAME_SOCKET);
		frame_decoder_add(&d, broken[i], FRAME_HEADER_SIZE);
		assert_error(err, E_INTEGRITY, frame_decoder_next(&d, &f, &err));
		frame_decoder_release(&d);
	}
}

TEST(frame_serial_waits_for_a_marker)
{
	struct frame_decoder d;
	AUTO_BUFFER out = BUFFER_INIT;

	frame_decoder_init(&d, FRAME_SERIAL);
	buffer_add(&out,
		   "\xff\xff\xff\xff\xff garbage \xff\xff\xff\xff"
		   "ctrz-no",
		   26);
	size_t garbage = out.size;
	frame_add_marker(&out);
	add_text(&out, 19, "first");
	for (size_t i = 0; i < out.size; i++) {
		frame_decoder_add(&d, out.data + i, 1);
		if (i == garbage + FRAME_MARKER_SIZE - 1)
			expect(&d, FRAME_TYPE_MARKER, "");
		else if (i == out.size - 1)
			expect(&d, 19, "first");
		expect_nothing(&d);
	}
	assert_int_equal(d.skipped_bytes, garbage);
	frame_decoder_release(&d);
}

TEST(frame_serial_finds_back_from_half_a_frame)
{
	struct frame_decoder d;
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_BUFFER half = BUFFER_INIT;

	frame_decoder_init(&d, FRAME_SERIAL);
	frame_add_marker(&out);
	add_text(&half, 19, "this one is cut off");
	buffer_add(&out, half.data, 20);
	/* What a host does that gets no answer. */
	char *filler = buffer_reserve(&out, FRAME_MAX_PAYLOAD);
	memset(filler, 0xff, FRAME_MAX_PAYLOAD);
	out.size += FRAME_MAX_PAYLOAD;
	frame_add_marker(&out);
	add_text(&out, 21, "on");
	frame_decoder_add(&d, out.data, out.size);
	expect(&d, FRAME_TYPE_MARKER, "");
	expect(&d, 19, "this one\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
	expect(&d, FRAME_TYPE_MARKER, "");
	expect(&d, 21, "on");
	expect_nothing(&d);
	frame_decoder_release(&d);
}

TEST(frame_restart_forgets_half_a_frame)
{
	struct frame_decoder d;
	AUTO_BUFFER out = BUFFER_INIT;

	frame_decoder_init(&d, FRAME_SERIAL);
	frame_add_marker(&out);
	add_text(&out, 19, "gone");
	frame_decoder_add(&d, out.data, out.size - 2);
	expect(&d, FRAME_TYPE_MARKER, "");
	expect_nothing(&d);
	frame_decoder_restart(&d);
	buffer_clear(&out);
	add_text(&out, 19, "not yet");
	frame_add_marker(&out);
	add_text(&out, 20, "here");
	frame_decoder_add(&d, out.data, out.size);
	expect(&d, FRAME_TYPE_MARKER, "");
	expect(&d, 20, "here");
	frame_decoder_release(&d);
}

TEST(frame_over_the_limit_is_taken_back)
{
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	add_text(&out, 19, "before");
	size_t before = out.size, begin = frame_begin(&out, 3, 1);
	char *room = buffer_reserve(&out, FRAME_MAX_PAYLOAD + 1);
	memset(room, 'x', FRAME_MAX_PAYLOAD + 1);
	out.size += FRAME_MAX_PAYLOAD + 1;
	assert_error(err, E_INVALID, frame_end(&out, begin, &err));
	assert_int_equal(out.size, before);
}

TEST(frame_is_read_from_a_descriptor_and_to_one)
{
	int pipe_fds[2];
	static const char text[] = "straight from a pipe";
	AUTO_BUFFER out = BUFFER_INIT;
	struct frame_decoder d;

	frame_decoder_init(&d, FRAME_SOCKET);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	add_text(&out, 20, "before");
	size_t before = out.size;
	assert_int_equal(frame_add_read(&out, 19, 2, 9, pipe_fds[0], 100), -1);
	assert_int_equal(out.size, before);
	assert_int_equal(out.data[before], '\0');
	assert_int_equal(write(pipe_fds[1], text, strlen(text)), strlen(text));
	/* No more than was asked for. */
	assert_int_equal(frame_add_read(&out, 19, 2, 9, pipe_fds[0], 8), 8);
	assert_int_equal(frame_add_read(&out, 19, 2, 9, pipe_fds[0], 100), strlen(text) - 8);
	assert_int_equal(out.data[out.size], '\0');

	assert_int_equal(frame_decoder_read(&d, pipe_fds[0], 7), -1);
	assert_int_equal(write(pipe_fds[1], out.data, out.size), out.size);
	while (frame_decoder_read(&d, pipe_fds[0], 7) > 0)
		;
	expect(&d, 20, "before");
	expect(&d, 19, "straight");
	expect(&d, 19, " from a pipe");
	expect_nothing(&d);
	(void)close(pipe_fds[1]);
	assert_int_equal(frame_add_read(&out, 19, 2, 9, pipe_fds[0], 100), 0);
	(void)close(pipe_fds[0]);
	frame_decoder_release(&d);
}
