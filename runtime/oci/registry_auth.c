/* SPDX-License-Identifier: MIT */
/* Answers to the challenges of registries: Basic, and Bearer tokens from their token services. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json/json.h"
#include "runtime/oci/challenge.h"
#include "runtime/oci/registry_internal.h"

enum {
	TOKEN_ANSWER_MAX = 1024 * 1024,
	TOKEN_MAX = 64 * 1024,
	TOKEN_DEFAULT_S = 60, /* of the token spec, where expires_in is missing */
	TOKEN_MARGIN_S = 10,
	HELPER_STALLS = 2, /* a helper may ask somebody: longer than a server */
};

static const char form_header[] = "Content-Type: application/x-www-form-urlencoded";

const char *endpoint_authorization(const struct endpoint *e)
{
	if (!e->authorization || (e->expires_ms && clock_ms() >= e->expires_ms))
		return NULL;
	return e->authorization;
}

static int denied(const struct registry_repository *r, const struct endpoint *e, struct error *err)
{
	if (e->withheld_from)
		return error_set(err, E_DENIED,
				 "%s refuses access to '%s'; its token service %.200s is another "
				 "host and did not get the credentials%s%s: if it may have them, "
				 "name it as registries: \"%s\": auth_host in config.yaml",
				 e->host, r->reference.repository, e->withheld_from,
				 e->credentials.source ? " from " : "",
				 e->credentials.source ? e->credentials.source : "", e->host);
	if (!r->scope)
		return error_set(err, E_DENIED, "%s does not take this user name and password",
				 e->host);
	if (e->credentials.source)
		return error_set(err, E_DENIED,
				 "%s refuses access to '%s' with the credentials from %s; others "
				 "are tried with: ctrz login %s",
				 e->host, r->reference.repository, e->credentials.source, e->host);
	return error_set(err, E_DENIED,
			 "%s refuses access to '%s': there is no such image, or it needs "
			 "credentials (ctrz login %s)",
			 e->host, r->reference.repository, e->host);
}

static int read_credentials(struct registry_repository *r, struct endpoint *e, struct error *err)
{
	if (e->credentials_read)
		return 0;
	int helper_ms = (int)r->client->options.stall_seconds * HELPER_STALLS * 1000;
	int rc = credentials_find(r->client->options.paths, e->host, r->reference.repository,
				  helper_ms, &e->credentials, err);
	e->credentials_read = rc == 0;
	return rc;
}

static char *basic_value(const struct credentials *c)
{
	AUTO_FREE char *pair = xasprintf("%s:%s", c->user, c->secret);
	AUTO_FREE char *encoded = base64_encode(pair, strlen(pair));
	explicit_bzero(pair, strlen(pair));
	return xasprintf("Basic %s", encoded);
}

static void set_authorization(struct endpoint *e, char *value, uint64_t expires_ms)
{
	free(e->authorization);
	e->authorization = value;
	e->expires_ms = expires_ms;
	e->authorization_new = true;
}

/* Everything that goes into a request for a token. */
struct token_request {
	struct registry_repository *repository;
	struct endpoint *endpoint;
	const struct challenge *challenge;
	const struct credentials *credentials; /* NULL = ask anonymously */
	const struct strlist *scopes;
	struct http_trust trust;
};

static void add_parameter(struct buffer *out, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	AUTO_FREE char *escaped = url_escape(value);
	buffer_printf(out, "%s%s=%s", out->size ? "&" : "", name, escaped);
}

/* The part of "repository:name:actions" that says of what. */
static size_t scope_subject(const char *scope)
{
	const char *colon = strrchr(scope, ':');
	return colon ? (size_t)(colon - scope) : strlen(scope);
}

static void add_scope(struct strlist *scopes, const char *scope)
{
	size_t size = scope_subject(scope);
	for (size_t i = 0; i < scopes->count; i++)
		if (scope_subject(scopes->items[i]) == size &&
		    strncmp(scopes->items[i], scope, size) == 0)
			return;
	strlist_add(scopes, scope);
}

/* What is asked for: our own needs, and what else the registry named (several, with spaces
 * between). */
static void list_scopes(const struct registry_repository *r, const struct challenge *c,
			struct strlist *ret)
{
	if (r->scope)
		add_scope(ret, r->scope);
	for (size_t i = 0; i < r->mount_scopes.count; i++)
		add_scope(ret, r->mount_scopes.items[i]);
	for (const char *p = c->scope; p && *p;) {
		size_t n = strcspn(p, " ");
		AUTO_FREE char *one = xstrndup(p, n);
		if (n > 0)
			add_scope(ret, one);
		p += n + (p[n] == ' ');
	}
}

