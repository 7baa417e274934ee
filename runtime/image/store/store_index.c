/* SPDX-License-Identifier: MIT */
/* images.json: which names stand for which content; and the locks of the store. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json/json.h"
#include "runtime/image/store/store_internal.h"

enum { INDEX_VERSION = 1, DIGEST_PREFIX_MIN = 12 };

void image_record_release(struct image_record *r)
{
	free(r->reference);
	free(r->digest);
	free(r->media_type);
	free(r->index_digest);
	free(r->config_digest);
	free(r->chain_id);
	free(r->platform);
	strlist_release(&r->layers);
	*r = (struct image_record){ 0 };
}

void image_record_copy(struct image_record *dst, const struct image_record *src)
{
	*dst = (struct image_record){
		.reference = xstrdup_null(src->reference),
		.digest = xstrdup_null(src->digest),
		.media_type = xstrdup_null(src->media_type),
		.index_digest = xstrdup_null(src->index_digest),
		.config_digest = xstrdup_null(src->config_digest),
		.chain_id = xstrdup_null(src->chain_id),
		.platform = xstrdup_null(src->platform),
		.size_bytes = src->size_bytes,
		.created_unix_ms = src->created_unix_ms,
		.pulled_unix_ms = src->pulled_unix_ms,
	};
	strlist_copy(&dst->layers, &src->layers);
}

void image_index_release(struct image_index *i)
{
	for (size_t k = 0; k < i->count; k++)
		image_record_release(&i->records[k]);
	free(i->records);
	*i = (struct image_index){ 0 };
}

static int read_digest(const struct json *o, const char *key, const char *what, char **ret,
		       struct error *err)
{
	const char *value;
	int rc = json_get_string(o, key, what, &value, err);
	if (rc < 0)
		return rc;
	if (!digest_is_valid(value))
		return error_set(err, E_INTEGRITY, "'%s': \"%s\" is no digest", what, key);
	*ret = xstrdup(value);
	return 0;
}

static int read_record(const struct json *o, const char *what, struct image_record *r,
		       struct error *err)
{
	const char *reference;
	int rc = json_get_string(o, "reference", what, &reference, err);
	if (rc == 0)
		rc = read_digest(o, "digest", what, &r->digest, err);
	if (rc == 0)
		rc = read_digest(o, "config", what, &r->config_digest, err);
	if (rc == 0)
		rc = read_digest(o, "chain_id", what, &r->chain_id, err);
	if (rc == 0 && *json_str(o, "index", ""))
		rc = read_digest(o, "index", what, &r->index_digest, err);
	if (rc < 0)
		return rc;
	r->reference = xstrdup(reference);
	r->media_type = xstrdup(json_str(o, "media_type", MEDIA_OCI_MANIFEST));
	r->platform = xstrdup(json_str(o, "platform", ""));
	r->size_bytes = json_u64(o, "size_bytes", 0);
	r->created_unix_ms = json_u64(o, "created_unix_ms", 0);
	r->pulled_unix_ms = json_u64(o, "pulled_unix_ms", 0);
	if (!json_strings(o, "layers", &r->layers))
		return error_set(err, E_INTEGRITY, "'%s': \"layers\" is no list", what);
	for (size_t i = 0; i < r->layers.count; i++)
		if (!digest_is_valid(r->layers.items[i]))
			return error_set(err, E_INTEGRITY, "'%s': a layer is no digest", what);
	return 0;
}

int index_read(const struct image_store *s, struct image_index *ret, struct error *err)
{
	AUTO_INDEX index = { 0 };
	AUTO_JSON v = NULL;
	if (!file_exists(s->index_path)) {
		*ret = index;
		return 0;
	}
	int rc = json_read_file(s->index_path, INDEX_FILE_MAX, &v, err);
	if (rc < 0)
		return rc;
	if (json_i64(v, "version", 0) != INDEX_VERSION)
		return error_set(
			err, E_INVALID,
			"'%s' is of another version of ctrz; use that, or move the file away",
			s->index_path);
	const struct json *images = json_member_array(v, "images");
	for (size_t i = 0; images && i < json_count(images); i++) {
		GROW_ARRAY(index.records, index.count, index.room);
		struct image_record *r = &index.records[index.count++];
		*r = (struct image_record){ 0 };
		rc = read_record(json_item(images, i), s->index_path, r, err);
		if (rc < 0)
			return rc;
	}
	*ret = index;
	memset(&index, 0, sizeof(index));
	return 0;
}

static struct json *record_json(const struct image_record *r)
{
	struct json *o = json_new_object();
	json_set_string(o, "reference", r->reference);
	json_set_string(o, "digest", r->digest);
	json_set_string(o, "media_type", r->media_type);
	if (r->index_digest)
		json_set_string(o, "index", r->index_digest);
	json_set_string(o, "config", r->config_digest);
	json_set_string(o, "chain_id", r->chain_id);
	json_set_string(o, "platform", r->platform);
	json_set_strings(o, "layers", &r->layers);
	json_set_int(o, "size_bytes", (int64_t)r->size_bytes);
	json_set_int(o, "created_unix_ms", (int64_t)r->created_unix_ms);
	json_set_int(o, "pulled_unix_ms", (int64_t)r->pulled_unix_ms);
	return o;
}

int index_write(const struct image_store *s, const struct image_index *index, struct error *err)
{
	AUTO_JSON v = json_new_object();
	struct json *images = json_new_array();
	json_set_int(v, "version", INDEX_VERSION);
	for (size_t i = 0; i < index->count; i++)
		json_add(images, record_json(&index->records[i]));
	json_set(v, "images", images);
	AUTO_BUFFER text = BUFFER_INIT;
	json_print(v, 1, false, &text);
	buffer_add_char(&text, '\n');
	return file_write_atomic(s->index_path, text.data, text.size, 0600, err);
}

int index_put(const struct image_store *s, const struct image_record *r, struct error *err)
{
	AUTO_CLOSE int lock = index_lock(s, err);
	if (lock < 0)
		return lock;
	AUTO_INDEX index = { 0 };
	int rc = index_read(s, &index, err);
	if (rc < 0)
		return rc;
	size_t at = 0;
	while (at < index.count && !str_equal(index.records[at].reference, r->reference))
		at++;
	if (at == index.count) {
		GROW_ARRAY(index.records, index.count, index.room);
		index.count++;
	} else {
		image_record_release(&index.records[at]);
	}
	image_record_copy(&index.records[at], r);
	return index_write(s, &index, err);
}

/* "sha256:" and hex, or hex alone, long enough to mean a digest; *ret_hex is lent. */
static bool is_digest_prefix(const char *name, const char **ret_hex)
{
	const char *hex = str_starts(name, "sha256:") ? name + 7 : name;
	size_t n = strspn(hex, "0123456789abcdef");
	*ret_hex = hex;
	return n >= DIGEST_PREFIX_MIN && n <= 64 && hex[n] == '\0';
}

