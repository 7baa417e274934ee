/* SPDX-License-Identifier: MIT */
/* Environments on disk. */
#include "orchestrator/state/env_store.h"
#include "orchestrator/state/env_log.h"
#include "orchestrator/state/secret_store.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"

enum { STATE_MAX_BYTES = 64 * 1024 * 1024, SELECTOR_MIN_PREFIX = 4, READ_TRIES = 100 };
/* A /24 has 245 addresses for containers; some room to grow is left. */
enum { SMALL_HOSTS = 200, LARGE_PREFIX = 20, LARGE_COUNT = 256 };
#define LARGE_FIRST UINT32_C(0x0a800000)

char *env_store_dir(const struct host_paths *paths, const char *id)
{
	return xasprintf("%s/envs/%s", paths->state, id);
}

char *env_store_path(const struct host_paths *paths, const char *id, const char *name)
{
	return xasprintf("%s/envs/%s/%s", paths->state, id, name);
}

char *env_store_container_dir(const struct host_paths *paths, const char *id, const char *container)
{
	return xasprintf("%s/envs/%s/containers/%s", paths->state, id, container);
}

char *env_store_volumes_dir(const struct host_paths *paths, const char *id)
{
	return xasprintf("%s/volumes/%s", paths->data, id);
}

char *env_store_volume(const struct host_paths *paths, const char *id, const char *volume)
{
	return xasprintf("%s/volumes/%s/%s.ext4", paths->data, id, volume);
}

char *env_store_run_dir(const struct host_paths *paths, const char *run_id)
{
	return xasprintf("%s/%s", paths->run, run_id);
}

void env_list_release(struct env_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		env_record_release(&l->items[i]);
	free(l->items);
	*l = (struct env_list){ 0 };
}