static int send_get(const struct token_request *q, struct http_result *ret, struct error *err)
{
	AUTO_BUFFER query = BUFFER_INIT;
	add_parameter(&query, "service", q->challenge->service);
	for (size_t i = 0; i < q->scopes->count; i++)
		add_parameter(&query, "scope", q->scopes->items[i]);
	AUTO_FREE char *basic = NULL;
	if (q->credentials && q->credentials->user) {
		add_parameter(&query, "account", q->credentials->user);
		basic = basic_value(q->credentials);
	}
	const char *realm = q->challenge->realm;
	AUTO_FREE char *url =
		xasprintf("%s%s%s", realm, strchr(realm, '?') ? "&" : "?", buffer_str(&query));
	const struct http_request request = {
		.method = "GET",
		.url = url,
		.authorization = basic,
		.trust = q->trust,
		.no_redirect = true,
	};
	return http_fetch(q->repository->client->http, &request, TOKEN_ANSWER_MAX, ret, err);
}

/* The OAuth2 form: with a refresh token, or the password grant. */
static int send_post(const struct token_request *q, struct http_result *ret, struct error *err)
{
	const struct credentials *c = q->credentials;
	AUTO_BUFFER form = BUFFER_INIT;
	add_parameter(&form, "grant_type", c->identity_token ? "refresh_token" : "password");
	add_parameter(&form, "client_id", "ctrz");
	add_parameter(&form, "service", q->challenge->service);
	AUTO_FREE char *scope = strlist_join(q->scopes, " ");
	add_parameter(&form, "scope", scope);
	if (c->identity_token) {
		add_parameter(&form, "refresh_token", c->identity_token);
	} else {
		add_parameter(&form, "username", c->user);
		add_parameter(&form, "password", c->secret);
	}
	const char *const headers[] = { form_header, NULL };
	const struct http_request request = {
		.method = "POST",
		.url = q->challenge->realm,
		.headers = headers,
		.trust = q->trust,
		.no_redirect = true,
		.body = buffer_str(&form),
		.body_size = form.size,
	};
	int rc = http_fetch(q->repository->client->http, &request, TOKEN_ANSWER_MAX, ret, err);
	explicit_bzero(form.data, form.size);
	return rc;
}

static int send_once(const struct token_request *q, struct http_result *ret, struct error *err)
{
	if (q->credentials && q->credentials->identity_token)
		return send_post(q, ret, err);
	int rc = send_get(q, ret, err);
	bool post_only = rc == 0 && ret->failure == HTTP_OK &&
			 (ret->response.status == 404 || ret->response.status == 405);
	if (!post_only || !q->credentials)
		return rc;
	http_result_release(ret);
	*ret = (struct http_result){ 0 };
	return send_post(q, ret, err);
}

static bool token_is_clean(const char *token)
{
	size_t n = 0;
	while (token[n] > ' ' && token[n] < 0x7f && n <= TOKEN_MAX)
		n++;
	return n > 0 && n <= TOKEN_MAX && token[n] == '\0';
}

static int read_token(const struct http_result *answer, struct token *ret, struct error *err)
{
	AUTO_JSON v = NULL;
	int rc = json_parse(buffer_str(&answer->body), answer->body.size, TOKEN_ANSWER_MAX,
			    "the token service's answer", &v, err);
	if (rc < 0)
		return rc;
	const char *token = json_str(v, "token", "");
	if (!*token)
		token = json_str(v, "access_token", "");
	if (!token_is_clean(token))
		return error_set(err, E_INTEGRITY, "the token service's answer holds no token");
	uint64_t seconds = json_u64(v, "expires_in", TOKEN_DEFAULT_S);
	seconds = seconds > 86400 ? 86400 : seconds;
	ret->authorization = xasprintf("Bearer %s", token);
	ret->expires_ms =
		clock_ms() + (seconds > TOKEN_MARGIN_S ? seconds - TOKEN_MARGIN_S : seconds) * 1000;
	return 0;
}