static bool digest_has_prefix(const char *digest, const char *hex)
{
	return digest && str_starts(digest + 7, hex);
}

static struct image_record *find_by_digest(const struct image_index *index, const char *name,
					   const char *hex, struct error *err)
{
	struct image_record *found = NULL;
	for (size_t i = 0; i < index->count; i++) {
		struct image_record *r = &index->records[i];
		if (!digest_has_prefix(r->digest, hex) &&
		    !digest_has_prefix(r->index_digest, hex) &&
		    !digest_has_prefix(r->config_digest, hex))
			continue;
		if (found && !str_equal(found->config_digest, r->config_digest)) {
			(void)error_set(err, E_INVALID, "'%s' is the beginning of several digests",
					name);
			return NULL;
		}
		found = found ? found : r;
	}
	if (!found)
		(void)error_set(err, E_NOT_FOUND, "no image here has the digest '%s'", name);
	return found;
}

/* "name@sha256:..." is also met by an image of that repository that was pulled by its tag. */
static bool record_serves(const struct image_record *r, const struct reference *wanted,
			  const char *text)
{
	if (str_equal(r->reference, text))
		return true;
	if (!wanted->digest ||
	    (!str_equal(r->digest, wanted->digest) && !str_equal(r->index_digest, wanted->digest)))
		return false;
	AUTO_ERROR ignored = ERROR_INIT;
	AUTO_REFERENCE have = REFERENCE_INIT;
	return reference_parse(r->reference, &have, &ignored) == 0 &&
	       str_equal(have.host, wanted->host) && str_equal(have.repository, wanted->repository);
}

struct image_record *index_find(const struct image_index *index, const char *name,
				struct error *err)
{
	const char *hex;
	bool maybe_digest = is_digest_prefix(name, &hex);
	if (str_starts(name, "sha256:")) {
		if (maybe_digest)
			return find_by_digest(index, name, hex, err);
		(void)error_set(err, E_INVALID, "give at least %d digits of a digest",
				DIGEST_PREFIX_MIN);
		return NULL;
	}
	AUTO_REFERENCE wanted = REFERENCE_INIT;
	if (reference_parse(name, &wanted, err) < 0)
		return NULL;
	AUTO_FREE char *text = reference_text(&wanted);
	for (size_t i = 0; i < index->count; i++)
		if (record_serves(&index->records[i], &wanted, text))
			return &index->records[i];
	if (maybe_digest)
		return find_by_digest(index, name, hex, err);
	AUTO_FREE char *shown = text_escaped(name);
	(void)error_set(err, E_NOT_FOUND, "no image '%s' here; get it with: ctrz image pull %s",
			shown, shown);
	return NULL;
}

int index_lock(const struct image_store *s, struct error *err)
{
	AUTO_FREE char *path = xasprintf("%s.lock", s->index_path);
	return lock_file(path, LOCK_WAIT, err);
}

static int flock_path(const char *path, int how, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_sys(err, "create '%s'", path);
	while (flock(fd, how) < 0) {
		if (errno == EWOULDBLOCK)
			return error_set(err, E_CONFLICT, "the image store is in use");
		if (errno != EINTR)
			return error_sys(err, "lock '%s'", path);
	}
	return take_fd(&fd);
}

int gc_hold(const struct image_store *s, struct error *err)
{
	AUTO_FREE char *path = path_join(s->disks, ".in-use");
	return flock_path(path, LOCK_SH, err);
}

int gc_begin(const struct image_store *s, struct error *err)
{
	AUTO_FREE char *path = path_join(s->disks, ".in-use");
	return flock_path(path, LOCK_EX | LOCK_NB, err);
}

int name_lock(const char *path, struct error *err)
{
	for (;;) {
		AUTO_CLOSE int fd = flock_path(path, LOCK_EX, err);
		if (fd < 0)
			return take_fd(&fd);
		struct stat mine, named;
		if (fstat(fd, &mine) == 0 && stat(path, &named) == 0 &&
		    mine.st_ino == named.st_ino && mine.st_dev == named.st_dev)
			return take_fd(&fd);
	}
}

void name_unlock(const char *path, int fd)
{
	(void)unlink(path);
	(void)close(fd);
}
