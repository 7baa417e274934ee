/* SPDX-License-Identifier: MIT */
/* The lock of an environment: held while planning and applying, released by the kernel when the
 * holder dies. */
#ifndef CTRZ_ORCHESTRATOR_STATE_ENV_LOCK_H
#define CTRZ_ORCHESTRATOR_STATE_ENV_LOCK_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "runtime/host/host_paths.h"

enum { LOCK_TIMEOUT_DEFAULT_MS = 60000 };

/* Who holds a lock, for people; a note beside the lock, never believed over the lock itself. */
struct lock_holder {
	pid_t pid;     /* 0 = unknown */
	char *command; /* owned */
	char *user;    /* owned */
	uint64_t since_unix_ms;
};

void lock_holder_release(struct lock_holder *h);
/** lock_holder_text() - owned: pid 4127 "ctrz up" (alice, 12s) */
char *lock_holder_text(const struct lock_holder *h);

/** env_lock_wait_fn - called once when somebody else holds the lock, before waiting */
typedef void (*env_lock_wait_fn)(void *arg, const struct lock_holder *holder);

/**
 * env_lock_take() - lock an environment, making its folder
 * @id: of the environment
 * @command: what we are doing, "ctrz up"
 * @timeout_ms: how long to wait; 0 = not at all
 * @waiting: may be NULL
 *
 * Return: the descriptor that holds the lock, or -E_TIMEOUT with the holder in the message, or
 * another -code
 */
int env_lock_take(const struct host_paths *paths, const char *id, const char *command,
		  uint64_t timeout_ms, env_lock_wait_fn waiting, void *arg,
		  struct error *err) MUST_CHECK;
/** env_lock_release() - drop the note and the lock; *fd becomes -1 */
void env_lock_release(const struct host_paths *paths, const char *id, int *fd);
/** env_lock_holder() - who holds it now. Return: 0, or -E_NOT_FOUND if nobody does */
int env_lock_holder(const struct host_paths *paths, const char *id, struct lock_holder *ret,
		    struct error *err) MUST_CHECK;

#endif
