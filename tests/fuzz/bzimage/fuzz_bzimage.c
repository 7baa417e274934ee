/* SPDX-License-Identifier: MIT */
/* Fuzzes boot images, ELF kernels and module files: all come from packages and paths that users
 * name. */
#include <stdint.h>

#include "base/buffer.h"
#include "runtime/machine/kernel/module_info.h"
#include "runtime/machine/kernel/vmlinux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER out = BUFFER_INIT;
	char release[KERNEL_RELEASE_MAX + 1];
	if (vmlinux_extract(data, size, "input", &out, release, &err) < 0)
		error_clear(&err);
	struct module_info info;
	if (module_info_parse(data, size, &info, &err) == 0)
		module_info_release(&info);
	return 0;
}
