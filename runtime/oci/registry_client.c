/* SPDX-License-Identifier: MIT */
/* Requests to registries and their mirrors, one at a time.
 *
 * DOC: Theory of Operation
 *
 * A repository is served by a list of endpoints: the mirrors of config.yaml in their order, then
 * the registry itself. A question is asked of one after the other until one can answer; the error
 * of the last says what the others said. Whether an endpoint speaks TLS is known from its
 * configuration, but for loopback and insecure ones: there the first request finds out.
 * Authorization is sent after a challenge only.
 */
#include "runtime/oci/registry_client.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest/digest.h"
#include "base/json/json.h"
#include "runtime/oci/registry_internal.h"

static const char *const manifest_headers[] = {
	"Accept: " MEDIA_OCI_INDEX,
	"Accept: " MEDIA_DOCKER_INDEX,
	"Accept: " MEDIA_OCI_MANIFEST,
	"Accept: " MEDIA_DOCKER_MANIFEST,
	NULL,
};

/* SIGPIPE of a TLS connection or a helper that went away must not end the program. */
static void block_sigpipe(struct registry_client *c)
{
	sigset_t set, old;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &set, &old);
	c->sigpipe_was_blocked = sigismember(&old, SIGPIPE) == 1;
}

static void restore_sigpipe(const struct registry_client *c)
{
	if (c->sigpipe_was_blocked)
		return;
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPIPE);
	const struct timespec none = { 0 };
	while (sigtimedwait(&set, NULL, &none) == SIGPIPE)
		;
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int registry_client_open(const struct registry_client_options *o, struct registry_client **ret,
			 struct error *err)
{
	struct registry_client *c = xcalloc(1, sizeof(*c));
	c->options = *o;
	if (!c->options.max_parallel)
		c->options.max_parallel = 6;
	if (!c->options.stall_seconds)
		c->options.stall_seconds = 30;
	const struct http_options options = { .stall_seconds = c->options.stall_seconds };
	int rc = http_open(&options, &c->http, err);
	if (rc < 0) {
		free(c);
		return rc;
	}
	block_sigpipe(c);
	*ret = c;
	return 0;
}

void registry_client_close(struct registry_client *c)
{
	if (!c)
		return;
	http_close(c->http);
	restore_sigpipe(c);
	for (size_t i = 0; i < c->token_count; i++) {
		free(c->tokens[i].key);
		free(c->tokens[i].authorization);
	}
	free(c->tokens);
	free(c);
}

void registry_client_wake(struct registry_client *c)
{
	http_wake(c->http);
}

void registry_document_release(struct registry_document *d)
{
	buffer_release(&d->body);
	free(d->media_type);
	free(d->digest);
}

static void set_schemes(struct endpoint *e)
{
	bool local = host_is_loopback(e->host);
	e->trust.plain_ok = local || e->trust.skip_verify;
	const char *first = "https", *second = NULL;
	if (local && !e->trust.ca_file && !e->trust.cert_file) {
		first = "http";
		second = "https";
	} else if (e->trust.plain_ok) {
		second = "http";
	}
	e->schemes[0] = first;
	e->schemes[1] = second;
	e->scheme_count = second ? 2 : 1;
	e->scheme_known = !second;
}

static struct endpoint *add_endpoint(struct registry_repository *r, const char *host)
{
	struct endpoint *e = &r->endpoints[r->endpoint_count++];
	*e = (struct endpoint){ .host = xstrdup(host) };
	bool docker = str_equal(host, "docker.io");
	e->authority = xstrdup(docker ? "registry-1.docker.io" : host);
	return e;
}

static const struct registry_config *find_config(const struct registry_client *c, const char *host)
{
	for (size_t i = 0; i < c->options.registry_count; i++)
		if (str_equal(c->options.registries[i].host, host))
			return &c->options.registries[i];
	return NULL;
}

/* Trust of @host by its own entry of config.yaml, if there is one. */
static void apply_config(struct endpoint *e, const struct registry_config *config)
{
	if (!config)
		return;
	e->trust.ca_file = config->ca_file;
	e->trust.cert_file = config->cert_file;
	e->trust.key_file = config->key_file;
	e->trust.skip_verify = config->insecure;
	e->auth_host = xstrdup_null(config->auth_host);
}

