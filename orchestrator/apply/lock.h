/* SPDX-License-Identifier: MIT */
/* Making the lock of a spec: what its images and includes mean now. */
#ifndef CTRZ_ORCHESTRATOR_APPLY_LOCK_H
#define CTRZ_ORCHESTRATOR_APPLY_LOCK_H

#include "orchestrator/apply/host_facts.h"
#include "spec/lock.h"

/* All lent. */
struct lock_request {
	const struct host_paths *paths;
	const struct host_config *config;
	const struct environment *env; /* with its includes as they are to be locked */
	const struct spec_pins *was;   /* what the lock has now; empty = nothing */
	const struct strlist
		*platforms; /* beside this host's and those the lock has; may be NULL */
	bool renews;        /* what the lock has does not count */
	bool is_offline;    /* the store is asked instead of registries */
};

/**
 * lock_make() - the whole lock of a spec
 *
 * Entries of what the spec does not have any more are left out. Return: 0, or -code with the place
 * of the image that cannot be had
 */
int lock_make(const struct lock_request *q, struct spec_pins *ret, struct error *err) MUST_CHECK;
/** lock_write() - atomic; keeps the mode of the file that is there */
int lock_write(const char *path, const struct spec_pins *pins, struct error *err) MUST_CHECK;

#endif
