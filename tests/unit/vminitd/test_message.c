/* SPDX-License-Identifier: MIT */
/* Messages: their wire form is fixed by golden files, and hostile bytes are refused. */
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/file.h"
#include "tests/unit/test.h"
#include "tests/unit/vminitd/samples.h"

enum { GOLDEN_MAX = 65536 };

static char *golden_path(const struct sample *s)
{
	return xasprintf("%s/golden/protocol/%s.hex", TEST_SOURCE_DIR, s->name);
}

/* 32 bytes a line, so that a review sees what moved. */
static void to_hex(const struct buffer *frame, struct buffer *out)
{
	char hex[65];

	for (size_t at = 0; at < frame->size; at += 32) {
		size_t n = frame->size - at < 32 ? frame->size - at : 32;
		hex_encode(hex, frame->data + at, n);
		buffer_printf(out, "%s\n", hex);
	}
}

TEST(message_wire_form_is_as_it_was)
{
	AUTO_ERROR err = ERROR_INIT;

	for (size_t i = 0; i < sample_count; i++) {
		AUTO_BUFFER frame = BUFFER_INIT;
		AUTO_BUFFER hex = BUFFER_INIT;
		AUTO_BUFFER wanted = BUFFER_INIT;
		AUTO_FREE char *path = golden_path(&samples[i]);
		assert_ok(err, samples[i].add(&frame, &err));
		to_hex(&frame, &hex);
		if (getenv("CTRZ_GOLDEN_UPDATE"))
			assert_ok(err, file_write_atomic(path, hex.data, hex.size, 0644, &err));
		assert_ok(err, file_read(path, GOLDEN_MAX, &wanted, &err));
		assert_string_equal(buffer_str(&hex), buffer_str(&wanted));
	}
}

TEST(message_comes_back_as_it_went)
{
	AUTO_ERROR err = ERROR_INIT;

	for (size_t i = 0; i < sample_count; i++) {
		AUTO_BUFFER frame = BUFFER_INIT;
		AUTO_BUFFER again = BUFFER_INIT;
		assert_ok(err, samples[i].add(&frame, &err));
		size_t size = frame.size - FRAME_HEADER_SIZE;
		const char *payload = frame.data + FRAME_HEADER_SIZE;
		assert_ok(err, samples[i].again(payload, size, &again, &err));
		assert_int_equal(again.size, size);
		assert_memory_equal(again.data, payload, size);
	}
}

TEST(message_cut_off_anywhere_or_too_long_is_refused)
{
	AUTO_ERROR err = ERROR_INIT;

	for (size_t i = 0; i < sample_count; i++) {
		AUTO_BUFFER frame = BUFFER_INIT;
		AUTO_BUFFER again = BUFFER_INIT;
		assert_ok(err, samples[i].add(&frame, &err));
		buffer_add_char(&frame, 0);
		size_t size = frame.size - FRAME_HEADER_SIZE;
		for (size_t n = 0; n <= size; n++) {
			if (n == size - 1)
				continue;
			/* Its own block, so that a byte read too far is seen. */
			AUTO_FREE char *part = xmemdup(frame.data + FRAME_HEADER_SIZE, n);
			assert_error(err, E_INTEGRITY, samples[i].again(part, n, &again, &err));
		}
	}
}

TEST(message_setup_fields_arrive)
{
	struct msg_setup s, got;
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	sample_setup(&s);
	assert_ok(err, msg_setup_pack(&s, &out, &err));
	assert_ok(err, msg_setup_unpack(out.data, out.size, &got, &err));
	assert_int_equal(got.disk_count, 2);
	assert_string_equal(got.disks[1].target, "/data");
	assert_string_equal(got.disks[0].target, "");
	assert_int_equal(got.disks[1].size_bytes, 1 << 20);
	assert_string_equal(got.names.hosts[0].names.items[1], "postgres");
	assert_int_equal(got.names.hosts[1].names.count, 0);
	assert_int_equal(got.nics[0].found_mac[5], 2);
	assert_string_equal(got.nics[0].address6, "");
	assert_memory_equal(got.entropy, s.entropy, 32);
	assert_int_equal(got.limits.pids, 100);
	msg_setup_release(&s);
	msg_setup_release(&got);
	assert_null(got.disks);
}

