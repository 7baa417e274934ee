/* SPDX-License-Identifier: MIT */
/* From a description of a bare VM to QEMU's argument list; pure. What belongs to one container
 * (disks, NICs, shares) is not in it: that is attached over QMP to the root ports. */
#ifndef CTRZ_RUNTIME_MACHINE_QEMU_COMMAND_H
#define CTRZ_RUNTIME_MACHINE_QEMU_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

enum {
	QEMU_MAX_CPUS = 64,
	QEMU_MAX_ROOT_PORTS = 32,
	QEMU_MAX_KERNEL_ARGS = 1024, /* bytes; the kernel takes 2048 in all */
};

#define QEMU_MIN_MEMORY (64ULL << 20)
#define QEMU_MAX_MEMORY (1ULL << 40)

/* What memory comes and goes in while a machine runs; the guest's kernel may want it this coarse.
 */
#define QEMU_MEMORY_STEP (4ULL << 20)
#define QEMU_MORE_MEMORY "more" /* the device */

/* What a machine may get while it runs, beyond what it is started with. */
struct qemu_reserve {
	unsigned max_cpus; /* in all */
	uint64_t more_bytes;
};

/** qemu_reserve() - pure, so that all machines of a size have the same template
 * @host_cpus: 0 = unknown, as @host_bytes: nothing is kept in reserve then */
struct qemu_reserve qemu_reserve(unsigned cpus, uint64_t memory_bytes, unsigned host_cpus,
				 uint64_t host_bytes);

/* The name of the port the agent speaks on; vminitd looks for it. */
#define QEMU_AGENT_PORT "ctrz.0"

struct qemu_command {
	const char *program;      /* argv[0] */
	const char *name;         /* of the container; letters, digits, "-", "_" and "." */
	const char *firmware_dir; /* where QEMU finds its BIOS and option ROMs */
	const char *kernel, *initrd;
	const char *memory;      /* the file it is in */
	const char *more;        /* the file of what it may get while it runs */
	const char *kernel_args; /* appended; may be NULL */
	bool kvm;
	bool incoming;           /* waits for the state of a template, instead of booting */
	unsigned cpus, max_cpus; /* what is above the first number comes while it runs */
	uint64_t memory_bytes;   /* rounded up to whole MiB */
	uint64_t more_bytes;     /* it may get while it runs; 0 = none */
	unsigned root_ports;     /* "rp0", "rp1", ...: one device each */
	int qmp_fd, agent_fd, console_fd; /* connected sockets QEMU inherits */
};

/**
 * qemu_command_build() - the arguments, argv[0] first
 * @ret: an empty list
 *
 * Return: 0, or -E_INVALID for a size or a text QEMU could not be given as it is
 */
int qemu_command_build(const struct qemu_command *c, struct strlist *ret,
		       struct error *err) MUST_CHECK;

/** qemu_kernel_args() - owned; the whole command line of the guest's kernel */
char *qemu_kernel_args(const struct qemu_command *c);

#endif
