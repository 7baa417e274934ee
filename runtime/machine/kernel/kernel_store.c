/* SPDX-License-Identifier: MIT */
/* The folder of installed kernels: listing, choosing, removing, and keeping each initramfs up to
 * date. */
#include "runtime/machine/kernel_store.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest/digest.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json/json.h"
#include "base/text.h"
#include "runtime/machine/kernel/initramfs.h"
#include "runtime/machine/kernel/kernel_internal.h"

enum {
	KERNEL_JSON_MAX = 1 << 16,
	KERNEL_NAME_MAX = 128,
	INITRD_HASH_DIGITS = 16,
	INITRD_KEEP_MS = 24 * 3600 * 1000, /* another ctrz may be about to boot an older one */
};

/* Changes with the layout of the initramfs, so that older ones are written again. */
static const char initrd_layout[] = "1";

void kernel_release(struct kernel *k)
{
	free(k->name);
	free(k->release);
	free(k->source);
	free(k->vmlinux);
	free(k->initrd);
	*k = (struct kernel){ 0 };
}

void kernel_list_release(struct kernel_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		kernel_release(&l->items[i]);
	free(l->items);
	*l = (struct kernel_list){ 0 };
}

char *kernel_folder(const struct host_paths *paths, const char *name)
{
	AUTO_FREE char *store = path_join(paths->data, "kernels");
	return name ? path_join(store, name) : TAKE_PTR(store);
}

/* Names are folder names: never hidden, never a path. */
static int check_name(const char *name, struct error *err)
{
	size_t n = strlen(name);
	if (n > 0 && n <= KERNEL_NAME_MAX && name[0] != '.' && !strchr(name, '/'))
		return 0;
	AUTO_FREE char *text = text_escaped(name);
	return error_set(err, E_INVALID, "'%s' is no name of a kernel", text);
}

static char *initrd_path(const char *dir)
{
	char hash[DIGEST_HEX_MAX + 1];
	size_t size = 0;
	const void *vminitd = vminitd_image(&size);
	CLEANUP(digest_free_p) struct digest *d = digest_new(DIGEST_SHA256);
	digest_add(d, initrd_layout, sizeof(initrd_layout));
	digest_add(d, vminitd, size);
	digest_hex(d, hash);
	return xasprintf("%s/initrd-%.*s", dir, (int)INITRD_HASH_DIGITS, hash);
}

static void remove_old_initrds(const char *dir, const char *keep)
{
	AUTO_DIR DIR *d = opendir(dir);
	uint64_t now = clock_unix_ms();
	for (struct dirent *e; d && (e = readdir(d));) { /* NOLINT(concurrency-mt-unsafe): ours */
		AUTO_FREE char *path = path_join(dir, e->d_name);
		struct stat st;
		if (!str_starts(e->d_name, "initrd-") || strcmp(path, keep) == 0 ||
		    stat(path, &st) < 0)
			continue;
		if ((uint64_t)st.st_mtime * 1000 + INITRD_KEEP_MS < now)
			(void)unlink(path);
	}
}

int kernel_write_initrd(const char *dir, struct error *err)
{
	AUTO_FREE char *path = initrd_path(dir);
	AUTO_FREE char *modules = path_join(dir, "modules");
	AUTO_BUFFER image = BUFFER_INIT;
	size_t size = 0;
	if (file_exists(path))
		return 0;
	const void *vminitd = vminitd_image(&size);
	int r = initramfs_build(vminitd, size, file_exists(modules) ? modules : NULL, &image, err);
	if (r == 0)
		r = file_write_atomic(path, image.data, image.size, 0644, err);
	if (r == 0)
		remove_old_initrds(dir, path);
	return r;
}

char *kernel_default_name(const struct host_paths *paths)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_FREE char *path = kernel_folder(paths, "default");
	if (file_read(path, KERNEL_NAME_MAX + 1, &text, &err) < 0)
		return NULL;
	while (text.size > 0 && text.data[text.size - 1] == '\n')
		text.data[--text.size] = '\0';
	if (check_name(buffer_str(&text), &err) < 0)
		return NULL;
	return buffer_steal(&text);
}

int kernel_set_default(const struct host_paths *paths, const char *name, struct error *err)
{
	AUTO_FREE char *path = kernel_folder(paths, "default");
	AUTO_FREE char *line = xasprintf("%s\n", name);
	return file_write_atomic(path, line, strlen(line), 0600, err);
}

int kernel_read(const struct host_paths *paths, const char *name, struct kernel *ret,
		struct error *err)
{
	AUTO_FREE char *dir = kernel_folder(paths, name);
	AUTO_FREE char *about = path_join(dir, "kernel.json");
	AUTO_FREE char *chosen = kernel_default_name(paths);
	AUTO_JSON o = NULL;
	struct stat st;
	int r = check_name(name, err);
	if (r < 0)
		return r;
	if (!file_exists(about)) {
		AUTO_FREE char *text = text_escaped(name);
		return error_set(err, E_NOT_FOUND,
				 "kernel '%s' is not installed: 'ctrz kernel ls' shows what is",
				 text);
	}
	r = json_read_file(about, KERNEL_JSON_MAX, &o, err);
	if (r < 0)
		return error_wrap(err, "kernel '%s'", name);
	AUTO_FREE char *vmlinux = path_join(dir, "vmlinux");
	if (stat(vmlinux, &st) < 0)
		return error_sys(err, "kernel '%s': '%s'", name, vmlinux);
	*ret = (struct kernel){
		.name = xstrdup(name),
		.release = xstrdup(json_str(o, "release", "")),
		.source = xstrdup(json_str(o, "source", "")),
		.vmlinux = TAKE_PTR(vmlinux),
		.initrd = initrd_path(dir),
		.size_bytes = (uint64_t)st.st_size,
		.is_default = str_equal(chosen, name),
	};
	return 0;
}

