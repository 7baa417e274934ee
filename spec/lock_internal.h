/* SPDX-License-Identifier: MIT */
/* The lock while a spec is being read. */
#ifndef CTRZ_SPEC_LOCK_INTERNAL_H
#define CTRZ_SPEC_LOCK_INTERNAL_H

#include "spec/fields/decode.h"
#include "spec/lock.h"

/** lock_read() - the file beside @spec, which is called @name in messages; *ret stays NULL if
 * there is none. Findings go to @d. Return: 0 or -code */
int lock_read(struct decode *d, const char *spec, const char *name, struct spec_lock **ret,
	      struct error *err) MUST_CHECK;
/** lock_include_find() - by canonical URL; @lock may be NULL */
const struct lock_include *lock_include_find(const struct spec_lock *lock, const char *url);
/** lock_check() - E305 for everything in which the lock would change; @lock may be NULL */
void lock_check(struct decode *d, const struct spec_lock *lock, const struct environment *env);

#endif
