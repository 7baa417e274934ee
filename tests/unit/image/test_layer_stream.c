/* SPDX-License-Identifier: MIT */
/* Inflating, whatever the format and the pieces it comes in; both gzip libraries must agree. */
#include <zlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "runtime/image/layer_stream.h"
#include "tests/unit/image/tar_text.h"
#include "tests/unit/test.h"

static void add_gzip(struct buffer *out, const void *data, size_t size)
{
	z_stream z = { 0 };
	size_t room = size + size / 10 + 1000;
	union {
		const void *read_only;
		Bytef *bytes;
	} in = { data };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = (Bytef *)buffer_reserve(out, room);
	z.avail_out = (uInt)room;
	z.next_in = in.bytes;
	z.avail_in = (uInt)size;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out->size += room - z.avail_out;
	assert_int_equal(deflateEnd(&z), Z_OK);
}

static void add_zstd(struct buffer *out, const void *data, size_t size)
{
	size_t room = ZSTD_compressBound(size);
	size_t n = ZSTD_compress(buffer_reserve(out, room), room, data, size, 3);

	assert_false(ZSTD_isError(n));
	out->size += n;
}

static char *some_text(size_t size)
{
	char *text = xmalloc(size);
	uint32_t state = 1;

	for (size_t i = 0; i < size; i++) {
		state = state * 1664525 + 1013904223;
		text[i] = (char)(state >> 24 & (state & 0x40000 ? 0x0f : 0x7f));
	}
	return text;
}

/* Read it all in pieces of @piece. Return: as layer_stream_read() at the end */
static ssize_t inflate_all(const struct buffer *blob, enum layer_compression kind, size_t piece,
			   struct buffer *out, struct error *err)
{
	struct text_source text = { .data = blob->data, .left = blob->size, .piece = piece };
	struct layer_source source = {
		.compression = kind, .size = blob->size, .read = text_read, .arg = &text
	};
	CLEANUP(layer_stream_free_p) struct layer_stream *s = layer_stream_new(&source);
	ssize_t n;

	while ((n = layer_stream_read(s, buffer_reserve(out, 10007), 10007, err)) > 0)
		out->size += (size_t)n;
	if (n == 0)
		assert_int_equal(layer_stream_consumed(s), blob->size);
	return n;
}

static void check(const struct buffer *blob, const void *want, size_t size)
{
	static const size_t pieces[] = { 1, 3, 1000, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_BUFFER out = BUFFER_INIT;

		assert_ok(err, (int)inflate_all(blob, LAYER_AUTO, pieces[i], &out, &err));
		assert_int_equal(out.size, size);
		assert_memory_equal(buffer_str(&out), want, size);
	}
}

TEST(every_format_in_pieces)
{
	size_t size = 200000;
	AUTO_FREE char *text = some_text(size);
	AUTO_BUFFER gzip = BUFFER_INIT, zstd = BUFFER_INIT, plain = BUFFER_INIT,
		    members = BUFFER_INIT;

	add_gzip(&gzip, text, size);
	add_zstd(&zstd, text, size);
	buffer_add(&plain, text, size);
	add_gzip(&members, text, 5);
	add_gzip(&members, text, 0);
	add_gzip(&members, text + 5, size - 5);
	check(&gzip, text, size);
	check(&zstd, text, size);
	check(&plain, text, size);
	check(&members, text, size);
}

TEST(empty_blob)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER blob = BUFFER_INIT, out = BUFFER_INIT;

	assert_int_equal(inflate_all(&blob, LAYER_AUTO, 0, &out, &err), 0);
	assert_error(err, E_INTEGRITY, (int)inflate_all(&blob, LAYER_GZIP, 0, &out, &err));
	assert_error(err, E_INTEGRITY, (int)inflate_all(&blob, LAYER_ZSTD, 0, &out, &err));
}

TEST(every_cut_is_noticed)
{
	AUTO_FREE char *text = some_text(3000);
	AUTO_BUFFER gzip = BUFFER_INIT, zstd = BUFFER_INIT;

	add_gzip(&gzip, text, 3000);
	add_zstd(&zstd, text, 3000);
	for (size_t cut = 7; cut < gzip.size; cut += 13) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_BUFFER out = BUFFER_INIT;
		struct buffer part = { .data = gzip.data, .size = cut };

		assert_error(err, E_INTEGRITY, (int)inflate_all(&part, LAYER_AUTO, 0, &out, &err));
	}
	for (size_t cut = 7; cut < zstd.size; cut += 13) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_BUFFER out = BUFFER_INIT;
		struct buffer part = { .data = zstd.data, .size = cut };

		assert_error(err, E_INTEGRITY, (int)inflate_all(&part, LAYER_AUTO, 0, &out, &err));
	}
}

TEST(announced_size_is_held_to)
{
	AUTO_ERROR err = ERROR_INIT;
	char buf[64];
	static const uint64_t sizes[] = { 9, 11 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct text_source text = { .data = "0123456789", .left = 10 };
		struct layer_source source = { .size = sizes[i], .read = text_read, .arg = &text };
		CLEANUP(layer_stream_free_p) struct layer_stream *s = layer_stream_new(&source);

		assert_error(err, E_INTEGRITY, (int)layer_stream_read(s, buf, sizeof(buf), &err));
	}
}

TEST(a_damaged_byte_is_noticed)
{
	AUTO_FREE char *text = some_text(5000);
	AUTO_BUFFER gzip = BUFFER_INIT;

	add_gzip(&gzip, text, 5000);
	for (size_t at = 10; at < gzip.size; at += 97) {
		AUTO_ERROR err = ERROR_INIT;
		AUTO_BUFFER out = BUFFER_INIT;

		gzip.data[at] ^= 0x10;
		assert_error(err, E_INTEGRITY, (int)inflate_all(&gzip, LAYER_GZIP, 0, &out, &err));
		gzip.data[at] ^= 0x10;
	}
}
