/* SPDX-License-Identifier: MIT */
/* Boots a guest under KVM to see whether guests run at all; private to this folder. */
#ifndef CTRZ_RUNTIME_MACHINE_KERNEL_KVM_PROBE_H
#define CTRZ_RUNTIME_MACHINE_KERNEL_KVM_PROBE_H

#include <stdbool.h>

enum { KVM_PROBE_DEADLINE_MS = 5000 };

struct kvm_probe {
	const char *accel;  /* "kvm"; tests name another */
	const char *qemu;   /* path */
	const char *kernel; /* vmlinux */
	int deadline_ms;
};

/** kvm_probe_run() - whether the guest's first process ran; *ret_reason says how it ended, owned */
bool kvm_probe_run(const struct kvm_probe *p, char **ret_reason);

#endif