TEST(message_that_exceeds_a_bound_is_not_sent)
{
	AUTO_BUFFER out = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *name = xmalloc(301);
	struct msg_spawn s = { .user = name };
	struct msg_error unknown = { .code = (enum error_code)99 };

	memset(name, 'x', 300);
	name[300] = '\0';
	buffer_add_str(&out, "before");
	assert_error(err, E_INVALID, msg_spawn_add(&out, MSG_SPAWN, 1, &s, &err));
	assert_error(err, E_INVALID, msg_error_add(&out, MSG_ERROR, 1, &unknown, &err));
	assert_string_equal(buffer_str(&out), "before");
	s = (struct msg_spawn){ 0 };
	AUTO_FREE char *value = xmalloc(100001);
	memset(value, 'v', 100000);
	value[100000] = '\0';
	for (int i = 0; i < 3; i++)
		strlist_add(&s.env, value);
	assert_error(err, E_INVALID, msg_spawn_add(&out, MSG_SPAWN, 1, &s, &err));
	assert_string_equal(buffer_str(&out), "before");
	msg_spawn_release(&s);
}

TEST(message_refuses_what_no_peer_of_ours_sends)
{
	struct msg_exited exited;
	struct msg_log line;
	struct msg_detach detach;
	struct msg_spawn spawn;
	AUTO_ERROR err = ERROR_INIT;

	assert_error(err, E_INTEGRITY, msg_exited_unpack("\0\0\0\1\2", 5, &exited, &err));
	assert_error(err, E_INTEGRITY, msg_log_unpack("\0\0\0\x9\0\0\0\0", 8, &line, &err));
	assert_error(err, E_INTEGRITY, msg_detach_unpack("\0\0\0\2/\0", 6, &detach, &err));
	assert_error(err, E_INTEGRITY, msg_detach_unpack("\xff\xff\xff\xff/", 5, &detach, &err));
	assert_error(err, E_INTEGRITY, msg_spawn_unpack("\x7f\xff\xff\xff", 4, &spawn, &err));
	assert_error(err, E_INTEGRITY, msg_spawn_unpack(NULL, 0, &spawn, &err));
}

TEST(message_helpers_make_whole_frames)
{
	AUTO_BUFFER out = BUFFER_INIT;
	struct frame_decoder d;
	struct frame f;
	struct msg_credit credit;
	struct msg_error error;
	AUTO_ERROR err = ERROR_INIT;

	message_add_credit(&out, 5, CHANNEL_STDERR, 0);
	assert_int_equal(out.size, 0);
	message_add_credit(&out, 5, CHANNEL_STDERR, 70000);
	message_add_error(&out, 6, E_TIMEOUT, "late");
	message_add_end_of_file(&out, 7, CHANNEL_STDIN);
	frame_decoder_init(&d, FRAME_SOCKET);
	frame_decoder_add(&d, out.data, out.size);
	assert_int_equal(frame_decoder_next(&d, &f, &err), 1);
	assert_int_equal(f.channel, CHANNEL_STDERR);
	assert_ok(err, msg_credit_unpack(f.payload, f.size, &credit, &err));
	assert_int_equal(credit.bytes, 70000);
	assert_int_equal(frame_decoder_next(&d, &f, &err), 1);
	assert_ok(err, msg_error_unpack(f.payload, f.size, &error, &err));
	assert_int_equal(error.code, E_TIMEOUT);
	assert_string_equal(error.text, "late");
	msg_error_release(&error);
	assert_int_equal(frame_decoder_next(&d, &f, &err), 1);
	assert_int_equal(f.type, MSG_END_OF_FILE);
	frame_decoder_release(&d);
	assert_string_equal(message_type_name(MSG_SPAWN_FAILED), "spawn-failed");
	assert_string_equal(message_type_name(4711), "unknown");
	assert_int_equal(spawn_failure_exit_code(SPAWN_NOT_FOUND), 127);
	assert_int_equal(spawn_failure_exit_code(SPAWN_NOT_EXECUTABLE), 126);
	assert_int_equal(spawn_failure_exit_code(SPAWN_SYSTEM), 125);
}

TEST(message_of_another_version_is_refused_whatever_its_form)
{
	static const uint32_t others[] = { 0, PROTOCOL_VERSION - 1, PROTOCOL_VERSION + 1,
					   UINT32_MAX };
	uint8_t payload[5] = { 0 };
	struct frame f = { .type = MSG_HELLO, .payload = payload, .size = sizeof(payload) };

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_FREE char *about = xasprintf("version %u of the protocol, not %d", others[i],
						  PROTOCOL_VERSION);
		put_be32(payload, others[i]);
		assert_int_equal(message_check_version(&f, "the host", &err), -E_CONFLICT);
		assert_non_null(strstr(error_message(&err), about));
	}
	AUTO_ERROR err = ERROR_INIT;
	put_be32(payload, PROTOCOL_VERSION);
	assert_ok(err, message_check_version(&f, "the host", &err));
	/* Too short for a version: unpacking refuses it. */
	f.size = 3;
	assert_ok(err, message_check_version(&f, "the host", &err));
}
