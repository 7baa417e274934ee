/* SPDX-License-Identifier: MIT */
/* The process of a VM: QEMU's files, descriptors and jail. Used by keeper_vm.c. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_QEMU_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_QEMU_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/process.h"
#include "runtime/machine/keeper_config.h"
#include "runtime/machine/qemu_command.h"

/* Our ends of QEMU's sockets, all owned; -1 = none. */
struct qemu_process {
	struct process process;
	int qmp_fd, agent_fd, console_fd;
	int memory_fd;       /* the machine's memory */
	int stderr_fd;       /* what QEMU says */
	int stderr_write_fd; /* the other end, for its helpers */
};

#define QEMU_PROCESS_INIT                                \
	((struct qemu_process){ .process = PROCESS_INIT, \
				.qmp_fd = -1,            \
				.agent_fd = -1,          \
				.console_fd = -1,        \
				.memory_fd = -1,         \
				.stderr_fd = -1,         \
				.stderr_write_fd = -1 })

/** qemu_process_start() - QEMU waits for commands (-S); @ret is complete or as it was
 * @is_warm: it is a template, or comes from one; without one it waits for its state then */
int qemu_process_start(const struct keeper_config *c, bool is_warm, bool incoming,
		       struct qemu_process *ret, struct error *err) MUST_CHECK;
/** qemu_root_ports() - how many devices a machine takes: those it starts with, and some more while
 * it runs. Templates come in few sizes */
unsigned qemu_root_ports(const struct machine_config *c, bool is_warm);
/* The devices of a machine that are in its template, too: to find them there costs a guest far less
 * than to have them plugged into it. Lent; NULL = none. */
struct qemu_seats {
	const struct machine_disk *lower,
		*upper;                /* the first read-only one, the first writable one */
	const struct machine_nic *nic; /* the first */
};

struct qemu_seats qemu_seats(const struct machine_config *c);
/** qemu_memory_bytes() - of a machine: whole MiB */
uint64_t qemu_memory_bytes(const struct machine_config *c);
/** qemu_reserve_of() - what it may get while it runs, on this host */
struct qemu_reserve qemu_reserve_of(const struct machine_config *c);
/** qemu_identity() - append everything that the state of a machine just booted depends on: what
 * QEMU is told, and which files it reads. Return: 0, -E_NOT_FOUND, -E_INVALID */
int qemu_identity(const struct keeper_config *c, struct buffer *out, struct error *err) MUST_CHECK;
/** qemu_process_end() - kill, reap, close */
void qemu_process_end(struct qemu_process *q);

/* "vm.lock" in the run folder is held by QEMU itself: it is free once QEMU is gone, also after the
 * keeper was killed. */
#define VM_LOCK_NAME "vm.lock"

#endif
