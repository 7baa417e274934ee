/* SPDX-License-Identifier: MIT */
/* Content-addressed storage of blobs.
 *
 * DOC: Theory of Operation
 *
 * A blob is written to blobs/partial/<algorithm>-<hex> under an exclusive flock, hashed on the way,
 * and renamed to blobs/<algorithm>/<hex> only once size and digest are right. So a name outside
 * partial/ is a promise. Whoever finds the lock taken waits and then finds the blob there, which is
 * how two pulls share one download. A killed writer's lock goes with it; its file stays, and the
 * next writer hashes it and goes on behind it.
 *
 * Nothing is synced here, so that one blob does not hold up the others: blob_sync() is for whoever
 * makes a record of blobs, before that is written. A power cut before then may leave a name with
 * fewer bytes than it had, which is why blob_exists() asks for the size.
 *
 * The lock is on the file that gets renamed, so after taking it a writer checks that its descriptor
 * is still the file of that name and starts over if not: it must never write into a blob that was
 * finished meanwhile.
 */
#include "runtime/oci/blob_store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/file.h"
#include "runtime/oci/reference.h"

enum { COPY_CHUNK = 1024 * 1024 };

struct blob_store {
	char *root; /* owned: <data>/blobs */
	char *partial;
};

struct blob_writer {
	struct blob_store *store;
	char *digest; /* owned; NULL = not known */
	char *path;   /* owned: the partial file */
	int fd;
	uint64_t expected, offset;
	struct digest *hash;
	bool finished;
};

static const char *const algorithms[] = { "sha256", "sha512" };

struct blob_store *blob_store_open_existing(const char *data_dir)
{
	struct blob_store *s = xcalloc(1, sizeof(*s));
	s->root = path_join(data_dir, "blobs");
	s->partial = path_join(s->root, "partial");
	return s;
}

int blob_store_open(const char *data_dir, struct blob_store **ret, struct error *err)
{
	CLEANUP(blob_store_close_p) struct blob_store *s = blob_store_open_existing(data_dir);
	int rc = dir_make(s->partial, 0700, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(algorithms); i++) {
		AUTO_FREE char *dir = path_join(s->root, algorithms[i]);
		rc = dir_make(dir, 0700, err);
	}
	if (rc < 0)
		return rc;
	*ret = TAKE_PTR(s);
	return 0;
}

void blob_store_close(struct blob_store *s)
{
	if (!s)
		return;
	free(s->root);
	free(s->partial);
	free(s);
}

char *blob_path(const struct blob_store *s, const char *digest)
{
	return xasprintf("%s/%.6s/%s", s->root, digest, digest + 7);
}

bool blob_size(const struct blob_store *s, const char *digest, uint64_t *ret_size)
{
	AUTO_FREE char *path = blob_path(s, digest);
	struct stat st;
	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	*ret_size = (uint64_t)st.st_size;
	return true;
}

bool blob_exists(const struct blob_store *s, const char *digest, uint64_t size)
{
	uint64_t have;
	return blob_size(s, digest, &have) && (size == UINT64_MAX || have == size);
}

static struct digest *hash_new(const char *digest)
{
	return digest_new(digest && str_starts(digest, "sha512:") ? DIGEST_SHA512 : DIGEST_SHA256);
}

/* Hashes a file from where it stands to its end. */
static int hash_fd(int fd, struct digest *hash, uint64_t *ret_size, struct error *err)
{
	AUTO_FREE char *chunk = xmalloc(COPY_CHUNK);
	*ret_size = 0;
	for (;;) {
		ssize_t n = read(fd, chunk, COPY_CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "read a blob");
		if (n == 0)
			return 0;
		digest_add(hash, chunk, (size_t)n);
		*ret_size += (uint64_t)n;
	}
}

/* Removes a blob whose bytes are not those of its name any more. */
static int damaged(const char *path, const char *digest, struct error *err)
{
	(void)unlink(path);
	return error_set(err, E_INTEGRITY,
			 "blob %s was damaged on this disk and is removed; pull the image again",
			 digest);
}

int blob_read(const struct blob_store *s, const char *digest, size_t max, struct buffer *out,
	      struct error *err)
{
	AUTO_FREE char *path = blob_path(s, digest);
	size_t before = out->size;
	int rc = file_read(path, max, out, err);
	if (rc < 0)
		return rc;
	CLEANUP(digest_free_p) struct digest *hash = hash_new(digest);
	char hex[DIGEST_HEX_MAX + 1];
	if (out->size > before)
		digest_add(hash, out->data + before, out->size - before);
	digest_hex(hash, hex);
	return str_equal(hex, digest + 7) ? 0 : damaged(path, digest, err);
}

