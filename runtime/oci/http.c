/* SPDX-License-Identifier: MIT */
/* HTTP over libcurl's multi interface.
 *
 * DOC: Theory of Operation
 *
 * A call is one easy handle of one multi handle. libcurl follows no redirect: a 3xx answer to GET
 * or HEAD is resolved and checked here, and the request sent again, without Authorization unless
 * scheme, host and port stay the same. A redirect goes to https, or to http where the registry
 * itself may be spoken to in the clear, never to a link-local address, and to this machine only
 * from this machine.
 */
#include "runtime/oci/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "runtime/oci/curl_library.h"
#include "runtime/oci/reference.h"

enum {
	MAX_REDIRECTS = 5,
	MAX_HEADER_BYTES = 64 * 1024,
	RECEIVE_BUFFER = 512 * 1024,
	UPLOAD_STALLS = 4, /* a registry is silent while it stores what it got */
};

struct http {
	CURLM *multi;
	unsigned stall_seconds, connect_seconds;
	struct http_call *calls; /* running */
};

struct http_call {
	struct http_call *next, *previous;
	struct http *http;
	CURL *easy;
	struct curl_slist *headers;
	struct http_request request;        /* its strings are the copies below */
	char *method, *url, *authorization; /* owned */
	struct strlist header_copies;
	struct http_response response;
	struct error error; /* why we stopped it */
	char message[CURL_ERROR_SIZE];
	size_t header_bytes;
	unsigned redirects;
	bool head_told;
};

static void call_free(struct http_call *c)
{
	if (c->easy) {
		(void)curl_multi_remove_handle(c->http->multi, c->easy);
		curl_easy_cleanup(c->easy);
	}
	curl_slist_free_all(c->headers);
	if (c->previous)
		c->previous->next = c->next;
	else if (c->http->calls == c)
		c->http->calls = c->next;
	if (c->next)
		c->next->previous = c->previous;
	free(c->method);
	free(c->url);
	free(c->authorization);
	strlist_release(&c->header_copies);
	http_response_release(&c->response);
	error_clear(&c->error);
	free(c);
}

int http_open(const struct http_options *o, struct http **ret, struct error *err)
{
	int r = curl_library_load(err);
	if (r < 0)
		return r;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, E_INTERNAL, "libcurl does not start");
	CURLM *multi = curl_multi_init();
	if (!multi) {
		curl_global_cleanup();
		return error_set(err, E_INTERNAL, "libcurl does not start");
	}
	(void)curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, 32L);
	struct http *h = xcalloc(1, sizeof(*h));
	*h = (struct http){
		.multi = multi,
		.stall_seconds = o->stall_seconds ? o->stall_seconds : 30,
		.connect_seconds = o->connect_seconds ? o->connect_seconds : 15,
	};
	*ret = h;
	return 0;
}

void http_cancel_all(struct http *h)
{
	while (h->calls)
		call_free(h->calls);
}

void http_close(struct http *h)
{
	if (!h)
		return;
	http_cancel_all(h);
	(void)curl_multi_cleanup(h->multi);
	curl_global_cleanup();
	free(h);
}

static size_t on_header(char *line, size_t unit, size_t count, void *arg)
{
	struct http_call *c = arg;
	size_t size = unit * count;
	c->header_bytes += size;
	if (c->header_bytes > MAX_HEADER_BYTES) {
		(void)error_set(&c->error, E_INTEGRITY,
				"the server sends more than %d KiB of headers",
				MAX_HEADER_BYTES / 1024);
		return 0;
	}
	http_response_line(&c->response, line, size);
	return size;
}

static bool is_redirect(const struct http_call *c, long status)
{
	bool code =
		status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
	bool method =
		strcmp(c->request.method, "GET") == 0 || strcmp(c->request.method, "HEAD") == 0;
	return code && method && !c->request.no_redirect;
}