int registry_repository_open(struct registry_client *c, const struct reference *reference,
			     bool push, struct registry_repository **ret, struct error *err)
{
	if (!reference->host || !reference->repository)
		return error_set(err, E_INTERNAL, "a reference without a name");
	const struct registry_config *config = find_config(c, reference->host);
	size_t mirrors = config && !push ? config->mirror_count : 0;
	struct registry_repository *r = xcalloc(1, sizeof(*r));
	r->client = c;
	r->reference.host = xstrdup(reference->host);
	r->reference.repository = xstrdup(reference->repository);
	r->reference.tag = xstrdup_null(reference->tag);
	r->reference.digest = xstrdup_null(reference->digest);
	r->scope =
		xasprintf("repository:%s:%s", reference->repository, push ? "pull,push" : "pull");
	r->endpoints = xcalloc(mirrors + 1, sizeof(*r->endpoints));
	for (size_t i = 0; i < mirrors; i++) {
		struct endpoint *e = add_endpoint(r, config->mirrors[i].host);
		e->is_mirror = true;
		apply_config(e, find_config(c, config->mirrors[i].host));
		e->trust.skip_verify = e->trust.skip_verify || config->mirrors[i].insecure;
		set_schemes(e);
	}
	struct endpoint *own = add_endpoint(r, reference->host);
	apply_config(own, config);
	set_schemes(own);
	*ret = r;
	return 0;
}

void registry_repository_close(struct registry_repository *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->endpoint_count; i++) {
		struct endpoint *e = &r->endpoints[i];
		free(e->host);
		free(e->authority);
		free(e->auth_host);
		free(e->withheld_from);
		free(e->authorization);
		credentials_release(&e->credentials);
	}
	free(r->endpoints);
	free(r->scope);
	strlist_release(&r->mount_scopes);
	reference_release(&r->reference);
	free(r);
}

char *endpoint_url(const struct endpoint *e, const char *path)
{
	return xasprintf("%s://%s/v2/%s", e->schemes[e->scheme], e->authority, path);
}

bool status_is_temporary(long status)
{
	return status == 429 || status == 408 || (status >= 500 && status != 501 && status != 505);
}

bool backoff_is_refused(const char *retry_after)
{
	return http_retry_after_s(retry_after, time(NULL)) > REGISTRY_WAIT_MAX_S;
}

uint64_t backoff_ms(unsigned attempt, const char *retry_after)
{
	uint64_t base = (uint64_t)REGISTRY_BACKOFF_MS << (attempt > 6 ? 6 : attempt - 1);
	uint16_t chance;
	random_bytes(&chance, sizeof(chance));
	uint64_t wait = base + base * chance / 65536;
	uint64_t asked = http_retry_after_s(retry_after, time(NULL)) * 1000;
	return asked > wait ? asked : wait;
}

/* The first message of a registry's error document, escaped, owned; NULL if there is none. */
static char *body_message(const char *body)
{
	AUTO_ERROR ignored = ERROR_INIT;
	AUTO_JSON v = NULL;
	if (json_parse(body, strlen(body), REGISTRY_ERROR_BODY_MAX, "an error", &v, &ignored) < 0)
		return NULL;
	const struct json *errors = json_member_array(v, "errors");
	const struct json *first = errors && json_count(errors) ? json_item(errors, 0) : NULL;
	const char *message = first ? json_str(first, "message", "") : "";
	if (!*message)
		return NULL;
	AUTO_FREE char *cut = xstrndup(message, 200);
	return text_escaped(cut);
}

int status_error(const struct registry_repository *r, const struct endpoint *e, long status,
		 const char *body, const char *what, struct error *err)
{
	AUTO_FREE char *said = body_message(body);
	const char *colon = said ? ": " : "", *text = said ? said : "";
	switch (status) {
	case 401:
	case 403:
		return error_set(err, E_DENIED, "%s forbids access to %s of '%s' (%ld%s%s)%s%s",
				 e->host, what, r->reference.repository, status, colon, text,
				 e->credentials.source ? "" : "; log in with: ctrz login ",
				 e->credentials.source ? "" : e->host);
	case 404:
		return error_set(err, E_NOT_FOUND,
				 "%s has no %s of '%s'%s%s; check the name and the tag", e->host,
				 what, r->reference.repository, colon, text);
	case 429:
		return error_set(
			err, E_UNAVAILABLE,
			"%s has too many requests from here (429%s%s); try again later, or "
			"log in with: ctrz login %s",
			e->host, colon, text, e->host);
	default:
		return error_set(err, E_UNAVAILABLE, "%s answers %ld for %s of '%s'%s%s", e->host,
				 status, what, r->reference.repository, colon, text);
	}
}