int blob_verify(const struct blob_store *s, const char *digest, struct error *err)
{
	AUTO_FREE char *path = blob_path(s, digest);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "open blob %s", digest);
	CLEANUP(digest_free_p) struct digest *hash = hash_new(digest);
	uint64_t size;
	int rc = hash_fd(fd, hash, &size, err);
	if (rc < 0)
		return rc;
	char hex[DIGEST_HEX_MAX + 1];
	digest_hex(hash, hex);
	return str_equal(hex, digest + 7) ? 0 : damaged(path, digest, err);
}

int blob_put(struct blob_store *s, const void *data, size_t size, char **ret_digest,
	     struct error *err)
{
	char hex[65];
	sha256_hex(data, size, hex);
	AUTO_FREE char *digest = xasprintf("sha256:%s", hex);
	if (!blob_exists(s, digest, size)) {
		CLEANUP(blob_writer_close_p) struct blob_writer *w = NULL;
		int rc = blob_writer_open(s, NULL, size, LOCK_TRY, &w, err);
		if (rc == 0 && size > 0)
			rc = blob_writer_add(w, data, size, err);
		if (rc == 0)
			rc = blob_writer_finish(w, NULL, err);
		if (rc < 0)
			return rc;
	}
	*ret_digest = TAKE_PTR(digest);
	return 0;
}

int blob_sync(const struct blob_store *s, const char *digest, struct error *err)
{
	AUTO_FREE char *path = blob_path(s, digest);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "open blob %s", digest);
	return fdatasync(fd) < 0 ? error_sys(err, "write blob %s", digest) : 0;
}

static int remove_path(const char *path, uint64_t *ret_freed, struct error *err)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_sys(err, "look at '%s'", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(err, "remove '%s'", path);
	*ret_freed += (uint64_t)st.st_blocks * 512;
	return 0;
}

int blob_remove(struct blob_store *s, const char *digest, uint64_t *ret_freed, struct error *err)
{
	AUTO_FREE char *path = blob_path(s, digest);
	return remove_path(path, ret_freed, err);
}

int blob_list(const struct blob_store *s, struct strlist *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
		AUTO_FREE char *path = path_join(s->root, algorithms[i]);
		AUTO_DIR DIR *dir = opendir(path);
		if (!dir)
			return error_sys(err, "open '%s'", path);
		for (const struct dirent *e; (e = readdir(dir));) {
			AUTO_FREE char *digest = xasprintf("%s:%s", algorithms[i], e->d_name);
			if (digest_is_valid(digest))
				strlist_add(ret, digest);
		}
	}
	return 0;
}

