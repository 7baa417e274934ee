/* SPDX-License-Identifier: MIT */
/* The container's /dev: part of its tree, so that mounts can lie below it. */
#ifndef CTRZ_VMINITD_AGENT_DEV_H
#define CTRZ_VMINITD_AGENT_DEV_H

#include <stdint.h>

#include "base/error.h"

/** dev_make() - a tmpfs with the usual nodes, links and /dev/pts on /dev below @root */
int dev_make(int root, struct error *err) MUST_CHECK;
/** dev_make_shm() - and a tmpfs on /dev/shm */
int dev_make_shm(int root, uint64_t size_bytes, struct error *err) MUST_CHECK;
/** dev_resize_shm() - @size_bytes: 0 = half of the memory */
int dev_resize_shm(int root, uint64_t size_bytes, struct error *err) MUST_CHECK;

#endif