/* The other scheme was no good: what looked like TLS was just a broken connection. */
static bool back_to_plain(struct endpoint *e, const struct http_result *a)
{
	bool fell_back = !e->scheme_known && e->scheme == 1 && str_equal(e->schemes[0], "http");
	if (!fell_back || a->failure != HTTP_TLS)
		return false;
	e->scheme = 0;
	e->scheme_known = true;
	return true;
}

static bool speaks_tls_only(const struct http_result *a)
{
	if (a->failure == HTTP_BROKEN)
		return true;
	return a->failure == HTTP_OK && a->response.status == 400 &&
	       strstr(buffer_str(&a->body), "HTTPS server");
}

/* Whether the other scheme is worth a try after this answer. */
static bool wrong_scheme(const struct endpoint *e, const struct http_result *a)
{
	if (e->scheme_known || e->scheme + 1 >= e->scheme_count)
		return false;
	if (str_equal(e->schemes[e->scheme], "http"))
		return speaks_tls_only(a);
	bool own_port = strchr(e->authority, ':') != NULL;
	return a->failure == HTTP_TLS || a->failure == HTTP_UNTRUSTED ||
	       a->failure == HTTP_BROKEN || (a->failure == HTTP_UNREACHABLE && !own_port);
}

static int send_once(struct registry_repository *r, struct endpoint *e,
		     const struct endpoint_request *q, struct http_result *ret, struct error *err)
{
	AUTO_FREE char *url = strstr(q->path, "://") ? xstrdup(q->path) : endpoint_url(e, q->path);
	const struct http_request request = {
		.method = q->method,
		.url = url,
		.authorization = endpoint_authorization(e),
		.headers = q->headers,
		.trust = e->trust,
		.body = q->body,
		.body_size = q->body_size,
	};
	return http_fetch(r->client->http, &request, q->max, ret, err);
}

int registry_wait(struct registry_client *c, uint64_t ms, struct error *err)
{
	int rc = 0;
	uint64_t until = clock_ms() + ms;
	for (uint64_t now; rc == 0 && (now = clock_ms()) < until;)
		rc = http_turn(c->http, (int)(until - now), err);
	return rc;
}

int transport_error(const struct endpoint *e, enum http_failure failure, const struct error *why,
		    struct error *err)
{
	const char *said = error_message(why);
	switch (failure) {
	case HTTP_UNREACHABLE:
		return error_set(err, why->code,
				 "registry %s cannot be reached: %s; check its name, that it runs, "
				 "and whether a proxy (https_proxy) is needed",
				 e->host, said);
	case HTTP_UNTRUSTED:
		return error_set(
			err, why->code,
			"registry %s is not trusted: %s; if it has an authority of its own, "
			"name its file as registries: \"%s\": ca in config.yaml",
			e->host, said, e->host);
	case HTTP_STALLED:
		return error_set(
			err, why->code,
			"registry %s: %s; try again, or let it be silent for longer: images: "
			"stall in config.yaml",
			e->host, said);
	case HTTP_OK:
	case HTTP_TLS:
	case HTTP_BROKEN:
	case HTTP_REFUSED:
		break;
	}
	return error_set(err, why->code, "registry %s: %s", e->host, said);
}

enum next_step { STEP_DONE, STEP_AGAIN, STEP_FAILED };

/* What an answer means for the request: done, to be sent again, or failed with @err set. */
static enum next_step judge(struct registry_repository *r, struct endpoint *e, unsigned *attempt,
			    struct http_result *a, struct error *err)
{
	if (wrong_scheme(e, a)) {
		e->scheme++;
		return STEP_AGAIN;
	}
	if (back_to_plain(e, a))
		return STEP_AGAIN;

