/* SPDX-License-Identifier: MIT */
/* Brings a kernel into the store: a package, the host's own, or a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json/json.h"
#include "base/text.h"
#include "runtime/archive/package.h"
#include "runtime/machine/kernel/kernel_internal.h"
#include "runtime/machine/kernel/modules.h"
#include "runtime/machine/kernel/vmlinux.h"

enum { IMAGE_MAX = VMLINUX_MAX };

static void staged_kernel_release(struct staged_kernel *s)
{
	AUTO_ERROR err = ERROR_INIT;
	if (s->dir && dir_remove_tree(s->dir, &err) < 0)
		error_ignore(&err, "remove a kernel that was not installed");
	free(s->dir);
	free(s->name);
	free(s->source);
	free(s->release);
	free(s->inputs);
}
#define AUTO_STAGED_KERNEL CLEANUP(staged_kernel_release) struct staged_kernel

/* The kernel image becomes the stage's vmlinux; its release is known afterwards. */
static int stage_image(struct staged_kernel *s, const char *image_path, struct error *err)
{
	AUTO_BUFFER image = BUFFER_INIT;
	AUTO_BUFFER extracted = BUFFER_INIT;
	AUTO_FREE char *to = path_join(s->dir, "vmlinux");
	char release[KERNEL_RELEASE_MAX + 1] = "";
	AUTO_FREE char *what = xasprintf("kernel '%s'", image_path);
	int r = file_read(image_path, IMAGE_MAX, &image, err);
	if (r < 0)
		return r;
	r = vmlinux_extract(image.data, image.size, what, &extracted, release, err);
	if (r < 0)
		return r;
	free(s->release);
	s->release = xstrdup(release);
	const struct buffer *kernel = extracted.size ? &extracted : &image;
	return file_write_atomic(to, kernel->data, kernel->size, 0644, err);
}

/* The needed modules become the stage's modules/NNN-name.ko. */
static int stage_modules(struct staged_kernel *s, const char *modules_dir, struct error *err)
{
	AUTO_FREE char *to = path_join(s->dir, "modules");
	struct module_set set = { 0 };
	int r = modules_collect(modules_dir, &set, err);
	if (r < 0)
		return r;
	r = dir_make(to, 0700, err);
	for (size_t i = 0; r == 0 && i < set.count; i++) {
		AUTO_FREE char *path = xasprintf("%s/%03zu-%s.ko", to, i, set.items[i].name);
		r = file_write_atomic(path, set.items[i].data.data, set.items[i].data.size, 0600,
				      err);
	}
	module_set_release(&set);
	return r;
}

/* Where a package's files go while it is read: flat, by the last part of their names. */
struct unpacking {
	const char *dir;
	char *image; /* owned; where the kernel went */
};

static const char *module_part(const char *path)
{
	path += str_starts(path, "usr/") ? 4 : 0;
	if (!str_starts(path, "lib/modules/"))
		return NULL;
	const char *base = path_basename(path);
	return strstr(base, ".ko") || str_equal(base, "modules.builtin") ? base : NULL;
}

static bool wants_file(void *arg, const char *path, uint64_t size)
{
	(void)arg;
	(void)size;
	return str_starts(path, "boot/vmlinuz-") || module_part(path);
}

static int unpack_file(void *arg, const char *path, const void *data, size_t size,
		       struct error *err)
{
	struct unpacking *u = arg;
	AUTO_FREE char *to = path_join(u->dir, path_basename(path));
	AUTO_CLOSE int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_sys(err, "create '%s'", to);
	if (fd_write_full(fd, data, size, err) < 0)
		return error_wrap(err, "unpack to '%s'", to);
	if (str_starts(path, "boot/")) {
		free(u->image);
		u->image = TAKE_PTR(to);
	}
	return 0;
}

static int stage_package(struct staged_kernel *s, const char *deb_path, struct error *err)
{
	static const char cloud[] = "-cloud-amd64";
	AUTO_FREE char *unpacked = path_join(s->dir, "unpacked");
	struct unpacking u = { .dir = unpacked };
	const struct package_reader reader = { wants_file, unpack_file, &u };
	int r = dir_make(unpacked, 0700, err);
	if (r == 0)
		r = package_read(deb_path, &reader, err);
	AUTO_FREE char *image = u.image;
	if (r == 0 && !image)
		r = error_set(err, E_INVALID, "package '%s' holds no kernel (boot/vmlinuz-...)",
			      deb_path);
	if (r == 0)
		r = stage_image(s, image, err);
	if (r == 0)
		r = stage_modules(s, unpacked, err);
	if (r == 0)
		r = dir_remove_tree(unpacked, err);
	if (r < 0)
		return r;
	if (!s->release || !*s->release)
		return error_set(err, E_INVALID, "the kernel in '%s' does not name its release",
				 deb_path);
	size_t n = strlen(s->release);
	s->name = str_ends(s->release, cloud)
			  ? xasprintf("debian-cloud-%.*s", (int)(n - strlen(cloud)), s->release)
			  : xasprintf("debian-%s", s->release);
	return 0;
}

static int stage_debian(struct staged_kernel *s, struct error *err)
{
	AUTO_FREE char *download = path_join(s->dir, "download");
	AUTO_FREE char *deb = NULL;
	int r = dir_make(download, 0700, err);
	if (r == 0)
		r = debian_kernel_download(download, &deb, &s->source, err);
	if (r == 0)
		r = stage_package(s, deb, err);
	return r < 0 ? r : dir_remove_tree(download, err);
}

