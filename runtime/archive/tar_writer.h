/* SPDX-License-Identifier: MIT */
/* Writes a tar archive (pax where ustar has no room) to a descriptor. */
#ifndef CTRZ_RUNTIME_ARCHIVE_TAR_WRITER_H
#define CTRZ_RUNTIME_ARCHIVE_TAR_WRITER_H

#include "runtime/archive/tar_reader.h"

struct tar_writer;

/** tar_writer_new() - @fd is lent. Return: 0 or -E_UNAVAILABLE */
int tar_writer_new(int fd, struct tar_writer **ret, struct error *err) MUST_CHECK;
/** tar_writer_free() - NULL is fine; without tar_writer_finish() what was written is no archive */
void tar_writer_free(struct tar_writer *w);
DEFINE_CLEANUP(struct tar_writer *, tar_writer_free)
/** tar_writer_add() - a file, whose content follows, a folder, a symbolic link, or a further name
 * of a file that was added */
int tar_writer_add(struct tar_writer *w, const struct tar_entry *e, struct error *err) MUST_CHECK;
/** tar_writer_data() - of the last file: not more than its size in all; what is missing is zeros */
int tar_writer_data(struct tar_writer *w, const void *data, size_t size,
		    struct error *err) MUST_CHECK;
int tar_writer_finish(struct tar_writer *w, struct error *err) MUST_CHECK;

#endif