	long status = a->response.status;
	if (a->failure == HTTP_OK) {
		e->scheme_known = true;
		if (status == 401 && a->response.challenges.count)
			return endpoint_authorize(r, e, &a->response.challenges, err) < 0
				       ? STEP_FAILED
				       : STEP_AGAIN;
		e->authorization_new = false;
	}
	bool temporary = a->failure == HTTP_BROKEN || a->failure == HTTP_STALLED ||
			 (a->failure == HTTP_OK && status_is_temporary(status));
	unsigned tries = a->failure == HTTP_STALLED ? REGISTRY_STALLS : REGISTRY_ATTEMPTS;

	if (temporary && ++*attempt < tries && !backoff_is_refused(a->response.retry_after)) {
		uint64_t ms = backoff_ms(*attempt, a->response.retry_after);
		return registry_wait(r->client, ms, err) < 0 ? STEP_FAILED : STEP_AGAIN;
	}
	if (a->failure == HTTP_OK)
		return STEP_DONE;
	(void)transport_error(e, a->failure, &a->error, err);
	return STEP_FAILED;
}

int endpoint_fetch(struct registry_repository *r, struct endpoint *e,
		   const struct endpoint_request *q, struct http_result *ret, struct error *err)
{
	unsigned attempt = 0;
	for (;;) {
		AUTO_HTTP_RESULT answer = { 0 };
		int rc = send_once(r, e, q, &answer, err);
		if (rc < 0)
			return rc;
		switch (judge(r, e, &attempt, &answer, err)) {
		case STEP_AGAIN:
			break;
		case STEP_FAILED:
			return -(int)err->code;
		case STEP_DONE:
			*ret = answer;
			answer = (struct http_result){ 0 };
			return 0;
		}
	}
}

int endpoint_probe(struct registry_repository *r, struct endpoint *e, struct error *err)
{
	if (e->scheme_known)
		return 0;
	AUTO_HTTP_RESULT answer = { 0 };
	const struct endpoint_request q = {
		.method = "GET",
		.path = "",
		.max = REGISTRY_ERROR_BODY_MAX,
	};
	return endpoint_fetch(r, e, &q, &answer, err);
}

/* Something to be asked of the endpoints in turn. */
typedef int (*ask_fn)(struct registry_repository *r, struct endpoint *e, void *arg,
		      struct error *err);

static int ask_endpoints(struct registry_repository *r, ask_fn ask, void *arg, struct error *err)
{
	AUTO_STRLIST tried = STRLIST_INIT;
	for (size_t i = 0;; i++) {
		AUTO_ERROR one = ERROR_INIT;
		if (ask(r, &r->endpoints[i], arg, &one) == 0) {
			r->preferred = i;
			return 0;
		}
		if (i + 1 < r->endpoint_count) {
			strlist_printf(&tried, "mirror %s", error_message(&one));
			continue;
		}
		(void)error_move(err, &one);
		if (tried.count == 0)
			return -(int)err->code;
		AUTO_FREE char *list = strlist_join(&tried, "; ");
		return error_wrap(err, "%s; then", list);
	}
}

struct manifest_question {
	const char *name;
	char *digest;                       /* of HEAD */
	struct registry_document *document; /* of GET */
};

static char *manifest_path(const struct registry_repository *r, const char *name)
{
	return xasprintf("%s/manifests/%s", r->reference.repository, name);
}

static char *manifest_what(const char *name)
{
	return digest_is_valid(name) ? xasprintf("manifest %s", name) : xasprintf("tag '%s'", name);
}

static int ask_head(struct registry_repository *r, struct endpoint *e, void *arg, struct error *err)
{
	struct manifest_question *q = arg;
	AUTO_FREE char *path = manifest_path(r, q->name);
	AUTO_HTTP_RESULT a = { 0 };
	const struct endpoint_request request = {
		.method = "HEAD",
		.path = path,
		.headers = manifest_headers,
	};
	int rc = endpoint_fetch(r, e, &request, &a, err);
	if (rc < 0)
		return rc;
	AUTO_FREE char *what = manifest_what(q->name);
	long status = a.response.status;
	if (status == 404 || status == 403 || status_is_temporary(status))
		return status_error(r, e, status, "", what, err);
	const char *digest = a.response.content_digest;
	if (status == 200 && digest && digest_is_valid(digest))
		q->digest = xstrdup(digest);
	return 0;
}