static void fill_response(struct http_call *c)
{
	const char *url = NULL;
	(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->response.status);
	(void)curl_easy_getinfo(c->easy, CURLINFO_EFFECTIVE_URL, &url);
	free(c->response.url);
	c->response.url = xstrdup(url ? url : c->request.url);
}

static int tell_head(struct http_call *c)
{
	if (c->head_told)
		return 0;
	c->head_told = true;
	fill_response(c);
	if (!c->request.on_head || is_redirect(c, c->response.status))
		return 0;
	return c->request.on_head(c->request.arg, &c->response, &c->error);
}

static size_t on_body(char *data, size_t unit, size_t count, void *arg)
{
	struct http_call *c = arg;
	size_t size = unit * count;
	if (tell_head(c) < 0)
		return 0;
	if (!c->request.on_body || is_redirect(c, c->response.status))
		return size;
	return c->request.on_body(c->request.arg, data, size, &c->error) < 0 ? 0 : size;
}

static size_t on_read_fd(char *out, size_t unit, size_t count, void *arg)
{
	const struct http_call *c = arg;
	for (;;) {
		ssize_t n = read(c->request.body_fd, out, unit * count);
		if (n > 0 && c->request.on_sent)
			c->request.on_sent(c->request.arg, (size_t)n);
		if (n >= 0)
			return (size_t)n;
		if (errno != EINTR)
			return CURL_READFUNC_ABORT;
	}
}

void url_parts_release(struct url_parts *u)
{
	free(u->scheme);
	free(u->host);
	free(u->port);
	free(u->user);
	*u = (struct url_parts){ 0 };
}

static char *url_part(CURLU *u, CURLUPart part, unsigned flags)
{
	char *value = NULL;
	if (curl_url_get(u, part, &value, flags) != CURLUE_OK)
		return NULL;
	char *copy = xstrdup(value);
	curl_free(value);
	return copy;
}

static int bad_url(const char *url, struct error *err)
{
	AUTO_FREE char *shown = text_escaped(url);
	return error_set(err, E_INVALID, "'%.200s' is not a URL this goes to", shown);
}

int url_split(const char *url, struct url_parts *ret, struct error *err)
{
	int r = curl_library_load(err);
	if (r < 0)
		return r;
	CURLU *u = curl_url();
	bool parsed =
		u && curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
	if (!parsed) {
		curl_url_cleanup(u);
		return bad_url(url, err);
	}
	*ret = (struct url_parts){
		.scheme = url_part(u, CURLUPART_SCHEME, 0),
		.host = url_part(u, CURLUPART_HOST, 0),
		.port = url_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT),
		.user = url_part(u, CURLUPART_USER, 0),
	};
	curl_url_cleanup(u);
	if (ret->scheme && ret->host && *ret->host && ret->port)
		return 0;
	url_parts_release(ret);
	return bad_url(url, err);
}

int url_resolve(const char *base, const char *location, char **ret, struct error *err)
{
	int r = curl_library_load(err);
	if (r < 0)
		return r;
	CURLU *u = curl_url();
	bool ok = u && curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
		  curl_url_set(u, CURLUPART_URL, location, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
	char *full = ok ? url_part(u, CURLUPART_URL, 0) : NULL;
	curl_url_cleanup(u);
	if (!full)
		return bad_url(location, err);
	*ret = full;
	return 0;
}

char *url_escape(const char *s)
{
	char *escaped = curl_easy_escape(NULL, s, (int)strnlen(s, INT_MAX / 4));
	char *copy = xstrdup(escaped ? escaped : "");
	curl_free(escaped);
	return copy;
}

static bool scheme_is_ok(const struct url_parts *u, const struct http_trust *trust)
{
	return str_equal(u->scheme, "https") || (str_equal(u->scheme, "http") && trust->plain_ok);
}

static void set_upload(struct http_call *c)
{
	const struct http_request *r = &c->request;
	CURL *e = c->easy;
	if (r->body_fd > 0) {
		(void)curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
		(void)curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read_fd);
		(void)curl_easy_setopt(e, CURLOPT_READDATA, c);
		(void)curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body_size);
	} else if (r->body || strcmp(r->method, "GET") != 0) {
		(void)curl_easy_setopt(e, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_size);
		(void)curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body ? r->body : "");
	}
	(void)curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
}

