/* SPDX-License-Identifier: MIT */
/* The files of a commit whose trees anybody made: what would be written stays inside the folder, is
 * read as what it is, and walking ends. */
/*
 * The input is objects, each "TYPE SIZE\n" with so many bytes: "b" a blob, "t" a tree whose entries
 * are "MODE NAME", a NUL, and a byte that chooses one of the objects before it. The last tree is
 * the commit's.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <git2.h>
#include <git2/sys/mempack.h>
#include <git2/sys/odb_backend.h>
#include <git2/sys/repository.h>

#include "base/alloc.h"
#include "runtime/source/tree.h"
#include "runtime/source/worktree.h"

enum { OBJECTS_MAX = 256, READ_MAX = 1 << 16, WALK_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct objects {
	git_odb *odb;
	git_oid ids[OBJECTS_MAX];
	size_t count;
	git_oid root;
	bool has_root;
};

static void add_tree(struct objects *o, const char *text, size_t size)
{
	AUTO_BUFFER raw = BUFFER_INIT;
	const char *end = text + size;

	while (text < end) {
		const char *nul = memchr(text, 0, (size_t)(end - text));
		const git_oid *id;

		if (!nul || nul + 1 >= end || !o->count)
			break;
		buffer_add(&raw, text, (size_t)(nul + 1 - text));
		id = &o->ids[(unsigned char)nul[1] % o->count];
		buffer_add(&raw, id->id, sizeof(id->id));
		text = nul + 2;
	}
	o->has_root = git_odb_write(&o->root, o->odb, raw.data ? raw.data : "", raw.size,
				    GIT_OBJECT_TREE) == 0;
	if (o->has_root)
		o->ids[o->count++] = o->root;
}

static void read_objects(struct objects *o, const char *text, size_t size)
{
	while (size > 4 && o->count < OBJECTS_MAX) {
		const char *line = memchr(text, '\n', size);
		char type = 0;
		unsigned bytes = 0;
		AUTO_FREE char *head = line ? xstrndup(text, (size_t)(line - text)) : NULL;

		if (!head || sscanf(head, "%c %u", &type, &bytes) != 2)
			return;
		size -= (size_t)(line + 1 - text);
		text = line + 1;
		if (bytes > size)
			bytes = (unsigned)size;
		if (type == 't')
			add_tree(o, text, bytes);
		else if (git_odb_write(&o->ids[o->count], o->odb, text, bytes, GIT_OBJECT_BLOB) ==
			 0)
			o->count++;
		text += bytes;
		size -= bytes;
	}
}

static void check_path(const char *path)
{
	AUTO_FREE char *framed = xasprintf("/%s/", path);

	if (strstr(framed, "//") || strstr(framed, "/./") || strstr(framed, "/../") ||
	    strcasestr(framed, "/.git/"))
		abort();
}

static void check_file(struct source_tree *t, const struct wanted_file *f)
{
	AUTO_BUFFER content = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	enum source_kind kind = source_kind_of(f->mode);

	check_path(f->path);
	if (kind != SOURCE_FILE && kind != SOURCE_LINK)
		abort();
	/* Of two entries of one name libgit2 finds either. */
	if (source_tree_kind(t, f->path) == SOURCE_LINK &&
	    source_tree_read(t, f->path, READ_MAX, &content, &err) != -E_DENIED)
		abort();
	error_clear(&err);
	if (source_blob_read(t, &f->id, READ_MAX, &content, &err) == 0 && kind == SOURCE_LINK &&
	    !link_stays_inside(f->path, buffer_str(&content)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct objects o = { 0 };
	struct source_tree t = { .max_entries = WALK_MAX };
	git_odb_backend *memory = NULL;
	struct wanted_files files = { 0 };
	AUTO_STRLIST warnings = STRLIST_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (git_library_load(&err) < 0 || git_libgit2_init() < 0 || git_odb_new(&o.odb) < 0 ||
	    git_mempack_new(&memory) < 0 || git_odb_add_backend(o.odb, memory, 1) < 0 ||
	    git_repository_wrap_odb(&t.repo, o.odb) < 0)
		abort();
	read_objects(&o, (const char *)data, size);
	if (o.has_root && git_tree_lookup(&t.root, t.repo, &o.root) == 0) {
		if (wanted_files_of(&t, &files, &warnings, &err) == 0)
			for (size_t i = 0; i < files.count && i < WALK_MAX; i++)
				check_file(&t, &files.items[i]);
		(void)source_tree_kind(&t, "");
		(void)source_tree_kind(&t, "a/b//c/");
	}
	wanted_files_release(&files);
	git_tree_free(t.root);
	git_repository_free(t.repo);
	git_odb_free(o.odb);
	(void)git_libgit2_shutdown();
	return 0;
}
