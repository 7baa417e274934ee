/* SPDX-License-Identifier: MIT */
/* The cache of repositories: $cache/<sha256 of the URL>, with a lock beside each. */
#include "runtime/source/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"

enum { HASH_DIGITS = 64 };

/* Names the repository, and its time is that of the last use. */
#define NAME_FILE "ctrz-url"

char *cache_dir(const struct source_options *o, const struct git_url *u)
{
	AUTO_FREE char *url = git_url_repo(u);
	char hash[HASH_DIGITS + 1];

	sha256_hex(url, strlen(url), hash);
	return path_join(o->cache, hash);
}

static int make_root(const char *cache, struct error *err)
{
	int r = dir_make(cache, 0700, err);

	return r < 0 ? error_wrap(err,
				  "make the cache of repositories (XDG_CACHE_HOME or CTRZ_HOME "
				  "says where it is)")
		     : 0;
}

int cache_lock(const struct source_options *o, const struct git_url *u, struct error *err)
{
	AUTO_FREE char *dir = cache_dir(o, u);
	AUTO_FREE char *path = xasprintf("%s.lock", dir);
	int r = make_root(o->cache, err);

	if (r < 0)
		return r;
	r = lock_file(path, LOCK_WAIT, err);
	return r < 0 ? error_wrap(err, "lock the cache of a repository") : r;
}

void cache_note_use(const char *dir)
{
	AUTO_FREE char *path = path_join(dir, NAME_FILE);

	if (utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW) < 0)
		log_debug("note the use of '%s': %s", path, strerror(errno));
}

int cache_name(const char *dir, const struct git_url *u, struct error *err)
{
	AUTO_FREE char *path = path_join(dir, NAME_FILE);
	AUTO_FREE char *url = git_url_repo(u);

	return file_write_atomic(path, url, strlen(url), 0600, err);
}

void cache_sweep(const char *dir)
{
	AUTO_FREE char *packs = xasprintf("%s/objects/pack", dir);
	AUTO_DIR DIR *d = opendir(packs);
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] == '.' || str_starts(entry->d_name, "pack-"))
			continue;
		if (unlinkat(dirfd(d), entry->d_name, 0) < 0)
			log_debug("remove '%s/%s': %s", packs, entry->d_name, strerror(errno));
	}
}

static uint64_t tree_bytes(char *dir)
{
	char *paths[] = { dir, NULL };
	FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	const FTSENT *e;
	uint64_t bytes = 0;

	while (walk && (e = fts_read(walk)))
		if (e->fts_info == FTS_F)
			bytes += (uint64_t)e->fts_statp->st_blocks * 512;
	if (walk)
		(void)fts_close(walk);
	return bytes;
}

void source_cache_list_release(struct source_cache_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].url);
		free(l->items[i].dir);
	}
	free(l->items);
	*l = (struct source_cache_list){ 0 };
}

static void list_add(struct source_cache_list *l, const char *cache, const char *name)
{
	AUTO_FREE char *dir = path_join(cache, name);
	AUTO_FREE char *path = path_join(dir, NAME_FILE);
	AUTO_BUFFER url = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	struct stat st;

	if (file_read(path, GIT_URL_MAX, &url, &err) < 0 || stat(path, &st) < 0) {
		error_ignore(&err, "read whose a cache is");
		return;
	}
	l->items = xreallocarray(l->items, l->count + 1, sizeof(*l->items));
	l->items[l->count++] = (struct source_cached){
		.url = buffer_steal(&url),
		.bytes = tree_bytes(dir),
		.used_unix_ms =
			(uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000,
		.dir = TAKE_PTR(dir),
	};
}

static int latest_first(const void *a, const void *b)
{
	const struct source_cached *x = a, *y = b;

	return x->used_unix_ms < y->used_unix_ms   ? 1
	       : x->used_unix_ms > y->used_unix_ms ? -1
						   : strcmp(x->url, y->url);
}

int source_cache_list(const char *cache, struct source_cache_list *ret, struct error *err)
{
	AUTO_DIR DIR *d = opendir(cache);
	const struct dirent *entry;

	*ret = (struct source_cache_list){ 0 };
	if (!d && errno == ENOENT)
		return 0;
	if (!d)
		return error_sys(err, "open '%s'", cache);
	while ((entry = readdir(d)))
		if (strlen(entry->d_name) == HASH_DIGITS)
			list_add(ret, cache, entry->d_name);
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), latest_first);
	return 0;
}

/* Return: 1 if it is gone, 0 if it is in use, or -code */
static int remove_one(const char *dir, struct error *err)
{
	AUTO_FREE char *lock_path = xasprintf("%s.lock", dir);
	AUTO_FREE char *going = xasprintf("%s.new", dir);
	AUTO_CLOSE int lock = lock_file(lock_path, LOCK_TRY, err);
	int r;

	if (lock == -E_CONFLICT) {
		error_clear(err);
		return 0;
	}
	if (lock < 0)
		return lock;
	/* Whoever fetches next removes this name, if we do not come to it. */
	r = dir_remove_tree(going, err);
	if (r == 0 && rename(dir, going) < 0)
		r = error_sys(err, "remove '%s'", dir);
	if (r == 0)
		r = dir_remove_tree(going, err);
	return r < 0 ? r : 1;
}

/* What fetches and removals that were killed left; one that goes on holds the lock. */
static int remove_remains(const char *cache, uint64_t *freed, struct error *err)
{
	AUTO_DIR DIR *d = opendir(cache);
	const struct dirent *entry;
	int r = 0;

	while (r >= 0 && d && (entry = readdir(d))) {
		AUTO_FREE char *path = path_join(cache, entry->d_name);
		AUTO_FREE char *lock_path = NULL;
		AUTO_CLOSE int lock = -1;
		uint64_t bytes;

		if (strlen(entry->d_name) != HASH_DIGITS + 4 || !str_ends(entry->d_name, ".new"))
			continue;
		lock_path = xasprintf("%.*s.lock", (int)(strlen(path) - 4), path);
		lock = lock_file(lock_path, LOCK_TRY, err);
		if (lock < 0) {
			r = lock == -E_CONFLICT ? 0 : lock;
			if (r == 0)
				error_clear(err);
			continue;
		}
		bytes = tree_bytes(path);
		r = dir_remove_tree(path, err);
		*freed += r < 0 ? 0 : bytes;
	}
	return r;
}

int source_cache_prune(const char *cache, uint64_t max_bytes, uint64_t *ret_freed,
		       struct error *err)
{
	struct source_cache_list list;
	uint64_t kept = 0, freed = 0;
	int r = source_cache_list(cache, &list, err);

	if (r >= 0)
		r = remove_remains(cache, &freed, err);
	for (size_t i = 0; r >= 0 && i < list.count; i++) {
		kept += list.items[i].bytes;
		if (kept <= max_bytes)
			continue;
		r = remove_one(list.items[i].dir, err);
		if (r == 1) {
			kept -= list.items[i].bytes;
			freed += list.items[i].bytes;
		}
	}
	source_cache_list_release(&list);
	if (ret_freed)
		*ret_freed = freed;
	return r < 0 ? r : 0;
}
