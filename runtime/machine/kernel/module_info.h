/* SPDX-License-Identifier: MIT */
/* What a kernel module says about itself in its .modinfo section. Pure. */
#ifndef CTRZ_RUNTIME_MACHINE_KERNEL_MODULE_INFO_H
#define CTRZ_RUNTIME_MACHINE_KERNEL_MODULE_INFO_H

#include <stddef.h>

#include "base/error.h"
#include "base/text.h"

struct module_info {
	struct strlist depends; /* modules that must be loaded before; '-' as '_' */
	struct strlist wishes;  /* "softdep=pre:": loaded before where they exist */
};

/** module_info_parse() - of an uncompressed module. Return: 0, or -E_INVALID if it is no x86-64
 * module */
int module_info_parse(const void *data, size_t size, struct module_info *ret,
		      struct error *err) MUST_CHECK;
void module_info_release(struct module_info *info);

#endif