static int stage_host(struct staged_kernel *s, struct error *err)
{
	struct utsname u;
	if (uname(&u) < 0)
		return error_sys(err, "ask for the host's kernel release");
	AUTO_FREE char *modules = xasprintf("/lib/modules/%s", u.release);
	AUTO_FREE char *boot = xasprintf("/boot/vmlinuz-%s", u.release);
	AUTO_FREE char *beside = path_join(modules, "vmlinuz");
	const char *image = file_exists(boot) ? boot : beside;
	if (!file_exists(image))
		return error_set(err, E_NOT_FOUND,
				 "the host's kernel %s is not on its disk (looked for '%s' and "
				 "'%s'): run 'ctrz kernel install' for Debian's",
				 u.release, boot, beside);
	int r = stage_image(s, image, err);
	if (r == 0)
		r = stage_modules(s, modules, err);
	if (r == -E_DENIED)
		return error_wrap(err, "only root may read the host's kernel here");
	if (r < 0)
		return r;
	s->name = xasprintf("host-%s", u.release);
	s->source = xstrdup("the host's own kernel");
	return 0;
}

static int stage_file(struct staged_kernel *s, const char *path, const char *modules_dir,
		      struct error *err)
{
	if (!file_exists(path))
		return error_set(err, E_NOT_FOUND,
				 "'%s' is no kernel: give debian-cloud, host, or the path of a "
				 "vmlinuz, a vmlinux or a .deb",
				 path);
	s->source = xstrdup(path);
	if (str_ends(path, ".deb"))
		return stage_package(s, path, err);
	int r = stage_image(s, path, err);
	if (r == 0 && modules_dir)
		r = stage_modules(s, modules_dir, err);
	if (r < 0)
		return r;
	s->name = xasprintf("file-%.100s", *s->release ? s->release : path_basename(path));
	return 0;
}

static int write_about(const struct staged_kernel *s, struct error *err)
{
	AUTO_JSON o = json_new_object();
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_FREE char *path = path_join(s->dir, "kernel.json");
	json_set_string(o, "release", s->release);
	json_set_string(o, "source", s->source);
	if (s->inputs)
		json_set_string(o, "inputs", s->inputs);
	json_print(o, 2, false, &text);
	buffer_add_char(&text, '\n');
	return file_write_atomic(path, text.data, text.size, 0600, err);
}

/* From here on the kernel is installed: whole, or not at all. */
static int publish(const struct host_paths *paths, struct staged_kernel *s, struct error *err)
{
	AUTO_FREE char *store = kernel_folder(paths, NULL);
	AUTO_FREE char *to = kernel_folder(paths, s->name);
	AUTO_FREE char *chosen = kernel_default_name(paths);
	unsigned how = file_exists(to) ? RENAME_EXCHANGE : RENAME_NOREPLACE;
	int r = dir_sync(s->dir, err);
	if (r < 0)
		return r;
	if (renameat2(AT_FDCWD, s->dir, AT_FDCWD, to, how) < 0)
		return error_sys(err, "install kernel '%s'", s->name);
	r = dir_sync(store, err);
	return r == 0 && !chosen ? kernel_set_default(paths, s->name, err) : r;
}

/* Under the store's lock: a folder for a kernel to come. */
static int open_stage(const struct host_paths *paths, struct staged_kernel *s, struct error *err)
{
	AUTO_FREE char *template = kernel_folder(paths, KERNEL_STAGE_PREFIX "XXXXXX");
	if (!mkdtemp(template))
		return error_sys(err, "create '%s'", template);
	s->dir = TAKE_PTR(template);
	return 0;
}

static int close_stage(const struct host_paths *paths, struct staged_kernel *s, struct error *err)
{
	int r = kernel_write_initrd(s->dir, err);
	if (r == 0)
		r = write_about(s, err);
	return r < 0 ? r : publish(paths, s, err);
}

int kernel_store_install(const struct host_paths *paths, const char *source,
			 const char *modules_dir, struct kernel *ret, struct error *err)
{
	AUTO_STAGED_KERNEL s = { 0 };
	AUTO_CLOSE int lock = kernel_lock(paths, err);
	if (lock < 0)
		return lock;
	int r = open_stage(paths, &s, err);
	if (r < 0)
		return r;
	r = str_equal(source, "debian-cloud") ? stage_debian(&s, err)
	    : str_equal(source, "host")       ? stage_host(&s, err)
					      : stage_file(&s, source, modules_dir, err);
	if (r == 0)
		r = close_stage(paths, &s, err);
	if (r < 0)
		return error_wrap(err, "install kernel '%s'", source);
	return kernel_read(paths, s.name, ret, err);
}

int kernel_install_built(const struct host_paths *paths, const char *image, const char *source,
			 const char *inputs, struct kernel *ret, struct error *err)
{
	static const char ours[] = "-ctrz"; /* CONFIG_LOCALVERSION of our configuration */
	AUTO_STAGED_KERNEL s = { .source = xstrdup(source), .inputs = xstrdup(inputs) };
	AUTO_CLOSE int lock = kernel_lock(paths, err);
	if (lock < 0)
		return lock;
	int r = open_stage(paths, &s, err);
	if (r == 0)
		r = stage_image(&s, image, err);
	if (r < 0)
		return r;
	size_t n = strlen(s.release);
	s.name = str_ends(s.release, ours)
			 ? xasprintf("ctrz-%.*s", (int)(n - strlen(ours)), s.release)
			 : xasprintf("built-%s", *s.release ? s.release : "linux");
	r = close_stage(paths, &s, err);
	if (r == 0)
		r = kernel_set_default(paths, s.name, err);
	return r < 0 ? r : kernel_read(paths, s.name, ret, err);
}
