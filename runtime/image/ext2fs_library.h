/* SPDX-License-Identifier: MIT */
/* libext2fs without the error_message() its headers bring along, which is another function than
 * base's. */
#ifndef CTRZ_RUNTIME_IMAGE_EXT2FS_LIBRARY_H
#define CTRZ_RUNTIME_IMAGE_EXT2FS_LIBRARY_H

#define error_message error_message_of_com_err
#include <ext2fs/ext2fs.h>
#undef error_message

#endif
