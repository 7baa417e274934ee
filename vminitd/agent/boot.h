/* SPDX-License-Identifier: MIT */
/* From the kernel's initramfs to a machine with its file systems and drivers. */
#ifndef CTRZ_VMINITD_AGENT_BOOT_H
#define CTRZ_VMINITD_AGENT_BOOT_H

#include "base/error.h"

/** boot_mount() - leave the initramfs for a tmpfs and mount /proc, /sys, /dev, /run, cgroups.
 * Return: a descriptor of the initramfs or -code */
int boot_mount(struct error *err) MUST_CHECK;
/** boot_load_modules() - every file of the initramfs's /modules by name; then the initramfs is
 * emptied */
void boot_load_modules(int initramfs);

#endif
