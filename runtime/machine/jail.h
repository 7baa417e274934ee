/* SPDX-License-Identifier: MIT */
/* A process that reaches nothing of the host but the files and descriptors it is given. */
#ifndef CTRZ_RUNTIME_MACHINE_JAIL_H
#define CTRZ_RUNTIME_MACHINE_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"

enum { JAIL_MAX_FDS = 16 };

/* Where the program's libraries are in its root: what LD_LIBRARY_PATH must name. */
#define JAIL_LIBRARY_DIR "/lib"
/* The file it keeps a machine's memory in: the only one it can write to. It is on a tmpfs of the
 * jail's own, has no name outside of it, and is gone with the jail. */
#define JAIL_MEMORY "/memory/ram"
/* Likewise, of what it may get while it runs. */
#define JAIL_MORE_MEMORY "/memory/more"

struct jail_file {
	const char *source; /* on the host */
	const char *target; /* in the jail, absolute */
	bool is_library;    /* an ELF file that is loaded later: its libraries are needed too */
};

struct jail {
	const char *mount_point; /* an empty folder; nothing is seen there from outside */
	const char *program;     /* on the host; in the jail it is argv[0] */
	const char *const *argv, *const *env;
	const struct jail_file *files;
	size_t file_count;
	uint64_t memory_bytes; /* of JAIL_MEMORY, all holes; 0 = there is none */
	uint64_t more_bytes;   /* of JAIL_MORE_MEMORY, likewise */
	bool kvm;              /* /dev/kvm is in reach */
	int stderr_fd;         /* stdin and stdout are /dev/null; lent */
	int fds[JAIL_MAX_FDS]; /* 3, 4, ... of the program; lent */
	size_t fd_count;
};

/**
 * jail_spawn() - run a program in a jail; see the theory of operation in jail.c
 * @ret_memory: NULL, or receives a descriptor of JAIL_MEMORY, owned
 * @ret: it dies with the calling process, and everything it starts dies with it
 *
 * Return: 0, -E_NOT_FOUND for a missing file, -E_DENIED where namespaces are not allowed (the
 * message says what to do), -E_SYSTEM
 */
int jail_spawn(const struct jail *j, int *ret_memory, struct process *ret,
	       struct error *err) MUST_CHECK;

#endif