static void note_file(struct env_record *r, const struct stat *st)
{
	r->state_inode = (uint64_t)st->st_ino;
	r->state_bytes = (uint64_t)st->st_size;
	r->state_time_ns =
		(uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec;
}

/* Whether @path is still the file that is open as @fd, whose inode cannot be another's meanwhile.
 */
static bool is_still(const char *path, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/* What is on disk right now. Return: -E_CONFLICT also if its two files may belong to different
 * times */
static int read_once(const struct host_paths *paths, const char *id, struct env_record *ret,
		     struct error *err)
{
	AUTO_FREE char *path = env_store_path(paths, id, "state.json");
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_BUFFER text = BUFFER_INIT;
	struct stat st = { 0 };
	/* Looked at first: a writer in between makes the record count as old, never as current. */
	int found = stat(path, &st);
	int r = file_read(path, STATE_MAX_BYTES, &text, err);

	if (r == 0)
		r = env_record_parse(buffer_str(&text), text.size, path, ret, err);
	if (r < 0)
		return r;
	if (found == 0)
		note_file(ret, &st);
	if (strcmp(ret->id, id) != 0) /* its log lies elsewhere, if it is any at all */
		return 0;
	r = env_log_apply(paths, ret, err);
	/* A log that is gone by now is in the next state.json. */
	if (r == 0 && !is_still(path, fd))
		r = error_set(err, E_CONFLICT, "'%s' is being written", path);
	if (r < 0)
		env_record_release(ret);
	return r;
}

int env_store_read(const struct host_paths *paths, const char *id, struct env_record *ret,
		   struct error *err)
{
	int r = read_once(paths, id, ret, err);

	/* A newer ctrz is E_CONFLICT too, and stays one. */
	for (int i = 0; r == -E_CONFLICT && i < READ_TRIES; i++) {
		error_clear(err);
		r = read_once(paths, id, ret, err);
	}
	return r;
}

bool env_store_is_current(const struct host_paths *paths, const struct env_record *r)
{
	AUTO_FREE char *path = env_store_path(paths, r->id, "state.json");
	struct env_record now = { 0 };
	struct stat st;

	if (!r->state_inode || stat(path, &st) < 0)
		return false;
	note_file(&now, &st);
	return now.state_inode == r->state_inode && now.state_time_ns == r->state_time_ns &&
	       env_log_is_as_read(paths, r);
}

int env_store_write(const struct host_paths *paths, struct env_record *r, struct error *err)
{
	AUTO_FREE char *dir = env_store_dir(paths, r->id);
	AUTO_FREE char *path = env_store_path(paths, r->id, "state.json");
	AUTO_BUFFER text = BUFFER_INIT;
	int ret = dir_make(dir, 0700, err);

	if (ret < 0)
		return ret;
	r->serial++;
	r->state_inode = 0;
	r->changed_unix_ms = clock_unix_ms();
	env_record_print(r, &text);
	ret = file_write_atomic(path, text.data, text.size, 0600, err);
	if (ret == 0) {
		r->state_bytes = text.size;
		ret = env_log_clear(paths, r, err);
	}
	return ret < 0 ? error_wrap(err, "record the state of '%s'", r->name) : 0;
}

int env_store_write_spec(const struct host_paths *paths, const char *id, const struct buffer *spec,
			 struct error *err)
{
	AUTO_FREE char *path = env_store_path(paths, id, "spec.json");

	return file_write_atomic(path, spec->data, spec->size, 0600, err);
}

void env_store_take_specs(const struct host_paths *paths, struct env_record *r)
{
	AUTO_FREE char *path = env_store_path(paths, r->id, "spec.json");
	AUTO_JSON spec = NULL;
	AUTO_ERROR err = ERROR_INIT;
	const struct json *containers;

	if (!r->is_whole)
		return;
	if (json_read_file(path, STATE_MAX_BYTES, &spec, &err) < 0) {
		error_ignore(&err, "read what containers are made of");
		return;
	}
	containers = json_member_object(spec, "containers");
	for (size_t i = 0; i < r->container_count; i++) {
		struct container_record *c = &r->containers[i];
		const struct json *of = json_member_object(containers, c->name);

		if (of && !c->spec && c->stage != STAGE_NONE)
			c->spec = json_text(of);
	}
}

int env_store_forget(const struct host_paths *paths, const char *id, struct error *err)
{
	AUTO_FREE char *dir = env_store_dir(paths, id);
	int r = secret_store_forget(paths, id, err);

	return r < 0 ? r : dir_remove_tree(dir, err);
}

static int by_name(const void *a, const void *b)
{
	const struct env_record *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : strcmp(x->id, y->id);
}

static void list_add(struct env_list *l, const struct host_paths *paths, const char *id)
{
	AUTO_ERROR err = ERROR_INIT;
	struct env_record r = { 0 };

	if (env_store_read(paths, id, &r, &err) < 0) {
		error_ignore(&err, "read an environment's state");
		return;
	}
	if (strcmp(r.id, id) != 0) {
		log_debug("environment folder '%s' holds the state of '%s'", id, r.id);
		env_record_release(&r);
		return;
	}
	l->items = xreallocarray(l->items, l->count + 1, sizeof(r));
	l->items[l->count++] = r;
}

int env_store_list(const struct host_paths *paths, struct env_list *ret, struct error *err)
{
	AUTO_FREE char *root = path_join(paths->state, "envs");
	AUTO_DIR DIR *dir = opendir(root);
	const struct dirent *entry;

	*ret = (struct env_list){ 0 };
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return error_sys(err, "open '%s'", root);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			list_add(ret, paths, entry->d_name);
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_name);
	return 0;
}

/* Hand item @index of the list over. */
static void take_item(struct env_list *l, size_t index, struct env_record *ret)
{
	*ret = l->items[index];
	l->items[index] = (struct env_record){ 0 };
}

static bool same_file(const struct env_record *r, const struct stat *st)
{
	return r->device == (uint64_t)st->st_dev && r->inode == (uint64_t)st->st_ino;
}

static bool find_index(const struct env_list *l, const char *real, const struct stat *st,
		       size_t *ret_index, bool *ret_moved)
{
	for (size_t i = 0; i < l->count; i++) {
		if (strcmp(l->items[i].file, real) == 0) {
			*ret_index = i;
			*ret_moved = false;
			return true;
		}
	}
	for (size_t i = 0; i < l->count; i++) {
		if (same_file(&l->items[i], st) && !file_exists(l->items[i].file)) {
			*ret_index = i;
			*ret_moved = true;
			return true;
		}
	}
	return false;
}

int env_store_find_file(const struct host_paths *paths, const char *file, struct env_record *ret,
			bool *ret_moved, struct error *err)
{
	AUTO_FREE char *real = realpath(file, NULL);
	AUTO_ENV_LIST list = { 0 };
	struct stat st;
	size_t index = 0;
	bool moved = false;
	int r;

	if (!real || stat(real, &st) < 0)
		return error_sys(err, "find '%s'", file);
	r = env_store_list(paths, &list, err);
	if (r < 0)
		return r;
	if (!find_index(&list, real, &st, &index, &moved))
		return error_set(err, E_NOT_FOUND, "'%s' was not brought up yet; run: ctrz up %s",
				 file, file);
	take_item(&list, index, ret);
	if (ret_moved)
		*ret_moved = moved;
	return 0;
}

/* "shop (k3f9w2m8q4xz, /home/a/shop/env.yaml), ..." for messages. */
static char *list_text(const struct env_list *l)
{
	struct buffer b = BUFFER_INIT;

	for (size_t i = 0; i < l->count; i++)
		buffer_printf(&b, "\n  %-12s  %s  %s%s", l->items[i].name, l->items[i].id,
			      l->items[i].file, env_record_is_up(&l->items[i]) ? "" : "  (down)");
	return buffer_steal(&b);
}

static int select_named(struct env_list *l, const char *selector, struct env_record *ret,
			struct error *err)
{
	AUTO_FREE char *text = list_text(l);
	size_t matches = 0, index = 0;
	bool prefix = strlen(selector) >= SELECTOR_MIN_PREFIX;

	for (size_t i = 0; i < l->count; i++) {
		if (strcmp(l->items[i].id, selector) == 0) {
			take_item(l, i, ret);
			return 0;
		}
		if (strcmp(l->items[i].name, selector) == 0) {
			matches++;
			index = i;
		}
	}
	for (size_t i = 0; !matches && prefix && i < l->count; i++)
		if (str_starts(l->items[i].id, selector)) {
			matches++;
			index = i;
		}
	if (matches > 1)
		return error_set(err, E_CONFLICT,
				 "'%s' fits several environments; give an id with -e:%s", selector,
				 text);
	if (!matches && l->count)
		return error_set(err, E_NOT_FOUND, "no environment '%s'; there are:%s", selector,
				 text);
	if (!matches)
		return error_set(err, E_NOT_FOUND,
				 "no environment '%s': none was brought up yet (ctrz up FILE)",
				 selector);
	take_item(l, index, ret);
	return 0;
}

static int select_only(struct env_list *l, struct env_record *ret, struct error *err)
{
	AUTO_FREE char *text = list_text(l);
	size_t up = 0, index = 0;

	for (size_t i = 0; i < l->count; i++)
		if (env_record_is_up(&l->items[i])) {
			up++;
			index = i;
		}
	if (!l->count)
		return error_set(err, E_NOT_FOUND,
				 "there is no environment and no ./env.yaml; ctrz init writes a "
				 "first one, ctrz up FILE brings another up");
	if (up != 1 && l->count != 1)
		return error_set(err, E_NOT_FOUND,
				 "which environment? There is no ./env.yaml here; say one with -e "
				 "NAME|ID:%s",
				 text);
	take_item(l, index, ret);
	return 0;
}

int env_store_select(const struct host_paths *paths, const char *selector, struct env_record *ret,
		     struct error *err)
{
	AUTO_ENV_LIST list = { 0 };
	int r;

	if (selector && strchr(selector, '/'))
		return env_store_find_file(paths, selector, ret, NULL, err);
	if (!selector && file_exists("env.yaml"))
		return env_store_find_file(paths, "env.yaml", ret, NULL, err);
	r = env_store_list(paths, &list, err);
	if (r < 0)
		return r;
	return selector ? select_named(&list, selector, ret, err) : select_only(&list, ret, err);
}

int env_store_create(const char *file, const char *name, struct env_record *ret, struct error *err)
{
	AUTO_FREE char *real = realpath(file, NULL);
	struct stat st;

	if (!real || stat(real, &st) < 0)
		return error_sys(err, "find '%s'", file);
	*ret = (struct env_record){
		.name = xstrdup(name),
		.file = TAKE_PTR(real),
		.device = (uint64_t)st.st_dev,
		.inode = (uint64_t)st.st_ino,
		.created_unix_ms = clock_unix_ms(),
	};
	random_id(ret->id, sizeof(ret->id));
	return 0;
}

void env_store_create_source(const char *file, struct env_record *ret)
{
	*ret = (struct env_record){
		.name = xstrdup(""),
		.file = xstrdup(file),
		.created_unix_ms = clock_unix_ms(),
	};
	random_id(ret->id, sizeof(ret->id));
}

static bool is_of(const struct env_record *r, const char *url, const char *path)
{
	if (!str_equal(r->source.url, url))
		return false;
	return path ? str_equal(r->source.path, path)
		    : str_equal(r->source.path, "env.yaml") ||
			       str_equal(r->source.path, ".ctrz/env.yaml");
}

int env_store_find_source(const struct host_paths *paths, const struct git_url *u,
			  struct env_record *ret, struct error *err)
{
	AUTO_FREE char *url = git_url_repo(u);
	AUTO_ENV_LIST list = { 0 };
	int r = env_store_list(paths, &list, err);

	for (size_t i = 0; r == 0 && i < list.count; i++) {
		if (is_of(&list.items[i], url, u->path)) {
			take_item(&list, i, ret);
			return 0;
		}
	}
	return r < 0 ? r : error_set(err, E_NOT_FOUND, "nothing of '%s' was brought up yet", url);
}

int env_store_follow(struct env_record *r, const char *file, struct error *err)
{
	AUTO_FREE char *real = realpath(file, NULL);
	struct stat st;

	if (!real || stat(real, &st) < 0)
		return error_sys(err, "find '%s'", file);
	if (strcmp(real, r->file) == 0 && same_file(r, &st))
		return 0;
	free(r->file);
	r->file = TAKE_PTR(real);
	r->device = (uint64_t)st.st_dev;
	r->inode = (uint64_t)st.st_ino;
	return 1;
}

static int add_taken(const struct host_paths *paths, const struct env_record *self,
		     struct subnet_list *taken, struct error *err)
{
	AUTO_ENV_LIST list = { 0 };
	int r = env_store_list(paths, &list, err);

	for (size_t i = 0; r == 0 && i < list.count; i++) {
		const struct env_record *e = &list.items[i];

		for (size_t n = 0; strcmp(e->id, self->id) != 0 && n < e->network_count; n++)
			if (e->networks[n].subnet.prefix)
				subnet_list_add(taken, e->networks[n].subnet);
	}
	for (size_t n = 0; n < self->network_count; n++)
		if (self->networks[n].subnet.prefix)
			subnet_list_add(taken, self->networks[n].subnet);
	return r < 0 ? r : host_routes_read(taken, err);
}

/* A /20, where a /24 has no room. */
static int pick_large(const struct subnet_list *taken, struct subnet *ret, struct error *err)
{
	for (uint32_t i = 0; i < LARGE_COUNT; i++) {
		struct subnet s = { .base.s_addr = htonl(LARGE_FIRST + (i << (32 - LARGE_PREFIX))),
				    .prefix = LARGE_PREFIX };
		bool is_free = true;

		for (size_t n = 0; n < taken->count; n++)
			is_free = is_free && !subnet_overlap(&s, &taken->items[n]);
		if (is_free) {
			*ret = s;
			return 0;
		}
	}
	return error_set(err, E_UNAVAILABLE, "no /%d is free from 10.128.0.0 on", LARGE_PREFIX);
}

int env_store_choose_subnet(const struct host_paths *paths, const struct env_record *self,
			    size_t hosts, struct subnet *ret, int *ret_lock, struct error *err)
{
	AUTO_FREE char *path = path_join(paths->state, "subnets.lock");
	AUTO_SUBNET_LIST taken = SUBNET_LIST_INIT;
	AUTO_CLOSE int lock = lock_file(path, LOCK_WAIT, err);
	int r;

	if (lock < 0)
		return lock;
	r = add_taken(paths, self, &taken, err);
	if (r == 0)
		r = hosts > SMALL_HOSTS ? pick_large(&taken, ret, err)
					: subnet_pick(1, &taken, ret, err);
	if (r < 0)
		return error_wrap(err, "choose a subnet");
	*ret_lock = take_fd(&lock);
	return 0;
}
