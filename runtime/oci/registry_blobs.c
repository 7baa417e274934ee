/* SPDX-License-Identifier: MIT */
/* Fetching many blobs at a time.
 *
 * DOC: Theory of Operation
 *
 * Each blob is a transfer that moves through the states below. Callbacks of the HTTP calls only
 * note what happened; the loop in run() acts on it: it starts transfers in their order, up to the
 * limit, answers challenges, waits out back-offs and goes on at the next endpoint where one gives
 * up. A transfer goes on at the byte where it broke, and begins again from nothing where what came
 * was wrong. A blob another process writes is left for last and then waited for: only when no
 * transfer of ours runs, so that two processes never wait for each other.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "runtime/oci/registry_internal.h"

enum {
	ATTEMPTS_MAX = 64, /* of one blob at one endpoint, however much progress each made */
	TURN_MAX_MS = 500, /* longest wait before should_stop is asked again */
};

enum transfer_state {
	TRANSFER_IDLE,    /* to be started at not_before_ms */
	TRANSFER_LOCKED,  /* another process writes it */
	TRANSFER_RUNNING, /* a call is under way */
	TRANSFER_ENDED,   /* its call is over; the loop decides */
	TRANSFER_DONE,
};

struct fetch {
	struct registry_repository *repository;
	struct blob_store *store;
	const struct registry_fetch_events *events;
	struct transfer *transfers;
	size_t count, running, done;
};

struct transfer {
	struct fetch *fetch;
	size_t index;
	const struct descriptor *blob;
	enum transfer_state state;
	struct blob_writer *writer;
	bool opened;          /* on_open was called */
	bool resumed_old;     /* its first bytes are from an earlier run */
	size_t endpoint_turn; /* how many endpoints gave up */
	unsigned attempts, attempts_without_progress;
	uint64_t not_before_ms;
	/* Of the call under way. */
	bool accepted, wrong, unauthorized;
	uint64_t skip; /* bytes of the body we have already */
	bool progressed;
	long status;
	char *retry_after;
	char *sent_authorization; /* owned; NULL = none */

	struct strlist challenges;
	enum http_failure failure;
	struct error error;
	struct buffer error_body;
	struct strlist reasons; /* of endpoints that gave up */
};

static struct endpoint *transfer_endpoint(const struct transfer *t)
{
	struct registry_repository *r = t->fetch->repository;
	return &r->endpoints[(r->preferred + t->endpoint_turn) % r->endpoint_count];
}

static void tell(const struct transfer *t, void (*fn)(void *arg, size_t blob))
{
	if (fn)
		fn(t->fetch->events->arg, t->index);
}

static void reset_call(struct transfer *t)
{
	t->accepted = t->wrong = t->unauthorized = t->progressed = false;
	t->skip = 0;
	t->status = 0;
	free(t->retry_after);
	t->retry_after = NULL;
	free(t->sent_authorization);
	t->sent_authorization = NULL;

	strlist_release(&t->challenges);
	t->challenges = STRLIST_INIT;
	t->failure = HTTP_OK;
	error_clear(&t->error);
	buffer_clear(&t->error_body);
}

static int on_head(void *arg, const struct http_response *h, struct error *err)
{
	struct transfer *t = arg;
	uint64_t offset = blob_writer_offset(t->writer);
	if (h->status != 200 && h->status != 206)
		return 0;
	uint64_t expected = t->blob->size;
	if (h->status == 206) {
		if (!http_range_begins(h->content_range, offset)) {
			t->wrong = true;
			return error_set(err, E_INTEGRITY, "sent another range than was asked for");
		}
		expected -= offset;
	} else {
		t->skip = offset;
	}
	if (h->content_length != UINT64_MAX && h->content_length != expected) {
		t->wrong = true;
		return error_set(err, E_INTEGRITY,
				 "sends %llu bytes of layer %.19s where the manifest says %llu",
				 (unsigned long long)h->content_length, t->blob->digest,
				 (unsigned long long)expected);
	}
	t->accepted = true;
	return 0;
}

