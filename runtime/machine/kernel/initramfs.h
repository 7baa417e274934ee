/* SPDX-License-Identifier: MIT */
/* The initramfs of a guest: vminitd as /init, and the kernel's modules as /modules/NNN-name.ko in
 * loading order. */
#ifndef CTRZ_RUNTIME_MACHINE_KERNEL_INITRAMFS_H
#define CTRZ_RUNTIME_MACHINE_KERNEL_INITRAMFS_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

/** initramfs_build() - append the archive to @out; @modules_dir holds files "NNN-name.ko", or is
 * NULL. Same input, same bytes. */
int initramfs_build(const void *init, size_t init_size, const char *modules_dir, struct buffer *out,
		    struct error *err) MUST_CHECK;

/** vminitd_image() - the agent that is part of this program */
const void *vminitd_image(size_t *ret_size);

#endif
