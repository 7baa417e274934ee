/* SPDX-License-Identifier: MIT */
/* What is used of libgit2, and its errors as ours. */
#include "runtime/source/library.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/delay_load.h"
#include "base/text.h"

DELAY_LOAD(git, git_blob_free)
DELAY_LOAD(git, git_blob_lookup)
DELAY_LOAD(git, git_blob_rawcontent)
DELAY_LOAD(git, git_blob_rawsize)
DELAY_LOAD(git, git_commit_free)
DELAY_LOAD(git, git_commit_lookup)
DELAY_LOAD(git, git_commit_tree)
DELAY_LOAD(git, git_config_free)
DELAY_LOAD(git, git_config_iterator_free)
DELAY_LOAD(git, git_config_iterator_glob_new)
DELAY_LOAD(git, git_config_next)
DELAY_LOAD(git, git_config_open_default)
DELAY_LOAD(git, git_credential_ssh_key_from_agent)
DELAY_LOAD(git, git_credential_username_new)
DELAY_LOAD(git, git_credential_userpass_plaintext_new)
DELAY_LOAD(git, git_error_last)
DELAY_LOAD(git, git_graph_ahead_behind)
DELAY_LOAD(git, git_libgit2_init)
DELAY_LOAD(git, git_libgit2_opts)
DELAY_LOAD(git, git_object_free)
DELAY_LOAD(git, git_object_id)
DELAY_LOAD(git, git_object_lookup)
DELAY_LOAD(git, git_object_peel)
DELAY_LOAD(git, git_odb_free)
DELAY_LOAD(git, git_odb_hash)
DELAY_LOAD(git, git_odb_read_header)
DELAY_LOAD(git, git_oid_fromstr)
DELAY_LOAD(git, git_oid_tostr)
DELAY_LOAD(git, git_reference_create)
DELAY_LOAD(git, git_reference_free)
DELAY_LOAD(git, git_reference_name_to_id)
DELAY_LOAD(git, git_remote_connect_ext)
DELAY_LOAD(git, git_remote_create_anonymous)
DELAY_LOAD(git, git_remote_disconnect)
DELAY_LOAD(git, git_remote_download)
DELAY_LOAD(git, git_remote_free)
DELAY_LOAD(git, git_remote_ls)
DELAY_LOAD(git, git_repository_free)
DELAY_LOAD(git, git_repository_init)
DELAY_LOAD(git, git_repository_odb)
DELAY_LOAD(git, git_repository_open_bare)
DELAY_LOAD(git, git_tree_entry_byindex)
DELAY_LOAD(git, git_tree_entry_byname)
DELAY_LOAD(git, git_tree_entry_filemode)
DELAY_LOAD(git, git_tree_entry_id)
DELAY_LOAD(git, git_tree_entry_name)
DELAY_LOAD(git, git_tree_entrycount)
DELAY_LOAD(git, git_tree_free)
DELAY_LOAD(git, git_tree_lookup)
DELAY_LOAD_LIBRARY(git)

int git_library_load(struct error *err)
{
	static bool is_loaded;
	int r = delay_load(&library_of_git, GIT_SONAME, err);

	if (r < 0 || is_loaded)
		return r;
	if (git_libgit2_init() < 0)
		return git_failed(err, GIT_ERROR, "begin with libgit2");
	is_loaded = true;
	return 0;
}

static void set_search_paths(const char *path)
{
	for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
		(void)git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, path);
}

void git_library_unseal(void)
{
	set_search_paths(NULL);
}

void git_library_seal(void)
{
	/* A url.*.insteadOf would lead elsewhere than the URL that was agreed to. */
	set_search_paths("");
}

static enum error_code code_of(int code, int klass)
{
	if (code == GIT_ENOTFOUND)
		return E_NOT_FOUND;
	if (code == GIT_EAUTH || code == GIT_ECERTIFICATE || code == GIT_EOWNER)
		return E_DENIED;
	if (klass == GIT_ERROR_NET || klass == GIT_ERROR_HTTP || klass == GIT_ERROR_SSH ||
	    klass == GIT_ERROR_SSL)
		return E_UNAVAILABLE;
	if (klass == GIT_ERROR_ZLIB || klass == GIT_ERROR_INDEXER || klass == GIT_ERROR_ODB)
		return E_INTEGRITY;
	return E_SYSTEM;
}

int git_failed(struct error *err, int code, const char *fmt, ...)
{
	const git_error *last = git_error_last();
	AUTO_FREE char *said =
		text_escaped(last && last->message ? last->message : "no reason given");
	AUTO_FREE char *doing = NULL;
	va_list args;

	va_start(args, fmt);
	doing = xvasprintf(fmt, args);
	va_end(args);
	return error_set(err, code_of(code, last ? last->klass : 0), "%s: %s", doing, said);
}

int git_open_bare(const char *dir, git_repository **ret, struct error *err)
{
	int r = git_repository_open_bare(ret, dir);

	return r < 0 ? git_failed(err, r, "open the cache '%s'", dir) : 0;
}