static int on_body(void *arg, const void *data, size_t size, struct error *err)
{
	struct transfer *t = arg;
	if (!t->accepted) {
		if (t->error_body.size < REGISTRY_ERROR_BODY_MAX)
			buffer_add(&t->error_body, data, size);
		return 0;
	}
	size_t skipped = t->skip < size ? (size_t)t->skip : size;
	t->skip -= skipped;
	if (skipped == size)
		return 0;
	int rc = blob_writer_add(t->writer, (const char *)data + skipped, size - skipped, err);
	if (rc < 0) {
		t->wrong = rc == -E_INTEGRITY;
		return rc;
	}
	t->progressed = true;
	const struct registry_fetch_events *ev = t->fetch->events;
	if (ev->on_bytes)
		ev->on_bytes(ev->arg, t->index, blob_writer_offset(t->writer));
	return 0;
}

static void on_done(void *arg, const struct http_outcome *o)
{
	struct transfer *t = arg;
	t->state = TRANSFER_ENDED;
	t->fetch->running--;
	t->failure = o->failure;
	t->status = o->response->status;
	t->retry_after = xstrdup_null(o->response->retry_after);
	strlist_copy(&t->challenges, &o->response->challenges);
	if (o->failure != HTTP_OK)
		(void)error_set(&t->error, o->error->code, "%s", error_message(o->error));
}

static void transfer_finished(struct transfer *t)
{
	t->state = TRANSFER_DONE;
	t->fetch->done++;
	blob_writer_close(t->writer);
	t->writer = NULL;
	tell(t, t->fetch->events->on_done);
}

static int send_call(struct transfer *t, struct error *err)
{
	struct registry_repository *r = t->fetch->repository;
	struct endpoint *e = transfer_endpoint(t);
	AUTO_FREE char *path = xasprintf("%s/blobs/%s", r->reference.repository, t->blob->digest);
	AUTO_FREE char *url = endpoint_url(e, path);
	AUTO_FREE char *range =
		xasprintf("Range: bytes=%llu-", (unsigned long long)blob_writer_offset(t->writer));
	const char *const headers[] = { range, NULL };
	const struct http_request request = {
		.method = "GET",
		.url = url,
		.authorization = endpoint_authorization(e),
		.headers = blob_writer_offset(t->writer) ? headers : NULL,
		.trust = e->trust,
		.on_head = on_head,
		.on_body = on_body,
		.on_done = on_done,
		.arg = t,
	};
	reset_call(t);
	t->sent_authorization = xstrdup_null(request.authorization);
	int rc = http_start(r->client->http, &request, err);
	if (rc < 0)
		return rc;
	t->attempts++;
	t->state = TRANSFER_RUNNING;
	t->fetch->running++;
	return 0;
}

static int open_writer(struct transfer *t, enum lock_mode mode, struct error *err)
{
	AUTO_ERROR one = ERROR_INIT;
	int rc = blob_writer_open(t->fetch->store, t->blob->digest, t->blob->size, mode, &t->writer,
				  &one);
	if (rc == -E_EXISTS) {
		transfer_finished(t);
		return 0;
	}
	if (rc == -E_CONFLICT) {
		t->state = TRANSFER_LOCKED;
		return 0;
	}
	if (rc < 0)
		return error_move(err, &one);
	t->opened = true;
	t->resumed_old = blob_writer_offset(t->writer) > 0;
	const struct registry_fetch_events *ev = t->fetch->events;
	if (ev->on_open)
		ev->on_open(ev->arg, t->index, blob_writer_fd(t->writer),
			    blob_writer_offset(t->writer));
	return 0;
}

static int next_endpoint(struct transfer *t, struct error *err);

/* All bytes are there: verified they are a blob, else the next endpoint may have better ones. */
static int complete(struct transfer *t, struct error *err)
{
	AUTO_ERROR one = ERROR_INIT;
	int rc = blob_writer_finish(t->writer, NULL, &one);
	if (rc == 0) {
		transfer_finished(t);
		return 0;
	}
	if (rc != -E_INTEGRITY)
		return error_move(err, &one);
	tell(t, t->fetch->events->on_restart);
	if (t->resumed_old) {
		t->resumed_old = false;
		t->state = TRANSFER_IDLE;
		return 0;
	}
	error_clear(&t->error);
	(void)error_move(&t->error, &one);
	return next_endpoint(t, err);
}

