/* SPDX-License-Identifier: MIT */
/* Whether guests really run under KVM here: decided by a probe guest with a deadline, remembered
 * per boot of the host. */
#ifndef CTRZ_RUNTIME_MACHINE_ACCELERATOR_H
#define CTRZ_RUNTIME_MACHINE_ACCELERATOR_H

#include <stdbool.h>

#include "base/error.h"
#include "runtime/host/host_paths.h"

struct accelerator {
	bool kvm;
	char *reason;       /* owned; why, for `ctrz doctor` */
	char *qemu_path;    /* owned */
	char *qemu_version; /* owned; "7.2.22" */
};

void accelerator_release(struct accelerator *a);
/**
 * accelerator_find() - the remembered answer, or probe (at most 5 s) and remember
 *
 * The probe boots the default guest kernel, so without one the answer is "no" and is not
 * remembered. QEMU's version is remembered too, per file: asking QEMU itself takes longer than
 * starting a guest from a template. Return: 0, or -E_NOT_FOUND if there is no QEMU
 */
int accelerator_find(const struct host_paths *paths, struct accelerator *ret,
		     struct error *err) MUST_CHECK;
/** qemu_find() - owned path of qemu-system-x86_64 and its version ("7.2.22"); either out may be
 * NULL. Return: -E_NOT_FOUND with how to install it */
int qemu_find(char **ret_path, char **ret_version, struct error *err) MUST_CHECK;

#endif
