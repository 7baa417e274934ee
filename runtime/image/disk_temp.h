/* SPDX-License-Identifier: MIT */
/* A disk being made: hidden and locked beside its final path until it is whole. */
#ifndef CTRZ_RUNTIME_IMAGE_DISK_TEMP_H
#define CTRZ_RUNTIME_IMAGE_DISK_TEMP_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"

struct disk_temp {
	int fd;     /* owned; read and write; holds the lock */
	char *path; /* owned; NULL once committed */
};

#define DISK_TEMP_INIT ((struct disk_temp){ .fd = -1 })
#define AUTO_DISK_TEMP CLEANUP(disk_temp_release) struct disk_temp

/** disk_temp_open() - an empty file, 0600, in the folder of @final_path; what dead builds left
 * there is removed */
int disk_temp_open(const char *final_path, struct disk_temp *ret, struct error *err) MUST_CHECK;

/**
 * disk_temp_commit() - give it its name, atomically
 * @replace:	whether a file already there is replaced; else it is E_EXISTS
 * @sync:	whether content and name are on the medium when this returns
 */
int disk_temp_commit(struct disk_temp *t, const char *final_path, bool replace, bool sync,
		     struct error *err) MUST_CHECK;

/** disk_temp_release() - close; remove it unless committed */
void disk_temp_release(struct disk_temp *t);

#endif
