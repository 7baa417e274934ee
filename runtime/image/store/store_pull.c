/* SPDX-License-Identifier: MIT */
/* Pulling: a name at a registry becomes an image with its disk. */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/alloc.h"
#include "runtime/image/store/store_internal.h"
#include "runtime/oci/registry_client.h"

struct pull {
	struct image_store *store;
	struct registry_client *client;
	struct registry_repository *repository;
	struct reference reference;
	char *name;            /* owned: the full reference */
	struct strlist layers; /* digests of the manifest that was tried last */
};

static void pull_release(struct pull *p)
{
	registry_repository_close(p->repository);
	registry_client_close(p->client);
	reference_release(&p->reference);
	free(p->name);
	strlist_release(&p->layers);
}

static int pull_open(struct image_store *s, const char *reference, struct pull *p,
		     struct error *err)
{
	*p = (struct pull){ .store = s };
	const struct registry_client_options o = {
		.paths = s->options.paths,
		.registries = s->options.registries,
		.registry_count = s->options.registry_count,
		.stall_seconds = s->options.stall_seconds,
		.max_parallel = s->options.max_downloads,
	};
	int rc = reference_parse(reference, &p->reference, err);
	if (rc < 0)
		return rc;
	p->name = reference_text(&p->reference);
	rc = registry_client_open(&o, &p->client, err);
	if (rc == 0)
		rc = registry_repository_open(p->client, &p->reference, false, &p->repository, err);
	return rc;
}

static int fetch_document(struct pull *p, const char *name, struct document *ret, struct error *err)
{
	AUTO_DOCUMENT d = { 0 };
	int rc = registry_get_manifest(p->repository, name, &d, err);
	if (rc < 0)
		return rc;
	*ret = (struct document){ .body = d.body,
				  .media_type = TAKE_PTR(d.media_type),
				  .digest = TAKE_PTR(d.digest) };
	d.body = BUFFER_INIT;
	return 0;
}

static int get_document(void *arg, const struct descriptor *d, struct document *ret,
			struct error *err)
{
	struct pull *p = arg;
	if (blob_exists(p->store->blobs, d->digest, d->size)) {
		int rc = blob_read(p->store->blobs, d->digest, MANIFEST_MAX_BYTES, &ret->body, err);
		if (rc < 0)
			return rc;
		ret->media_type = xstrdup(d->media_type);
		ret->digest = xstrdup(d->digest);
		return 0;
	}
	return fetch_document(p, d->digest, ret, err);
}

static int bring(void *arg, const struct descriptor *const *blobs, size_t count,
		 const struct registry_fetch_events *events, struct error *err)
{
	struct pull *p = arg;
	return registry_fetch_blobs(p->repository, p->store->blobs, blobs, count, events, err);
}

static void wake(void *arg)
{
	registry_client_wake(((struct pull *)arg)->client);
}

/* The record the name has now, if it is good for this platform and nothing of it is missing. */
static bool present_record(struct pull *p, struct image_record *ret)
{
	AUTO_ERROR ignored = ERROR_INIT;
	AUTO_INDEX index = { 0 };
	if (index_read(p->store, &index, &ignored) < 0)
		return false;
	const struct image_record *r = index_find(&index, p->name, &ignored);
	if (!r)
		return false;

	AUTO_PLATFORM have = PLATFORM_INIT;
	bool fits = platform_parse(r->platform, &have, &ignored) == 0 &&
		    platform_rank(&have, &p->store->platform) >= 0;
	if (!fits || !record_is_whole(p->store, r))
		return false;
	image_record_copy(ret, r);
	return true;
}

/* Whether the registry still means by the tag what is here. *ret_digest is what it means, if it
 * said. */
