/* SPDX-License-Identifier: MIT */
/* Writing tar by libarchive. */
#include "runtime/archive/tar_writer.h"

#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "runtime/archive/archive_handle.h"

struct tar_writer {
	struct archive *archive;
	int fd;
	struct error failure; /* of writing to it */
};

static la_ssize_t write_out(struct archive *a, void *arg, const void *data, size_t size)
{
	struct tar_writer *w = arg;

	if (!error_is_set(&w->failure) && fd_write_full(w->fd, data, size, &w->failure) < 0)
		archive_set_error(a, w->failure.sys_errno, "%s", error_message(&w->failure));
	return error_is_set(&w->failure) ? -1 : (la_ssize_t)size;
}

static int failed(const struct tar_writer *w, struct error *err)
{
	return error_set(err, E_SYSTEM, "write a tar archive: %s", archive_text(w->archive));
}

int tar_writer_new(int fd, struct tar_writer **ret, struct error *err)
{
	if (archive_library_load(err) < 0)
		return -(int)err->code;
	CLEANUP(tar_writer_free_p) struct tar_writer *w = xcalloc(1, sizeof(*w));
	w->fd = fd;
	w->archive = archive_write_new();
	if (!w->archive)
		return error_set(err, E_NO_MEMORY, "write a tar archive");
	if (archive_write_set_format_pax_restricted(w->archive) != ARCHIVE_OK ||
	    archive_write_open(w->archive, w, NULL, write_out, NULL) != ARCHIVE_OK)
		return failed(w, err);
	*ret = TAKE_PTR(w);
	return 0;
}

void tar_writer_free(struct tar_writer *w)
{
	if (!w)
		return;
	/* What was not finished is not to be written any more. */
	if (!error_is_set(&w->failure))
		(void)error_set(&w->failure, E_CANCELED, "not finished");
	if (w->archive)
		(void)archive_write_free(w->archive);
	error_clear(&w->failure);
	free(w);
}

int tar_writer_add(struct tar_writer *w, const struct tar_entry *e, struct error *err)
{
	AUTO_ARCHIVE_ENTRY entry = archive_entry_new();
	mode_t kind = e->type == TAR_DIRECTORY ? S_IFDIR
		      : e->type == TAR_SYMLINK ? S_IFLNK
					       : S_IFREG;

	if (!entry)
		return error_set(err, E_NO_MEMORY, "write a tar archive");
	archive_entry_set_pathname(entry, e->name);
	archive_entry_set_mode(entry, kind | e->mode);
	archive_entry_set_uid(entry, e->uid);
	archive_entry_set_gid(entry, e->gid);
	archive_entry_set_size(entry, e->type == TAR_FILE ? (la_int64_t)e->size : 0);
	archive_entry_set_mtime(entry, (time_t)e->mtime, (long)e->mtime_ns);
	if (e->type == TAR_SYMLINK)
		archive_entry_set_symlink(entry, e->link_name);
	if (e->type == TAR_HARD_LINK)
		archive_entry_set_hardlink(entry, e->link_name);
	/* A warning is about names in no known character set, which are written as they are. */
	return archive_write_header(w->archive, entry) >= ARCHIVE_WARN ? 0 : failed(w, err);
}

int tar_writer_data(struct tar_writer *w, const void *data, size_t size, struct error *err)
{
	return archive_write_data(w->archive, data, size) == (la_ssize_t)size ? 0 : failed(w, err);
}

int tar_writer_finish(struct tar_writer *w, struct error *err)
{
	return archive_write_close(w->archive) == ARCHIVE_OK ? 0 : failed(w, err);
}
