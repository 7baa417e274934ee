/* SPDX-License-Identifier: MIT */
/* What people agreed to, on disk. */
#include "orchestrator/state/trust_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json/json.h"

enum { VERSION = 1, FILE_MAX_BYTES = 16 << 20, RECORDS_MAX = 100000 };
#define ENDING ".json"

void trust_record_release(struct trust_record *r)
{
	free(r->source);
	spec_reach_set_release(&r->agreed);
	*r = (struct trust_record){ 0 };
}

void trust_list_release(struct trust_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		trust_record_release(&l->items[i]);
	free(l->items);
	*l = (struct trust_list){ 0 };
}

/* --- content --- */

static struct json *items_json(const struct spec_reach_set *set)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < set->count; i++) {
		struct json *o = json_new_object();

		json_set_string(o, "kind", spec_reach_kind_name(set->items[i].kind));
		json_set_string(o, "what", set->items[i].what);
		json_set_int(o, "level", (int64_t)set->items[i].level);
		json_add(list, o);
	}
	return list;
}

void trust_print(const struct trust_record *r, struct buffer *out)
{
	AUTO_JSON o = json_new_object();

	json_set_int(o, "ctrz_trust", VERSION);
	json_set_string(o, "source", r->source);
	json_set_int(o, "folder_device", (int64_t)r->folder_device);
	json_set_int(o, "folder_inode", (int64_t)r->folder_inode);
	json_set_int(o, "agreed_unix_ms", (int64_t)r->agreed_unix_ms);
	json_set(o, "agreed", items_json(&r->agreed));
	json_print(o, 1, false, out);
	buffer_add_char(out, '\n');
}

static bool parse_item(const struct json *v, struct spec_reach_set *set)
{
	const char *what = json_str(v, "what", NULL);
	const char *kind = json_str(v, "kind", "");
	int64_t level = json_i64(v, "level", 0);
	struct spec_reach item = { .kind = spec_reach_kind_find(kind), .level = (uint64_t)level };

	if (!what || level <= 0 || item.kind == SPEC_REACH_COUNT)
		return false;
	item.what = (char *)(uintptr_t)what;
	spec_reach_set_add(set, &item);
	return true;
}

int trust_parse(const char *text, size_t size, const char *what, struct trust_record *ret,
		struct error *err)
{
	AUTO_TRUST_RECORD r = { 0 };
	AUTO_JSON v = NULL;
	const struct json *list;
	bool is_good = true;

	if (json_parse(text, size, FILE_MAX_BYTES, what, &v, err) < 0)
		return -(int)err->code;
	if (json_u64(v, "ctrz_trust", 0) > VERSION)
		return error_set(err, E_CONFLICT, "'%s' was written by a newer ctrz", what);
	list = json_member_array(v, "agreed");
	r.source = xstrdup_null(json_str(v, "source", NULL));
	r.folder_device = (uint64_t)json_i64(v, "folder_device", 0);
	r.folder_inode = (uint64_t)json_i64(v, "folder_inode", 0);
	r.agreed_unix_ms = json_u64(v, "agreed_unix_ms", 0);
	for (size_t i = 0; is_good && i < json_count(list); i++)
		is_good = parse_item(json_item(list, i), &r.agreed);
	if (!is_good || !list || !r.source || json_u64(v, "ctrz_trust", 0) != VERSION)
		return error_set(err, E_INVALID, "'%s' is damaged; remove it, and ctrz asks again",
				 what);
	spec_reach_set_sort(&r.agreed);
	*ret = r;
	r = (struct trust_record){ 0 };
	return 0;
}

/* --- files --- */

static char *store_dir(const struct host_paths *paths)
{
	return path_join(paths->state, "trust");
}

static char *file_name(const char *source)
{
	char hex[65];

	sha256_hex(source, strlen(source), hex);
	return xasprintf("%.*s" ENDING, TRUST_HASH_SIZE - 1, hex);
}

