/* SPDX-License-Identifier: MIT */
/* One talk with a git server: what is there, which of it is meant, get what is missing. */
#include "runtime/source/fetch.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest/digest.h"
#include "base/fd.h"
#include "base/file.h"
#include "runtime/source/credential.h"
#include "runtime/source/refs.h"

enum { REPORT_EVERY_MS = 100 };

struct talk {
	const struct fetch_job *job;
	char *url; /* owned: as libgit2 takes it */
	git_repository *repo;
	git_remote *remote;
	struct strlist helpers;
	unsigned asked; /* how often who we are */
	uint64_t reported_ms;
	struct error failure; /* of a callback */
	struct advertised *refs;
	size_t ref_count;
};

static void talk_release(struct talk *t)
{
	git_remote_free_p(&t->remote);
	git_repository_free_p(&t->repo);
	strlist_release(&t->helpers);
	error_clear(&t->failure);
	free(t->refs);
	free(t->url);
}

/* What a callback says is nearer to the cause than what libgit2 makes of it. */
static int failed(struct talk *t, int code, const char *doing, struct error *err)
{
	AUTO_FREE char *repo = git_url_repo(t->job->u);

	if (error_is_set(&t->failure))
		return error_move(err, &t->failure);
	return git_failed(err, code, "%s: %s", repo, doing);
}

/* --- callbacks --- */

static void report(struct talk *t, uint64_t done, uint64_t all, uint64_t bytes)
{
	AUTO_ERROR ignored = ERROR_INIT;
	char line[96];
	int size;

	if (clock_ms() - t->reported_ms < REPORT_EVERY_MS && done != all)
		return;
	t->reported_ms = clock_ms();
	size = snprintf(line, sizeof(line), "P %llu %llu %llu\n", (unsigned long long)done,
			(unsigned long long)all, (unsigned long long)bytes);
	if (fd_write_full(t->job->report, line, (size_t)size, &ignored) < 0)
		error_ignore(&ignored, "report progress");
}

static int on_progress(const git_indexer_progress *p, void *payload)
{
	struct talk *t = payload;
	AUTO_FREE char *limit = NULL;

	report(t, p->received_objects, p->total_objects, p->received_bytes);
	if (p->received_bytes <= t->job->o->max_bytes)
		return 0;
	limit = text_size(t->job->o->max_bytes);
	if (!error_is_set(&t->failure))
		(void)error_set(&t->failure, E_INVALID,
				"'%s' is larger than the %s one fetch may have", t->url, limit);
	return -1;
}

/* "Counting objects ...": the server is alive. */
static int on_words(const char *text, int size, void *payload)
{
	(void)text;
	(void)size;
	report(payload, 0, 0, 0);
	return 0;
}

static int login_ssh(struct talk *t, git_credential **out, const char *user, unsigned types)
{
	const struct git_url *u = t->job->u;
	const char *name = user ? user : u->user ? u->user : getenv("USER");

	if ((types & GIT_CREDENTIAL_USERNAME) && name)
		return git_credential_username_new(out, name);
	if (t->asked++ == 0 && name && getenv("SSH_AUTH_SOCK") && (types & GIT_CREDENTIAL_SSH_KEY))
		return git_credential_ssh_key_from_agent(out, name);
	return error_set(&t->failure, E_DENIED,
			 "%s does not let '%s' in with the keys of your ssh agent; see them with: "
			 "ssh-add -l",
			 u->host, name ? name : "nobody");
}

static int login_https(struct talk *t, git_credential **out)
{
	const struct git_url *u = t->job->u;
	AUTO_GIT_LOGIN login = { 0 };

	if (t->asked++ > 0)
		return error_set(&t->failure, E_DENIED,
				 "%s refuses the user and password that your git credential helper "
				 "gives",
				 u->host);
	if (credential_find(&t->helpers, u, &login, &t->failure) < 0)
		return -1;
	if (!login.secret)
		return error_set(
			&t->failure, E_DENIED,
			"%s wants to know who you are, and no credential helper of git "
			"knows it; set one up (git help gitcredentials), or use git+ssh://",
			u->host);
	return git_credential_userpass_plaintext_new(out, login.user, login.secret);
}

static int on_login(git_credential **out, const char *url, const char *user, unsigned types,
		    void *payload)
{
	struct talk *t = payload;
	size_t host_end = strcspn(t->url + 8, "/") + 8;

	if (error_is_set(&t->failure))
		return -1;
	/* A redirect must not lead credentials away. */
	if (t->job->u->scheme == GIT_HTTPS && strncmp(url, t->url, host_end + 1) != 0)
		return error_set(&t->failure, E_DENIED,
				 "%s leads to another server, which is not told who you are",
				 t->job->u->host);
	if (t->job->u->scheme == GIT_SSH)
		return login_ssh(t, out, user, types) < 0 ? -1 : 0;
	if (types & GIT_CREDENTIAL_USERPASS_PLAINTEXT)
		return login_https(t, out) < 0 ? -1 : 0;
	return -1;
}

