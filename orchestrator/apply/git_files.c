/* SPDX-License-Identifier: MIT */
/* Specs in git, answered from their commits. */
#include "orchestrator/apply/git_files.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/file.h"
#include "spec/lock.h"

enum { KEY_DIGITS = 16, REPOSITORIES_MAX = 64 };

static const char *const usual_names[] = { "env.yaml", ".ctrz/env.yaml" };

/* A repository at a commit. */
struct open_repo {
	char *root; /* owned: its folder */
	char *spec; /* owned: the file that was asked for, in the repository */
	struct source_tree *tree;
	char commit[GIT_COMMIT_DIGITS + 1];
	bool is_used; /* more of it than that file */
};

struct git_files {
	const struct host_paths *paths;
	struct source_options options;
	char *cache; /* owned; in options */
	struct open_repo *repos;
	size_t count;
};

struct git_files *git_files_new(const struct host_paths *paths, const struct config *config,
				bool offline, bool may_be_file)
{
	struct git_files *g = xcalloc(1, sizeof(*g));

	g->paths = paths;
	g->cache = path_join(paths->cache, "git");
	g->options = (struct source_options){
		.cache = g->cache,
		.ca = config ? config->sources.ca.text : NULL,
		.is_offline = offline,
		.may_be_file = may_be_file || (config && config->sources.file.value),
	};
	return g;
}

void git_files_free(struct git_files *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->count; i++) {
		free(g->repos[i].root);
		free(g->repos[i].spec);
		source_tree_close(g->repos[i].tree);
	}
	free(g->repos);
	free(g->cache);
	free(g);
}

void git_files_watch(struct git_files *g, source_progress_fn progress, void *arg)
{
	g->options.progress = progress;
	g->options.arg = arg;
}

void git_spec_release(struct git_spec *s)
{
	spec_source_release(&s->source);
	source_commit_release(&s->commit);
	free(s->file);
	*s = (struct git_spec){ 0 };
}

/* The same for every commit. The last part names the environment if it has no name of its own. */
static char *root_of(const struct git_files *g, const struct git_url *u, const char *by)
{
	AUTO_FREE char *repo = git_url_repo(u);
	AUTO_FREE char *what = xasprintf("%s\n%s\n%s", by, repo, u->path);
	AUTO_FREE char *data = realpath(g->paths->data, NULL);
	const char *name = path_basename(u->repo);
	size_t size = strlen(name);
	char hash[65];

	sha256_hex(what, strlen(what), hash);
	if (size > 4 && strcmp(name + size - 4, ".git") == 0)
		size -= 4;
	return xasprintf("%s/src/%.*s/%.*s", data ? data : g->paths->data, KEY_DIGITS, hash,
			 (int)size, name);
}

static int add_repo(struct git_files *g, const struct git_url *u, const char *by,
		    struct source_tree **tree, const char *commit, const struct open_repo **ret,
		    struct error *err)
{
	AUTO_FREE char *root = root_of(g, u, by);

	for (size_t i = 0; i < g->count; i++) {
		if (strcmp(g->repos[i].root, root) != 0)
			continue;
		*ret = &g->repos[i];
		return strcmp(g->repos[i].commit, commit) == 0
			       ? 0
			       : error_set(err, E_CONFLICT,
					   "it is wanted at two commits, %.7s and %.7s",
					   g->repos[i].commit, commit);
	}
	g->repos = xreallocarray(g->repos, g->count + 1, sizeof(*g->repos));
	g->repos[g->count] = (struct open_repo){ .root = TAKE_PTR(root),
						 .spec = xstrdup(u->path),
						 .tree = TAKE_PTR(*tree) };
	memcpy(g->repos[g->count].commit, commit, sizeof(g->repos[g->count].commit));
	*ret = &g->repos[g->count++];
	return 0;
}

/* The file that is meant, if none was named. */
static int choose_path(struct source_tree *tree, struct git_url *u, struct error *err)
{
	for (size_t i = 0; !u->path && i < ARRAY_SIZE(usual_names); i++)
		if (source_tree_kind(tree, usual_names[i]) != SOURCE_MISSING)
			u->path = xstrdup(usual_names[i]);
	if (u->path)
		return 0;
	return error_set(err, E_NOT_FOUND,
			 "it has neither %s nor %s; name the file: #REF:path/of/env.yaml",
			 usual_names[0], usual_names[1]);
}

/* Which commit is wanted. */
struct wish {
	const char *commit; /* NULL = what the ref means now */
	bool is_fixed;      /* nobody need know where the ref is */
};

static int open_at(struct git_files *g, struct git_url *u, const char *by, const struct wish *wish,
		   struct source_commit *ret, const struct open_repo **ret_repo, struct error *err)
{
	CLEANUP(source_tree_close_p) struct source_tree *tree = NULL;
	int r;

	if (g->count >= REPOSITORIES_MAX)
		return error_set(err, E_INVALID, "more than %d files from git", REPOSITORIES_MAX);
	r = wish->is_fixed ? source_fetch(&g->options, u, wish->commit, ret, err)
			   : source_resolve(&g->options, u, wish->commit, ret, err);
	if (r == 0)
		r = source_tree_open(&g->options, u, ret->id, &tree, err);
	if (r == 0)
		r = choose_path(tree, u, err);
	if (r < 0)
		return r;
	return add_repo(g, u, by, &tree, ret->id, ret_repo, err);
}

