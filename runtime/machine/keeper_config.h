/* SPDX-License-Identifier: MIT */
/* What a keeper is told by the program that starts it: a machine's configuration with the host's
 * facts. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_CONFIG_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_CONFIG_H

#include "base/buffer.h"
#include "base/error.h"
#include "runtime/machine/machine.h"

enum { KEEPER_CONFIG_MAX = 4 * 1024 * 1024 };

struct keeper_config {
	struct machine_config machine;
	char *qemu; /* path of the program */
	bool kvm;
	char *templates; /* the folder of templates; NULL or "" = boot */
	bool traced;     /* the first start is noted to descriptor 6 (base/trace.h) */
};

void keeper_config_release(struct keeper_config *c);

/** keeper_config_check() - what QEMU and the protocol bound: counts, names, sizes, absolute paths.
 * Return: 0 or -E_INVALID */
int keeper_config_check(const struct machine_config *c, struct error *err) MUST_CHECK;
/** keeper_config_pack() - append the wire form */
int keeper_config_pack(const struct keeper_config *c, struct buffer *out,
		       struct error *err) MUST_CHECK;
/** keeper_config_unpack() - *ret is owned; -E_INTEGRITY for anything keeper_config_pack() does not
 * make */
int keeper_config_unpack(const void *data, size_t size, struct keeper_config *ret,
			 struct error *err) MUST_CHECK;

#endif