static void set_trust(CURL *e, const struct http_trust *t)
{
	(void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, t->plain_ok ? "http,https" : "https");
	if (t->ca_file)
		(void)curl_easy_setopt(e, CURLOPT_CAINFO, t->ca_file);
	if (t->cert_file)
		(void)curl_easy_setopt(e, CURLOPT_SSLCERT, t->cert_file);
	if (t->key_file)
		(void)curl_easy_setopt(e, CURLOPT_SSLKEY, t->key_file);
	(void)curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, t->skip_verify ? 0L : 1L);
	(void)curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, t->skip_verify ? 0L : 2L);
	(void)curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static void set_options(struct http_call *c, const struct url_parts *u)
{
	const struct http *h = c->http;
	CURL *e = c->easy;
	(void)curl_easy_setopt(e, CURLOPT_PRIVATE, c);
	(void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->message);
	(void)curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	(void)curl_easy_setopt(e, CURLOPT_USERAGENT, "ctrz");
	(void)curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)RECEIVE_BUFFER);
	(void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)h->connect_seconds);
	(void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
	(void)curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME,
			       (long)h->stall_seconds *
				       (c->request.body_fd > 0 ? UPLOAD_STALLS : 1));
	(void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
	/* One connection per layer: streams of one connection share its window. */
	(void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	if (host_is_loopback(u->host))
		(void)curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
	set_trust(e, &c->request.trust);
	if (strcmp(c->request.method, "HEAD") == 0)
		(void)curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	else if (strcmp(c->request.method, "GET") != 0)
		set_upload(c);
}

static void set_headers(struct http_call *c)
{
	struct curl_slist *list = NULL;
	for (size_t i = 0; i < c->header_copies.count; i++)
		list = curl_slist_append(list, c->header_copies.items[i]);
	if (c->request.authorization) {
		AUTO_FREE char *line = xasprintf("Authorization: %s", c->request.authorization);
		list = curl_slist_append(list, line);
	}
	list = curl_slist_append(list, "Expect:");
	curl_slist_free_all(c->headers);
	c->headers = list;
	(void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, list);
}

/* Sends the call's request to its present URL. */
static int send_request(struct http_call *c, struct error *err)
{
	AUTO_URL u = { 0 };
	int rc = url_split(c->request.url, &u, err);
	if (rc < 0)
		return rc;
	if (!scheme_is_ok(&u, &c->request.trust))
		return error_set(
			err, E_DENIED,
			"'%s://%s' is not encrypted and not marked insecure in config.yaml",
			u.scheme, u.host);
	if (c->easy) {
		(void)curl_multi_remove_handle(c->http->multi, c->easy);
		curl_easy_reset(c->easy);
	} else {
		c->easy = curl_easy_init();
	}
	if (!c->easy)
		return error_set(err, E_INTERNAL, "libcurl gives no handle");
	c->head_told = false;
	c->header_bytes = 0;
	http_response_release(&c->response);
	set_options(c, &u);
	set_headers(c);
	(void)curl_easy_setopt(c->easy, CURLOPT_URL, c->request.url);
	if (curl_multi_add_handle(c->http->multi, c->easy) != CURLM_OK)
		return error_set(err, E_INTERNAL, "libcurl does not take a request");
	return 0;
}

int http_start(struct http *h, const struct http_request *r, struct error *err)
{
	struct http_call *c = xcalloc(1, sizeof(*c));
	c->http = h;
	c->request = *r;
	c->request.method = c->method = xstrdup(r->method);
	c->request.url = c->url = xstrdup(r->url);
	c->request.authorization = c->authorization = xstrdup_null(r->authorization);
	for (const char *const *p = r->headers; p && *p; p++)
		strlist_add(&c->header_copies, *p);
	c->request.headers = NULL;
	http_response_release(&c->response);
	c->next = h->calls;
	if (h->calls)
		h->calls->previous = c;
	h->calls = c;
	int rc = send_request(c, err);
	if (rc < 0)
		call_free(c);
	return rc;
}

static bool host_equal(const char *a, const char *b)
{
	return a && b && strcasecmp(a, b) == 0;
}

static int redirect(struct http_call *c, struct error *err)
{
	if (!c->response.location)
		return error_set(err, E_INTEGRITY, "a redirect without a target");
	if (++c->redirects > MAX_REDIRECTS)
		return error_set(err, E_INTEGRITY, "more than %d redirects", MAX_REDIRECTS);
	AUTO_FREE char *target = NULL;
	AUTO_URL from = { 0 };
	AUTO_URL to = { 0 };
	int rc = url_resolve(c->request.url, c->response.location, &target, err);
	if (rc == 0)
		rc = url_split(c->request.url, &from, err);
	if (rc == 0)
		rc = url_split(target, &to, err);
	if (rc < 0) {
		err->code = E_DENIED;
		return error_wrap(err, "refused a redirect");
	}
	bool local_ok = host_is_loopback(from.host);
	if (to.user || !scheme_is_ok(&to, &c->request.trust) || host_is_link_local(to.host) ||
	    (host_is_loopback(to.host) && !local_ok)) {
		AUTO_FREE char *shown = text_escaped(to.host);
		return error_set(err, E_DENIED, "refused a redirect to %s://%.100s", to.scheme,
				 shown);
	}
	bool same = str_equal(from.scheme, to.scheme) && str_equal(from.port, to.port) &&
		    host_equal(from.host, to.host);
	if (!same) {
		free(c->authorization);
		c->request.authorization = c->authorization = NULL;
		c->request.trust.cert_file = NULL;
		c->request.trust.key_file = NULL;
	}
	free(c->url);
	c->request.url = c->url = TAKE_PTR(target);
	return send_request(c, err);
}

static enum http_failure classify(CURLcode code, bool connected)
{
	static const struct {
		CURLcode code;
		enum http_failure failure;
	} table[] = {
		{ CURLE_COULDNT_RESOLVE_HOST, HTTP_UNREACHABLE },
		{ CURLE_COULDNT_RESOLVE_PROXY, HTTP_UNREACHABLE },
		{ CURLE_COULDNT_CONNECT, HTTP_UNREACHABLE },
		{ CURLE_SSL_CONNECT_ERROR, HTTP_TLS },
		{ CURLE_PEER_FAILED_VERIFICATION, HTTP_UNTRUSTED },
		{ CURLE_SSL_CERTPROBLEM, HTTP_UNTRUSTED },
		{ CURLE_SSL_CACERT_BADFILE, HTTP_UNTRUSTED },
		{ CURLE_SSL_CIPHER, HTTP_TLS },
		{ CURLE_SSL_ISSUER_ERROR, HTTP_UNTRUSTED },
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].code == code)
			return table[i].failure;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return connected ? HTTP_STALLED : HTTP_UNREACHABLE;
	return HTTP_BROKEN;
}

