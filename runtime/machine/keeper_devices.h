/* SPDX-License-Identifier: MIT */
/* What a VM's devices hold on the host: locked disk files, sockets to the switch, file servers.
 * Used by keeper_vm.c. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_DEVICES_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_DEVICES_H

#include "base/error.h"
#include "base/process.h"
#include "runtime/machine/keeper_config.h"

/**
 * disk_open() - open a disk's file and lock it: shared for reading, else exclusively
 *
 * A machine that is just dying is waited for. Return: the descriptor, -E_CONFLICT if another
 * machine uses the disk, -E_NOT_FOUND, ...
 */
int disk_open(const struct machine_disk *d, struct error *err) MUST_CHECK;

/** nic_open() - the VM's end of a switch port, bound and connected. Return: the descriptor,
 * -E_UNAVAILABLE if there is no switch, ... */
int nic_open(const struct machine_nic *n, struct error *err) MUST_CHECK;
/** nic_connect() - point the socket of nic_open() at the switch, again after that was started anew
 */
int nic_connect(int fd, const struct machine_nic *n, struct error *err) MUST_CHECK;

#define NIC_SWITCH_SOCKET "switch.sock"
#define NIC_VM_SOCKET "vm.sock"

/**
 * share_open() - start the file server of a share and connect to it
 * @run_dir: for its socket, which is gone again on return
 * @log_fd: for what it says; lent
 *
 * Return: the connected socket for QEMU, or -code
 */
int share_open(const struct machine_share *s, const char *run_dir, int log_fd, struct process *ret,
	       struct error *err) MUST_CHECK;

#endif
