/* SPDX-License-Identifier: MIT */
/* Talking to a git server. */
#ifndef CTRZ_RUNTIME_SOURCE_FETCH_H
#define CTRZ_RUNTIME_SOURCE_FETCH_H

#include "runtime/source/library.h"
#include "runtime/source/source.h"

/* One piece of work; all lent. */
struct fetch_job {
	const struct source_options *o;
	const struct git_url *u;
	const char *pinned; /* NULL = none */
	const char *dir;    /* of the repository, which is there */
	int report;         /* where lines about the progress go */
};

/** fetch_run() - ask what the ref means, and get what is not here; in a process of its own, since
 * libgit2 waits for a silent server for ever */
int fetch_run(const struct fetch_job *job, struct source_commit *ret, struct error *err) MUST_CHECK;

/** last_ref_name() - under which name the cache keeps what the ref of a URL meant last; owned */
char *last_ref_name(const struct git_url *u);

/** host_key_known() - whether ssh-keygen finds the key of a server in the user's or the system's
 * known_hosts. Return: 0, or -E_DENIED with what to do */
int host_key_known(const struct git_url *u, const void *key, size_t size,
		   struct error *err) MUST_CHECK;

#endif