static int on_certificate(git_cert *cert, int valid, const char *host, void *payload)
{
	struct talk *t = payload;
	const git_cert_hostkey *key;

	(void)host;
	if (error_is_set(&t->failure))
		return -1;
	if (cert->cert_type == GIT_CERT_HOSTKEY_LIBSSH2) {
		key = (const git_cert_hostkey *)(const void *)cert;
		if (!(key->type & GIT_CERT_SSH_RAW))
			return error_set(&t->failure, E_DENIED, "%s shows no key of a known kind",
					 t->job->u->host);
		return host_key_known(t->job->u, key->hostkey, key->hostkey_len, &t->failure);
	}
	if (valid)
		return 0;
	return error_set(
		&t->failure, E_DENIED,
		"the certificate of %s is signed by nobody who is trusted, is not for this "
		"name or not for now; an authority of your own goes into config.yaml: "
		"sources: { ca: FILE }",
		t->job->u->host);
}

static git_remote_callbacks callbacks_of(struct talk *t)
{
	return (git_remote_callbacks){
		.version = GIT_REMOTE_CALLBACKS_VERSION,
		.credentials = on_login,
		.certificate_check = on_certificate,
		.transfer_progress = on_progress,
		.sideband_progress = on_words,
		.payload = t,
	};
}

/* --- the talk --- */

static int begin(struct talk *t, struct error *err)
{
	const struct source_options *o = t->job->o;
	int r = git_library_load(err);

	if (r == 0 && t->job->u->scheme == GIT_HTTPS)
		r = credential_helpers_read(t->job->u, &t->helpers, err);
	if (r < 0)
		return r;
	git_library_seal();
	if (o->ca) {
		r = git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, o->ca, NULL);
		if (r < 0)
			return git_failed(err, r, "read the authorities in '%s'", o->ca);
	}
	t->url = git_url_transport(t->job->u);
	if (t->job->u->scheme == GIT_FILE && !file_exists(t->url))
		return error_set(err, E_NOT_FOUND, "there is no repository '%s'", t->url);
	return git_open_bare(t->job->dir, &t->repo, err);
}

static int look(struct talk *t, struct error *err)
{
	const git_remote_head **heads = NULL;
	size_t count = 0;
	int r = git_remote_ls(&heads, &count, t->remote);

	if (r < 0)
		return failed(t, r, "see what is there", err);
	if (count > SOURCE_REFS_MAX)
		return error_set(err, E_INVALID, "'%s' has more than %d refs", t->url,
				 SOURCE_REFS_MAX);
	free(t->refs);
	t->refs = xcalloc(count + 1, sizeof(*t->refs));
	for (t->ref_count = 0; t->ref_count < count; t->ref_count++) {
		struct advertised *a = &t->refs[t->ref_count];

		a->name = heads[t->ref_count]->name;
		a->symref = heads[t->ref_count]->symref_target;
		(void)git_oid_tostr(a->id, sizeof(a->id), &heads[t->ref_count]->oid);
	}
	return 0;
}

static int reach(struct talk *t, struct error *err)
{
	git_remote_connect_options c = {
		.version = GIT_REMOTE_CONNECT_OPTIONS_VERSION,
		.callbacks = callbacks_of(t),
		.proxy_opts = { .version = GIT_PROXY_OPTIONS_VERSION, .type = GIT_PROXY_AUTO },
		.follow_redirects = GIT_REMOTE_REDIRECT_INITIAL,
	};
	int r = git_remote_create_anonymous(&t->remote, t->repo, t->url);

	if (r == 0)
		r = git_remote_connect_ext(t->remote, GIT_DIRECTION_FETCH, &c);
	return r < 0 ? failed(t, r, "cannot be reached", err) : look(t, err);
}

static bool commit_is_here(struct talk *t, const char *id)
{
	git_commit *commit = NULL;
	git_oid oid;
	bool is_here =
		git_oid_fromstr(&oid, id) == 0 && git_commit_lookup(&commit, t->repo, &oid) == 0;

	git_commit_free(commit);
	return is_here;
}

/* The next fetch tells the server by it what we have. */
static int keep(struct talk *t, const char *name, const char *id, struct error *err)
{
	git_reference *ref = NULL;
	git_oid oid;
	int r = git_oid_fromstr(&oid, id);

	if (r == 0)
		r = git_reference_create(&ref, t->repo, name, &oid, 1, NULL);
	git_reference_free(ref);
	return r < 0 ? git_failed(err, r, "keep commit %s", id) : 0;
}

static int download(struct talk *t, const char *const *specs, size_t count, struct error *err)
{
	git_fetch_options f = {
		.version = GIT_FETCH_OPTIONS_VERSION,
		.callbacks = callbacks_of(t),
		.proxy_opts = { .version = GIT_PROXY_OPTIONS_VERSION, .type = GIT_PROXY_AUTO },
		.follow_redirects = GIT_REMOTE_REDIRECT_INITIAL,
		.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE,
	};
	AUTO_STRLIST list = STRLIST_INIT;
	git_strarray what;
	int r;

	for (size_t i = 0; i < count; i++)
		strlist_add(&list, specs[i]);
	what = (git_strarray){ list.items, list.count };
	r = git_remote_download(t->remote, &what, &f);
	return r < 0 ? failed(t, r, "fetch", err) : 0;
}

