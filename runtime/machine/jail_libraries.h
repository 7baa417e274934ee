/* SPDX-License-Identifier: MIT */
/* Which files a program needs to start: its interpreter and the shared libraries it names, and
 * those they name. */
#ifndef CTRZ_RUNTIME_MACHINE_JAIL_LIBRARIES_H
#define CTRZ_RUNTIME_MACHINE_JAIL_LIBRARIES_H

#include "base/error.h"
#include "base/text.h"

struct jail_libraries {
	struct strlist names; /* as programs ask for them: "libc.so.6" */
	struct strlist paths; /* where they are, in the same order */
	char *interpreter;    /* owned; "/lib64/ld-linux-x86-64.so.2"; NULL for a static program */
};

void jail_libraries_release(struct jail_libraries *l);

/**
 * jail_libraries_add() - add what an ELF program or library needs; call for each of several
 *
 * Return: 0, -E_NOT_FOUND for a library that is nowhere, -E_INVALID for a file that is no 64-bit
 * ELF file
 */
int jail_libraries_add(struct jail_libraries *l, const char *path, struct error *err) MUST_CHECK;

#endif