int registry_head(struct registry_repository *r, const char *tag_or_digest, char **ret_digest,
		  struct error *err)
{
	struct manifest_question q = { .name = tag_or_digest };
	int rc = ask_endpoints(r, ask_head, &q, err);
	if (rc == 0)
		*ret_digest = q.digest;
	return rc;
}

static char *body_digest(const struct buffer *body, const char *like)
{
	bool long_one = like && str_starts(like, "sha512:");
	CLEANUP(digest_free_p)
	struct digest *d = digest_new(long_one ? DIGEST_SHA512 : DIGEST_SHA256);
	char hex[DIGEST_HEX_MAX + 1];
	digest_add(d, buffer_str(body), body->size);
	digest_hex(d, hex);
	return xasprintf("%s:%s", long_one ? "sha512" : "sha256", hex);
}

static int ask_manifest(struct registry_repository *r, struct endpoint *e, void *arg,
			struct error *err)
{
	struct manifest_question *q = arg;
	AUTO_FREE char *path = manifest_path(r, q->name);
	AUTO_FREE char *what = manifest_what(q->name);
	AUTO_HTTP_RESULT a = { 0 };
	const struct endpoint_request request = {
		.method = "GET",
		.path = path,
		.headers = manifest_headers,
		.max = MANIFEST_MAX_BYTES,
	};
	int rc = endpoint_fetch(r, e, &request, &a, err);
	if (rc < 0)
		return rc;
	if (a.response.status != 200)
		return status_error(r, e, a.response.status, buffer_str(&a.body), what, err);
	const char *wanted = digest_is_valid(q->name) ? q->name : a.response.content_digest;
	AUTO_FREE char *digest = body_digest(&a.body, wanted);
	if (wanted && digest_is_valid(wanted) && !str_equal(wanted, digest))
		return error_set(
			err, E_INTEGRITY,
			"%s sent a wrong %s of '%s': digest mismatch, announced %s, got %s",
			e->host, what, r->reference.repository, wanted, digest);
	q->document->media_type = xstrdup(a.response.content_type ? a.response.content_type : "");
	q->document->digest = TAKE_PTR(digest);
	q->document->body = a.body;
	a.body = BUFFER_INIT;
	return 0;
}

int registry_get_manifest(struct registry_repository *r, const char *tag_or_digest,
			  struct registry_document *ret, struct error *err)
{
	struct registry_document document = { 0 };
	struct manifest_question q = { .name = tag_or_digest, .document = &document };
	int rc = ask_endpoints(r, ask_manifest, &q, err);
	if (rc == 0)
		*ret = document;
	return rc;
}

/* The token asked for is one without any scope: it proves who we are. */
static int try_credentials(struct registry_repository *r, const char *user, const char *secret,
			   struct error *err)
{
	free(r->scope);
	r->scope = NULL;
	struct endpoint *e = &r->endpoints[0];
	e->credentials_read = true;
	e->credentials = (struct credentials){
		.user = xstrdup(user),
		.secret = xstrdup(secret),
		.source = xstrdup("this login"),
	};
	AUTO_HTTP_RESULT a = { 0 };
	const struct endpoint_request q = {
		.method = "GET",
		.path = "",
		.max = MANIFEST_MAX_BYTES,
	};
	int rc = endpoint_fetch(r, e, &q, &a, err);
	if (rc < 0)
		return rc;
	if (a.response.status == 200)
		return 0;
	return status_error(r, e, a.response.status, buffer_str(&a.body), "its API", err);
}

int registry_login(struct registry_client *c, const char *host, const char *user,
		   const char *secret, struct error *err)
{
	AUTO_REFERENCE any = { .host = xstrdup(host), .repository = xstrdup("any") };
	CLEANUP(registry_repository_close_p) struct registry_repository *r = NULL;
	int rc = registry_repository_open(c, &any, true, &r, err);
	if (rc == 0)
		rc = try_credentials(r, user, secret, err);
	return rc == -E_DENIED ? error_wrap(err, "login to %s failed", host) : rc;
}
