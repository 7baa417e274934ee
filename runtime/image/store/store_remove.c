/* SPDX-License-Identifier: MIT */
/* Removing names, and the blobs and disks no name needs. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/map.h"
#include "runtime/image/store/store_internal.h"

/* What the names of an index need; values are only there or not. */
struct needs {
	struct map blobs, disks;
};

static void needs_release(struct needs *n)
{
	map_release(&n->blobs, NULL);
	map_release(&n->disks, NULL);
}

static void need_record(struct needs *n, const struct image_record *r)
{
	(void)map_set(&n->disks, r->chain_id, NULL);
	(void)map_set(&n->blobs, r->digest, NULL);
	(void)map_set(&n->blobs, r->config_digest, NULL);
	if (r->index_digest)
		(void)map_set(&n->blobs, r->index_digest, NULL);
	for (size_t i = 0; i < r->layers.count; i++)
		(void)map_set(&n->blobs, r->layers.items[i], NULL);
}

/* The disk, locked so that no machine starts on it; -E_CONFLICT where one runs. -1 in *ret_fd if it
 * is not there. */
static int lock_disk(const char *path, int *ret_fd, struct error *err)
{
	*ret_fd = -1;
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : error_sys(err, "open '%s'", path);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK
			       ? error_set(
					 err, E_CONFLICT,
					 "a running machine uses its disk; stop it first (ctrz ps "
					 "shows which)")
			       : error_sys(err, "lock '%s'", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

static int remove_disk(const char *path, uint64_t *ret_freed, struct error *err)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int rc = lock_disk(path, &fd, err);
	if (rc < 0 || fd < 0)
		return rc;
	if (fstat(fd, &st) < 0)
		return error_sys(err, "look at '%s'", path);
	*ret_freed += (uint64_t)st.st_blocks * 512;
	return file_remove(path, err);
}

/* Blobs and disk that @gone needed and nobody else does. */
static int remove_rest(struct image_store *s, const struct needs *kept,
		       const struct image_record *gone, uint64_t *ret_freed, struct error *err)
{
	struct needs mine = { .blobs = MAP_INIT, .disks = MAP_INIT };
	need_record(&mine, gone);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < mine.blobs.count; i++)
		if (!map_has(&kept->blobs, mine.blobs.entries[i].key))
			rc = blob_remove(s->blobs, mine.blobs.entries[i].key, ret_freed, err);
	if (rc == 0 && !map_has(&kept->disks, gone->chain_id)) {
		AUTO_FREE char *disk = disk_path(s, gone->chain_id);
		rc = remove_disk(disk, ret_freed, err);
	}
	needs_release(&mine);
	return rc;
}

static int check_unused(struct image_store *s, const struct needs *kept,
			const struct image_record *r, struct error *err)
{
	if (map_has(&kept->disks, r->chain_id))
		return 0;
	AUTO_FREE char *disk = disk_path(s, r->chain_id);
	AUTO_CLOSE int fd = -1;
	int rc = lock_disk(disk, &fd, err);
	return rc < 0 ? error_wrap(err, "image '%s'", r->reference) : 0;
}

/* Whether @name is a digest that several names share: then one of them must be said. */
static int check_single(const struct image_index *index, const struct image_record *r,
			const char *name, struct error *err)
{
	AUTO_REFERENCE parsed = REFERENCE_INIT;
	AUTO_ERROR ignored = ERROR_INIT;
	if (reference_parse(name, &parsed, &ignored) == 0) {
		AUTO_FREE char *text = reference_text(&parsed);
		if (str_equal(text, r->reference))
			return 0;
	}
	AUTO_STRLIST names = STRLIST_INIT;
	for (size_t i = 0; i < index->count; i++)
		if (str_equal(index->records[i].config_digest, r->config_digest))
			strlist_add(&names, index->records[i].reference);
	if (names.count < 2)
		return 0;
	AUTO_FREE char *list = strlist_join(&names, ", ");
	return error_set(err, E_CONFLICT, "'%s' has several names, say which: %s", name, list);
}

static void drop_record(struct image_index *index, struct image_record *r)
{
	size_t at = (size_t)(r - index->records);
	image_record_release(r);
	memmove(r, r + 1, (index->count - at - 1) * sizeof(*r));
	index->count--;
}