static int is_current(struct pull *p, const struct image_record *have, bool *ret, char **ret_digest,
		      struct error *err)
{
	if (p->reference.digest) {
		*ret = true;
		return 0;
	}
	int rc = registry_head(p->repository, p->reference.tag, ret_digest, err);
	if (rc < 0)
		return rc;
	const char *known = have->index_digest ? have->index_digest : have->digest;
	*ret = str_equal(*ret_digest, known);
	return 0;
}

static int check_space(const struct pull *p, const struct assembly *a, struct error *err)
{
	uint64_t needed = 0;
	for (size_t i = 0; i < a->manifest.entry_count; i++) {
		const struct descriptor *d = &a->manifest.entries[i];
		needed += blob_exists(p->store->blobs, d->digest, d->size) ? 0 : d->size;
	}
	struct statvfs vfs;
	if (statvfs(p->store->disks, &vfs) < 0)
		return error_sys(err, "look at '%s'", p->store->disks);
	uint64_t there = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	if (there >= needed)
		return 0;
	AUTO_FREE char *want = text_size(needed);
	AUTO_FREE char *have = text_size(there);
	int rc = error_set(err, E_SYSTEM, "no space: the layers take %s, and '%s' has %s left",
			   want, p->store->disks, have);
	err->sys_errno = ENOSPC;
	return rc;
}

static int get_config(struct pull *p, const struct document *manifest, struct document *ret,
		      struct error *err)
{
	AUTO_MANIFEST m = MANIFEST_INIT;
	int rc = manifest_decode(buffer_str(&manifest->body), manifest->body.size,
				 manifest->media_type, p->name, &m, err);
	if (rc < 0)
		return rc;
	ret->digest = xstrdup(m.config.digest);
	return registry_get_blob(p->repository, p->store->blobs, &m.config, &ret->body, err);
}

static int pull_fresh(struct pull *p, const char *digest, struct image *ret, struct error *err)
{
	AUTO_STORE_DOCUMENT manifest = { 0 };
	AUTO_STORE_DOCUMENT config = { 0 };
	AUTO_FREE char *index_digest = NULL;
	AUTO_ASSEMBLY a = { 0 };
	const char *name = p->reference.digest ? p->reference.digest : p->reference.tag;
	int rc = fetch_document(p, digest ? digest : name, &manifest, err);
	if (rc == 0)
		rc = resolve_manifest(p->store, &manifest, get_document, p, p->name, &index_digest,
				      err);
	if (rc == 0)
		rc = get_config(p, &manifest, &config, err);
	if (rc == 0)
		rc = assembly_init(p->store, &manifest, &config, p->name, &a, err);
	strlist_release(&p->layers);
	strlist_copy(&p->layers, &a.record.layers);
	if (rc == 0)
		rc = check_space(p, &a, err);
	if (rc == 0)
		rc = store_document(p->store, &manifest, err);
	if (rc == 0)
		rc = assemble(p->store, &a, bring, wake, p, err);
	if (rc < 0)
		return rc;
	a.record.index_digest = TAKE_PTR(index_digest);
	return assembly_commit(p->store, &a, p->name, ret, err);
}

/* After a build found a layer wrong: blobs that came earlier may have rotted on this disk. Those
 * are removed. */
static bool removed_damaged(struct pull *p)
{
	AUTO_STRLIST digests = STRLIST_INIT;
	AUTO_ERROR ignored = ERROR_INIT;
	bool removed = false;
	if (blob_list(p->store->blobs, &digests, &ignored) < 0)
		return false;
	for (size_t i = 0; i < digests.count; i++) {
		AUTO_ERROR one = ERROR_INIT;
		if (strlist_has(&p->layers, digests.items[i]) &&
		    blob_verify(p->store->blobs, digests.items[i], &one) == -E_INTEGRITY)
			removed = true;
	}
	return removed;
}

static int pull_with_repair(struct pull *p, const char *digest, struct image *ret,
			    struct error *err)
{
	AUTO_ERROR first = ERROR_INIT;
	int rc = pull_fresh(p, digest, ret, &first);
	if (rc == -E_INTEGRITY && removed_damaged(p))
		return pull_fresh(p, digest, ret, err);
	return rc < 0 ? error_move(err, &first) : 0;
}

