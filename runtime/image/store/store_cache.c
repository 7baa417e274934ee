/* SPDX-License-Identifier: MIT */
/* What was read once and is still true: the index while its file is the same, configs for ever
 * (their name is their digest). A plan of a thousand containers asks for the same few images a
 * thousand times. */
#include <errno.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "runtime/image/store/store_internal.h"

static void free_config(void *p)
{
	if (p)
		oci_config_release(p);
	free(p);
}

void store_cache_release(struct store_cache *c)
{
	image_index_release(&c->index);
	map_release(&c->configs, free_config);
}

int index_cached(struct image_store *s, const struct image_index **ret, struct error *err)
{
	struct store_cache *c = &s->cache;
	struct stat st = { 0 };
	if (stat(s->index_path, &st) < 0 && errno != ENOENT)
		return error_sys(err, "look at '%s'", s->index_path);
	bool same = c->index_read && c->inode == st.st_ino && c->size == st.st_size &&
		    c->mtime.tv_sec == st.st_mtim.tv_sec && c->mtime.tv_nsec == st.st_mtim.tv_nsec;
	if (!same) {
		struct image_index fresh = { 0 };
		int rc = index_read(s, &fresh, err);
		if (rc < 0)
			return rc;
		image_index_release(&c->index);
		c->index = fresh;
		c->inode = st.st_ino;
		c->size = st.st_size;
		c->mtime = st.st_mtim;
		c->index_read = true;
	}
	*ret = &c->index;
	return 0;
}

/* Lent; NULL with @err set where it cannot be read. */
static const struct oci_config *config_cached(struct image_store *s, const struct image_record *r,
					      struct error *err)
{
	struct oci_config *kept = map_get(&s->cache.configs, r->config_digest);
	if (kept)
		return kept;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_OCI_CONFIG config = OCI_CONFIG_INIT;
	int rc = blob_read(s->blobs, r->config_digest, MANIFEST_MAX_BYTES, &text, err);
	if (rc == 0)
		rc = oci_config_decode(buffer_str(&text), text.size, r->config_digest, &config,
				       err);
	if (rc < 0) {
		(void)error_wrap(err, "config of image '%s'", r->reference);
		return NULL;
	}
	kept = xmemdup(&config, sizeof(config));
	config = OCI_CONFIG_INIT;
	(void)map_set(&s->cache.configs, r->config_digest, kept);
	return kept;
}

static void copy_config(const struct oci_config *from, struct image_config *ret)
{
	*ret = (struct image_config){
		.user = xstrdup_null(from->user),
		.working_dir = xstrdup_null(from->working_dir),
		.stop_signal = xstrdup_null(from->stop_signal),
		.architecture = xstrdup_null(from->platform.architecture),
		.os = xstrdup_null(from->platform.os),
	};
	strlist_copy(&ret->entrypoint, &from->entrypoint);
	strlist_copy(&ret->cmd, &from->cmd);
	strlist_copy(&ret->env, &from->env);
}

int record_to_image(struct image_store *s, const struct image_record *r, struct image *ret,
		    struct error *err)
{
	AUTO_FREE char *disk = disk_path(s, r->chain_id);
	struct stat st;
	if (stat(disk, &st) < 0)
		return errno == ENOENT ? error_set(err, E_NOT_FOUND,
						   "the disk of image '%s' is gone; get it with: "
						   "ctrz image pull %s",
						   r->reference, r->reference)
				       : error_sys(err, "look at '%s'", disk);
	const struct oci_config *config = config_cached(s, r, err);
	if (!config)
		return -(int)err->code;
	*ret = (struct image){
		.reference = xstrdup(r->reference),
		.digest = xstrdup(r->digest),
		.index_digest = xstrdup_null(r->index_digest),
		.chain_id = xstrdup(r->chain_id),
		.disk = TAKE_PTR(disk),
		.size_bytes = r->size_bytes,
		.disk_bytes = (uint64_t)st.st_blocks * 512,
		.created_unix_ms = r->created_unix_ms,
		.pulled_unix_ms = r->pulled_unix_ms,
	};
	copy_config(config, &ret->config);
	return 0;
}