int kernel_store_list(const struct host_paths *paths, struct kernel_list *ret, struct error *err)
{
	AUTO_FREE char *store = kernel_folder(paths, NULL);
	AUTO_STRLIST names = STRLIST_INIT;
	AUTO_DIR DIR *d = opendir(store);
	size_t room = 0;
	*ret = (struct kernel_list){ 0 };
	if (!d && errno == ENOENT)
		return 0;
	if (!d)
		return error_sys(err, "read '%s'", store);
	for (struct dirent *e; (e = readdir(d));) { /* NOLINT(concurrency-mt-unsafe): ours */
		AUTO_FREE char *about = xasprintf("%s/%s/kernel.json", store, e->d_name);
		if (e->d_name[0] != '.' && file_exists(about))
			strlist_add(&names, e->d_name);
	}
	strlist_sort(&names);
	for (size_t i = 0; i < names.count; i++) {
		AUTO_ERROR ignored = ERROR_INIT;
		GROW_ARRAY(ret->items, ret->count, room);
		if (kernel_read(paths, names.items[i], &ret->items[ret->count], &ignored) == 0)
			ret->count++;
		else
			error_ignore(&ignored, "read a kernel");
	}
	return 0;
}

static bool was_built_from(const struct host_paths *paths, const char *name, const char *inputs)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *dir = kernel_folder(paths, name);
	AUTO_FREE char *about = path_join(dir, "kernel.json");
	AUTO_JSON o = NULL;
	if (json_read_file(about, KERNEL_JSON_MAX, &o, &err) < 0) {
		error_ignore(&err, "read what a kernel was built from");
		return false;
	}
	return str_equal(json_str(o, "inputs", ""), inputs);
}

bool kernel_find_built(const struct host_paths *paths, const char *inputs, struct kernel *ret)
{
	AUTO_ERROR err = ERROR_INIT;
	struct kernel_list list = { 0 };
	bool found = false;
	if (kernel_store_list(paths, &list, &err) < 0)
		error_ignore(&err, "look for a kernel that was built before");
	for (size_t i = 0; !found && i < list.count; i++)
		if (was_built_from(paths, list.items[i].name, inputs)) {
			*ret = list.items[i];
			list.items[i] = (struct kernel){ 0 };
			found = true;
		}
	kernel_list_release(&list);
	return found;
}

int kernel_store_default(const struct host_paths *paths, struct kernel *ret, struct error *err)
{
	AUTO_FREE char *name = kernel_default_name(paths);
	if (!name)
		return error_set(
			err, E_NOT_FOUND,
			"there is no guest kernel yet: run 'ctrz kernel install', or "
			"'ctrz kernel use NAME' to choose among those of 'ctrz kernel ls'");
	AUTO_FREE char *dir = kernel_folder(paths, name);
	struct kernel k = { 0 };
	int r = kernel_read(paths, name, &k, err);
	if (r < 0)
		return r;
	r = kernel_write_initrd(dir, err);
	if (r < 0) {
		kernel_release(&k);
		return error_wrap(err, "write the initramfs of kernel '%s'", name);
	}
	*ret = k;
	return 0;
}

static void remove_stages(const char *store)
{
	AUTO_DIR DIR *d = opendir(store);
	for (struct dirent *e; d && (e = readdir(d));) { /* NOLINT(concurrency-mt-unsafe): ours */
		AUTO_ERROR err = ERROR_INIT;
		AUTO_FREE char *path = path_join(store, e->d_name);
		if (str_starts(e->d_name, KERNEL_STAGE_PREFIX) && dir_remove_tree(path, &err) < 0)
			error_ignore(&err, "remove an interrupted installation");
	}
}

int kernel_lock(const struct host_paths *paths, struct error *err)
{
	AUTO_FREE char *store = kernel_folder(paths, NULL);
	AUTO_FREE char *path = kernel_folder(paths, ".lock");
	int r = dir_make(store, 0700, err);
	if (r < 0)
		return r;
	int fd = lock_file(path, LOCK_WAIT, err);
	if (fd >= 0)
		remove_stages(store);
	return fd;
}

int kernel_store_use(const struct host_paths *paths, const char *name, struct error *err)
{
	AUTO_CLOSE int lock = kernel_lock(paths, err);
	struct kernel k = { 0 };
	if (lock < 0)
		return lock;
	int r = kernel_read(paths, name, &k, err);
	if (r < 0)
		return r;
	kernel_release(&k);
	return kernel_set_default(paths, name, err);
}

int kernel_store_remove(const struct host_paths *paths, const char *name, struct error *err)
{
	AUTO_CLOSE int lock = kernel_lock(paths, err);
	struct kernel k = { 0 };
	if (lock < 0)
		return lock;
	int r = kernel_read(paths, name, &k, err);
	if (r < 0)
		return r;
	AUTO_FREE char *dir = kernel_folder(paths, name);
	AUTO_FREE char *trash = kernel_folder(paths, KERNEL_STAGE_PREFIX "removed");
	AUTO_FREE char *chosen = kernel_folder(paths, "default");
	if (k.is_default)
		r = file_remove(chosen, err);
	kernel_release(&k);
	if (r == 0 && rename(dir, trash) < 0)
		r = error_sys(err, "remove kernel '%s'", name);
	return r < 0 ? r : dir_remove_tree(trash, err);
}
