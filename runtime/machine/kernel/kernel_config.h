/* SPDX-License-Identifier: MIT */
/* The configuration of ctrz's own guest kernel. */
#ifndef CTRZ_RUNTIME_MACHINE_KERNEL_KERNEL_CONFIG_H
#define CTRZ_RUNTIME_MACHINE_KERNEL_KERNEL_CONFIG_H

#include <stddef.h>

#include "base/text.h"

/** kernel_config() - the text of vminitd/kernel/guest-x86_64.config, not ended by a NUL */
const void *kernel_config(size_t *ret_size);
/**
 * kernel_config_lost() - which settings of @wanted did not make it into @got
 * @wanted, @got: texts of configurations; lines that do not begin with "CONFIG_" are no settings
 * @lost:	the lines are added here
 *
 * A source that renamed an option, or wants another one for it, drops it without a word.
 */
void kernel_config_lost(const char *wanted, const char *got, struct strlist *lost);

#endif
