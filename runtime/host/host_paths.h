/* SPDX-License-Identifier: MIT */
/* Where ctrz keeps things on the host (design.md, section 5). CTRZ_HOME puts everything under one
 * root. */
#ifndef CTRZ_RUNTIME_HOST_HOST_PATHS_H
#define CTRZ_RUNTIME_HOST_HOST_PATHS_H

#include <stdbool.h>

#include "base/error.h"

struct host_paths {
	char *data;    /* blobs/ images.json disks/ kernels/ templates/ volumes/ src/ */
	char *state;   /* envs/ secrets/ trust/ */
	char *cache;   /* git/ accel.json apt/ */
	char *config;  /* config.yaml */
	char *run;     /* sockets; 0700; short enough for sockets below it */
	bool run_held; /* host_paths_make() succeeded: run_fd keeps others from removing run */
	int run_fd;
};

/* The longest run folder: what is left of UNIX_PATH_MAX is for the socket's own folders and name.
 */
enum { HOST_PATHS_RUN_MAX = 40 };

/**
 * host_paths_init() - decide the five folders from CTRZ_HOME, the XDG variables, or as root without
 * them /var/lib/ctrz and /run/ctrz; creates nothing
 *
 * Root uses XDG variables only if one of XDG_{DATA,STATE,CACHE,CONFIG}_HOME is set: XDG_RUNTIME_DIR
 * alone comes and goes with a login, and all of root's logins must see the same machines. An
 * ordinary user without XDG_RUNTIME_DIR gets /run/user/UID if it is theirs, else /tmp/ctrz-UID. A
 * CTRZ_HOME too long for sockets below it moves run to a short folder named by its hash. Return: 0,
 * or -E_INVALID if HOME is unset or a variable holds a relative path
 */
int host_paths_init(struct host_paths *ret, struct error *err) MUST_CHECK;
/** host_paths_make() - create the folders, 0700, except config, which is only read; run must be
 * ours and no link, else E_DENIED, and stays at least until host_paths_release() */
int host_paths_make(struct host_paths *p, struct error *err) MUST_CHECK;
/** host_paths_release() - free everything; the last one who held run removes it if it is empty */
void host_paths_release(struct host_paths *p);

#endif
