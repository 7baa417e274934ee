/* SPDX-License-Identifier: MIT */
/* Sending blobs, several at a time, and manifests.
 *
 * DOC: Theory of Operation
 *
 * Each blob goes through the steps below, one request each: is it there, can it be mounted from
 * another repository, where does an upload go, the upload. Callbacks of the HTTP calls only note
 * what happened; the loop in run() decides what follows. What breaks in between begins again at a
 * fresh upload: how much of a broken one has arrived is not for certain.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "runtime/oci/registry_internal.h"

enum {
	MOUNTS_MAX = 3, /* repositories that are asked for one blob */
	TURN_MS = 500,
};

enum upload_step { STEP_CHECK, STEP_MOUNT, STEP_BEGIN, STEP_SEND };

enum upload_state {
	UPLOAD_IDLE,    /* its step is to be started at not_before_ms */
	UPLOAD_RUNNING, /* a call is under way */
	UPLOAD_ENDED,   /* its call is over; the loop decides */
	UPLOAD_DONE,
};

struct push {
	struct registry_repository *repository;
	struct endpoint *endpoint;
	const struct blob_store *store;
	const struct registry_push_events *events;
	struct upload *uploads;
	size_t count, running, done;
};

struct upload {
	struct push *push;
	size_t index;
	const struct descriptor *blob;
	const struct strlist *mounts;
	size_t mount; /* the one that is asked */
	enum upload_step step;
	enum upload_state state;
	char *location; /* owned: where to send it; NULL */
	unsigned attempts;
	uint64_t not_before_ms;
	uint64_t sent;
	int fd; /* of the blob while it is sent; -1 */
	/* Of the call under way. */
	char *sent_authorization; /* owned; NULL = none */
	enum http_failure failure;
	long status;
	char *url, *answered_location, *retry_after; /* owned */
	struct strlist challenges;
	struct buffer body;
	struct error error;
};

static void reset_call(struct upload *u)
{
	free(u->sent_authorization);
	free(u->url);
	free(u->answered_location);
	free(u->retry_after);
	u->sent_authorization = u->url = u->answered_location = u->retry_after = NULL;
	u->failure = HTTP_OK;
	u->status = 0;
	strlist_release(&u->challenges);
	u->challenges = STRLIST_INIT;
	buffer_clear(&u->body);
	error_clear(&u->error);
	if (u->fd >= 0)
		(void)close(u->fd);
	u->fd = -1;
}

static void upload_release(struct upload *u)
{
	reset_call(u);
	buffer_release(&u->body);
	free(u->location);
}

static void forget_location(struct upload *u)
{
	free(u->location);
	u->location = NULL;
}

static int on_body(void *arg, const void *data, size_t size, struct error *err)
{
	struct upload *u = arg;
	(void)err;
	if (u->body.size < REGISTRY_ERROR_BODY_MAX)
		buffer_add(&u->body, data, size);
	return 0;
}

static void tell_sent(struct upload *u, uint64_t sent)
{
	const struct registry_push_events *ev = u->push->events;
	u->sent = sent;
	if (ev->on_sent)
		ev->on_sent(ev->arg, u->index, sent);
}

static void on_sent(void *arg, size_t size)
{
	struct upload *u = arg;
	tell_sent(u, u->sent + size);
}

static void on_done(void *arg, const struct http_outcome *o)
{
	struct upload *u = arg;
	const struct http_response *r = o->response;
	u->state = UPLOAD_ENDED;
	u->push->running--;
	u->failure = o->failure;
	u->status = r->status;
	u->url = xstrdup_null(r->url);
	u->answered_location = xstrdup_null(r->location);
	u->retry_after = xstrdup_null(r->retry_after);
	strlist_copy(&u->challenges, &r->challenges);
	if (o->failure != HTTP_OK)
		(void)error_set(&u->error, o->error->code, "%s", error_message(o->error));
}

/* The URL of a step, owned. */
static char *step_url(const struct upload *u)
{
	const struct push *p = u->push;
	const char *repository = p->repository->reference.repository;
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *escaped = NULL;
	switch (u->step) {
	case STEP_CHECK:
		path = xasprintf("%s/blobs/%s", repository, u->blob->digest);
		break;
	case STEP_MOUNT:
		escaped = url_escape(u->mounts->items[u->mount]);
		path = xasprintf("%s/blobs/uploads/?mount=%s&from=%s", repository, u->blob->digest,
				 escaped);
		break;
	case STEP_BEGIN:
		path = xasprintf("%s/blobs/uploads/", repository);
		break;
	case STEP_SEND:
		escaped = url_escape(u->blob->digest);
		return xasprintf("%s%sdigest=%s", u->location, strchr(u->location, '?') ? "&" : "?",
				 escaped);
	}
	return endpoint_url(p->endpoint, path);
}

static int open_blob(struct upload *u, struct error *err)
{
	AUTO_FREE char *file = blob_path(u->push->store, u->blob->digest);
	u->fd = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return u->fd < 0 ? error_sys(err, "open '%s'", file) : 0;
}

