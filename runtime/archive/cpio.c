/* SPDX-License-Identifier: MIT */
/* The cpio "newc" writer over libarchive. */
#include "runtime/archive/cpio.h"

#include <sys/stat.h>

#include "base/alloc.h"
#include "runtime/archive/archive_handle.h"

struct cpio {
	struct archive *archive; /* owned */
	struct buffer *out;
	int64_t next_inode;
};

static la_ssize_t append(struct archive *a, void *arg, const void *data, size_t size)
{
	(void)a;
	buffer_add(arg, data, size);
	return (la_ssize_t)size;
}

struct cpio *cpio_new(struct buffer *out)
{
	struct cpio *c = xcalloc(1, sizeof(*c));
	c->out = out;
	c->next_inode = 1;
	return c;
}

void cpio_free(struct cpio *c)
{
	if (!c)
		return;
	if (c->archive)
		(void)archive_write_free(c->archive);
	free(c);
}

static int fail(struct cpio *c, const char *path, struct error *err)
{
	return error_set(err, E_INTERNAL, "write '%s' to an initramfs: %s", path,
			 c->archive ? archive_text(c->archive) : "no memory");
}

/* The archive is opened with its first entry, so that making one cannot fail. */
static int open_archive(struct cpio *c, const char *path, struct error *err)
{
	int r = c->archive ? 1 : archive_library_load(err);

	if (r != 0)
		return r < 0 ? r : 0;
	c->archive = archive_write_new();
	if (!c->archive || archive_write_set_format_cpio_newc(c->archive) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(c->archive, 1) != ARCHIVE_OK ||
	    archive_write_open(c->archive, c->out, NULL, append, NULL) != ARCHIVE_OK)
		return fail(c, path, err);
	return 0;
}

static int add_entry(struct cpio *c, const char *path, mode_t mode, size_t size, struct error *err)
{
	int r = open_archive(c, path, err);
	if (r < 0)
		return r;
	AUTO_ARCHIVE_ENTRY e = archive_entry_new();
	archive_entry_set_size(e, (la_int64_t)size);
	archive_entry_set_pathname(e, path);
	archive_entry_set_mode(e, mode);
	archive_entry_set_uid(e, 0);
	archive_entry_set_gid(e, 0);
	archive_entry_set_mtime(e, 0, 0);
	archive_entry_set_dev(e, 0);
	archive_entry_set_ino64(e, c->next_inode++);
	archive_entry_set_nlink(e, S_ISDIR(mode) ? 2 : 1);
	if (archive_write_header(c->archive, e) != ARCHIVE_OK)
		return fail(c, path, err);
	return 0;
}

int cpio_add_dir(struct cpio *c, const char *path, mode_t permissions, struct error *err)
{
	return add_entry(c, path, S_IFDIR | permissions, 0, err);
}

int cpio_add_file(struct cpio *c, const char *path, mode_t permissions, const void *data,
		  size_t size, struct error *err)
{
	int r = add_entry(c, path, S_IFREG | permissions, size, err);
	if (r < 0)
		return r;
	if (size > 0 && archive_write_data(c->archive, data, size) != (la_ssize_t)size)
		return fail(c, path, err);
	return 0;
}

int cpio_finish(struct cpio *c, struct error *err)
{
	int r = open_archive(c, "the trailer", err);
	if (r < 0)
		return r;
	if (archive_write_close(c->archive) != ARCHIVE_OK)
		return fail(c, "the trailer", err);
	return 0;
}
