/* SPDX-License-Identifier: MIT */
/* The guest's agent as bytes of this program. */
#include "runtime/machine/kernel/embed.h"
#include "runtime/machine/kernel/initramfs.h"

EMBED(vminitd_image, VMINITD_FILE);

const void *vminitd_image(size_t *ret_size)
{
	*ret_size = vminitd_image_size;
	return vminitd_image_start;
}
