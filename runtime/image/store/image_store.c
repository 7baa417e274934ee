/* SPDX-License-Identifier: MIT */
/* The store as its users see it: opening, finding, listing. */
#include "runtime/image/image_store.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "runtime/image/store/store_internal.h"

void image_release(struct image *i)
{
	free(i->reference);
	free(i->digest);
	free(i->index_digest);
	free(i->chain_id);
	free(i->disk);
	strlist_release(&i->config.entrypoint);
	strlist_release(&i->config.cmd);
	strlist_release(&i->config.env);
	free(i->config.user);
	free(i->config.working_dir);
	free(i->config.stop_signal);
	free(i->config.architecture);
	free(i->config.os);
	*i = (struct image){ 0 };
}

void image_list_release(struct image_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		image_release(&l->items[i]);
	free(l->items);
	*l = (struct image_list){ 0 };
}

void document_release(struct document *d)
{
	buffer_release(&d->body);
	free(d->media_type);
	free(d->digest);
	*d = (struct document){ 0 };
}

int image_store_open(const struct image_store_options *o, struct image_store **ret,
		     struct error *err)
{
	CLEANUP(image_store_close_p) struct image_store *s = xcalloc(1, sizeof(*s));
	s->options = *o;
	s->index_path = path_join(o->paths->data, "images.json");
	s->disks = path_join(o->paths->data, "disks");
	int rc = platform_parse(o->platform, &s->platform, err);
	if (rc == 0 && o->reads_only) {
		s->blobs = blob_store_open_existing(o->paths->data);
		*ret = TAKE_PTR(s);
		return 0;
	}
	if (rc == 0)
		rc = dir_make(s->disks, 0700, err);
	if (rc == 0)
		rc = blob_store_open(o->paths->data, &s->blobs, err);
	if (rc < 0)
		return rc;
	*ret = TAKE_PTR(s);
	return 0;
}

void image_store_close(struct image_store *s)
{
	if (!s)
		return;
	store_cache_release(&s->cache);
	blob_store_close(s->blobs);
	platform_release(&s->platform);
	free(s->index_path);
	free(s->disks);
	free(s);
}

void store_give_back_space(const struct image_store *s, struct error *failure)
{
	AUTO_ERROR err = ERROR_INIT;
	uint64_t freed = 0;
	/* libext2fs says it in words only. */
	bool is_full = failure->sys_errno == ENOSPC ||
		       strstr(error_message(failure), strerror(ENOSPC)) != NULL;
	if (!is_full)
		return;
	if (blob_remove_partials(s->blobs, &freed, &err) < 0)
		error_ignore(&err, "remove the remains of a download");
	AUTO_FREE char *said = xstrdup(error_message(failure));
	enum error_code code = failure->code;
	error_clear(failure);
	(void)error_set(failure, code,
			"%s; free some of '%s' with: ctrz image prune, ctrz image rm", said,
			s->disks);
	failure->sys_errno = ENOSPC;
}

void store_report(const struct image_store *s, enum progress_kind kind, const char *id,
		  uint64_t done, uint64_t total)
{
	if (s->options.progress)
		s->options.progress(s->options.progress_arg, kind, id, done, total);
}

char *disk_path(const struct image_store *s, const char *chain_id)
{
	return xasprintf("%s/%s.ext4", s->disks, chain_id + 7);
}

bool record_is_whole(const struct image_store *s, const struct image_record *r)
{
	AUTO_FREE char *disk = disk_path(s, r->chain_id);
	bool whole = file_exists(disk) && blob_exists(s->blobs, r->config_digest, UINT64_MAX) &&
		     blob_exists(s->blobs, r->digest, UINT64_MAX);
	for (size_t i = 0; whole && i < r->layers.count; i++)
		whole = blob_exists(s->blobs, r->layers.items[i], UINT64_MAX);
	return whole;
}

int image_store_find(struct image_store *s, const char *reference, struct image *ret,
		     struct error *err)
{
	const struct image_index *index = NULL;
	int rc = index_cached(s, &index, err);
	if (rc < 0)
		return rc;
	const struct image_record *r = index_find(index, reference, err);
	return r ? record_to_image(s, r, ret, err) : -(int)err->code;
}

int image_store_list(struct image_store *s, struct image_list *ret, struct error *err)
{
	const struct image_index *index = NULL;
	int rc = index_cached(s, &index, err);
	if (rc < 0)
		return rc;
	struct image_list list = { .items = xcalloc(index->count + 1, sizeof(*list.items)) };
	for (size_t i = 0; i < index->count; i++) {
		AUTO_ERROR one = ERROR_INIT;
		if (record_to_image(s, &index->records[i], &list.items[list.count], &one) == 0)
			list.count++;
		else
			error_ignore(&one, "list an image");
	}
	*ret = list;
	return 0;
}
