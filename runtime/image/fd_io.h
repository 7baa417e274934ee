/* SPDX-License-Identifier: MIT */
/* libext2fs on a descriptor of ours: it neither closes nor syncs it. */
#ifndef CTRZ_RUNTIME_IMAGE_FD_IO_H
#define CTRZ_RUNTIME_IMAGE_FD_IO_H

#include "runtime/image/ext2fs_library.h"

enum { FD_IO_NAME_MAX = 16 };

/** fd_io_manager() - opened by a name of fd_io_name(). The library's own one for descriptors does
 * an fsync when it is opened, which would wait for the whole image to reach the medium */
io_manager fd_io_manager(void);

/** fd_io_name() - the name of a descriptor, which is lent */
void fd_io_name(int fd, char out[FD_IO_NAME_MAX]);

#endif
