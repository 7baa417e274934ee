/* SPDX-License-Identifier: MIT */
/* Temporary folders for tests of the state store. */
#include "tests/unit/orchestrator/scratch.h"

#include "base/alloc.h"
#include "base/file.h"
#include "tests/unit/test.h"

void scratch_make(struct scratch *s)
{
	AUTO_ERROR err = ERROR_INIT;

	s->root = xstrdup("/tmp/ctrz-test-XXXXXX");
	assert_non_null(mkdtemp(s->root));
	s->paths = (struct host_paths){
		.data = path_join(s->root, "data"),
		.state = path_join(s->root, "state"),
		.cache = path_join(s->root, "cache"),
		.config = path_join(s->root, "config"),
		.run = path_join(s->root, "run"),
	};
	assert_ok(err, host_paths_make(&s->paths, &err));
}

void scratch_remove(struct scratch *s)
{
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, dir_remove_tree(s->root, &err));
	host_paths_release(&s->paths);
	free(s->root);
}

char *scratch_write(const struct scratch *s, const char *name, const char *text)
{
	AUTO_ERROR err = ERROR_INIT;
	char *path = path_join(s->root, name);

	assert_ok(err, file_write_atomic(path, text, strlen(text), 0600, &err));
	return path;
}
