/* SPDX-License-Identifier: MIT */
/* Loading libarchive, cleanup and error text of its handles; private to this folder. */
#ifndef CTRZ_RUNTIME_ARCHIVE_ARCHIVE_HANDLE_H
#define CTRZ_RUNTIME_ARCHIVE_ARCHIVE_HANDLE_H

#include <archive.h>
#include <archive_entry.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Before any call of libarchive. Return: 0 or -E_UNAVAILABLE */
int archive_library_load(struct error *err) MUST_CHECK;

static inline void archive_reader_free(struct archive *a)
{
	(void)archive_read_free(a);
}
DEFINE_CLEANUP(struct archive *, archive_reader_free)

static inline void archive_writer_free(struct archive *a)
{
	(void)archive_write_free(a);
}
DEFINE_CLEANUP(struct archive *, archive_writer_free)
DEFINE_CLEANUP(struct archive_entry *, archive_entry_free)

#define AUTO_ARCHIVE_READER CLEANUP(archive_reader_free_p) struct archive *
#define AUTO_ARCHIVE_WRITER CLEANUP(archive_writer_free_p) struct archive *
#define AUTO_ARCHIVE_ENTRY CLEANUP(archive_entry_free_p) struct archive_entry *

/* The last message of the library, never NULL. */
static inline const char *archive_text(struct archive *a)
{
	const char *text = archive_error_string(a);
	return text ? text : "unknown archive error";
}

#endif