static int fetch_token(const struct token_request *q, struct token *ret, struct error *err)
{
	for (unsigned attempt = 1;; attempt++) {
		AUTO_HTTP_RESULT answer = { 0 };
		int rc = send_once(q, &answer, err);
		if (rc < 0)
			return rc;
		long status = answer.response.status;
		if (answer.failure == HTTP_OK && status == 200)
			return read_token(&answer, ret, err);
		if (answer.failure == HTTP_OK && (status == 400 || status == 401 || status == 403))
			return denied(q->repository, q->endpoint, err);
		bool again = answer.failure == HTTP_BROKEN ||
			     (answer.failure == HTTP_OK && status_is_temporary(status));
		if (again && attempt < REGISTRY_ATTEMPTS &&
		    !backoff_is_refused(answer.response.retry_after)) {
			uint64_t until =
				clock_ms() + backoff_ms(attempt, answer.response.retry_after);
			for (uint64_t now; rc == 0 && (now = clock_ms()) < until;)
				rc = http_turn(q->repository->client->http, (int)(until - now),
					       err);
			if (rc < 0)
				return rc;
			continue;
		}
		if (answer.failure != HTTP_OK)
			(void)error_move(err, &answer.error);
		else
			(void)error_set(err, E_UNAVAILABLE, "answers %ld", status);
		AUTO_FREE char *shown = text_escaped(q->challenge->realm);
		return error_wrap(err, "the token service %.200s of %s", shown, q->endpoint->host);
	}
}

/* Tokens are kept for as long as they are good: by service, scope and user. */
static struct token *cached_token(struct registry_client *c, const char *key)
{
	for (size_t i = 0; i < c->token_count; i++)
		if (str_equal(c->tokens[i].key, key))
			return &c->tokens[i];
	GROW_ARRAY(c->tokens, c->token_count, c->token_room);
	c->tokens[c->token_count] = (struct token){ .key = xstrdup(key) };
	return &c->tokens[c->token_count++];
}

/* The host of a token service for people, owned. */
static char *realm_host(const char *realm)
{
	AUTO_ERROR ignored = ERROR_INIT;
	AUTO_URL u = { 0 };
	return text_escaped(url_split(realm, &u, &ignored) == 0 ? u.host : realm);
}

static int bearer(struct registry_repository *r, struct endpoint *e, const struct challenge *c,
		  struct error *err)
{
	bool plain = e->scheme_known && str_equal(e->schemes[e->scheme], "http");
	bool trusted = false;
	int rc = realm_check(c->realm, e->host, plain, e->auth_host, &trusted, err);
	if (rc < 0)
		return error_wrap(err, "%s", e->host);
	bool have = e->credentials.user || e->credentials.identity_token;
	AUTO_STRLIST scopes = STRLIST_INIT;
	list_scopes(r, c, &scopes);
	struct token_request q = {
		.scopes = &scopes,
		.repository = r,
		.endpoint = e,
		.challenge = c,
		.credentials = have && trusted ? &e->credentials : NULL,
	};
	free(e->withheld_from);
	e->withheld_from = have && !trusted ? realm_host(c->realm) : NULL;
	if (trusted)
		q.trust = e->trust;
	q.trust.plain_ok = plain;
	AUTO_FREE char *joined = strlist_join(&scopes, " ");
	AUTO_FREE char *key =
		xasprintf("%s|%s|%s|%s", c->realm, c->service ? c->service : "", joined,
			  q.credentials && q.credentials->user ? q.credentials->user : "");
	struct token *t = cached_token(r->client, key);
	/* A token that was just refused is not used again. */
	bool refused = t->authorization && str_equal(t->authorization, e->authorization);
	if (!t->authorization || refused || clock_ms() >= t->expires_ms) {
		struct token fresh = { 0 };
		rc = fetch_token(&q, &fresh, err);
		if (rc < 0)
			return rc;
		t = cached_token(r->client, key);
		free(t->authorization);
		t->authorization = fresh.authorization;
		t->expires_ms = fresh.expires_ms;
	}
	set_authorization(e, xstrdup(t->authorization), t->expires_ms);
	return 0;
}

int endpoint_authorize(struct registry_repository *r, struct endpoint *e,
		       const struct strlist *challenges, struct error *err)
{
	AUTO_CHALLENGE c = CHALLENGE_INIT;
	if (challenge_choose(challenges, &c, err) < 0)
		return error_wrap(err, "%s", e->host);
	int rc = read_credentials(r, e, err);
	if (rc < 0)
		return rc;
	if (e->authorization && e->authorization_new)
		return denied(r, e, err);
	if (c.scheme == CHALLENGE_BEARER)
		return bearer(r, e, &c, err);
	if (!e->credentials.user)
		return denied(r, e, err);
	bool plain = e->scheme_known && str_equal(e->schemes[e->scheme], "http");
	if (plain && !e->trust.plain_ok)
		return denied(r, e, err);
	set_authorization(e, basic_value(&e->credentials), 0);
	return 0;
}
