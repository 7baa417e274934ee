/* SPDX-License-Identifier: MIT */
/* Who we are to a registry: ctrz login's own file, podman's auth.json, docker's config.json and its
 * helpers. */
#ifndef CTRZ_RUNTIME_OCI_CREDENTIALS_H
#define CTRZ_RUNTIME_OCI_CREDENTIALS_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/host/host_paths.h"

/* Never printed. */
struct credentials {
	char *user, *secret;  /* owned; NULL = none */
	char *identity_token; /* owned; an OAuth2 refresh token instead of user and secret; NULL =
				 none */
	char *source;         /* owned; the file or helper they come from; NULL = none found */
};

#define CREDENTIALS_INIT ((struct credentials){ 0 })
#define AUTO_CREDENTIALS CLEANUP(credentials_release) struct credentials

void credentials_release(struct credentials *c);
/**
 * credentials_find() - for a registry, best file first
 * @host:	"docker.io", "localhost:5000"
 * @repository:	podman's files may hold credentials for a part of a registry
 * @helper_ms:	how long a credential helper may take
 *
 * Return: 0, with source NULL if there are none; -E_INVALID for a file or helper that gives
 * nonsense, -E_TIMEOUT or -E_UNAVAILABLE for a helper that does not come to its end
 */
int credentials_find(const struct host_paths *paths, const char *host, const char *repository,
		     int helper_ms, struct credentials *ret, struct error *err) MUST_CHECK;
/** credentials_store() - into ctrz's own file, 0600 */
int credentials_store(const struct host_paths *paths, const char *host, const char *user,
		      const char *secret, struct error *err) MUST_CHECK;
/** credentials_erase() - from ctrz's own file; -E_NOT_FOUND if it holds none for @host */
int credentials_erase(const struct host_paths *paths, const char *host,
		      struct error *err) MUST_CHECK;

/** base64_encode() - owned */
char *base64_encode(const void *data, size_t size);
/** base64_decode() - standard alphabet, padding optional; owned and NUL-terminated, NULL for
 * anything else */
char *base64_decode(const char *text, size_t *ret_size);

#endif
