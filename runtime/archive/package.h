/* SPDX-License-Identifier: MIT */
/* Reads the files of a Debian package without installing it. */
#ifndef CTRZ_RUNTIME_ARCHIVE_PACKAGE_H
#define CTRZ_RUNTIME_ARCHIVE_PACKAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct package_reader {
	/* Whether the file at @path ("boot/vmlinuz-6.1", no leading "./") is wanted. */
	bool (*wants)(void *arg, const char *path, uint64_t size);
	/* One wanted file, whole; @data is lent. A failure ends the reading. */
	int (*file)(void *arg, const char *path, const void *data, size_t size, struct error *err);
	void *arg;
};

enum { PACKAGE_FILE_MAX = 256 << 20, PACKAGE_ENTRIES_MAX = 200000 };

/**
 * package_read() - walk the regular files of a .deb
 *
 * Entries that are no regular file, or whose path is absolute or holds "..", are never offered.
 * Return: 0; -E_NOT_FOUND; -E_INVALID if it is no Debian package, a file is over PACKAGE_FILE_MAX
 * bytes or there are over PACKAGE_ENTRIES_MAX entries; -E_INTEGRITY if it is damaged; what @file
 * returned
 */
int package_read(const char *deb_path, const struct package_reader *reader,
		 struct error *err) MUST_CHECK;

#endif