/* A server may refuse to hand out a single commit; then it is looked for in all there is. */
static int get_commit(struct talk *t, const char *id, struct error *err)
{
	static const char *const everything[] = { "+refs/heads/*:refs/heads/*",
						  "+refs/tags/*:refs/tags/*" };
	AUTO_FREE char *spec = xasprintf("%s:refs/ctrz/%s", id, id);
	const char *const only[] = { spec };
	AUTO_ERROR ignored = ERROR_INIT;
	int r;

	if (download(t, only, 1, &ignored) == 0 && commit_is_here(t, id))
		return 0;
	if (error_is_set(&ignored))
		error_ignore(&ignored, "fetch a single commit");
	/* The talk may have ended with the refusal. */
	git_remote_free(t->remote);
	t->remote = NULL;
	r = reach(t, err);
	if (r == 0)
		r = download(t, everything, ARRAY_SIZE(everything), err);
	if (r == 0 && !commit_is_here(t, id))
		r = error_set(
			err, E_NOT_FOUND,
			"no branch and no tag of '%s' leads to commit %s, and the server does "
			"not hand out others",
			t->url, id);
	return r;
}

static int get(struct talk *t, const struct ref_choice *choice, struct error *err)
{
	AUTO_FREE char *spec = NULL;
	AUTO_FREE char *name = NULL;
	const char *specs[1];
	int r = 0;

	if (!commit_is_here(t, choice->commit) && choice->ref) {
		spec = xasprintf("+%s:refs/ctrz/fetched", choice->ref->name);
		specs[0] = spec;
		r = download(t, specs, 1, err);
	} else if (!commit_is_here(t, choice->commit)) {
		r = get_commit(t, choice->commit, err);
	}
	if (r == 0 && !commit_is_here(t, choice->commit))
		r = error_set(err, E_INVALID, "'%s' of '%s' is no commit",
			      t->job->u->ref ? t->job->u->ref : "HEAD", t->url);
	name = xasprintf("refs/ctrz/%s", choice->commit);
	return r < 0 ? r : keep(t, name, choice->commit, err);
}

char *last_ref_name(const struct git_url *u)
{
	const char *ref = u->ref ? u->ref : "HEAD";
	char hash[65];

	sha256_hex(ref, strlen(ref), hash);
	return xasprintf("refs/ctrz/last-%s", hash);
}

static int compare(struct talk *t, const char *pinned, const char *tip, struct source_commit *ret,
		   struct error *err)
{
	size_t ahead = 0, behind = 0;
	git_oid a, b;
	int r = git_oid_fromstr(&a, tip);

	if (r == 0)
		r = git_oid_fromstr(&b, pinned);
	if (r == 0)
		r = git_graph_ahead_behind(&ahead, &behind, t->repo, &a, &b);
	if (r < 0)
		return git_failed(err, r, "compare commits");
	ret->ahead = ahead;
	ret->moved = behind ? SOURCE_REWRITTEN : ahead ? SOURCE_AHEAD : SOURCE_SAME;
	return 0;
}

static int talk(struct talk *t, struct source_commit *ret, struct error *err)
{
	const char *pinned = t->job->pinned;
	struct ref_choice choice = { 0 };
	struct ref_choice kept = { 0 };
	AUTO_FREE char *last = last_ref_name(t->job->u);
	int r = begin(t, err);

	if (r == 0)
		r = reach(t, err);
	if (r == 0)
		r = ref_choose(t->refs, t->ref_count, t->job->u->ref, &choice, err);
	if (r == -E_NOT_FOUND && pinned && commit_is_here(t, pinned)) {
		error_clear(err);
		ret->moved = SOURCE_GONE;
		memcpy(ret->id, pinned, sizeof(ret->id));
		return 0;
	}
	if (r == 0)
		r = get(t, &choice, err);
	if (r == 0)
		r = keep(t, last, choice.commit, err);
	if (r == 0 && pinned && !commit_is_here(t, pinned)) {
		memcpy(kept.commit, pinned, sizeof(kept.commit));
		r = get(t, &kept, err);
	}
	if (r < 0)
		return r;
	memcpy(ret->id, pinned ? pinned : choice.commit, sizeof(ret->id));
	memcpy(ret->tip, choice.commit, sizeof(ret->tip));
	ret->moved = SOURCE_SAME;
	return pinned ? compare(t, pinned, choice.commit, ret, err) : 0;
}

int fetch_run(const struct fetch_job *job, struct source_commit *ret, struct error *err)
{
	CLEANUP(talk_release) struct talk t = { .job = job };
	struct source_commit c = { 0 };
	int r = talk(&t, &c, err);

	if (r == 0)
		*ret = c;
	return r;
}