/* Neither may be changed by anybody but us. */
static int check_ours(int fd, const char *path, mode_t type, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_sys(err, "look at '%s'", path);
	if ((st.st_mode & S_IFMT) == type && st.st_uid == geteuid() && !(st.st_mode & 022))
		return 0;
	return error_set(err, E_DENIED,
			 "'%s' is not yours alone to write, so that it counts for nothing; remove "
			 "it, and ctrz asks again",
			 path);
}

static int open_dir(const struct host_paths *paths, struct error *err)
{
	AUTO_FREE char *path = store_dir(paths);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return error_set(err, E_NOT_FOUND, "nothing was agreed to yet");
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return error_set(err, E_DENIED,
				 "'%s' must be a folder of yours, no link or file: remove it",
				 path);
	if (fd < 0)
		return error_sys(err, "open '%s'", path);
	if (check_ours(fd, path, S_IFDIR, err) < 0)
		return -(int)err->code;
	return take_fd(&fd);
}

static int read_record(const struct host_paths *paths, int dir, const char *name,
		       struct trust_record *ret, struct error *err)
{
	AUTO_FREE char *folder = store_dir(paths);
	AUTO_FREE char *path = path_join(folder, name);
	AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_BUFFER text = BUFFER_INIT;
	int r;

	if (fd < 0 && errno == ENOENT)
		return error_set(err, E_NOT_FOUND, "there is no '%s'", path);
	if (fd < 0 && errno == ELOOP)
		return error_set(err, E_DENIED, "'%s' must be no link: remove it", path);
	if (fd < 0)
		return error_sys(err, "open '%s'", path);
	r = check_ours(fd, path, S_IFREG, err);
	if (r == 0)
		r = fd_read_all(fd, &text, FILE_MAX_BYTES, err);
	return r < 0 ? r : trust_parse(buffer_str(&text), text.size, path, ret, err);
}

static int by_source(const void *a, const void *b)
{
	const struct trust_record *x = a, *y = b;

	return strcmp(x->source, y->source);
}

static int list_add(const struct host_paths *paths, int dir, const char *name, struct trust_list *l,
		    struct error *err)
{
	struct trust_record r = { 0 };

	if (name[0] == '.' || !str_ends(name, ENDING))
		return 0;
	if (l->count == RECORDS_MAX)
		return error_set(err, E_INVALID, "more than %d sources are trusted: revoke some",
				 RECORDS_MAX);
	if (read_record(paths, dir, name, &r, err) < 0)
		return -(int)err->code;
	l->items = xreallocarray(l->items, l->count + 1, sizeof(r));
	l->items[l->count++] = r;
	return 0;
}

int trust_list(const struct host_paths *paths, struct trust_list *ret, struct error *err)
{
	AUTO_TRUST_LIST l = { 0 };
	AUTO_CLOSE int fd = open_dir(paths, err);
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	int r = 0;

	if (fd == -E_NOT_FOUND) {
		error_clear(err);
		*ret = l;
		return 0;
	}
	if (fd < 0)
		return fd;
	dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	if (!dir)
		return error_sys(err, "read '%s/trust'", paths->state);
	while (r == 0 && (entry = readdir(dir)))
		r = list_add(paths, fd, entry->d_name, &l, err);
	if (r < 0)
		return r;
	if (l.count)
		qsort(l.items, l.count, sizeof(*l.items), by_source);
	*ret = l;
	l = (struct trust_list){ 0 };
	return 0;
}

/* A folder that was moved with its file: what the file reaches from there moved along. */
static bool is_moved(const struct trust_record *old, const struct trust_record *now)
{
	return old->folder_inode && old->folder_inode == now->folder_inode &&
	       old->folder_device == now->folder_device &&
	       strcmp(path_basename(old->source), path_basename(now->source)) == 0 &&
	       !file_exists(old->source);
}

static int find_moved(const struct host_paths *paths, const struct trust_record *source,
		      struct trust_record *ret, char **ret_old, struct error *err)
{
	AUTO_TRUST_LIST l = { 0 };
	int r = source->folder_inode ? trust_list(paths, &l, err) : 0;

