/* SPDX-License-Identifier: MIT */
/* What the files of the registry client share. */
#ifndef CTRZ_RUNTIME_OCI_REGISTRY_INTERNAL_H
#define CTRZ_RUNTIME_OCI_REGISTRY_INTERNAL_H

#include <signal.h>

#include "runtime/oci/credentials.h"
#include "runtime/oci/http.h"
#include "runtime/oci/registry_client.h"

enum {
	REGISTRY_ATTEMPTS = 5, /* per endpoint, for what may pass: 429, 5xx, broken connections */
	REGISTRY_STALLS = 2,   /* silence costs more than an error: fewer tries */
	REGISTRY_BACKOFF_MS = 250, /* doubled each time, plus up to as much by chance */
	REGISTRY_WAIT_MAX_S = 60,  /* a longer Retry-After is not waited for */
	REGISTRY_ERROR_BODY_MAX = 64 * 1024,
};

/* One place that can serve a repository: a mirror or the registry itself. */
struct endpoint {
	char *host;      /* owned: as in references; credentials go by it */
	char *authority; /* owned: what goes into URLs */
	bool is_mirror;
	struct http_trust trust;
	const char *schemes[2]; /* to be tried, then the one that works */
	size_t scheme_count, scheme;
	bool scheme_known;
	char *auth_host;        /* owned: token service on another host; NULL */
	char *withheld_from;    /* owned: token service that may not have our credentials; NULL */
	char *authorization;    /* owned: what the last challenge led to; NULL = none */
	uint64_t expires_ms;    /* of it, clock_ms(); 0 = never */
	bool authorization_new; /* nothing but 401 came since it was made */
	bool credentials_read;
	struct credentials credentials;
};

struct token {
	char *key, *authorization; /* owned */
	uint64_t expires_ms;
};

struct registry_client {
	struct registry_client_options options;
	struct http *http;
	struct token *tokens;
	size_t token_count, token_room;
	bool sigpipe_was_blocked;
};

struct registry_repository {
	struct registry_client *client;
	struct reference reference;
	char *scope;                 /* owned: "repository:library/alpine:pull" */
	struct strlist mount_scopes; /* the same of repositories blobs are mounted from */
	struct endpoint *endpoints;
	size_t endpoint_count;
	size_t preferred; /* the one that answered */
};

/* A request to one endpoint, waited for. */
struct endpoint_request {
	const char *method;
	const char *path; /* below /v2/, or a whole URL */
	const char *const *headers;
	const void *body;
	size_t body_size;
	size_t max; /* of the answer */
};

/** endpoint_fetch() - send it, with authorization and retries; any final HTTP status is a success
 * here, but 401 */
int endpoint_fetch(struct registry_repository *r, struct endpoint *e,
		   const struct endpoint_request *q, struct http_result *ret,
		   struct error *err) MUST_CHECK;
/** registry_wait() - let other transfers go on for a while */
int registry_wait(struct registry_client *c, uint64_t ms, struct error *err) MUST_CHECK;
/** endpoint_probe() - settle whether it speaks TLS */
int endpoint_probe(struct registry_repository *r, struct endpoint *e, struct error *err) MUST_CHECK;
/** endpoint_url() - owned; of a path below /v2/ */
char *endpoint_url(const struct endpoint *e, const char *path);
/** endpoint_authorize() - answer the challenges of a 401 */
int endpoint_authorize(struct registry_repository *r, struct endpoint *e,
		       const struct strlist *challenges, struct error *err) MUST_CHECK;
/** endpoint_authorization() - what to send now, NULL for nothing; lent */
const char *endpoint_authorization(const struct endpoint *e);
/** status_is_temporary() - worth another try: 429 and 5xx */
bool status_is_temporary(long status);
/** status_error() - fill @err from an answer that is no success; @what is what was asked for */
int status_error(const struct registry_repository *r, const struct endpoint *e, long status,
		 const char *body, const char *what, struct error *err);
/** transport_error() - fill @err from what went wrong below HTTP, @why, with what to do about it */
int transport_error(const struct endpoint *e, enum http_failure failure, const struct error *why,
		    struct error *err);
/** backoff_ms() - before try number @attempt (from 1), following a Retry-After value (may be NULL)
 */
uint64_t backoff_ms(unsigned attempt, const char *retry_after);
/** backoff_is_refused() - a Retry-After that is too long to wait for */
bool backoff_is_refused(const char *retry_after);

#endif
