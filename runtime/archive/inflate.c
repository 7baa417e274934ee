/* SPDX-License-Identifier: MIT */
/* Decompression in memory through libarchive's filters. */
#include "runtime/archive/inflate.h"

#include <stdbool.h>

#include "base/alloc.h"
#include "base/text.h"
#include "runtime/archive/archive_handle.h"

/* A filter that libarchive was built without would start an external program: those are left out.
 */
static bool add_filters(struct archive *a)
{
	static int (*const filters[])(struct archive *) = {
		archive_read_support_filter_gzip, archive_read_support_filter_bzip2,
		archive_read_support_filter_xz,   archive_read_support_filter_lzma,
		archive_read_support_filter_zstd, archive_read_support_filter_lz4,
	};
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++)
		if (filters[i](a) != ARCHIVE_OK)
			return false;
	return archive_read_support_format_raw(a) == ARCHIVE_OK;
}

static int read_blocks(struct archive *a, size_t max, const char *what, struct buffer *out,
		       struct error *err)
{
	size_t total = 0;
	for (;;) {
		char *at = buffer_reserve(out, 1 << 18);
		la_ssize_t n = archive_read_data(a, at, 1 << 18);
		if (n == 0)
			return 0;
		if (n < 0) {
			AUTO_FREE char *text = text_escaped(archive_text(a));
			return error_set(err, E_INTEGRITY, "decompress %s: %s", what, text);
		}
		total += (size_t)n;
		if (total > max)
			return error_set(err, E_INVALID, "%s decompresses to over %zu bytes", what,
					 max);
		out->size += (size_t)n;
		out->data[out->size] = '\0';
	}
}

int inflate_bytes(const void *data, size_t size, size_t max, const char *what, struct buffer *out,
		  struct error *err)
{
	int r = archive_library_load(err);
	if (r < 0)
		return r;
	AUTO_ARCHIVE_READER a = archive_read_new();
	if (!a)
		return error_set(err, E_NO_MEMORY, "no memory to decompress %s", what);
	if (!add_filters(a))
		return error_set(err, E_INTERNAL,
				 "libarchive here lacks a decompressor that %s may need", what);
	struct archive_entry *entry;
	if (archive_read_open_memory(a, data, size) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) != ARCHIVE_OK) {
		AUTO_FREE char *text = text_escaped(archive_text(a));
		return error_set(err, E_INTEGRITY, "decompress %s: %s", what, text);
	}
	/* The raw format takes anything: without a filter the input is no compressed stream at all.
	 */
	if (archive_filter_code(a, 0) == ARCHIVE_FILTER_NONE)
		return error_set(err, E_INVALID,
				 "%s is in no known compression format (gzip, bzip2, xz, lzma, "
				 "zstd, lz4)",
				 what);
	return read_blocks(a, max, what, out, err);
}
