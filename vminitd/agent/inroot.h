/* SPDX-License-Identifier: MIT */
/* Paths inside the container's tree, never outside of it: opening, making targets, writing files.
 */
#ifndef CTRZ_VMINITD_AGENT_INROOT_H
#define CTRZ_VMINITD_AGENT_INROOT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/** inroot_make_dir() - mkdir -p of @path below @root. Return: an O_PATH descriptor or -code */
int inroot_make_dir(int root, const char *path, mode_t mode, bool *ret_made,
		    struct error *err) MUST_CHECK;
/** inroot_make_file() - an empty file where there is none, with its folders. Return: an O_PATH
 * descriptor or -code */
int inroot_make_file(int root, const char *path, struct error *err) MUST_CHECK;
/** inroot_replace_file() - write a file beside and rename it over @path; a symbolic link there is
 * replaced */
int inroot_replace_file(int root, const char *path, const void *data, size_t size, mode_t mode,
			uid_t uid, gid_t gid, struct error *err) MUST_CHECK;
/** inroot_replace_link() - a symbolic link to @to at @path, in the place of a file or link there; a
 * folder stays. Return: 0, -E_CONFLICT for a folder, another -code */
int inroot_replace_link(int root, const char *path, const char *to, struct error *err) MUST_CHECK;
/** inroot_append_file() - add to a file that is there */
int inroot_append_file(int root, const char *path, const void *data, size_t size,
		       struct error *err) MUST_CHECK;

#endif