static enum error_code code_of(enum http_failure failure)
{
	if (failure == HTTP_STALLED)
		return E_TIMEOUT;
	return failure == HTTP_TLS || failure == HTTP_UNTRUSTED ? E_DENIED : E_UNAVAILABLE;
}

static void describe(struct http_call *c, CURLcode code, enum http_failure failure)
{
	AUTO_URL u = { 0 };
	AUTO_ERROR ignored = ERROR_INIT;
	bool named = url_split(c->request.url, &u, &ignored) == 0;
	AUTO_FREE char *raw = xstrdup(c->message[0] ? c->message : curl_easy_strerror(code));
	AUTO_FREE char *text = text_escaped(raw);
	if (failure == HTTP_STALLED)
		(void)error_set(&c->error, E_TIMEOUT, "%s:%s: nothing came for %u s",
				named ? u.host : "?", named ? u.port : "?", c->http->stall_seconds);
	else
		(void)error_set(&c->error, code_of(failure), "%s://%s:%s: %s",
				named ? u.scheme : "?", named ? u.host : "?", named ? u.port : "?",
				text);
}

static void finish(struct http_call *c, CURLcode code)
{
	if (code == CURLE_OK && tell_head(c) < 0)
		code = CURLE_WRITE_ERROR;
	if (code == CURLE_OK && is_redirect(c, c->response.status) && redirect(c, &c->error) == 0)
		return;
	fill_response(c);
	struct http_outcome outcome = { .response = &c->response, .error = &c->error };
	if (error_is_set(&c->error)) {
		outcome.failure = HTTP_REFUSED;
	} else if (code != CURLE_OK) {
		curl_off_t connected = 0;
		(void)curl_easy_getinfo(c->easy, CURLINFO_CONNECT_TIME_T, &connected);
		outcome.failure = classify(code, connected > 0);
		describe(c, code, outcome.failure);
	}
	if (c->request.on_done)
		c->request.on_done(c->request.arg, &outcome);
	call_free(c);
}