int blob_remove_partials(struct blob_store *s, uint64_t *ret_freed, struct error *err)
{
	AUTO_DIR DIR *dir = opendir(s->partial);
	if (!dir)
		return error_sys(err, "open '%s'", s->partial);
	for (const struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		AUTO_FREE char *path = path_join(s->partial, e->d_name);
		AUTO_CLOSE int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
			continue;
		int rc = remove_path(path, ret_freed, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Opens and locks the partial file, sure that the locked file is still the one of that name. */
static int lock_partial(struct blob_writer *w, enum lock_mode mode, struct error *err)
{
	for (;;) {
		AUTO_CLOSE int fd = open(w->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0)
			return error_sys(err, "create '%s'", w->path);
		while (flock(fd, LOCK_EX | (mode == LOCK_TRY ? LOCK_NB : 0)) < 0) {
			if (errno == EWOULDBLOCK)
				return error_set(err, E_CONFLICT, "another ctrz is fetching %s",
						 w->digest);
			if (errno != EINTR)
				return error_sys(err, "lock '%s'", w->path);
		}
		struct stat mine, named;
		if (fstat(fd, &mine) < 0)
			return error_sys(err, "look at '%s'", w->path);
		if (stat(w->path, &named) < 0 || mine.st_ino != named.st_ino ||
		    mine.st_dev != named.st_dev)
			continue;
		w->fd = take_fd(&fd);
		return 0;
	}
}

static int open_unnamed(struct blob_writer *w, struct error *err)
{
	uint8_t raw[8];
	char hex[2 * sizeof(raw) + 1];
	random_bytes(raw, sizeof(raw));
	hex_encode(hex, raw, sizeof(raw));
	w->path = xasprintf("%s/new-%s", w->store->partial, hex);
	w->fd = open(w->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (w->fd < 0)
		return error_sys(err, "create '%s'", w->path);
	if (flock(w->fd, LOCK_EX | LOCK_NB) < 0)
		return error_sys(err, "lock '%s'", w->path);
	return 0;
}

static int resume(struct blob_writer *w, struct error *err)
{
	if (lseek(w->fd, 0, SEEK_SET) < 0)
		return error_sys(err, "seek in '%s'", w->path);
	int rc = hash_fd(w->fd, w->hash, &w->offset, err);
	if (rc == 0 && w->offset > w->expected)
		rc = blob_writer_restart(w, err);
	return rc;
}

static int writer_start(struct blob_writer *w, const char *digest, enum lock_mode mode,
			struct error *err)
{
	if (!digest)
		return open_unnamed(w, err);
	w->digest = xstrdup(digest);
	w->path = xasprintf("%s/%.6s-%s", w->store->partial, digest, digest + 7);
	int rc = lock_partial(w, mode, err);
	if (rc < 0)
		return rc;
	if (blob_exists(w->store, digest, w->expected)) {
		(void)unlink(w->path);
		w->finished = true;
		return error_set(err, E_EXISTS, "blob %s is there already", digest);
	}
	return resume(w, err);
}

int blob_writer_open(struct blob_store *s, const char *digest, uint64_t size, enum lock_mode mode,
		     struct blob_writer **ret, struct error *err)
{
	if (digest && blob_exists(s, digest, size))
		return error_set(err, E_EXISTS, "blob %s is there already", digest);
	CLEANUP(blob_writer_close_p) struct blob_writer *w = xcalloc(1, sizeof(*w));
	*w = (struct blob_writer){
		.store = s,
		.fd = -1,
		.expected = size,
		.hash = hash_new(digest),
	};
	int rc = writer_start(w, digest, mode, err);
	if (rc < 0)
		return rc;
	*ret = TAKE_PTR(w);
	return 0;
}

uint64_t blob_writer_offset(const struct blob_writer *w)
{
	return w->offset;
}

int blob_writer_fd(const struct blob_writer *w)
{
	return w->fd;
}

int blob_writer_add(struct blob_writer *w, const void *data, size_t size, struct error *err)
{
	if (size > w->expected - w->offset)
		return error_set(err, E_INTEGRITY,
				 "blob %s is larger than the %llu bytes announced",
				 w->digest ? w->digest : "of unknown digest",
				 (unsigned long long)w->expected);
	int rc = fd_write_full(w->fd, data, size, err);
	if (rc < 0)
		return rc;
	digest_add(w->hash, data, size);
	w->offset += size;
	return 0;
}

int blob_writer_add_fd(struct blob_writer *w, int fd, struct error *err)
{
	AUTO_FREE char *chunk = xmalloc(COPY_CHUNK);
	for (;;) {
		ssize_t n = read(fd, chunk, COPY_CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "read");
		if (n == 0)
			return 0;
		int rc = blob_writer_add(w, chunk, (size_t)n, err);
		if (rc < 0)
			return rc;
	}
}

int blob_writer_restart(struct blob_writer *w, struct error *err)
{
	if (ftruncate(w->fd, 0) < 0 || lseek(w->fd, 0, SEEK_SET) < 0)
		return error_sys(err, "empty '%s'", w->path);
	w->offset = 0;
	digest_free(w->hash);
	w->hash = hash_new(w->digest);
	return 0;
}

static int check(struct blob_writer *w, struct error *err)
{
	if (w->expected != UINT64_MAX && w->offset != w->expected)
		return error_set(err, E_INTEGRITY,
				 "blob %s is truncated: %llu bytes came of the %llu announced",
				 w->digest ? w->digest : "of unknown digest",
				 (unsigned long long)w->offset, (unsigned long long)w->expected);
	char hex[DIGEST_HEX_MAX + 1];
	digest_hex(w->hash, hex);
	if (!w->digest) {
		w->digest = xasprintf("sha256:%s", hex);
		return 0;
	}
	if (str_equal(hex, w->digest + 7))
		return 0;
	return error_set(err, E_INTEGRITY, "digest mismatch: asked for %s, got %.6s:%s", w->digest,
			 w->digest, hex);
}

int blob_writer_finish(struct blob_writer *w, char **ret_digest, struct error *err)
{
	int rc = check(w, err);
	if (rc < 0) {
		AUTO_ERROR again = ERROR_INIT;
		if (blob_writer_restart(w, &again) < 0)
			error_ignore(&again, "empty a bad blob");
		return rc;
	}
	AUTO_FREE char *path = blob_path(w->store, w->digest);
	if (rename(w->path, path) < 0)
		return error_sys(err, "rename '%s'", w->path);
	w->finished = true;
	if (ret_digest)
		*ret_digest = xstrdup(w->digest);
	return 0;
}

void blob_writer_close(struct blob_writer *w)
{
	if (!w)
		return;
	if (!w->finished && w->fd >= 0 && (w->offset == 0 || !w->digest))
		(void)unlink(w->path);
	if (w->fd >= 0)
		(void)close(w->fd);
	digest_free(w->hash);
	free(w->digest);
	free(w->path);
	free(w);
}
