/* SPDX-License-Identifier: MIT */
/* A host folder served to one VM by virtiofsd, confined to that folder by the kernel. Used by the
 * keeper. */
#ifndef CTRZ_RUNTIME_SHARE_SHARE_H
#define CTRZ_RUNTIME_SHARE_SHARE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/process.h"

struct share_config {
	const char *source; /* absolute real path, no link in it; a folder, or one file (then a
			     * folder with just that file is served) */
	bool read_only;     /* by the mount, on the host side */
	bool git_writable;  /* false: an existing .git in a read-write share is read-only */
	int log_fd;         /* virtiofsd's own output; lent */
};

/**
 * share_spawn() - start virtiofsd for a source
 * @socket_fd: a bound, listening unix socket that QEMU's chardev connects to; lent
 * @ret: the process (it dies with us, and everything of it with it)
 *
 * Return: 0, -E_NOT_FOUND (no virtiofsd, or no source), -E_DENIED (a link in the path; neither
 * folder nor file; no user namespaces; the message says what to do)
 */
int share_spawn(const struct share_config *c, int socket_fd, struct process *ret,
		struct error *err) MUST_CHECK;

/** virtiofsd_find() - owned path. Return: -E_NOT_FOUND with how to install it */
int virtiofsd_find(char **ret_path, struct error *err) MUST_CHECK;

/** share_main() - the hidden command "ctrz __share", what share_spawn() executes; builds the
 * namespaces and becomes virtiofsd */
int share_main(int argc, char **argv);

#endif
