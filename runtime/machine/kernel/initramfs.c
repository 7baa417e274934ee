/* SPDX-License-Identifier: MIT */
/* Puts the guest's initramfs together. Uncompressed: under emulation unpacking costs more than
 * reading. */
#include "runtime/machine/kernel/initramfs.h"

#include <dirent.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include "runtime/archive/cpio.h"

enum { INITRAMFS_MODULE_MAX = 64 << 20, INITRAMFS_MODULES_MAX = 999 };

static int module_names(const char *dir, struct strlist *out, struct error *err)
{
	AUTO_DIR DIR *d = opendir(dir);
	if (!d)
		return error_sys(err, "read the modules in '%s'", dir);
	for (struct dirent *e; (e = readdir(d));) /* NOLINT(concurrency-mt-unsafe): ours */
		if (str_ends(e->d_name, ".ko") && out->count < INITRAMFS_MODULES_MAX)
			strlist_add(out, e->d_name);
	strlist_sort(out);
	return 0;
}

static int add_modules(struct cpio *c, const char *dir, struct error *err)
{
	AUTO_STRLIST names = STRLIST_INIT;
	int r = module_names(dir, &names, err);
	if (r == 0)
		r = cpio_add_dir(c, "modules", 0700, err);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		AUTO_FREE char *from = path_join(dir, names.items[i]);
		AUTO_FREE char *to = path_join("modules", names.items[i]);
		AUTO_BUFFER data = BUFFER_INIT;
		r = file_read(from, INITRAMFS_MODULE_MAX, &data, err);
		if (r == 0)
			r = cpio_add_file(c, to, 0400, data.data, data.size, err);
	}
	return r;
}

int initramfs_build(const void *init, size_t init_size, const char *modules_dir, struct buffer *out,
		    struct error *err)
{
	CLEANUP(cpio_free_p) struct cpio *c = cpio_new(out);
	int r = cpio_add_file(c, "init", 0500, init, init_size, err);
	if (r == 0 && modules_dir)
		r = add_modules(c, modules_dir, err);
	if (r == 0)
		r = cpio_finish(c, err);
	return r;
}
