/* SPDX-License-Identifier: MIT */
/* A client of registries (OCI distribution spec): manifests and blobs, with mirrors, tokens,
 * retries and resume. */
#ifndef CTRZ_RUNTIME_OCI_REGISTRY_CLIENT_H
#define CTRZ_RUNTIME_OCI_REGISTRY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/host/host_paths.h"
#include "runtime/oci/blob_store.h"
#include "runtime/oci/manifest.h"
#include "runtime/oci/reference.h"
#include "runtime/oci/registry_config.h"

struct registry_client;
struct registry_repository;

struct registry_client_options {
	const struct host_paths *paths;           /* lent; where credentials are */
	const struct registry_config *registries; /* lent */
	size_t registry_count;
	unsigned stall_seconds; /* silence that ends a transfer; 0 = 30 */
	unsigned max_parallel;  /* blobs at a time; 0 = 6 */
};

/** registry_client_open() - SIGPIPE is blocked in this thread until the client is closed */
int registry_client_open(const struct registry_client_options *o, struct registry_client **ret,
			 struct error *err) MUST_CHECK;
void registry_client_close(struct registry_client *c);
DEFINE_CLEANUP(struct registry_client *, registry_client_close)
/** registry_client_wake() - have a running registry_fetch_blobs() look at should_stop; from any
 * thread */
void registry_client_wake(struct registry_client *c);

/**
 * registry_repository_open() - the repository of a reference; nothing is sent yet
 * @push:	ask for the right to write; mirrors are left out then
 */
int registry_repository_open(struct registry_client *c, const struct reference *r, bool push,
			     struct registry_repository **ret, struct error *err) MUST_CHECK;
void registry_repository_close(struct registry_repository *r);
DEFINE_CLEANUP(struct registry_repository *, registry_repository_close)

struct registry_document {
	struct buffer body;
	char *media_type; /* owned; as sent, "" if not said */
	char *digest;     /* owned; of the body, verified */
};

#define AUTO_DOCUMENT CLEANUP(registry_document_release) struct registry_document
void registry_document_release(struct registry_document *d);

/** registry_head() - the digest a tag has now, owned, in one request; NULL if the registry does not
 * say. Return: 0, -E_NOT_FOUND, -E_DENIED, -E_UNAVAILABLE */
int registry_head(struct registry_repository *r, const char *tag_or_digest, char **ret_digest,
		  struct error *err) MUST_CHECK;
/** registry_get_manifest() - at most MANIFEST_MAX_BYTES, its digest verified */
int registry_get_manifest(struct registry_repository *r, const char *tag_or_digest,
			  struct registry_document *ret, struct error *err) MUST_CHECK;
/** registry_get_blob() - a small blob (a config) into memory through the store */
int registry_get_blob(struct registry_repository *r, struct blob_store *store,
		      const struct descriptor *d, struct buffer *out, struct error *err) MUST_CHECK;

/* What registry_fetch_blobs() tells; all from its own thread, any may be NULL. */
struct registry_fetch_events {
	/* Readable from @fd (lent until registry_fetch_blobs() returns) up to @offset, and more as
	 * on_bytes says. */
	void (*on_open)(void *arg, size_t blob, int fd, uint64_t offset);
	void (*on_bytes)(void *arg, size_t blob, uint64_t offset);
	void (*on_restart)(void *arg, size_t blob); /* what was read was wrong: begin again at 0 */
	void (*on_done)(void *arg, size_t blob);    /* verified and in the store */
	bool (*should_stop)(void *arg);
	void *arg;
};

/**
 * registry_fetch_blobs() - bring blobs into the store, several at a time, first ones first
 * @blobs:	different digests
 *
 * Return: 0 with all of them in the store; -E_CANCELED if should_stop said so; -E_INTEGRITY,
 * -E_NOT_FOUND, -E_UNAVAILABLE, ... What came before a failure stays for the next try.
 */
int registry_fetch_blobs(struct registry_repository *r, struct blob_store *store,
			 const struct descriptor *const *blobs, size_t count,
			 const struct registry_fetch_events *events, struct error *err) MUST_CHECK;

enum push_result { PUSH_SENT, PUSH_THERE, PUSH_MOUNTED };

/* A blob of the store to be pushed. */
struct registry_push_blob {
	const struct descriptor *blob; /* lent */
	struct strlist mount_from;     /* repositories of the same registry that may hold it */
};

/* What registry_push_blobs() tells; all from its own thread. */
struct registry_push_events {
	void (*on_sent)(void *arg, size_t blob, uint64_t sent); /* so far; falls back to 0 */
	void (*on_done)(void *arg, size_t blob, enum push_result result);
	void *arg;
};

/**
 * registry_push_blobs() - send blobs the registry does not have, several at a time
 * @blobs:	different digests
 *
 * What another repository of the registry holds is mounted from there, where the registry allows
 * it. An upload that breaks begins again. Return: 0 with all of them there; -E_DENIED,
 * -E_UNAVAILABLE, ...
 */
int registry_push_blobs(struct registry_repository *r, const struct blob_store *store,
			const struct registry_push_blob *blobs, size_t count,
			const struct registry_push_events *events, struct error *err) MUST_CHECK;
/** registry_push_manifest() - under a tag or its digest, once its blobs are there */
int registry_push_manifest(struct registry_repository *r, const char *tag_or_digest,
			   const char *media_type, const char *text, size_t size,
			   struct error *err) MUST_CHECK;

/** registry_login() - try credentials on a registry. Return: 0, -E_DENIED if it refuses them, ...
 */
int registry_login(struct registry_client *c, const char *host, const char *user,
		   const char *secret, struct error *err) MUST_CHECK;

#endif
