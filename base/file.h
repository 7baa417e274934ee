/* SPDX-License-Identifier: MIT */
/* Files and paths: bounded reads, atomic writes, trees. */
#ifndef CTRZ_BASE_FILE_H
#define CTRZ_BASE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

/** file_read() - the whole of @path, at most @max bytes; appended to @out */
int file_read(const char *path, size_t max, struct buffer *out, struct error *err) MUST_CHECK;
/**
 * file_read_plain() - the same of a path that was looked at before, in a folder that others may
 * write
 *
 * Return: 0; -E_DENIED if a link is, or leads, there; -E_INVALID if it is neither a file nor a
 * device
 */
int file_read_plain(const char *path, size_t max, struct buffer *out, struct error *err) MUST_CHECK;
/** file_write_atomic() - write beside, fsync, rename over @path, fsync the folder */
int file_write_atomic(const char *path, const void *data, size_t size, mode_t mode,
		      struct error *err) MUST_CHECK;
bool file_exists(const char *path);
/** file_remove() - unlink; a missing file is fine */
int file_remove(const char *path, struct error *err) MUST_CHECK;
/** dir_make() - mkdir -p; new folders get @mode */
int dir_make(const char *path, mode_t mode, struct error *err) MUST_CHECK;
/** dir_remove_tree() - rm -r without following links or crossing mounts; a missing path is fine */
int dir_remove_tree(const char *path, struct error *err) MUST_CHECK;
/** dir_sync() - fsync a folder */
int dir_sync(const char *path, struct error *err) MUST_CHECK;

/** path_join() - owned "a/b"; an absolute @b replaces @a */
char *path_join(const char *a, const char *b);
/** path_clean() - owned; removes ".", "//" and resolves ".." lexically */
char *path_clean(const char *path);
/** path_is_below() - whether @path is @folder or in it, by the names alone; both absolute, clean */
bool path_is_below(const char *path, const char *folder);
/** path_dirname() - owned folder part, "." if none */
char *path_dirname(const char *path);
/** path_basename() - lent from @path */
const char *path_basename(const char *path);

#endif
