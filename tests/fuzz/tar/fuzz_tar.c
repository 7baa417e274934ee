/* SPDX-License-Identifier: MIT */
/* Fuzzes the tar reader; the first byte is the size of the pieces it gets its input in. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "runtime/archive/tar_reader.h"
#include "tests/fuzz/tar/tar_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t left, piece;
};

static int next_piece(void *arg, const void **ret_data, size_t *ret_size, struct error *err)
{
	struct input *in = arg;
	size_t n = in->left < in->piece ? in->left : in->piece;

	(void)err;
	*ret_data = in->data;
	*ret_size = n;
	in->data += n;
	in->left -= n;
	return 0;
}

/* What the reader promises about each entry, whatever the input. */
static void check_entry(const struct tar_entry *e)
{
	bool is_link = e->type == TAR_HARD_LINK || e->type == TAR_SYMLINK;

	if (!*e->name || strlen(e->name) > TAR_PATH_MAX || is_link != (e->link_name != NULL))
		abort();
	if (is_link && (!*e->link_name || strlen(e->link_name) > TAR_PATH_MAX))
		abort();
	if (e->mode > 07777 || e->mtime_ns > 999999999 || e->xattr_count > TAR_XATTRS_MAX)
		abort();
	if (e->type != TAR_FILE && (e->size > 0 || e->sparse))
		abort();
	for (size_t i = 0; i < e->xattr_count; i++)
		if (!*e->xattrs[i].name || (e->xattrs[i].size > 0 && !e->xattrs[i].value))
			abort();
}

static void read_data(struct tar_reader *r, const struct tar_entry *e)
{
	AUTO_ERROR err = ERROR_INIT;
	uint64_t offset = 0, end = 0, sum = 0;
	const void *data = NULL;
	ssize_t n;

	while ((n = tar_reader_data(r, &offset, &data, &err)) > 0) {
		if (offset < end || offset + (uint64_t)n > e->size)
			abort();
		end = offset + (uint64_t)n;
		sum += (uint64_t)n;
	}
	if (n == 0 && !e->sparse && sum != e->size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE uint8_t *copy = NULL;
	CLEANUP(tar_reader_free_p) struct tar_reader *r = NULL;
	struct tar_entry e = { 0 };
	struct input in;
	unsigned count = 0;
	int rc;

	if (size < 1)
		return 0;
	copy = xmemdup(data + 1, size - 1);
	tar_input_fix(copy, size - 1);
	in = (struct input){ copy, size - 1, data[0] ? (size_t)data[0] * 16 : 1 };
	r = tar_reader_new(&(struct byte_source){ next_piece, &in });
	while ((rc = tar_reader_next(r, &e, &err)) > 0) {
		check_entry(&e);
		if (++count % 3 != 0)
			read_data(r, &e);
	}
	if (rc < 0 && !error_is_set(&err))
		abort();
	error_clear(&err);
	if (tar_reader_drain(r, &err) < 0)
		error_clear(&err);
	return 0;
}
