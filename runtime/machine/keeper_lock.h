/* SPDX-License-Identifier: MIT */
/* Locks that may be held for a moment longer by somebody who is just dying. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_LOCK_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_LOCK_H

#include "base/error.h"

/** lock_within() - flock() with @mode (LOCK_SH or LOCK_EX) that waits at most @wait_ms. Return: 0,
 * or -1 with errno */
int lock_within(int fd, int mode, unsigned wait_ms);

/**
 * run_lock() - become the owner of a run folder, which must exist
 *
 * Return: the descriptor that holds the lock, or -E_CONFLICT if a keeper has it
 */
int run_lock(const char *run_dir, unsigned wait_ms, struct error *err) MUST_CHECK;

/** run_wait_for_vm() - wait until the QEMU of a killed keeper is gone. Return: 0 or -E_TIMEOUT */
int run_wait_for_vm(const char *run_dir, struct error *err) MUST_CHECK;

#endif
