/* SPDX-License-Identifier: MIT */
/* Relaying one process: credit on both sides, order of output and exit, and ends that break the
 * protocol. */
#include <signal.h>

#include "base/alloc.h"
#include "runtime/machine/keeper_stream.h"
#include "tests/unit/test.h"

enum { ID = 9 };

struct fixture {
	struct stream stream;
	struct buffer client, guest;
};

static void set_up(struct fixture *f, bool with_client)
{
	*f = (struct fixture){ 0 };
	stream_init(&f->stream, ID, with_client ? &f->client : NULL);
}

static void tear_down(struct fixture *f)
{
	stream_release(&f->stream);
	buffer_release(&f->client);
	buffer_release(&f->guest);
}

/* Bytes of data, credit, ends and exits in a buffer of frames. */
struct sum {
	size_t data, credit, ends, exits;
	uint32_t code;
	bool exit_was_last;
};

static struct sum sum_up(struct buffer *b, uint32_t stream)
{
	struct frame_decoder d;
	struct frame f;
	struct sum s = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	frame_decoder_init(&d, FRAME_SOCKET);
	if (b->size > 0)
		frame_decoder_add(&d, b->data, b->size);
	while (frame_decoder_next(&d, &f, &err) > 0) {
		struct msg_credit credit = { 0 };
		struct msg_exited exited = { 0 };
		assert_int_equal(f.stream, stream);
		s.exit_was_last = false;
		if (f.type == MSG_DATA) {
			s.data += f.size;
		} else if (f.type == MSG_CREDIT) {
			assert_ok(err, msg_credit_unpack(f.payload, f.size, &credit, &err));
			s.credit += credit.bytes;
		} else if (f.type == MSG_END_OF_FILE) {
			s.ends++;
		} else if (f.type == MSG_EXITED) {
			assert_ok(err, msg_exited_unpack(f.payload, f.size, &exited, &err));
			s.code = exited.code;
			s.exits++;
			s.exit_was_last = true;
		}
	}
	frame_decoder_release(&d);
	buffer_clear(b);
	return s;
}

typedef int (*side)(struct stream *, const struct frame *, struct buffer *, struct error *);

static int give(struct fixture *f, side from, const struct buffer *frames, struct error *err)
{
	struct frame_decoder d;
	struct frame frame;
	int r = 0;

	frame_decoder_init(&d, FRAME_SOCKET);
	frame_decoder_add(&d, frames->data, frames->size);
	while (r == 0 && frame_decoder_next(&d, &frame, err) > 0)
		r = from(&f->stream, &frame, &f->guest, err);
	frame_decoder_release(&d);
	return r;
}

static int give_data(struct fixture *f, side from, enum msg_channel channel, size_t size,
		     struct error *err)
{
	int r = 0;

	while (size > 0 && r == 0) {
		AUTO_BUFFER frames = BUFFER_INIT;
		size_t n = size < FRAME_DATA_MAX ? size : FRAME_DATA_MAX;
		AUTO_FREE char *bytes = xcalloc(1, n);
		message_add_data(&frames, ID, channel, bytes, n);
		r = give(f, from, &frames, err);
		size -= n;
	}
	return r;
}

static int give_exit(struct fixture *f, uint32_t code, struct error *err)
{
	AUTO_BUFFER frames = BUFFER_INIT;
	struct msg_exited m = { code, false };

	assert_ok(*err, msg_exited_add(&frames, MSG_EXITED, ID, &m, err));
	return give(f, stream_from_guest, &frames, err);
}

static int give_credit(struct fixture *f, side from, enum msg_channel channel, uint32_t bytes,
		       struct error *err)
{
	AUTO_BUFFER frames = BUFFER_INIT;

	message_add_credit(&frames, ID, channel, bytes);
	return give(f, from, &frames, err);
}

TEST(output_stops_at_the_clients_credit_and_the_exit_comes_last)
{
	struct fixture f;
	struct sum s;
	AUTO_ERROR err = ERROR_INIT;

	set_up(&f, true);
	assert_ok(err, give_data(&f, stream_from_guest, CHANNEL_STDOUT, CREDIT_WINDOW, &err));
	s = sum_up(&f.client, STREAM_MAIN);
	assert_int_equal(s.data, CREDIT_WINDOW);
	/* All was sent on, so the guest may send as much again; the client has no credit left. */
	assert_int_equal(sum_up(&f.guest, ID).credit, CREDIT_WINDOW);
	assert_ok(err, give_data(&f, stream_from_guest, CHANNEL_STDOUT, 1000, &err));
	assert_ok(err, give_exit(&f, 7, &err));
	s = sum_up(&f.client, STREAM_MAIN);
	assert_int_equal(s.data + s.exits, 0);
	assert_false(stream_is_over(&f.stream));
	assert_ok(err, give_credit(&f, stream_from_client, CHANNEL_STDOUT, CREDIT_WINDOW, &err));
	s = sum_up(&f.client, STREAM_MAIN);
	assert_int_equal(s.data, 1000);
	assert_int_equal(s.exits, 1);
	assert_int_equal(s.code, 7);
	assert_true(s.exit_was_last);
	assert_true(stream_is_over(&f.stream));
	tear_down(&f);
}

