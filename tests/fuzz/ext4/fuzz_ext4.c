/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the ext4 writer: layers go into an image in memory, and e2fsck must find nothing wrong
 * with what comes out.
 *
 * The input is a byte of options (bit 0: rooted names; bit 1: leave e2fsck out), then layers: two
 * bytes with the number of 512-byte blocks, little-endian, and the blocks.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/process.h"
#include "runtime/image/image_builder.h"
#include "tests/fuzz/tar/tar_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OPTION_ROOTED = 1, OPTION_NO_CHECK = 2, LAYERS_MAX = 8 };

struct input {
	const uint8_t *data;
	size_t left;
};

static int whole_layer(void *arg, const void **ret_data, size_t *ret_size, struct error *err)
{
	struct input *in = arg;

	(void)err;
	*ret_data = in->data;
	*ret_size = in->left;
	in->left = 0;
	return 0;
}

static int apply(struct image_builder *b, const uint8_t *data, size_t size, struct error *err)
{
	AUTO_FREE uint8_t *copy = xmemdup(data, size);
	struct input in = { copy, size };
	CLEANUP(tar_reader_free_p)
	struct tar_reader *tar = tar_reader_new(&(struct byte_source){ whole_layer, &in });

	tar_input_fix(copy, size);
	return image_builder_apply(b, tar, err);
}

static int build(struct image_builder *b, const uint8_t *data, size_t size, struct error *err)
{
	uint64_t bytes = 0;

	for (int i = 0; i < LAYERS_MAX && size >= 2; i++) {
		size_t layer = (size_t)get_le16(data) * 512;
		int rc;

		data += 2;
		size -= 2;
		if (layer > size)
			layer = size;
		rc = apply(b, data, layer, err);
		if (rc < 0)
			return rc;
		data += layer;
		size -= layer;
	}
	return image_builder_finish(b, &bytes, err);
}

static void check(int fd)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER out = BUFFER_INIT;
	char path[64];
	const char *argv[] = { "/sbin/e2fsck", "-fn", path, NULL };

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	if (process_run(argv, &out, 1 << 20, &err) < 0) {
		fprintf(stderr, "%s\n%s\n", error_message(&err), buffer_str(&out));
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_CLOSE int fd = memfd_create("image", MFD_CLOEXEC);
	struct image_builder b;
	int rc;

	if (fd < 0)
		abort();
	if (size < 1)
		return 0;
	image_builder_init(
		&b, fd,
		&(struct image_limits){ .max_entries = 4096,
					.max_bytes = 64 << 20,
					.rooted_names = (data[0] & OPTION_ROOTED) != 0 });
	rc = build(&b, data + 1, size - 1, &err);
	image_builder_release(&b);
	if (rc == 0 && !(data[0] & OPTION_NO_CHECK))
		check(fd);
	return 0;
}