static int start_step(struct upload *u, struct error *err)
{
	static const char *const methods[] = { "HEAD", "POST", "POST", "PUT" };
	static const char *const headers[] = { "Content-Type: application/octet-stream", NULL };
	struct push *p = u->push;
	bool sends = u->step == STEP_SEND;
	reset_call(u);
	if (sends) {
		int rc = open_blob(u, err);
		if (rc < 0)
			return rc;
		tell_sent(u, 0);
	}
	AUTO_FREE char *url = step_url(u);
	const struct http_request request = {
		.method = methods[u->step],
		.url = url,
		.authorization = endpoint_authorization(p->endpoint),
		.headers = sends ? headers : NULL,
		.trust = p->endpoint->trust,
		.body_fd = sends && u->blob->size ? u->fd : 0,
		.body_size = sends ? (size_t)u->blob->size : 0,
		.on_sent = on_sent,
		.on_body = on_body,
		.on_done = on_done,
		.arg = u,
	};
	u->sent_authorization = xstrdup_null(request.authorization);
	int rc = http_start(p->repository->client->http, &request, err);
	if (rc < 0)
		return rc;
	u->state = UPLOAD_RUNNING;
	p->running++;
	return 0;
}

static void go_to(struct upload *u, enum upload_step step)
{
	u->step = step;
	u->state = UPLOAD_IDLE;
	u->not_before_ms = 0;
}

static void upload_finished(struct upload *u, enum push_result result)
{
	const struct registry_push_events *ev = u->push->events;
	u->state = UPLOAD_DONE;
	u->push->done++;
	if (ev->on_done)
		ev->on_done(ev->arg, u->index, result);
}

/* Uploads go where the registry says, but no further than its own host. */
static int check_location(const struct endpoint *e, const char *location, struct error *err)
{
	AUTO_FREE char *own = endpoint_url(e, "");
	AUTO_URL a = { 0 };
	AUTO_URL b = { 0 };
	int rc = url_split(own, &a, err);
	if (rc == 0)
		rc = url_split(location, &b, err);
	if (rc < 0)
		return rc;
	if (str_equal(a.host, b.host) && !b.user &&
	    (str_equal(a.scheme, b.scheme) || str_equal(b.scheme, "https")))
		return 0;
	AUTO_FREE char *shown = text_escaped(location);
	return error_set(err, E_DENIED, "%s wants the upload at '%.200s', another host", e->host,
			 shown);
}

static int failed_by_status(const struct upload *u, struct error *err)
{
	return status_error(u->push->repository, u->push->endpoint, u->status, buffer_str(&u->body),
			    "an upload", err);
}

/* The registry said where to: the upload comes next. */
static int take_location(struct upload *u, struct error *err)
{
	if (u->status != 202 || !u->answered_location)
		return failed_by_status(u, err);
	forget_location(u);
	int rc = url_resolve(u->url, u->answered_location, &u->location, err);
	if (rc == 0)
		rc = check_location(u->push->endpoint, u->location, err);
	if (rc == 0)
		go_to(u, STEP_SEND);
	return rc;
}

/* Where the registry does not mount it may have begun an upload instead. */
static int mount_answered(struct upload *u, struct error *err)
{
	if (u->status == 201) {
		upload_finished(u, PUSH_MOUNTED);
		return 0;
	}
	u->mount++;
	if (u->mount < u->mounts->count && u->mount < MOUNTS_MAX) {
		go_to(u, STEP_MOUNT);
		return 0;
	}
	if (u->status == 202 && u->answered_location)
		return take_location(u, err);
	go_to(u, STEP_BEGIN);
	return 0;
}

static int step_answered(struct upload *u, struct error *err)
{
	switch (u->step) {
	case STEP_CHECK:
		if (u->status == 200)
			upload_finished(u, PUSH_THERE);
		else
			go_to(u, u->mounts->count ? STEP_MOUNT : STEP_BEGIN);
		return 0;
	case STEP_MOUNT:
		return mount_answered(u, err);
	case STEP_BEGIN:
		return take_location(u, err);
	case STEP_SEND:
		if (u->status != 201 && u->status != 204)
			return failed_by_status(u, err);
		upload_finished(u, PUSH_SENT);
		return 0;
	}
	return 0;
}

/* An upload that did not end begins again; the other steps are just asked once more. */
static void step_again(struct upload *u, uint64_t not_before_ms)
{
	go_to(u, u->step == STEP_SEND ? STEP_BEGIN : u->step);
	forget_location(u);
	u->not_before_ms = not_before_ms;
}

static int authorize(struct upload *u, struct error *err)
{
	struct endpoint *e = u->push->endpoint;
	/* Another upload may have renewed it while this one ran with the old one. */
	const char *now = endpoint_authorization(e);
	int rc = 0;
	if (!now || str_equal(now, u->sent_authorization))
		rc = endpoint_authorize(u->push->repository, e, &u->challenges, err);
	if (rc == 0)
		step_again(u, 0);
	return rc;
}

