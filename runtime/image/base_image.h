/* SPDX-License-Identifier: MIT */
/* The disk of the lower layers, taken as the beginning of another one. */
#ifndef CTRZ_RUNTIME_IMAGE_BASE_IMAGE_H
#define CTRZ_RUNTIME_IMAGE_BASE_IMAGE_H

#include "runtime/image/image_builder.h"

/**
 * base_image_load() - bring a fresh builder to where it was when the layers of a disk were through
 * @path:	a disk disk_build() made; its data blocks are cloned where the host can, else copied
 *
 * What is built on it is, byte for byte, what building all layers would give.
 * Return: 0; -E_NOT_FOUND; -E_INTEGRITY if it is no such disk or damaged. After a failure the
 * builder is of no use
 */
int base_image_load(struct image_builder *b, const char *path, struct error *err) MUST_CHECK;

#endif
