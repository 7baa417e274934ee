/* SPDX-License-Identifier: MIT */
/* Pushing, and logging in for it. */
#include <string.h>

#include "base/alloc.h"
#include "runtime/image/store/store_internal.h"
#include "runtime/oci/credentials.h"
#include "runtime/oci/registry_client.h"

static int open_client(const struct image_store *s, struct registry_client **ret, struct error *err)
{
	const struct registry_client_options o = {
		.paths = s->options.paths,
		.registries = s->options.registries,
		.registry_count = s->options.registry_count,
		.stall_seconds = s->options.stall_seconds,
		.max_parallel = s->options.max_downloads,
	};
	return registry_client_open(&o, ret, err);
}

/* Repositories of the same registry that hold images of ours with the layer @digest. */
static void list_mounts(const struct image_index *index, const struct reference *target,
			const char *digest, struct strlist *ret)
{
	for (size_t i = 0; i < index->count; i++) {
		AUTO_REFERENCE r = REFERENCE_INIT;
		AUTO_ERROR ignored = ERROR_INIT;
		if (reference_parse(index->records[i].reference, &r, &ignored) == 0 &&
		    str_equal(r.host, target->host) &&
		    !str_equal(r.repository, target->repository) &&
		    strlist_has(&index->records[i].layers, digest) &&
		    !strlist_has(ret, r.repository))
			strlist_add(ret, r.repository);
	}
}

struct push {
	struct image_store *store;
	const struct image_index *index;
	const struct reference *target;
	struct registry_repository *repository;
	struct registry_push_blob *blobs; /* owned: the layers, each once, then the config */
	size_t count;
};

static void push_release(struct push *p)
{
	for (size_t i = 0; i < p->count; i++)
		strlist_release(&p->blobs[i].mount_from);
	free(p->blobs);
}

static void report_blob(const struct push *p, size_t blob, uint64_t done)
{
	const struct descriptor *d = p->blobs[blob].blob;
	AUTO_FREE char *name = digest_short(d->digest);
	store_report(p->store, PROGRESS_LAYER, name, done, d->size);
}

static void blob_sent(void *arg, size_t blob, uint64_t sent)
{
	const struct push *p = arg;
	/* All of it is done only when the registry says so. */
	if (sent < p->blobs[blob].blob->size)
		report_blob(p, blob, sent);
}

static void blob_done(void *arg, size_t blob, enum push_result result)
{
	const struct push *p = arg;
	(void)result;
	report_blob(p, blob, p->blobs[blob].blob->size);
}

static void add_blob(struct push *p, const struct descriptor *d, bool is_layer)
{
	for (size_t i = 0; i < p->count; i++)
		if (str_equal(p->blobs[i].blob->digest, d->digest))
			return;
	struct registry_push_blob *b = &p->blobs[p->count++];
	*b = (struct registry_push_blob){ .blob = d };
	if (is_layer)
		list_mounts(p->index, p->target, d->digest, &b->mount_from);
}

static int push_record(struct push *p, const struct image_record *r, struct error *err)
{
	const struct registry_push_events events = {
		.on_sent = blob_sent,
		.on_done = blob_done,
		.arg = p,
	};
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_MANIFEST m = MANIFEST_INIT;
	int rc = blob_read(p->store->blobs, r->digest, MANIFEST_MAX_BYTES, &text, err);
	if (rc == 0)
		rc = manifest_decode(buffer_str(&text), text.size, r->media_type, r->reference, &m,
				     err);
	if (rc < 0)
		return rc;
	p->blobs = xcalloc(m.entry_count + 1, sizeof(*p->blobs));
	for (size_t i = 0; i < m.entry_count; i++)
		add_blob(p, &m.entries[i], true);
	add_blob(p, &m.config, false);
	rc = registry_push_blobs(p->repository, p->store->blobs, p->blobs, p->count, &events, err);
	const char *name = p->target->tag ? p->target->tag : r->digest;
	if (rc == 0)
		rc = registry_push_manifest(p->repository, name, m.media_type, buffer_str(&text),
					    text.size, err);
	return rc;
}

static int push_to(struct image_store *s, const struct image_index *index,
		   const struct image_record *r, const char *target, struct error *err)
{
	AUTO_REFERENCE parsed = REFERENCE_INIT;
	CLEANUP(registry_client_close_p) struct registry_client *client = NULL;
	CLEANUP(registry_repository_close_p) struct registry_repository *repository = NULL;
	int rc = reference_parse(target, &parsed, err);
	if (rc == 0)
		rc = open_client(s, &client, err);
	if (rc == 0)
		rc = registry_repository_open(client, &parsed, true, &repository, err);
	if (rc < 0)
		return rc;
	CLEANUP(push_release)
	struct push p = {
		.store = s,
		.index = index,
		.target = &parsed,
		.repository = repository,
	};
	AUTO_FREE char *name = reference_text(&parsed);
	store_report(s, PROGRESS_RESOLVE, name, 0, 0);
	rc = push_record(&p, r, err);
	if (rc < 0)
		return error_wrap(err, "push to '%s'", name);
	store_report(s, PROGRESS_DONE, name, r->size_bytes, r->size_bytes);
	return 0;
}

int image_store_push(struct image_store *s, const char *reference, const char *target,
		     struct error *err)
{
	AUTO_CLOSE int hold = gc_hold(s, err);
	if (hold < 0)
		return hold;
	AUTO_INDEX index = { 0 };
	int rc = index_read(s, &index, err);
	if (rc < 0)
		return rc;
	const struct image_record *r = index_find(&index, reference, err);
	if (!r)
		return -(int)err->code;

	return push_to(s, &index, r, target ? target : r->reference, err);
}

/* "docker.io", "localhost:5000"; people also write what docker calls its hub. */
static int check_host(const char *host, struct reference *ret, struct error *err)
{
	AUTO_FREE char *probe = xasprintf("%s/x", host);
	int rc = reference_parse(probe, ret, err);
	if (rc == 0 && str_equal(ret->repository, "x"))
		return 0;
	if (rc == 0 && str_equal(ret->host, "docker.io") && str_equal(host, "docker.io"))
		return 0;
	error_clear(err);
	AUTO_FREE char *shown = text_escaped(host);
	return error_set(err, E_INVALID, "'%s' is not a registry: write HOST or HOST:PORT", shown);
}

int image_store_login(struct image_store *s, const char *host, const char *user, const char *secret,
		      struct error *err)
{
	AUTO_REFERENCE r = REFERENCE_INIT;
	CLEANUP(registry_client_close_p) struct registry_client *client = NULL;
	int rc = check_host(host, &r, err);
	if (rc == 0)
		rc = open_client(s, &client, err);
	if (rc == 0)
		rc = registry_login(client, r.host, user, secret, err);
	if (rc == 0)
		rc = credentials_store(s->options.paths, r.host, user, secret, err);
	return rc;
}

int image_store_logout(struct image_store *s, const char *host, struct error *err)
{
	AUTO_REFERENCE r = REFERENCE_INIT;
	int rc = check_host(host, &r, err);
	return rc < 0 ? rc : credentials_erase(s->options.paths, r.host, err);
}