/* Decides what follows the end of a call. */
static int call_ended(struct upload *u, struct error *err)
{
	struct endpoint *e = u->push->endpoint;
	const char *now = endpoint_authorization(e);
	bool answered = u->failure == HTTP_OK;
	if (answered && u->status == 401 && u->challenges.count) {
		/* What we are allowed to do covers all that can be mounted, or never will. */
		bool settled = now && str_equal(now, u->sent_authorization);
		return u->step == STEP_MOUNT && settled ? mount_answered(u, err)
							: authorize(u, err);
	}
	bool temporary = u->failure == HTTP_BROKEN || u->failure == HTTP_STALLED ||
			 (answered && status_is_temporary(u->status));
	unsigned tries = u->failure == HTTP_STALLED ? REGISTRY_STALLS : REGISTRY_ATTEMPTS;
	if (temporary && ++u->attempts < tries && !backoff_is_refused(u->retry_after)) {
		step_again(u, clock_ms() + backoff_ms(u->attempts, u->retry_after));
		return 0;
	}
	if (!answered)
		return transport_error(e, u->failure, &u->error, err);
	if (temporary)
		return failed_by_status(u, err);
	e->authorization_new = false;
	return step_answered(u, err);
}

/* Starts what may start; *ret_wait_ms becomes the time until the next may. */
static int start_some(struct push *p, int *ret_wait_ms, struct error *err)
{
	uint64_t now = clock_ms();
	for (size_t i = 0; i < p->count; i++) {
		struct upload *u = &p->uploads[i];
		if (u->state != UPLOAD_IDLE)
			continue;
		if (p->running >= p->repository->client->options.max_parallel)
			return 0;
		if (u->not_before_ms > now) {
			uint64_t wait = u->not_before_ms - now;
			*ret_wait_ms = wait < (uint64_t)*ret_wait_ms ? (int)wait : *ret_wait_ms;
			continue;
		}
		int rc = start_step(u, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int run(struct push *p, struct error *err)
{
	int rc = endpoint_probe(p->repository, p->endpoint, err);
	while (rc == 0 && p->done < p->count) {
		int wait_ms = TURN_MS;
		rc = start_some(p, &wait_ms, err);
		if (rc == 0)
			rc = http_turn(p->repository->client->http, wait_ms, err);
		for (size_t i = 0; rc == 0 && i < p->count; i++)
			if (p->uploads[i].state == UPLOAD_ENDED)
				rc = call_ended(&p->uploads[i], err);
	}
	return rc;
}

/* The right to read where blobs are mounted from is asked for with the first token. */
static void want_mounts(struct registry_repository *r, const struct registry_push_blob *blobs,
			size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct strlist *from = &blobs[i].mount_from;
		for (size_t k = 0; k < from->count && k < MOUNTS_MAX; k++) {
			AUTO_FREE char *scope = xasprintf("repository:%s:pull", from->items[k]);
			if (!strlist_has(&r->mount_scopes, scope))
				strlist_add(&r->mount_scopes, scope);
		}
	}
}

int registry_push_blobs(struct registry_repository *r, const struct blob_store *store,
			const struct registry_push_blob *blobs, size_t count,
			const struct registry_push_events *events, struct error *err)
{
	struct push p = {
		.repository = r,
		.endpoint = &r->endpoints[r->endpoint_count - 1],
		.store = store,
		.events = events,
		.count = count,
		.uploads = xcalloc(count ? count : 1, sizeof(*p.uploads)),
	};
	for (size_t i = 0; i < count; i++)
		p.uploads[i] = (struct upload){
			.push = &p,
			.index = i,
			.blob = blobs[i].blob,
			.mounts = &blobs[i].mount_from,
			.fd = -1,
		};
	want_mounts(r, blobs, count);
	int rc = run(&p, err);
	http_cancel_all(r->client->http);
	for (size_t i = 0; i < count; i++)
		upload_release(&p.uploads[i]);
	free(p.uploads);
	return rc;
}

int registry_push_manifest(struct registry_repository *r, const char *tag_or_digest,
			   const char *media_type, const char *text, size_t size, struct error *err)
{
	AUTO_FREE char *path = xasprintf("%s/manifests/%s", r->reference.repository, tag_or_digest);
	AUTO_FREE char *type = xasprintf("Content-Type: %s", media_type);
	const char *const headers[] = { type, NULL };
	AUTO_HTTP_RESULT a = { 0 };
	const struct endpoint_request q = {
		.method = "PUT",
		.path = path,
		.headers = headers,
		.body = text,
		.body_size = size,
		.max = REGISTRY_ERROR_BODY_MAX,
	};
	struct endpoint *e = &r->endpoints[r->endpoint_count - 1];
	int rc = endpoint_fetch(r, e, &q, &a, err);
	if (rc < 0)
		return rc;
	if (a.response.status == 201)
		return 0;
	return status_error(r, e, a.response.status, buffer_str(&a.body), "the manifest", err);
}
