/* SPDX-License-Identifier: MIT */
/* Downloads the kernel package for virtual machines with apt, which checks its signature; nothing
 * is installed. */
#include <dirent.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "runtime/machine/kernel/kernel_internal.h"

enum { APT_OUTPUT_MAX = 4 << 20 };

static const char meta_package[] = "linux-image-cloud-amd64";

/* Where apt keeps its lists; NULL private_dir = where the host keeps them. */
struct apt {
	const char *dir; /* working folder */
	const char *private_dir;
};

static int apt_run(const struct apt *apt, const char *const *command, struct buffer *out,
		   struct error *err)
{
	AUTO_STRLIST argv = STRLIST_INIT;
	strlist_add(&argv, "env");
	strlist_add(&argv, "-C");
	strlist_add(&argv, apt->dir);
	strlist_add(&argv, "LC_ALL=C");
	strlist_add(&argv, command[0]);
	/* The package goes into a folder of ours, which apt's own user cannot enter. */
	strlist_add(&argv, "-oAPT::Sandbox::User=root");
	if (apt->private_dir) {
		strlist_printf(&argv, "-oDir::State::Lists=%s/lists", apt->private_dir);
		strlist_printf(&argv, "-oDir::Cache=%s/cache", apt->private_dir);
	}
	for (size_t i = 1; command[i]; i++)
		strlist_add(&argv, command[i]);
	const char *const *lent = NULL;
	memcpy(&lent, &argv.items, sizeof(lent));
	return process_run(lent, out, APT_OUTPUT_MAX, err);
}

/* Lists of our own, which need no rights and leave the host's alone. */
static int apt_update_private(struct apt *apt, const char *private_dir, struct error *err)
{
	static const char *const update[] = { "apt-get", "-q", "-oAPT::Update::Error-Mode=any",
					      "update", NULL };
	static const char *const folders[] = { "lists/partial", "cache/archives/partial" };
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		AUTO_FREE char *path = path_join(private_dir, folders[i]);
		int r = dir_make(path, 0700, err);
		if (r < 0)
			return r;
	}
	apt->private_dir = private_dir;
	return apt_run(apt, update, NULL, err);
}

static bool is_package_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

/* "Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)" -> "linux-image-6.1.0-56-cloud-amd64"
 */
static char *real_package(const char *shown)
{
	static const char field[] = "\nDepends: linux-image-";
	const char *at = str_starts(shown, field + 1) ? shown : strstr(shown, field);
	if (!at)
		return NULL;
	at = strchr(at, ':') + 2;
	size_t n = 0;
	while (is_package_char(at[n]))
		n++;
	return n < 128 ? xstrndup(at, n) : NULL;
}

static int find_package(const struct apt *apt, char **ret, struct error *err)
{
	const char *const show[] = { "apt-cache", "show", "--no-all-versions", meta_package, NULL };
	AUTO_BUFFER text = BUFFER_INIT;
	int r = apt_run(apt, show, &text, err);
	if (r < 0)
		return r;
	*ret = real_package(buffer_str(&text));
	if (!*ret)
		return error_set(err, E_NOT_FOUND, "package %s is not in the package lists",
				 meta_package);
	return 0;
}

static int find_downloaded(const char *dir, char **ret, struct error *err)
{
	AUTO_DIR DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) /* NOLINT(concurrency-mt-unsafe): ours */
		if (str_ends(e->d_name, ".deb")) {
			*ret = path_join(dir, e->d_name);
			return 0;
		}
	return error_set(err, E_UNAVAILABLE, "apt-get downloaded no package");
}

static int download(const struct apt *apt, char **ret_deb, char **ret_about, struct error *err)
{
	AUTO_FREE char *package = NULL;
	int r = find_package(apt, &package, err);
	if (r < 0)
		return r;
	const char *const command[] = { "apt-get", "-q", "download", package, NULL };
	r = apt_run(apt, command, NULL, err);
	if (r < 0)
		return r;
	r = find_downloaded(apt->dir, ret_deb, err);
	if (r == 0)
		*ret_about = xasprintf("Debian package %s", path_basename(*ret_deb));
	return r;
}

int debian_kernel_download(const char *dir, char **ret_deb, char **ret_about, struct error *err)
{
	AUTO_ERROR first = ERROR_INIT;
	AUTO_FREE char *private_dir = path_join(dir, "apt");
	struct apt apt = { .dir = dir };
	if (!file_exists("/usr/bin/apt-get"))
		return error_set(err, E_NOT_FOUND,
				 "there is no apt-get here to get Debian's kernel with: run 'ctrz "
				 "kernel install host', or give the path of a kernel (vmlinuz, "
				 "vmlinux or .deb)");
	if (download(&apt, ret_deb, ret_about, &first) == 0)
		return 0;
	/* No lists yet, or older than the mirror. One source of several that cannot be reached need
	 * not be the one with the kernel, so the download is tried whatever the update said. */
	error_ignore(&first, "download the kernel with the host's package lists");
	AUTO_ERROR update = ERROR_INIT;
	AUTO_ERROR second = ERROR_INIT;
	if (apt_update_private(&apt, private_dir, &update) == 0)
		return download(&apt, ret_deb, ret_about, err);
	if (download(&apt, ret_deb, ret_about, &second) == 0)
		return 0;
	return error_set(err, E_UNAVAILABLE,
			 "cannot get Debian's kernel with apt-get (%s): check the network and "
			 "/etc/apt/sources.list, or give the path of a kernel (vmlinuz, vmlinux or "
			 ".deb)",
			 error_message(&update));
}
