/* SPDX-License-Identifier: MIT */
/* Secrets that ctrz itself keeps: those it generated or was told on a terminal. They lie outside of
 * the state file, $state/secrets/<id>/, 0600 in a folder of 0700, and outlive ctrz down. */
#ifndef CTRZ_ORCHESTRATOR_STATE_SECRET_STORE_H
#define CTRZ_ORCHESTRATOR_STATE_SECRET_STORE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "runtime/host/host_paths.h"

enum { SECRET_MAX_BYTES = 64 << 10, SECRET_MARK_SIZE = 33 };

/** secret_store_has() - whether a value is kept under this name */
bool secret_store_has(const struct host_paths *paths, const char *id, const char *name);
/** secret_store_read() - append the value. Return: 0, -E_NOT_FOUND, -E_DENIED if others may read or
 * change the file */
int secret_store_read(const struct host_paths *paths, const char *id, const char *name,
		      struct buffer *out, struct error *err) MUST_CHECK;
/** secret_store_write() - keep a value, in the place of another */
int secret_store_write(const struct host_paths *paths, const char *id, const char *name,
		       const void *value, size_t size, struct error *err) MUST_CHECK;
/**
 * secret_store_mark() - what the state may remember of a value, to see that it changed: an HMAC
 * under a key of the environment
 * @may_make: make the key if there is none yet
 *
 * Return: 1, 0 if there is no key and none may be made, or -code
 */
int secret_store_mark(const struct host_paths *paths, const char *id, bool may_make,
		      const void *value, size_t size, char out[SECRET_MARK_SIZE],
		      struct error *err) MUST_CHECK;
/** secret_store_forget() - remove all of an environment's; none is fine */
int secret_store_forget(const struct host_paths *paths, const char *id,
			struct error *err) MUST_CHECK;

/** secret_buffer_release() - a buffer that held a secret: wiped, then freed */
void secret_buffer_release(struct buffer *b);
#define AUTO_SECRET_BUFFER CLEANUP(secret_buffer_release) struct buffer

#endif
