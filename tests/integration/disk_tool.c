/* SPDX-License-Identifier: MIT */
/* Builds disks from layer files for the Python tests and the bench: "disk_tool build OUT LAYER...",
 * "disk_tool upper OUT SIZE". */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "runtime/image/disk_build.h"
#include "runtime/image/image_store.h"

struct blob {
	int fd;
	uint64_t size;
};

static ssize_t read_blob(void *arg, void *buf, size_t size, struct error *err)
{
	const struct blob *b = arg;
	ssize_t n = read(b->fd, buf, size);

	return n < 0 ? error_sys(err, "read layer") : n;
}

static int open_blob(const char *path, struct blob *ret, struct error *err)
{
	struct stat st;

	ret->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (ret->fd < 0 || fstat(ret->fd, &st) < 0)
		return error_sys(err, "open '%s'", path);
	ret->size = (uint64_t)st.st_size;
	return 0;
}

/* Of this program alone: getrusage() would count the one that started it. */
static long max_rss_kib(void)
{
	AUTO_FILE FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f))
		if (str_starts(line, "VmHWM:"))
			kib = strtol(line + strlen("VmHWM:"), NULL, 10);
	return kib;
}

/* LAYER is a file, or FILE=sha256:... to have its digest checked. */
static int build(struct disk_build_options *o, char **files, size_t count, struct error *err)
{
	AUTO_FREE struct blob *blobs = xcalloc(count + 1, sizeof(*blobs));
	AUTO_FREE struct layer_source *layers = xcalloc(count + 1, sizeof(*layers));
	struct disk_build_result result = { 0 };
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		char *id = strstr(files[i], "=sha");

		if (id)
			*id++ = '\0';
		rc = open_blob(files[i], &blobs[i], err);
		layers[i] = (struct layer_source){
			.name = strrchr(files[i], '/') ? strrchr(files[i], '/') + 1 : files[i],
			.diff_id = id,
			.size = blobs[i].size,
			.read = read_blob,
			.arg = &blobs[i],
		};
	}
	if (rc == 0)
		rc = disk_build(o, layers, count, &result, err);
	for (size_t i = 0; i < count; i++)
		if (blobs[i].fd > 0)
			(void)close(blobs[i].fd);
	if (rc < 0)
		return rc;
	printf("disk_bytes=%" PRIu64 " used_bytes=%" PRIu64 " layer_bytes=%" PRIu64
	       " inodes=%u entries=%" PRIu64 " base=%d steps=%" PRIu64 " writes=%" PRIu64
	       " max_rss_kib=%ld\n",
	       result.disk_bytes, result.used_bytes, result.layer_bytes, result.inodes,
	       result.entries, result.used_base, result.steps, result.writes, max_rss_kib());
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: disk_tool [--sync] [--rooted] [--max-entries N] [--max-bytes N] "
			"[--base DISK N] "
			"build OUT LAYER...\n"
			"       disk_tool upper OUT BYTES\n");
	return 2;
}

static int run(int argc, char **argv, struct error *err)
{
	struct disk_build_options o = { .sync = DISK_SYNC_NONE };
	uint64_t number = 0;
	int at = 1;

	for (; at < argc && str_starts(argv[at], "--"); at++) {
		if (strcmp(argv[at], "--sync") == 0)
			o.sync = DISK_SYNC_FULL;
		else if (strcmp(argv[at], "--rooted") == 0)
			o.rooted_names = true;
		else if (at + 2 < argc && strcmp(argv[at], "--base") == 0 &&
			 parse_u64(argv[at + 2], 1000, &number)) {
			o.base_path = argv[at + 1];
			o.base_layers = (size_t)number;
			at += 2;
		} else if (at + 1 < argc && parse_u64(argv[at + 1], UINT64_MAX, &number)) {
			if (strcmp(argv[at++], "--max-entries") == 0)
				o.limits.entries = (uint32_t)number;
			else
				o.limits.total_bytes = number;
		}
	}
	if (argc - at >= 2 && strcmp(argv[at], "build") == 0) {
		o.path = argv[at + 1];
		return build(&o, argv + at + 2, (size_t)(argc - at - 2), err);
	}
	if (argc - at == 3 && strcmp(argv[at], "upper") == 0 &&
	    parse_u64(argv[at + 2], UINT64_MAX, &number))
		return writable_disk_create(argv[at + 1], number, "upper", err);
	return usage();
}

int main(int argc, char **argv)
{
	AUTO_ERROR err = ERROR_INIT;
	int rc = run(argc, argv, &err);

	if (rc < 0)
		fprintf(stderr, "%s: %s\n", error_code_name(err.code), error_message(&err));
	return rc < 0 ? 1 : rc;
}
