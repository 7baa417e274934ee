/* SPDX-License-Identifier: MIT */
/* Gets the uncompressed ELF kernel that QEMU boots directly (PVH) out of a bzImage. Pure: bytes in,
 * bytes out. */
#ifndef CTRZ_RUNTIME_MACHINE_KERNEL_VMLINUX_H
#define CTRZ_RUNTIME_MACHINE_KERNEL_VMLINUX_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum { VMLINUX_MAX = 512 << 20, KERNEL_RELEASE_MAX = 64 };

struct bzimage {
	size_t payload_offset, payload_size;  /* the compressed kernel, within the file */
	char release[KERNEL_RELEASE_MAX + 1]; /* "" if the header does not name it */
};

/** bzimage_parse() - the setup header of an x86 boot image. Return: 0, or -E_INVALID with what is
 * wrong */
int bzimage_parse(const void *data, size_t size, struct bzimage *ret, struct error *err) MUST_CHECK;

/** vmlinux_check() - that @data is an x86-64 ELF kernel with a PVH entry, and where that entry is.
 * Return: 0, or -E_INVALID */
int vmlinux_check(const void *data, size_t size, uint64_t *ret_entry, struct error *err) MUST_CHECK;

/**
 * vmlinux_extract() - the ELF kernel within @data, which is a bzImage or that kernel itself
 * @what:	names the source in messages
 * @out:	appended to; empty if @data is a vmlinux already
 * @ret_release: KERNEL_RELEASE_MAX + 1 bytes; "" if it is not known
 *
 * Return: 0, -E_INVALID (neither of both, unknown compression, no PVH), -E_INTEGRITY (damaged)
 */
int vmlinux_extract(const void *data, size_t size, const char *what, struct buffer *out,
		    char *ret_release, struct error *err) MUST_CHECK;

#endif