int git_files_open(struct git_files *g, const struct git_url *given, const char *pinned,
		   struct git_spec *ret, struct error *err)
{
	AUTO_GIT_URL u = GIT_URL_INIT;
	const struct open_repo *repo = NULL;
	struct git_spec s = { 0 };
	int r;

	git_url_copy(&u, given);
	r = open_at(g, &u, "", &(struct wish){ pinned, false }, &s.commit, &repo, err);
	if (r < 0) {
		AUTO_FREE char *text = git_url_text(given);

		git_spec_release(&s);
		return strstr(error_message(err), "git+") ? r : error_wrap(err, "'%s'", text);
	}
	g->repos[g->count - 1].is_used = true;
	s.source = (struct spec_source){
		.url = git_url_repo(&u),
		.ref = xstrdup_null(u.ref),
		.commit = xstrdup(s.commit.id),
		.path = xstrdup(u.path),
	};
	s.file = path_join(repo->root, u.path);
	*ret = s;
	return 0;
}

int git_files_include(struct git_files *g, const char *by, const char *url, const char *pinned,
		      char **ret_path, char **ret_commit, struct error *err)
{
	AUTO_GIT_URL u = GIT_URL_INIT;
	CLEANUP(source_commit_release) struct source_commit commit = { 0 };
	const struct open_repo *repo = NULL;
	int r = git_url_parse(url, &u, err);

	if (r == 0)
		r = open_at(g, &u, by, &(struct wish){ pinned, pinned != NULL }, &commit, &repo,
			    err);
	if (r < 0)
		return r;
	*ret_path = path_join(repo->root, u.path);
	*ret_commit = xstrdup(commit.id);
	return 0;
}

/* The repository a path is in, and its name there. The one opened last counts: a file is opened
 * anew only for another commit. */
static struct open_repo *find_repo(struct git_files *g, const char *path, const char **ret_rest)
{
	for (size_t i = g ? g->count : 0; i-- > 0;) {
		size_t size = strlen(g->repos[i].root);

		if (strncmp(path, g->repos[i].root, size) != 0 || (path[size] && path[size] != '/'))
			continue;
		*ret_rest = path[size] ? path + size + 1 : "";
		return &g->repos[i];
	}
	return NULL;
}

bool git_files_kind(struct git_files *g, const char *path, enum spec_path_kind *ret)
{
	const char *rest = NULL;
	struct open_repo *repo = find_repo(g, path, &rest);

	if (!repo)
		return false;
	repo->is_used = true;
	switch (source_tree_kind(repo->tree, rest)) {
	case SOURCE_FILE:
		*ret = SPEC_PATH_FILE;
		return true;
	case SOURCE_DIR:
		*ret = SPEC_PATH_DIR;
		return true;
	case SOURCE_LINK:
	case SOURCE_MODULE:
		*ret = SPEC_PATH_OTHER;
		return true;
	case SOURCE_MISSING:
	default:
		/* Something that was made there by hand counts too. */
		return false;
	}
}

int git_files_read(struct git_files *g, const char *path, size_t max, struct buffer *out,
		   struct error *err)
{
	const char *rest = NULL;
	struct open_repo *repo = find_repo(g, path, &rest);

	return repo ? source_tree_read(repo->tree, rest, max, out, err) : 1;
}

/* An edited spec has no effect, since the commit's is used: that must not go unnoticed. */
static int check_unedited(const struct open_repo *repo, const char *name, struct error *err)
{
	AUTO_FREE char *path = path_join(repo->root, name);
	AUTO_BUFFER here = BUFFER_INIT;
	AUTO_BUFFER there = BUFFER_INIT;
	int r = file_read(path, SPEC_FILE_MAX, &here, err);
	int known = r < 0 ? 0 : source_tree_read(repo->tree, name, SPEC_FILE_MAX, &there, err);

	if (r == -E_NOT_FOUND) {
		error_clear(err);
		return 0;
	}
	if (r == 0 && known < 0 && known != -E_NOT_FOUND)
		return known;
	if (r < 0)
		return r;
	if (known == 0 && here.size == there.size &&
	    memcmp(buffer_str(&here), buffer_str(&there), here.size) == 0)
		return 0;
	error_clear(err);
	return error_set(err, E_CONFLICT,
			 "'%s' was edited, but what git has is used; commit and push the "
			 "change from a clone of your own and update, or move the file away",
			 path);
}

static int check_repo(const struct open_repo *repo, struct error *err)
{
	AUTO_FREE char *lock = spec_lock_path(repo->spec);
	int r = check_unedited(repo, repo->spec, err);

	return r < 0 ? r : check_unedited(repo, lock, err);
}

int git_files_write(struct git_files *g, struct strlist *warnings, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < g->count; i++) {
		const struct open_repo *repo = &g->repos[i];
		AUTO_FREE char *above = path_dirname(repo->root);

		if (!repo->is_used)
			continue;
		r = dir_make(above, 0700, err);
		if (r == 0)
			r = source_tree_write(repo->tree, repo->root, warnings, err);
		if (r == 0)
			r = check_repo(repo, err);
	}
	return r;
}
