/* SPDX-License-Identifier: MIT */
/* Secrets on disk. */
#include "orchestrator/state/secret_store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/fd.h"
#include "base/file.h"

enum { KEY_SIZE = 32 };

static char *store_dir(const struct host_paths *paths, const char *id)
{
	AUTO_FREE char *all = path_join(paths->state, "secrets");

	return path_join(all, id);
}

/* A prefix keeps a secret called ".." or "key" what it is: a file of this folder. */
static char *value_path(const struct host_paths *paths, const char *id, const char *name)
{
	AUTO_FREE char *dir = store_dir(paths, id);
	AUTO_FREE char *file = xasprintf("value-%s", name);

	return path_join(dir, file);
}

static char *key_path(const struct host_paths *paths, const char *id)
{
	AUTO_FREE char *dir = store_dir(paths, id);

	return path_join(dir, "key");
}

void secret_buffer_release(struct buffer *b)
{
	if (b->size > 0)
		explicit_bzero(b->data, b->size);
	buffer_release(b);
}

bool secret_store_has(const struct host_paths *paths, const char *id, const char *name)
{
	AUTO_FREE char *path = value_path(paths, id, name);

	return file_exists(path);
}

static int read_private(const char *path, size_t max, struct buffer *out, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return error_set(err, E_NOT_FOUND, "there is no '%s'", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "open '%s'", path);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) || st.st_uid != geteuid())
		return error_set(err, E_DENIED,
				 "'%s' holds a secret, but others may read or change it; after "
				 "making sure of its content: chown %u '%s' && chmod 0600 '%s'",
				 path, (unsigned)geteuid(), path, path);
	return fd_read_all(fd, out, max, err);
}

int secret_store_read(const struct host_paths *paths, const char *id, const char *name,
		      struct buffer *out, struct error *err)
{
	AUTO_FREE char *path = value_path(paths, id, name);

	return read_private(path, SECRET_MAX_BYTES, out, err);
}

static int make_store(const struct host_paths *paths, const char *id, struct error *err)
{
	AUTO_FREE char *dir = store_dir(paths, id);

	return dir_make(dir, 0700, err);
}

int secret_store_write(const struct host_paths *paths, const char *id, const char *name,
		       const void *value, size_t size, struct error *err)
{
	AUTO_FREE char *path = value_path(paths, id, name);
	int r = make_store(paths, id, err);

	if (r == 0 && size > SECRET_MAX_BYTES)
		r = error_set(err, E_INVALID, "a secret has at most %d bytes", SECRET_MAX_BYTES);
	if (r == 0)
		r = file_write_atomic(path, value, size, 0600, err);
	return r < 0 ? error_wrap(err, "keep secret '%s'", name) : 0;
}

/* Several actions may need the first key at once: one makes it. */
static int make_key(const struct host_paths *paths, const char *id, struct buffer *key,
		    struct error *err)
{
	AUTO_FREE char *dir = store_dir(paths, id);
	AUTO_FREE char *path = key_path(paths, id);
	uint8_t fresh[KEY_SIZE];
	int r = make_store(paths, id, err);

	if (r < 0)
		return r;
	AUTO_CLOSE int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return error_sys(err, "lock '%s'", dir);
	if (file_exists(path))
		return read_private(path, KEY_SIZE, key, err);
	random_bytes(fresh, sizeof(fresh));
	r = file_write_atomic(path, fresh, sizeof(fresh), 0600, err);
	if (r == 0)
		buffer_add(key, fresh, sizeof(fresh));
	explicit_bzero(fresh, sizeof(fresh));
	return r;
}

int secret_store_mark(const struct host_paths *paths, const char *id, bool may_make,
		      const void *value, size_t size, char out[SECRET_MARK_SIZE], struct error *err)
{
	AUTO_FREE char *path = key_path(paths, id);
	AUTO_SECRET_BUFFER key = BUFFER_INIT;
	char hex[65];
	int r = read_private(path, KEY_SIZE, &key, err);

	if (r == -E_NOT_FOUND) {
		error_clear(err);
		if (!may_make)
			return 0;
		r = make_key(paths, id, &key, err);
	}
	if (r < 0)
		return r;
	hmac_sha256_hex(key.data, key.size, value, size, hex);
	memcpy(out, hex, SECRET_MARK_SIZE - 1);
	out[SECRET_MARK_SIZE - 1] = '\0';
	return 1;
}

int secret_store_forget(const struct host_paths *paths, const char *id, struct error *err)
{
	AUTO_FREE char *dir = store_dir(paths, id);

	return dir_remove_tree(dir, err);
}