static int start_transfer(struct transfer *t, enum lock_mode mode, struct error *err)
{
	if (!t->writer) {
		int rc = open_writer(t, mode, err);
		if (rc < 0 || !t->writer)
			return rc;
	}
	if (blob_writer_offset(t->writer) == t->blob->size)
		return complete(t, err);
	AUTO_ERROR one = ERROR_INIT;
	int rc = endpoint_probe(t->fetch->repository, transfer_endpoint(t), &one);
	if (rc == 0)
		rc = send_call(t, &one);
	if (rc == 0)
		return 0;
	error_clear(&t->error);
	(void)error_move(&t->error, &one);
	return next_endpoint(t, err);
}

/* This endpoint gave up with t->error: go on at the next, or fail with what all of them said. */
static int next_endpoint(struct transfer *t, struct error *err)
{
	const struct registry_repository *r = t->fetch->repository;
	if (t->endpoint_turn + 1 < r->endpoint_count) {
		strlist_printf(&t->reasons, "%s: %s", transfer_endpoint(t)->host,
			       error_message(&t->error));
		t->endpoint_turn++;
		t->attempts = t->attempts_without_progress = 0;
		t->not_before_ms = 0;
		t->state = TRANSFER_IDLE;
		return 0;
	}
	enum error_code code = t->error.code;
	bool may_pass = code == E_UNAVAILABLE || code == E_TIMEOUT;
	(void)error_set(err, code, "layer %.19s from %s: %s%s", t->blob->digest,
			transfer_endpoint(t)->host, error_message(&t->error),
			may_pass ? "; what came of it is kept: pull again to go on" : "");
	err->sys_errno = t->error.sys_errno;
	if (t->reasons.count == 0)
		return -(int)err->code;
	AUTO_FREE char *list = strlist_join(&t->reasons, "; ");
	return error_wrap(err, "%s; then", list);
}

/* Whether the end of the call is of the kind that passes. */
static bool worth_another_try(struct transfer *t)
{
	t->attempts_without_progress = t->progressed ? 1 : t->attempts_without_progress + 1;
	unsigned tries = t->failure == HTTP_STALLED ? REGISTRY_STALLS : REGISTRY_ATTEMPTS;
	if (t->attempts_without_progress >= tries || t->attempts >= ATTEMPTS_MAX)
		return false;
	if (backoff_is_refused(t->retry_after))
		return false;
	return t->failure == HTTP_BROKEN || t->failure == HTTP_STALLED ||
	       t->failure == HTTP_UNREACHABLE ||
	       (t->failure == HTTP_OK && status_is_temporary(t->status));
}

static int restart_and_move_on(struct transfer *t, struct error *err)
{
	int rc = blob_writer_restart(t->writer, err);
	if (rc < 0)
		return rc;
	tell(t, t->fetch->events->on_restart);
	return next_endpoint(t, err);
}

static int authorize(struct transfer *t, struct error *err)
{
	AUTO_ERROR one = ERROR_INIT;
	struct endpoint *e = transfer_endpoint(t);
	/* Another transfer may have renewed it while this one ran with the old one. */
	const char *now = endpoint_authorization(e);
	int rc = 0;
	if (!now || str_equal(now, t->sent_authorization))
		rc = endpoint_authorize(t->fetch->repository, e, &t->challenges, &one);

	if (rc == 0) {
		t->state = TRANSFER_IDLE;
		return 0;
	}
	error_clear(&t->error);
	(void)error_move(&t->error, &one);
	return next_endpoint(t, err);
}

