/* SPDX-License-Identifier: MIT */
/* What the other end of a copy may send, made into files: whatever it is, nothing is written
 * outside of the target, and a tar archive of it is one or a failure. The first byte says how. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/guest/copy.h"
#include "vminitd/protocol/copy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HOLE_MAX = 1 << 24 };
enum { CONTENTS = 1, TO_MISSING = 2, AS_TAR = 8 };

static char folder[] = "/tmp/ctrz-fuzz-copy-XXXXXX";

static void tidy_up(void)
{
	AUTO_ERROR err = ERROR_INIT;

	if (dir_remove_tree(folder, &err) < 0)
		error_ignore(&err, "remove a temporary folder");
}

static void prepare(void)
{
	static bool is_made;
	AUTO_ERROR err = ERROR_INIT;

	if (!is_made && (!mkdtemp(folder) || atexit(tidy_up) != 0))
		abort();
	is_made = true;
	AUTO_FREE char *target = path_join(folder, "target");
	if (dir_remove_tree(target, &err) < 0 || dir_make(target, 0700, &err) < 0)
		abort();
	AUTO_FREE char *link = path_join(target, "link");
	if (symlink("..", link) < 0)
		abort();
}

/* Beside the target there is nothing. */
static void check_outside(void)
{
	AUTO_DIR DIR *dir = opendir(folder);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.' && strcmp(e->d_name, "target") != 0)
			abort();
}

static void try_target(unsigned flags, const uint8_t *data, size_t size)
{
	AUTO_FREE char *target = path_join(folder, flags & TO_MISSING ? "target/new" : "target");
	struct copy_target_options o = {
		.path = target, .name = "name", .contents = flags & CONTENTS, .mode_mask = 0777
	};
	struct frame_decoder d;
	struct frame f;
	AUTO_ERROR err = ERROR_INIT;
	int r = 1;

	o.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct copy_target *t = copy_target_new(&o);
	frame_decoder_init(&d, FRAME_SOCKET);
	frame_decoder_add(&d, data, size);
	while (r > 0 && (r = frame_decoder_next(&d, &f, &err)) > 0)
		r = copy_target_frame(t, &f, &err);
	frame_decoder_release(&d);
	copy_target_free(t);
	(void)close(o.root);
}

static void try_tar(const uint8_t *data, size_t size)
{
	struct frame_decoder d;
	struct frame f;
	AUTO_ERROR err = ERROR_INIT;
	struct tar_sink *t = NULL;
	int r = 1, fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || tar_sink_new(fd, ".", &t, &err) < 0)
		abort();
	frame_decoder_init(&d, FRAME_SOCKET);
	frame_decoder_add(&d, data, size);
	/* A hole is written as the zeros it stands for, which takes its time. */
	while (r > 0 && (r = frame_decoder_next(&d, &f, &err)) > 0)
		r = f.type == COPY_HOLE && copy_hole(&f) > HOLE_MAX ? 0
								    : tar_sink_frame(t, &f, &err);
	frame_decoder_release(&d);
	tar_sink_free(t);
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] & AS_TAR) {
		try_tar(data + 1, size - 1);
		return 0;
	}
	prepare();
	try_target(data[0], data + 1, size - 1);
	check_outside();
	return 0;
}