int http_turn(struct http *h, int timeout_ms, struct error *err)
{
	int running = 0, left = 0;
	CURLMcode rc = curl_multi_perform(h->multi, &running);
	bool done = false;
	for (CURLMsg *m; rc == CURLM_OK && (m = curl_multi_info_read(h->multi, &left));) {
		if (m->msg != CURLMSG_DONE)
			continue;
		struct http_call *c = NULL;
		CURLcode code = m->data.result;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		finish(c, code);
		done = true;
	}
	if (rc == CURLM_OK && !done)
		rc = curl_multi_poll(h->multi, NULL, 0, timeout_ms, NULL);
	if (rc != CURLM_OK)
		return error_set(err, E_INTERNAL, "libcurl: %s", curl_multi_strerror(rc));
	return 0;
}

void http_wake(struct http *h)
{
	(void)curl_multi_wakeup(h->multi);
}

struct fetch {
	struct http_result *result;
	size_t max;
	bool done;
};

static int fetch_body(void *arg, const void *data, size_t size, struct error *err)
{
	struct fetch *f = arg;
	if (size > f->max - f->result->body.size)
		return error_set(err, E_INTEGRITY, "the answer is larger than %zu bytes", f->max);
	buffer_add(&f->result->body, data, size);
	return 0;
}

static void fetch_done(void *arg, const struct http_outcome *o)
{
	struct fetch *f = arg;
	struct http_response *r = &f->result->response;
	f->done = true;
	f->result->failure = o->failure;
	*r = (struct http_response){
		.status = o->response->status,
		.url = xstrdup_null(o->response->url),
		.content_type = xstrdup_null(o->response->content_type),
		.content_digest = xstrdup_null(o->response->content_digest),
		.location = xstrdup_null(o->response->location),
		.retry_after = xstrdup_null(o->response->retry_after),
		.range = xstrdup_null(o->response->range),
		.content_length = o->response->content_length,
	};
	strlist_copy(&r->challenges, &o->response->challenges);
	if (o->failure != HTTP_OK)
		(void)error_set(&f->result->error, o->error->code, "%s", error_message(o->error));
}

void http_result_release(struct http_result *r)
{
	http_response_release(&r->response);
	buffer_release(&r->body);
	error_clear(&r->error);
}

int http_fetch(struct http *h, const struct http_request *r, size_t max, struct http_result *ret,
	       struct error *err)
{
	AUTO_HTTP_RESULT result = { 0 };
	struct fetch f = { .result = &result, .max = max };
	struct http_request request = *r;
	request.on_head = NULL;
	request.on_body = fetch_body;
	request.on_done = fetch_done;
	request.arg = &f;
	int rc = http_start(h, &request, err);
	while (rc == 0 && !f.done)
		rc = http_turn(h, 1000, err);
	if (rc < 0)
		return rc;
	*ret = result;
	result = (struct http_result){ 0 };
	return 0;
}
