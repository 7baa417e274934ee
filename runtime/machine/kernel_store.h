/* SPDX-License-Identifier: MIT */
/* Guest kernels: installed from a Debian package, the host's own, or a file; each with the
 * initramfs ctrz writes. */
#ifndef CTRZ_RUNTIME_MACHINE_KERNEL_STORE_H
#define CTRZ_RUNTIME_MACHINE_KERNEL_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "runtime/host/host_paths.h"

struct kernel {
	char *name;    /* "debian-cloud-6.1.0-56", "host-6.18.44", ... */
	char *release; /* uname -r of it */
	char *source;  /* where it came from, for people */
	char *vmlinux; /* absolute paths */
	char *initrd;
	uint64_t size_bytes;
	bool is_default;
};

struct kernel_list {
	struct kernel *items;
	size_t count;
};

void kernel_list_release(struct kernel_list *l);
void kernel_release(struct kernel *k);

/** kernel_store_list() - all installed, by name */
int kernel_store_list(const struct host_paths *paths, struct kernel_list *ret,
		      struct error *err) MUST_CHECK;
/** kernel_store_default() - the one in use. Return: -E_NOT_FOUND with "run: ctrz kernel install" if
 * there is none. Writes the initramfs again if vminitd changed since */
int kernel_store_default(const struct host_paths *paths, struct kernel *ret,
			 struct error *err) MUST_CHECK;
/**
 * kernel_store_install() - get a kernel
 * @source: "debian-cloud" (downloaded with apt-get, never installed), "host" (the running kernel's
 *files), or the path of a .deb, a bzImage or a vmlinux (with modules from @modules_dir or NULL)
 */
int kernel_store_install(const struct host_paths *paths, const char *source,
			 const char *modules_dir, struct kernel *ret, struct error *err) MUST_CHECK;

struct kernel_build_options {
	const char
		*source; /* an archive of Linux's source; NULL = the newest of Debian's packages */
	const char *config; /* a file; NULL = ctrz's own configuration */
	bool check_only; /* whether the source takes the configuration as it is; builds nothing */
	void (*step)(void *arg, const char *what); /* what is done now; may be NULL */
	void *arg;
};
/**
 * kernel_store_build() - build a kernel from source, install it and make it the default
 * @ret: untouched but for being emptied if only checked
 *
 * Takes minutes, unless a kernel of the same source, configuration and compiler is installed.
 * Return: 0; -E_NOT_FOUND with the packages that are missing; -E_INVALID with the settings the
 * source does not take; -E_SYSTEM with the file that has the tools' output
 */
int kernel_store_build(const struct host_paths *paths, const struct kernel_build_options *o,
		       struct kernel *ret, struct error *err) MUST_CHECK;
int kernel_store_use(const struct host_paths *paths, const char *name,
		     struct error *err) MUST_CHECK;
int kernel_store_remove(const struct host_paths *paths, const char *name,
			struct error *err) MUST_CHECK;

#endif