/* Decides what follows the end of a call. */
static int transfer_ended(struct transfer *t, struct error *err)
{
	struct endpoint *e = transfer_endpoint(t);
	if (t->accepted)
		e->authorization_new = false;
	if (t->failure == HTTP_REFUSED) {
		if (t->wrong)
			return restart_and_move_on(t, err);
		if (t->accepted)
			return error_move(err, &t->error);
		return next_endpoint(t, err);
	}
	if (t->failure == HTTP_OK && t->accepted)
		return complete(t, err);
	if (t->failure == HTTP_OK && t->status == 401 && t->challenges.count)
		return authorize(t, err);
	if (t->failure == HTTP_OK && t->status == 416) {
		t->failure = HTTP_BROKEN;
		int rc = blob_writer_restart(t->writer, err);
		if (rc < 0)
			return rc;
		tell(t, t->fetch->events->on_restart);
		(void)error_set(&t->error, E_UNAVAILABLE, "cannot go on where it broke");
	}
	if (worth_another_try(t)) {
		t->not_before_ms =
			clock_ms() + backoff_ms(t->attempts_without_progress, t->retry_after);
		t->state = TRANSFER_IDLE;
		return 0;
	}
	if (t->failure == HTTP_OK)
		(void)status_error(t->fetch->repository, e, t->status, buffer_str(&t->error_body),
				   "a layer", &t->error);
	return next_endpoint(t, err);
}

/* Starts what may start; *ret_wait_ms becomes the time until the next may. */
static int start_some(struct fetch *f, int *ret_wait_ms, struct error *err)
{
	struct transfer *locked = NULL;
	uint64_t now = clock_ms();
	bool idle_left = false;
	for (size_t i = 0; i < f->count; i++) {
		struct transfer *t = &f->transfers[i];
		if (t->state == TRANSFER_LOCKED && !locked)
			locked = t;
		if (t->state != TRANSFER_IDLE)
			continue;
		if (f->running >= f->repository->client->options.max_parallel) {
			idle_left = true;
			continue;
		}
		if (t->not_before_ms > now) {
			uint64_t wait = t->not_before_ms - now;
			*ret_wait_ms = wait < (uint64_t)*ret_wait_ms ? (int)wait : *ret_wait_ms;
			idle_left = true;
			continue;
		}
		int rc = start_transfer(t, LOCK_TRY, err);
		if (rc < 0)
			return rc;
		if (t->state == TRANSFER_IDLE || t->state == TRANSFER_DONE)
			*ret_wait_ms = 0;
	}
	if (!locked || f->running > 0 || idle_left)
		return 0;
	*ret_wait_ms = 0;
	locked->state = TRANSFER_IDLE;
	return start_transfer(locked, LOCK_WAIT, err);
}

static int run(struct fetch *f, struct error *err)
{
	while (f->done < f->count) {
		int wait_ms = TURN_MAX_MS;
		if (f->events->should_stop && f->events->should_stop(f->events->arg))
			return error_set(err, E_CANCELED, "stopped");
		int rc = start_some(f, &wait_ms, err);
		if (rc == 0 && f->done < f->count)
			rc = http_turn(f->repository->client->http, wait_ms, err);
		for (size_t i = 0; rc == 0 && i < f->count; i++)
			if (f->transfers[i].state == TRANSFER_ENDED)
				rc = transfer_ended(&f->transfers[i], err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int registry_fetch_blobs(struct registry_repository *r, struct blob_store *store,
			 const struct descriptor *const *blobs, size_t count,
			 const struct registry_fetch_events *events, struct error *err)
{
	struct fetch f = { .repository = r, .store = store, .events = events, .count = count };
	f.transfers = xcalloc(count ? count : 1, sizeof(*f.transfers));
	for (size_t i = 0; i < count; i++)
		f.transfers[i] = (struct transfer){ .fetch = &f, .index = i, .blob = blobs[i] };
	int rc = run(&f, err);
	http_cancel_all(r->client->http);
	for (size_t i = 0; i < count; i++) {
		struct transfer *t = &f.transfers[i];
		reset_call(t);
		blob_writer_close(t->writer);
		buffer_release(&t->error_body);
		strlist_release(&t->reasons);
	}
	free(f.transfers);
	return rc;
}

int registry_get_blob(struct registry_repository *r, struct blob_store *store,
		      const struct descriptor *d, struct buffer *out, struct error *err)
{
	if (d->size > MANIFEST_MAX_BYTES)
		return error_set(err, E_INTEGRITY, "%s is larger than 4 MiB", d->digest);
	const struct registry_fetch_events none = { 0 };
	int rc = registry_fetch_blobs(r, store, &d, 1, &none, err);
	return rc < 0 ? rc : blob_read(store, d->digest, MANIFEST_MAX_BYTES, out, err);
}
