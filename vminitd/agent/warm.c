/* SPDX-License-Identifier: MIT */
/* Reading ahead. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "vminitd/agent/search.h"
#include "vminitd/agent/syscalls.h"
#include "vminitd/agent/warm.h"

enum { FILE_MAX = 4 << 20, CHUNK = 64 * 1024 };

/* Users and the shell; the loaders and C libraries of Debian and Fedora, of Alpine, and of others.
 */
static const char *const files[] = {
	"/etc/passwd",
	"/etc/group",
	"/etc/nsswitch.conf",
	"/etc/ld.so.cache",
	"/bin/sh",
	"/lib64/ld-linux-x86-64.so.2",
	"/lib/x86_64-linux-gnu/libc.so.6",
	"/lib64/libc.so.6",
	"/lib/ld-musl-x86_64.so.1",
	"/usr/lib/libc.so.6",
};

static void read_file(int root, const char *path)
{
	static char chunk[CHUNK];
	AUTO_CLOSE int fd = sys_open_in_root(root, path, O_RDONLY | O_NONBLOCK, 0);
	ssize_t n;

	for (size_t total = 0; fd >= 0 && total < FILE_MAX; total += (size_t)n) {
		n = read(fd, chunk, sizeof(chunk));
		if (n <= 0)
			break;
	}
}

static void read_folder(int root, const char *path)
{
	AUTO_CLOSE int fd = sys_open_in_root(root, path, O_RDONLY | O_DIRECTORY, 0);
	AUTO_DIR DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d)
		(void)take_fd(&fd);
	while (d && readdir(d)) /* NOLINT(concurrency-mt-unsafe): ours */
		continue;
}

void warm_up(int root)
{
	char folders[] = SEARCH_PATH_DEFAULT, *rest = NULL;

	for (char *f = strtok_r(folders, ":", &rest); f; f = strtok_r(NULL, ":", &rest))
		read_folder(root, f);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		read_file(root, files[i]);
}
