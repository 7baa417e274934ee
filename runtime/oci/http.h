/* SPDX-License-Identifier: MIT */
/* HTTP requests in parallel over libcurl's multi interface, with our own rules for redirects. */
#ifndef CTRZ_RUNTIME_OCI_HTTP_H
#define CTRZ_RUNTIME_OCI_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "runtime/oci/http_header.h"

struct http;
struct http_call;

/* What a server is trusted by; strings are lent and must outlive the call. */
struct http_trust {
	const char *ca_file, *cert_file,
		*key_file; /* NULL = the system's CAs, no client certificate */
	bool skip_verify;  /* any certificate will do */
	bool plain_ok;     /* http:// is allowed */
};

/* What happened below HTTP, for deciding what to try next. */
enum http_failure {
	HTTP_OK,
	HTTP_UNREACHABLE, /* no such host, nobody listens, no route */
	HTTP_TLS,         /* no TLS there, or of no kind we speak */
	HTTP_UNTRUSTED,   /* TLS, but not with somebody we trust */
	HTTP_BROKEN,      /* the connection broke */
	HTTP_STALLED,     /* nothing came for too long */
	HTTP_REFUSED,     /* we did not want what came: redirect, size, sink */
};

struct http_outcome {
	enum http_failure failure;
	const struct http_response *response; /* never NULL */
	const struct error *error;            /* set unless HTTP_OK */
};

struct http_request {
	const char *method; /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
	const char *url;
	const char *authorization;  /* whole value or NULL; goes to the host of @url only */
	const char *const *headers; /* NULL-terminated "Name: value"; NULL = none */
	struct http_trust trust;
	bool no_redirect;
	const void *body; /* lent until done; NULL = none */
	size_t body_size;
	int body_fd; /* read from its offset, @body_size bytes, if > 0; lent until done */
	void (*on_sent)(void *arg, size_t size); /* so much more of body_fd is on its way */
	/* Before the first byte of the body; a return < 0 stops the call. Not called for redirects.
	 */
	int (*on_head)(void *arg, const struct http_response *r, struct error *err);
	int (*on_body)(void *arg, const void *data, size_t size, struct error *err); /* the same */
	void (*on_done)(void *arg,
			const struct http_outcome *o); /* always, once; may start calls */
	void *arg;
};

struct http_options {
	unsigned stall_seconds;   /* less than a byte a second for this long ends a call; 0 = 30 */
	unsigned connect_seconds; /* 0 = 15 */
};

int http_open(const struct http_options *o, struct http **ret, struct error *err) MUST_CHECK;
/** http_close() - calls still running end without on_done */
void http_close(struct http *h);
DEFINE_CLEANUP(struct http *, http_close)

/** http_cancel_all() - drop every running call, without on_done */
void http_cancel_all(struct http *h);

/** http_start() - begin a request; strings of @r but trust and body are copied. Return: 0,
 * -E_INVALID for a URL we do not go to */
int http_start(struct http *h, const struct http_request *r, struct error *err) MUST_CHECK;
/** http_turn() - move calls on, wait at most @timeout_ms for something to do */
int http_turn(struct http *h, int timeout_ms, struct error *err) MUST_CHECK;

/** http_wake() - end the wait of http_turn(); the one function other threads may call */
void http_wake(struct http *h);

struct http_result {
	enum http_failure failure;
	struct http_response response;
	struct buffer body;
	struct error error; /* set unless HTTP_OK */
};

#define AUTO_HTTP_RESULT CLEANUP(http_result_release) struct http_result

void http_result_release(struct http_result *r);
/** http_fetch() - one request, waiting for it; a body over @max bytes is HTTP_REFUSED. The
 * callbacks of @r are not used */
int http_fetch(struct http *h, const struct http_request *r, size_t max, struct http_result *ret,
	       struct error *err) MUST_CHECK;

/* The part of a URL we decide by. */
struct url_parts {
	char *scheme, *host, *port, *user; /* owned; port is always there; user NULL if none */
};

#define AUTO_URL CLEANUP(url_parts_release) struct url_parts

void url_parts_release(struct url_parts *u);
/** url_split() - an absolute URL; -E_INVALID for anything else */
int url_split(const char *url, struct url_parts *ret, struct error *err) MUST_CHECK;
/** url_resolve() - @location relative to @base; owned */
int url_resolve(const char *base, const char *location, char **ret, struct error *err) MUST_CHECK;
/** url_escape() - percent-encoded for a query, owned; only while there is a struct http */
char *url_escape(const char *s);

#endif