static int pull_run(struct pull *p, struct image *ret, struct error *err)
{
	AUTO_RECORD have = { 0 };
	AUTO_FREE char *digest = NULL;
	store_report(p->store, PROGRESS_RESOLVE, p->name, 0, 0);
	bool current = false;
	if (present_record(p, &have)) {
		int rc = is_current(p, &have, &current, &digest, err);
		if (rc < 0)
			return rc;
	}
	if (!current)
		return pull_with_repair(p, digest, ret, err);
	store_report(p->store, PROGRESS_DONE, p->name, have.size_bytes, have.size_bytes);
	return record_to_image(p->store, &have, ret, err);
}

static int pull(struct image_store *s, const char *reference, struct image *ret, struct error *err)
{
	CLEANUP(pull_release) struct pull p = { 0 };
	int rc = pull_open(s, reference, &p, err);
	if (rc < 0)
		return rc;
	rc = pull_run(&p, ret, err);
	return rc < 0 ? error_wrap(err, "pull '%s'", p.name) : 0;
}

int image_store_pull(struct image_store *s, const char *reference, struct image *ret,
		     struct error *err)
{
	AUTO_CLOSE int hold = gc_hold(s, err);
	if (hold < 0)
		return hold;
	int rc = pull(s, reference, ret, err);
	/* Only now does nobody hold the remains of a download any more. */
	if (rc < 0)
		store_give_back_space(s, err);
	return rc;
}

void image_offer_release(struct image_offer *o)
{
	free(o->digest);
	*o = (struct image_offer){ 0 };
}

static uint64_t missing_bytes(const struct pull *p, const struct descriptor *d)
{
	return blob_exists(p->store->blobs, d->digest, d->size) ? 0 : d->size;
}

static int ask_fresh(struct pull *p, const char *digest, struct image_offer *ret, struct error *err)
{
	AUTO_STORE_DOCUMENT manifest = { 0 };
	AUTO_FREE char *index_digest = NULL;
	AUTO_MANIFEST m = MANIFEST_INIT;
	const char *name = p->reference.digest ? p->reference.digest : p->reference.tag;
	int rc = fetch_document(p, digest ? digest : name, &manifest, err);
	if (rc == 0)
		rc = resolve_manifest(p->store, &manifest, get_document, p, p->name, &index_digest,
				      err);
	if (rc == 0)
		rc = manifest_decode(buffer_str(&manifest.body), manifest.body.size,
				     manifest.media_type, p->name, &m, err);
	if (rc < 0)
		return rc;
	ret->digest = TAKE_PTR(manifest.digest);
	ret->download_bytes = missing_bytes(p, &m.config);
	for (size_t i = 0; i < m.entry_count; i++)
		ret->download_bytes += missing_bytes(p, &m.entries[i]);
	return 0;
}

static int ask(struct pull *p, struct image_offer *ret, struct error *err)
{
	AUTO_RECORD have = { 0 };
	AUTO_FREE char *digest = NULL;
	*ret = (struct image_offer){ 0 };
	if (present_record(p, &have)) {
		int rc = is_current(p, &have, &ret->is_here, &digest, err);
		if (rc < 0)
			return rc;
	}
	if (!ret->is_here)
		return ask_fresh(p, digest, ret, err);
	ret->digest = xstrdup(have.digest);
	return 0;
}

int image_store_ask(struct image_store *s, const char *reference, struct image_offer *ret,
		    struct error *err)
{
	CLEANUP(pull_release) struct pull p = { 0 };
	int rc = pull_open(s, reference, &p, err);
	if (rc < 0)
		return rc;
	rc = ask(&p, ret, err);
	return rc < 0 ? error_wrap(err, "ask for '%s'", p.name) : 0;
}
