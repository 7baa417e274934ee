/* SPDX-License-Identifier: MIT */
/* The files of a commit, read from the cache. */
#include "runtime/source/tree.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "runtime/source/cache.h"

enum source_kind source_kind_of(unsigned mode)
{
	switch (mode) {
	case GIT_FILEMODE_TREE:
		return SOURCE_DIR;
	case GIT_FILEMODE_LINK:
		return SOURCE_LINK;
	case GIT_FILEMODE_COMMIT:
		return SOURCE_MODULE;
	case GIT_FILEMODE_BLOB:
	case GIT_FILEMODE_BLOB_EXECUTABLE:
		return SOURCE_FILE;
	default:
		return SOURCE_MISSING;
	}
}

void source_tree_close(struct source_tree *t)
{
	if (!t)
		return;
	answers_save(&t->known);
	answers_release(&t->known);
	git_tree_free_p(&t->root);
	git_repository_free_p(&t->repo);
	free(t->dir);
	free(t);
}

static int open_root(struct source_tree *t, struct error *err)
{
	CLEANUP(git_commit_free_p) git_commit *commit = NULL;
	git_oid oid;
	int r = git_oid_fromstr(&oid, t->commit);

	if (r == 0)
		r = git_commit_lookup(&commit, t->repo, &oid);
	if (r == 0)
		r = git_commit_tree(&t->root, commit);
	return r < 0 ? git_failed(err, r, "read commit %s", t->commit) : 0;
}

int source_tree_load(struct source_tree *t, struct error *err)
{
	int r = t->root ? 0 : git_library_load(err);

	if (t->root || r < 0)
		return r;
	git_library_seal();
	if (!t->repo)
		r = git_open_bare(t->dir, &t->repo, err);
	return r < 0 ? r : open_root(t, err);
}

int source_tree_open_dir(const char *dir, const char *commit, struct source_tree **ret,
			 struct error *err)
{
	CLEANUP(source_tree_close_p) struct source_tree *t = xcalloc(1, sizeof(*t));

	t->dir = xstrdup(dir);
	memcpy(t->commit, commit, sizeof(t->commit));
	if (!answers_load(dir, commit, &t->known)) {
		int r = source_tree_load(t, err);

		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(t);
	return 0;
}

int source_tree_open(const struct source_options *o, const struct git_url *u, const char *commit,
		     struct source_tree **ret, struct error *err)
{
	AUTO_FREE char *dir = cache_dir(o, u);

	return source_tree_open_dir(dir, commit, ret, err);
}

/* What was found on the way to a path. */
struct found {
	unsigned mode;
	git_oid id;
	bool is_behind_link;
};

/* One step down from @tree, which is freed. */
static bool step(const struct source_tree *t, git_tree **tree, const char *name, struct found *ret)
{
	const git_tree_entry *e = git_tree_entry_byname(*tree, name);
	git_tree *next = NULL;

	if (!e) {
		*ret = (struct found){ 0 };
		return false;
	}
	ret->mode = (unsigned)git_tree_entry_filemode(e);
	ret->id = *git_tree_entry_id(e);
	if (ret->mode == GIT_FILEMODE_TREE && git_tree_lookup(&next, t->repo, &ret->id) < 0)
		ret->mode = 0;
	if (*tree != t->root)
		git_tree_free(*tree);
	*tree = next;
	return true;
}

static void find(const struct source_tree *t, const char *path, struct found *ret)
{
	git_tree *tree = t->root;

	*ret = (struct found){ .mode = GIT_FILEMODE_TREE };
	for (const char *at = path; *at;) {
		size_t size = strcspn(at, "/");
		AUTO_FREE char *name = xstrndup(at, size);

		if (!tree) {
			ret->is_behind_link = ret->mode == GIT_FILEMODE_LINK;
			ret->mode = 0;
			break;
		}
		if (!step(t, &tree, name, ret))
			break;
		at += size + (at[size] == '/');
	}
	if (tree && tree != t->root)
		git_tree_free(tree);
}

enum source_kind source_tree_kind(struct source_tree *t, const char *path)
{
	const struct answer *known = answers_find(&t->known, path);
	AUTO_ERROR err = ERROR_INIT;
	struct found f;

	if (known)
		return known->kind;
	if (source_tree_load(t, &err) < 0) {
		log_debug("what '%s' is cannot be told: %s", path, error_message(&err));
		return SOURCE_MISSING;
	}
	find(t, path, &f);
	if (!f.is_behind_link) /* which is missing here, but another error to read */
		answers_add(&t->known, path, source_kind_of(f.mode), NULL);
	return source_kind_of(f.mode);
}

int source_blob_read(const struct source_tree *t, const git_oid *id, size_t max, struct buffer *out,
		     struct error *err)
{
	CLEANUP(git_odb_free_p) git_odb *odb = NULL;
	CLEANUP(git_blob_free_p) git_blob *blob = NULL;
	git_object_t type;
	size_t size = 0;
	int r = git_repository_odb(&odb, t->repo);

	/* The header first: nothing large is unpacked only to be refused. */
	if (r == 0)
		r = git_odb_read_header(&size, &type, odb, id);
	if (r == 0 && size > max)
		return error_set(err, E_INVALID, "larger than %zu bytes", max);
	if (r == 0)
		r = git_blob_lookup(&blob, t->repo, id);
	if (r < 0)
		return git_failed(err, r, "read from the cache");
	buffer_add(out, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
	return 0;
}

static int missing(const struct source_tree *t, const char *path, struct error *err)
{
	return error_set(err, E_NOT_FOUND, "commit %.7s has no '%s'", t->commit, path);
}

static int read_object(struct source_tree *t, const char *path, size_t max, struct buffer *out,
		       struct error *err)
{
	struct found f;
	int r;

	find(t, path, &f);
	if (f.is_behind_link || source_kind_of(f.mode) == SOURCE_LINK)
		return error_set(err, E_DENIED,
				 "'%s' is a symbolic link or behind one, which is not followed",
				 path);
	if (source_kind_of(f.mode) == SOURCE_MISSING) {
		answers_add(&t->known, path, SOURCE_MISSING, NULL);
		return missing(t, path, err);
	}
	if (source_kind_of(f.mode) != SOURCE_FILE)
		return error_set(err, E_INVALID, "'%s' in commit %.7s is no file", path, t->commit);
	r = source_blob_read(t, &f.id, max, out, err);
	return r < 0 ? error_wrap(err, "'%s' in commit %.7s", path, t->commit) : 0;
}

int source_tree_read(struct source_tree *t, const char *path, size_t max, struct buffer *out,
		     struct error *err)
{
	const struct answer *known = answers_find(&t->known, path);
	AUTO_BUFFER content = BUFFER_INIT;
	int r;

	if (known && known->is_read && known->content.size <= max) {
		buffer_add(out, buffer_str(&known->content), known->content.size);
		return 0;
	}
	if (known && known->kind == SOURCE_MISSING)
		return missing(t, path, err);
	r = source_tree_load(t, err);
	if (r == 0)
		r = read_object(t, path, max, &content, err);
	if (r < 0)
		return r;
	answers_add(&t->known, path, SOURCE_FILE, &content);
	buffer_add(out, buffer_str(&content), content.size);
	return 0;
}
