/* SPDX-License-Identifier: MIT */
/* What the files of the kernel store share; private to this folder. */
#ifndef CTRZ_RUNTIME_MACHINE_KERNEL_KERNEL_INTERNAL_H
#define CTRZ_RUNTIME_MACHINE_KERNEL_KERNEL_INTERNAL_H

#include "runtime/machine/kernel_store.h"

/* A kernel on its way into the store: a folder that becomes kernels/<name>. */
struct staged_kernel {
	char *dir;     /* owned */
	char *name;    /* owned; NULL until known */
	char *source;  /* owned; for people */
	char *release; /* owned */
	char *inputs;  /* owned; NULL unless built here: what it was built from */
};

/** kernel_folder() - owned path of the store, or of @name in it */
char *kernel_folder(const struct host_paths *paths, const char *name);
/** kernel_read() - one installed kernel by its folder's name */
int kernel_read(const struct host_paths *paths, const char *name, struct kernel *ret,
		struct error *err) MUST_CHECK;
/** kernel_write_initrd() - for a kernel's folder, unless the one for today's vminitd is there */
int kernel_write_initrd(const char *dir, struct error *err) MUST_CHECK;
/** kernel_lock() - the store's lock; also removes what an interrupted installation left. Return:
 * descriptor or -code */
int kernel_lock(const struct host_paths *paths, struct error *err) MUST_CHECK;
/** kernel_set_default() - under the lock */
int kernel_set_default(const struct host_paths *paths, const char *name,
		       struct error *err) MUST_CHECK;
/** kernel_install_built() - a vmlinux that was built here from what @inputs names; becomes the
 * default */
int kernel_install_built(const struct host_paths *paths, const char *image, const char *source,
			 const char *inputs, struct kernel *ret, struct error *err) MUST_CHECK;
/** kernel_find_built() - the installed kernel that was built from @inputs. Return: whether there is
 * one */
bool kernel_find_built(const struct host_paths *paths, const char *inputs, struct kernel *ret);
/** kernel_default_name() - owned, NULL if none is chosen */
char *kernel_default_name(const struct host_paths *paths);

/* The start of the names of folders that are not installed yet. */
#define KERNEL_STAGE_PREFIX ".install-"

/** debian_kernel_download() - the package behind linux-image-cloud-ARCH, into @dir; uses the host's
 * package lists, or lists of its own below @dir where those are missing or stale */
int debian_kernel_download(const char *dir, char **ret_deb, char **ret_about,
			   struct error *err) MUST_CHECK;

#endif
