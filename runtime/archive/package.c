/* SPDX-License-Identifier: MIT */
/* A .deb is an ar archive whose member data.tar.* holds the files; it is read as a stream within
 * the stream. */
#include "runtime/archive/package.h"

#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/text.h"
#include "runtime/archive/archive_handle.h"

static int damaged(struct archive *a, const char *deb_path, struct error *err)
{
	AUTO_FREE char *text = text_escaped(archive_text(a));
	return error_set(err, E_INTEGRITY, "read package '%s': %s", deb_path, text);
}

/* The path without "./" in front; NULL if it is not strictly below the package's root. */
static const char *inner_path(const char *path)
{
	if (!path)
		return NULL;
	while (str_starts(path, "./"))
		path += 2;
	if (*path == '\0' || *path == '/')
		return NULL;
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (str_starts(at, "../") || str_equal(at, ".."))
			return NULL;
	}
	return path;
}

static la_ssize_t read_member(struct archive *inner, void *arg, const void **ret_data)
{
	struct archive *outer = arg;
	size_t size = 0;
	la_int64_t offset;
	int r = archive_read_data_block(outer, ret_data, &size, &offset);
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK) {
		archive_set_error(inner, archive_errno(outer), "%s", archive_text(outer));
		return -1;
	}
	return (la_ssize_t)size;
}

static int take_file(struct archive *inner, const char *path, uint64_t size,
		     const struct package_reader *reader, const char *deb_path, struct error *err)
{
	if (size > PACKAGE_FILE_MAX) {
		AUTO_FREE char *text = text_escaped(path);
		return error_set(err, E_INVALID, "read package '%s': '%s' is too large", deb_path,
				 text);
	}
	AUTO_BUFFER data = BUFFER_INIT;
	char *at = buffer_reserve(&data, size + 1);
	la_ssize_t n = size ? archive_read_data(inner, at, size) : 0;
	if (n < 0 || (uint64_t)n != size)
		return damaged(inner, deb_path, err);
	return reader->file(reader->arg, path, at, size, err);
}

static int read_files(struct archive *inner, const struct package_reader *reader,
		      const char *deb_path, struct error *err)
{
	for (unsigned count = 0;; count++) {
		struct archive_entry *e;
		int r = archive_read_next_header(inner, &e);
		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return damaged(inner, deb_path, err);
		if (count >= PACKAGE_ENTRIES_MAX)
			return error_set(err, E_INVALID, "read package '%s': over %d entries",
					 deb_path, (int)PACKAGE_ENTRIES_MAX);
		const char *path = inner_path(archive_entry_pathname(e));
		la_int64_t size = archive_entry_size(e);
		if (!path || size < 0 || archive_entry_filetype(e) != AE_IFREG ||
		    archive_entry_hardlink(e) || !reader->wants(reader->arg, path, (uint64_t)size))
			continue;
		AUTO_FREE char *copy = xstrdup(path);
		r = take_file(inner, copy, (uint64_t)size, reader, deb_path, err);
		if (r < 0)
			return r;
	}
}

static int read_data_member(struct archive *outer, const struct package_reader *reader,
			    const char *deb_path, struct error *err)
{
	AUTO_ARCHIVE_READER inner = archive_read_new();
	if (!inner)
		return error_set(err, E_NO_MEMORY, "no memory to read package '%s'", deb_path);
	(void)archive_read_support_filter_gzip(inner);
	(void)archive_read_support_filter_xz(inner);
	(void)archive_read_support_filter_zstd(inner);
	(void)archive_read_support_filter_bzip2(inner);
	(void)archive_read_support_format_tar(inner);
	if (archive_read_open(inner, outer, NULL, read_member, NULL) != ARCHIVE_OK)
		return damaged(inner, deb_path, err);
	return read_files(inner, reader, deb_path, err);
}

int package_read(const char *deb_path, const struct package_reader *reader, struct error *err)
{
	int loaded = archive_library_load(err);
	if (loaded < 0)
		return loaded;
	AUTO_ARCHIVE_READER outer = archive_read_new();
	if (!outer)
		return error_set(err, E_NO_MEMORY, "no memory to read package '%s'", deb_path);
	if (!file_exists(deb_path))
		return error_set(err, E_NOT_FOUND, "package '%s' does not exist", deb_path);
	(void)archive_read_support_format_ar(outer);
	if (archive_read_open_filename(outer, deb_path, 1 << 16) != ARCHIVE_OK)
		return error_set(err, E_INVALID, "'%s' is no Debian package: %s", deb_path,
				 archive_text(outer));
	for (bool is_first = true;; is_first = false) {
		struct archive_entry *e;
		int r = archive_read_next_header(outer, &e);
		if (r == ARCHIVE_EOF || (r != ARCHIVE_OK && is_first))
			return error_set(err, E_INVALID, "'%s' is no Debian package", deb_path);
		if (r != ARCHIVE_OK)
			return damaged(outer, deb_path, err);
		const char *name = archive_entry_pathname(e);
		if (is_first && !str_equal(name, "debian-binary"))
			return error_set(err, E_INVALID, "'%s' is no Debian package", deb_path);
		if (name && str_starts(name, "data.tar"))
			return read_data_member(outer, reader, deb_path, err);
	}
}
