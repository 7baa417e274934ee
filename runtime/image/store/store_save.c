/* SPDX-License-Identifier: MIT */
/* Saving images to an archive that is an OCI layout and, by its manifest.json, a docker archive
 * too. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json/json.h"
#include "base/map.h"
#include "runtime/image/store/store_internal.h"
#include "runtime/image/store/store_tar.h"

struct save {
	struct image_store *store;
	int fd;
	struct map written;          /* digests that are in the archive */
	struct json *index, *docker; /* owned: the lists of index.json and manifest.json */
};

static char *member_name(const char *digest)
{
	return xasprintf("blobs/%.6s/%s", digest, digest + 7);
}

static int save_blob(struct save *s, const char *digest, struct error *err)
{
	if (map_has(&s->written, digest))
		return 0;
	(void)map_set(&s->written, digest, NULL);
	AUTO_FREE char *path = blob_path(s->store->blobs, digest);
	AUTO_FREE char *name = member_name(digest);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "open blob %s", digest);
	return tar_add_file(s->fd, name, fd, (uint64_t)st.st_size, err);
}

static void list_image(struct save *s, const struct image_record *r, uint64_t manifest_size)
{
	struct json *entry = json_new_object(), *annotations = json_new_object();
	json_set_string(entry, "mediaType", r->media_type);
	json_set_string(entry, "digest", r->digest);
	json_set_int(entry, "size", (int64_t)manifest_size);
	json_set_string(annotations, "io.containerd.image.name", r->reference);
	json_set_string(annotations, "org.opencontainers.image.ref.name", r->reference);
	json_set(entry, "annotations", annotations);
	json_add(s->index, entry);

	struct json *docker = json_new_object(), *layers = json_new_array();
	AUTO_FREE char *config = member_name(r->config_digest);
	json_set_string(docker, "Config", config);
	AUTO_STRLIST tags = STRLIST_INIT;
	AUTO_REFERENCE parsed = REFERENCE_INIT;
	AUTO_ERROR ignored = ERROR_INIT;
	if (reference_parse(r->reference, &parsed, &ignored) == 0 && parsed.tag)
		strlist_take(&tags, reference_familiar(&parsed));
	json_set_strings(docker, "RepoTags", &tags);
	for (size_t i = 0; i < r->layers.count; i++) {
		AUTO_FREE char *layer = member_name(r->layers.items[i]);
		json_add(layers, json_new_string(layer));
	}
	json_set(docker, "Layers", layers);
	json_add(s->docker, docker);
}

static int save_image(struct save *s, const struct image_record *r, struct error *err)
{
	uint64_t manifest_size = 0;
	if (!record_is_whole(s->store, r) || !blob_size(s->store->blobs, r->digest, &manifest_size))
		return error_set(err, E_NOT_FOUND, "parts of '%s' are gone; pull it again",
				 r->reference);
	int rc = save_blob(s, r->digest, err);
	if (rc == 0)
		rc = save_blob(s, r->config_digest, err);
	for (size_t i = 0; rc == 0 && i < r->layers.count; i++)
		rc = save_blob(s, r->layers.items[i], err);
	if (rc == 0)
		list_image(s, r, manifest_size);
	return rc;
}

static int save_json(struct save *s, const char *name, const struct json *v, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;
	json_print(v, 0, false, &text);
	return tar_add_bytes(s->fd, name, text.data, text.size, err);
}

static int save_lists(struct save *s, struct error *err)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	AUTO_JSON index = json_new_object();
	json_set_int(index, "schemaVersion", 2);
	json_set_string(index, "mediaType", MEDIA_OCI_INDEX);
	json_set(index, "manifests", json_ref(s->index));
	int rc = tar_add_bytes(s->fd, "oci-layout", layout, sizeof(layout) - 1, err);
	if (rc == 0)
		rc = save_json(s, "index.json", index, err);
	if (rc == 0)
		rc = save_json(s, "manifest.json", s->docker, err);
	return rc == 0 ? tar_finish(s->fd, err) : rc;
}

static int save_all(struct save *s, const char *const *references, size_t count, struct error *err)
{
	AUTO_INDEX index = { 0 };
	int rc = index_read(s->store, &index, err);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		const struct image_record *r = index_find(&index, references[i], err);
		rc = r ? save_image(s, r, err) : -(int)err->code;
	}
	return rc == 0 ? save_lists(s, err) : rc;
}

static int save_to_path(struct save *s, const char *const *references, size_t count,
			const char *path, struct error *err)
{
	AUTO_FREE char *temp = xasprintf("%s.tmp-XXXXXX", path);
	AUTO_CLOSE int fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "create a file beside '%s'", path);
	s->fd = fd;
	int rc = save_all(s, references, count, err);
	if (rc == 0 && (fchmod(fd, 0644) < 0 || fdatasync(fd) < 0 || rename(temp, path) < 0))
		rc = error_sys(err, "write '%s'", path);
	if (rc < 0)
		(void)unlink(temp);
	return rc;
}

int image_store_save(struct image_store *store, const char *const *references, size_t count,
		     const char *path, struct error *err)
{
	AUTO_CLOSE int hold = gc_hold(store, err);
	if (hold < 0)
		return hold;
	struct save s = {
		.store = store,
		.fd = STDOUT_FILENO,
		.written = MAP_INIT,
		.index = json_new_array(),
		.docker = json_new_array(),
	};
	int rc = str_equal(path, "-") ? save_all(&s, references, count, err)
				      : save_to_path(&s, references, count, path, err);
	map_release(&s.written, NULL);
	json_free(s.index);
	json_free(s.docker);
	return rc < 0 ? error_wrap(err, "save to '%s'", path) : 0;
}