TEST(input_stops_at_the_guests_credit)
{
	struct fixture f;
	struct sum s;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER end = BUFFER_INIT;

	set_up(&f, true);
	assert_ok(err, give_data(&f, stream_from_client, CHANNEL_STDIN, CREDIT_WINDOW, &err));
	assert_int_equal(sum_up(&f.guest, ID).data, CREDIT_WINDOW);
	assert_int_equal(sum_up(&f.client, STREAM_MAIN).credit, CREDIT_WINDOW);
	assert_ok(err, give_data(&f, stream_from_client, CHANNEL_STDIN, 5, &err));
	message_add_end_of_file(&end, STREAM_MAIN, CHANNEL_STDIN);
	assert_ok(err, give(&f, stream_from_client, &end, &err));
	assert_int_equal(f.guest.size, 0);
	assert_ok(err, give_credit(&f, stream_from_guest, CHANNEL_STDIN, 100, &err));
	s = sum_up(&f.guest, ID);
	assert_int_equal(s.data, 5);
	assert_int_equal(s.ends, 1);
	tear_down(&f);
}

TEST(output_nobody_reads_is_consumed)
{
	struct fixture f;
	AUTO_ERROR err = ERROR_INIT;

	set_up(&f, false);
	for (int i = 0; i < 8; i++)
		assert_ok(err, give_data(&f, stream_from_guest, CHANNEL_STDERR, CREDIT_WINDOW / 2,
					 &err));
	/* Small amounts are gathered. */
	assert_in_range(sum_up(&f.guest, ID).credit, 4 * CREDIT_WINDOW - CREDIT_WINDOW / 4,
			4 * CREDIT_WINDOW);
	assert_ok(err, give_exit(&f, 0, &err));
	assert_true(stream_is_over(&f.stream));
	tear_down(&f);
}

TEST(a_client_that_leaves_frees_the_guest)
{
	struct fixture f;
	AUTO_ERROR err = ERROR_INIT;

	set_up(&f, true);
	assert_ok(err, give_data(&f, stream_from_guest, CHANNEL_STDOUT, CREDIT_WINDOW, &err));
	(void)sum_up(&f.guest, ID);
	assert_ok(err, give_data(&f, stream_from_guest, CHANNEL_STDOUT, CREDIT_WINDOW, &err));
	assert_int_equal(sum_up(&f.guest, ID).credit, 0);
	stream_leave(&f.stream, &f.guest);
	assert_int_equal(sum_up(&f.guest, ID).credit, CREDIT_WINDOW);
	stream_join(&f.stream, &f.client);
	buffer_clear(&f.client);
	assert_ok(err, give_data(&f, stream_from_guest, CHANNEL_STDOUT, 10, &err));
	assert_int_equal(sum_up(&f.client, STREAM_MAIN).data, 10);
	tear_down(&f);
}

TEST(a_killed_process_is_told_after_its_output)
{
	struct fixture f;
	struct sum s;
	AUTO_ERROR err = ERROR_INIT;

	set_up(&f, true);
	assert_ok(err, give_data(&f, stream_from_guest, CHANNEL_STDOUT, 10, &err));
	stream_kill(&f.stream, &f.guest);
	s = sum_up(&f.client, STREAM_MAIN);
	assert_int_equal(s.data, 10);
	assert_int_equal(s.code, 128 + SIGKILL);
	assert_true(s.exit_was_last);
	tear_down(&f);
}

TEST(a_guest_that_breaks_the_protocol_is_noticed)
{
	struct fixture f;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER end = BUFFER_INIT;

	set_up(&f, true);
	/* The client takes one window, the keeper holds another; a third has no credit. */
	assert_ok(err, give_data(&f, stream_from_guest, CHANNEL_STDOUT, 2 * CREDIT_WINDOW, &err));
	assert_error(err, E_INTEGRITY, give_data(&f, stream_from_guest, CHANNEL_STDOUT, 1, &err));
	tear_down(&f);
	set_up(&f, true);
	assert_error(err, E_INTEGRITY, give_data(&f, stream_from_guest, CHANNEL_STDIN, 1, &err));
	assert_error(err, E_INTEGRITY, give_credit(&f, stream_from_guest, CHANNEL_STDIN, 1, &err));
	assert_error(err, E_INTEGRITY, give_credit(&f, stream_from_guest, CHANNEL_STDOUT, 1, &err));
	message_add_end_of_file(&end, ID, CHANNEL_STDOUT);
	assert_ok(err, give(&f, stream_from_guest, &end, &err));
	assert_error(err, E_INTEGRITY, give_data(&f, stream_from_guest, CHANNEL_STDOUT, 1, &err));
	assert_ok(err, give_exit(&f, 0, &err));
	assert_error(err, E_INTEGRITY, give_exit(&f, 0, &err));
	tear_down(&f);
}
