/* SPDX-License-Identifier: MIT */
/* Which modules of a kernel the guest needs, with what they depend on, in loading order. */
#ifndef CTRZ_RUNTIME_MACHINE_KERNEL_MODULES_H
#define CTRZ_RUNTIME_MACHINE_KERNEL_MODULES_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

struct module {
	char *name;         /* owned; "virtio_blk" */
	struct buffer data; /* uncompressed */
};

struct module_set {
	struct module *items;
	size_t count, room;
};

/**
 * modules_collect() - read the needed modules below @dir (a /lib/modules/RELEASE folder)
 *
 * What modules.builtin lists is part of the kernel and left out.
 * Return: 0; -E_NOT_FOUND if the folder or a module that no guest can do without is missing;
 * -E_INVALID, -E_INTEGRITY
 */
int modules_collect(const char *dir, struct module_set *ret, struct error *err) MUST_CHECK;
void module_set_release(struct module_set *s);

#endif
