/* SPDX-License-Identifier: MIT */
/* From a name's document to an image that can be assembled. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "runtime/image/store/store_internal.h"

int store_document(struct image_store *s, const struct document *d, struct error *err)
{
	AUTO_ERROR one = ERROR_INIT;
	CLEANUP(blob_writer_close_p) struct blob_writer *w = NULL;
	int rc = blob_writer_open(s->blobs, d->digest, d->body.size, LOCK_WAIT, &w, &one);
	if (rc == -E_EXISTS)
		return 0;
	if (rc == 0)
		rc = blob_writer_restart(w, &one);
	if (rc == 0 && d->body.size)
		rc = blob_writer_add(w, d->body.data, d->body.size, &one);
	if (rc == 0)
		rc = blob_writer_finish(w, NULL, &one);
	return rc < 0 ? error_move(err, &one) : 0;
}

static int descend(struct image_store *s, struct document *root, get_document_fn get, void *arg,
		   const char *what, struct error *err)
{
	for (unsigned depth = 0; depth <= INDEX_DEPTH_MAX; depth++) {
		AUTO_MANIFEST m = MANIFEST_INIT;
		int rc = manifest_decode(buffer_str(&root->body), root->body.size, root->media_type,
					 what, &m, err);
		if (rc < 0)
			return rc;
		if (m.kind == MANIFEST_IMAGE) {
			free(root->media_type);
			root->media_type = TAKE_PTR(m.media_type);
			return 0;
		}
		size_t entry = 0;
		rc = index_choose(&m, &s->platform, what, &entry, err);
		if (rc == 0 && !s->options.reads_only)
			rc = store_document(s, root, err);
		if (rc < 0)
			return rc;
		const struct descriptor *d = &m.entries[entry];
		if (d->size > MANIFEST_MAX_BYTES)
			return error_set(err, E_INTEGRITY, "%s: manifest %s is over 4 MiB", what,
					 d->digest);
		AUTO_STORE_DOCUMENT next = { 0 };
		rc = get(arg, d, &next, err);
		if (rc < 0)
			return rc;
		if (next.body.size != d->size)
			return error_set(err, E_INTEGRITY,
					 "%s: manifest %s has %zu bytes where the index says %llu",
					 what, d->digest, next.body.size,
					 (unsigned long long)d->size);
		document_release(root);
		*root = next;
		next = (struct document){ 0 };
	}
	return error_set(err, E_INTEGRITY, "%s: indexes are nested more than %d deep", what,
			 INDEX_DEPTH_MAX);
}

int resolve_manifest(struct image_store *s, struct document *root, get_document_fn get, void *arg,
		     const char *what, char **ret_index, struct error *err)
{
	AUTO_FREE char *digest = xstrdup(root->digest);
	int rc = descend(s, root, get, arg, what, err);
	if (rc < 0)
		return rc;
	*ret_index = str_equal(digest, root->digest) ? NULL : TAKE_PTR(digest);
	return 0;
}

void assembly_release(struct assembly *a)
{
	manifest_release(&a->manifest);
	oci_config_release(&a->config);
	image_record_release(&a->record);
}

static int check_platform(const struct image_store *s, const struct oci_config *c, const char *what,
			  struct error *err)
{
	bool silent = !*c->platform.os && !*c->platform.architecture;
	if (silent || platform_rank(&c->platform, &s->platform) >= 0)
		return 0;
	AUTO_FREE char *raw = platform_text(&c->platform);
	AUTO_FREE char *have = text_escaped(raw);
	AUTO_FREE char *want = platform_text(&s->platform);
	return error_set(err, E_NOT_FOUND,
			 "%s is an image for %s only, and %s is needed (chosen by --platform)",
			 what, have, want);
}

int assembly_init(const struct image_store *s, const struct document *manifest,
		  const struct document *config, const char *what, struct assembly *ret,
		  struct error *err)
{
	AUTO_ASSEMBLY a = { 0 };
	int rc = manifest_decode(buffer_str(&manifest->body), manifest->body.size,
				 manifest->media_type, what, &a.manifest, err);
	if (rc == 0)
		rc = oci_config_decode(buffer_str(&config->body), config->body.size, what,
				       &a.config, err);
	if (rc == 0)
		rc = check_platform(s, &a.config, what, err);
	if (rc < 0)
		return rc;
	if (a.config.diff_ids.count != a.manifest.entry_count)
		return error_set(err, E_INTEGRITY, "%s: %zu layers, but %zu diff_ids in its config",
				 what, a.manifest.entry_count, a.config.diff_ids.count);
	a.record = (struct image_record){
		.digest = xstrdup(manifest->digest),
		.media_type = xstrdup(a.manifest.media_type),
		.config_digest = xstrdup(a.manifest.config.digest),
		.chain_id = chain_id(&a.config.diff_ids),
		.platform = platform_text(&a.config.platform),
		.size_bytes = a.manifest.config.size,
		.created_unix_ms = a.config.created_unix_ms,
	};
	for (size_t i = 0; i < a.manifest.entry_count; i++) {
		strlist_add(&a.record.layers, a.manifest.entries[i].digest);
		a.record.size_bytes += a.manifest.entries[i].size;
	}
	*ret = a;
	memset(&a, 0, sizeof(a));
	return 0;
}

static int sync_blobs(const struct image_store *s, const struct image_record *r, struct error *err)
{
	int rc = blob_sync(s->blobs, r->digest, err);
	if (rc == 0)
		rc = blob_sync(s->blobs, r->config_digest, err);
	if (rc == 0 && r->index_digest)
		rc = blob_sync(s->blobs, r->index_digest, err);
	for (size_t i = 0; rc == 0 && i < r->layers.count; i++)
		rc = blob_sync(s->blobs, r->layers.items[i], err);
	return rc;
}

int assembly_commit(struct image_store *s, struct assembly *a, const char *reference,
		    struct image *ret, struct error *err)
{
	free(a->record.reference);
	a->record.reference = xstrdup(reference);
	a->record.pulled_unix_ms = clock_unix_ms();
	int rc = sync_blobs(s, &a->record, err);
	if (rc == 0)
		rc = index_put(s, &a->record, err);
	if (rc < 0)
		return rc;
	store_report(s, PROGRESS_DONE, reference, a->record.size_bytes, a->record.size_bytes);
	return record_to_image(s, &a->record, ret, err);
}