	for (size_t i = 0; r == 0 && i < l.count; i++) {
		if (!is_moved(&l.items[i], source))
			continue;
		*ret = l.items[i];
		l.items[i] = (struct trust_record){ 0 };
		*ret_old = ret->source;
		ret->source = xstrdup(source->source);
		return 0;
	}
	return r < 0 ? r
		     : error_set(err, E_NOT_FOUND, "nothing was agreed to for '%s'",
				 source->source);
}

int trust_find(const struct host_paths *paths, const struct trust_record *source,
	       struct trust_record *ret, char **ret_old, struct error *err)
{
	AUTO_FREE char *name = file_name(source->source);
	AUTO_CLOSE int dir = open_dir(paths, err);
	int r;

	*ret_old = NULL;
	if (dir < 0)
		return dir;
	r = read_record(paths, dir, name, ret, err);
	if (r == 0 && strcmp(ret->source, source->source) != 0) {
		trust_record_release(ret);
		return error_set(err, E_INVALID, "'%s/trust/%s' is of another source: remove it",
				 paths->state, name);
	}
	if (r != -E_NOT_FOUND)
		return r;
	error_clear(err);
	return find_moved(paths, source, ret, ret_old, err);
}

int trust_write(const struct host_paths *paths, const struct trust_record *r, struct error *err)
{
	AUTO_FREE char *folder = store_dir(paths);
	AUTO_FREE char *name = file_name(r->source);
	AUTO_FREE char *path = path_join(folder, name);
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_CLOSE int dir = -1;
	int ret = dir_make(folder, 0700, err);

	if (ret < 0)
		return ret;
	dir = open_dir(paths, err);
	if (dir < 0)
		return dir;
	trust_print(r, &text);
	return file_write_atomic(path, text.data, text.size, 0600, err);
}

int trust_remove(const struct host_paths *paths, const char *source, struct error *err)
{
	AUTO_FREE char *name = file_name(source);
	AUTO_CLOSE int dir = open_dir(paths, err);

	if (dir < 0)
		return dir;
	if (unlinkat(dir, name, 0) == 0)
		return 0;
	return errno == ENOENT
		       ? error_set(err, E_NOT_FOUND, "nothing was agreed to for '%s'", source)
		       : error_sys(err, "remove '%s/trust/%s'", paths->state, name);
}

int trust_record_of_file(const char *file, struct trust_record *ret, struct error *err)
{
	AUTO_FREE char *real = realpath(file, NULL);
	AUTO_FREE char *folder = real ? path_dirname(real) : NULL;
	struct stat st;

	if (!folder || stat(folder, &st) < 0)
		return error_sys(err, "find '%s'", file);
	*ret = (struct trust_record){
		.source = TAKE_PTR(real),
		.folder_device = (uint64_t)st.st_dev,
		.folder_inode = (uint64_t)st.st_ino,
	};
	return 0;
}

/* --- comparing --- */

void trust_grown(const struct spec_reach_set *agreed, const struct spec_reach_set *wanted,
		 struct spec_reach_set *ret)
{
	*ret = (struct spec_reach_set){ 0 };
	for (size_t i = 0; i < wanted->count; i++) {
		const struct spec_reach *w = &wanted->items[i];

		if (!w->is_free && w->level > spec_reach_set_level(agreed, w->kind, w->what))
			spec_reach_set_add(ret, w);
	}
}

void trust_hash(const struct spec_reach_set *wanted, char out[TRUST_HASH_SIZE])
{
	struct spec_reach_set asks, none = { 0 };
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_JSON list = NULL;
	char hex[65];

	trust_grown(&none, wanted, &asks);
	list = items_json(&asks);
	json_print(list, 0, true, &text);
	sha256_hex(buffer_str(&text), text.size, hex);
	memcpy(out, hex, TRUST_HASH_SIZE - 1);
	out[TRUST_HASH_SIZE - 1] = '\0';
	spec_reach_set_release(&asks);
}