int image_store_remove(struct image_store *s, const char *reference, uint64_t *ret_freed_bytes,
		       struct error *err)
{
	AUTO_CLOSE int lock = index_lock(s, err);
	if (lock < 0)
		return lock;
	AUTO_INDEX index = { 0 };
	int rc = index_read(s, &index, err);
	if (rc < 0)
		return rc;
	struct image_record *r = index_find(&index, reference, err);
	if (!r)
		return -(int)err->code;
	rc = check_single(&index, r, reference, err);
	if (rc < 0)
		return rc;
	CLEANUP(needs_release) struct needs kept = { .blobs = MAP_INIT, .disks = MAP_INIT };
	for (size_t i = 0; i < index.count; i++)
		if (&index.records[i] != r)
			need_record(&kept, &index.records[i]);
	rc = check_unused(s, &kept, r, err);
	if (rc < 0)
		return rc;
	AUTO_RECORD gone = { 0 };
	image_record_copy(&gone, r);
	drop_record(&index, r);
	rc = index_write(s, &index, err);
	uint64_t freed = 0;
	/* While somebody pulls, blobs may be about to be used: they stay for the next prune. */
	AUTO_ERROR busy = ERROR_INIT;
	AUTO_CLOSE int gc = gc_begin(s, &busy);
	if (gc < 0)
		error_ignore(&busy, "free what the image used");
	else if (rc == 0)
		rc = remove_rest(s, &kept, &gone, &freed, err);
	if (rc == 0 && ret_freed_bytes)
		*ret_freed_bytes = freed;
	return rc;
}

static int prune_blobs(struct image_store *s, const struct needs *kept, uint64_t *ret_freed,
		       struct error *err)
{
	AUTO_STRLIST digests = STRLIST_INIT;
	int rc = blob_list(s->blobs, &digests, err);
	for (size_t i = 0; rc == 0 && i < digests.count; i++)
		if (!map_has(&kept->blobs, digests.items[i]))
			rc = blob_remove(s->blobs, digests.items[i], ret_freed, err);
	return rc == 0 ? blob_remove_partials(s->blobs, ret_freed, err) : rc;
}

/* Disks are named by the hex of their chain id; those of running machines stay. */
static int prune_disk(struct image_store *s, const struct needs *kept, const char *name,
		      uint64_t *ret_freed, struct error *err)
{
	size_t hex = strlen(name) - strlen(".ext4");
	/* An image of one layer has its diff_id, which may be a longer one. */
	AUTO_FREE char *id = xasprintf("%s:%.*s", hex > 64 ? "sha512" : "sha256", (int)hex, name);
	if (!digest_is_valid(id) || map_has(&kept->disks, id))
		return 0;
	AUTO_FREE char *path = path_join(s->disks, name);
	AUTO_ERROR one = ERROR_INIT;
	int rc = remove_disk(path, ret_freed, &one);
	return rc < 0 && rc != -E_CONFLICT ? error_move(err, &one) : 0;
}

/* Nobody builds while we are the only one here: hidden files are what killed builds left. */
static int prune_disks(struct image_store *s, const struct needs *kept, uint64_t *ret_freed,
		       struct error *err)
{
	AUTO_DIR DIR *dir = opendir(s->disks);
	if (!dir)
		return error_sys(err, "open '%s'", s->disks);
	int rc = 0;
	for (const struct dirent *e; rc == 0 && (e = readdir(dir));) {
		bool hidden = e->d_name[0] == '.';
		AUTO_FREE char *path = path_join(s->disks, e->d_name);
		if (hidden && (str_ends(e->d_name, ".building") || str_ends(e->d_name, ".lock")))
			rc = remove_disk(path, ret_freed, err);
		else if (!hidden && str_ends(e->d_name, ".ext4"))
			rc = prune_disk(s, kept, e->d_name, ret_freed, err);
	}
	return rc;
}

/* Drops the names @keep does not want. */
static int prune_names(struct image_store *s, struct image_index *index, image_keep_fn keep,
		       void *arg, struct error *err)
{
	bool changed = false;
	for (size_t i = index->count; keep && i-- > 0;) {
		if (keep(arg, index->records[i].reference, index->records[i].digest))
			continue;
		drop_record(index, &index->records[i]);
		changed = true;
	}
	return changed ? index_write(s, index, err) : 0;
}

int image_store_prune(struct image_store *s, image_keep_fn keep, void *arg,
		      uint64_t *ret_freed_bytes, struct error *err)
{
	AUTO_CLOSE int gc = gc_begin(s, err);
	if (gc < 0)
		return err->code == E_CONFLICT ? error_wrap(err, "prune while images are pulled")
					       : gc;
	AUTO_CLOSE int lock = index_lock(s, err);
	if (lock < 0)
		return lock;
	AUTO_INDEX index = { 0 };
	int rc = index_read(s, &index, err);
	if (rc == 0)
		rc = prune_names(s, &index, keep, arg, err);
	if (rc < 0)
		return rc;
	CLEANUP(needs_release) struct needs kept = { .blobs = MAP_INIT, .disks = MAP_INIT };
	for (size_t i = 0; i < index.count; i++)
		need_record(&kept, &index.records[i]);
	uint64_t freed = 0;
	rc = prune_blobs(s, &kept, &freed, err);
	if (rc == 0)
		rc = prune_disks(s, &kept, &freed, err);
	if (rc == 0 && ret_freed_bytes)
		*ret_freed_bytes = freed;
	return rc;
}
