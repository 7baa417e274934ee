/* SPDX-License-Identifier: MIT */
/* Which system calls the processes of a container may make, as a program for the guest's kernel. */
#ifndef CTRZ_RUNTIME_GUEST_SYSCALL_FILTER_H
#define CTRZ_RUNTIME_GUEST_SYSCALL_FILTER_H

#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/**
 * syscall_filter_compile() - append the usual filter as an array of struct sock_filter (seccomp(2))
 * @capabilities: mask of 1 << CAP_*: what one of them is needed for is left to the kernel's own
 * check
 *
 * It is for the architecture of this host, which is the guest's, and for 32-bit programs of it.
 * What is refused fails with EPERM; what it does not know, with ENOSYS, as on an older kernel.
 *
 * Return: 0 or -E_SYSTEM
 */
int syscall_filter_compile(uint64_t capabilities, struct buffer *out, struct error *err) MUST_CHECK;

#endif
