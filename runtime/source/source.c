/* SPDX-License-Identifier: MIT */
/* What a URL means: from the cache where that is enough, else by a process that talks to the
 * server. */
#include "runtime/source/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "runtime/source/answers.h"
#include "runtime/source/cache.h"
#include "runtime/source/fetch.h"

enum { STALL_SECONDS = 60, LINE_MAX_BYTES = 64 << 10, ANSWER_FIELDS = 5 };
#define FETCH_BYTES_MAX (UINT64_C(2) << 30)
#define CACHE_BYTES_MAX (UINT64_C(4) << 30)

void source_commit_release(struct source_commit *c)
{
	free(c->problem);
	*c = (struct source_commit){ 0 };
}

/* --- the process that talks; what it says are lines --- */

static void write_failure(const struct error *err, struct buffer *out)
{
	AUTO_FREE char *text = text_escaped(error_message(err));

	buffer_printf(out, "E %d %s\n", (int)err->code, text);
}

static _Noreturn void work(struct fetch_job *job, pid_t parent)
{
	struct source_commit c = { 0 };
	AUTO_ERROR err = ERROR_INIT;
	AUTO_ERROR ignored = ERROR_INIT;
	AUTO_BUFFER line = BUFFER_INIT;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)signal(SIGPIPE, SIG_IGN);
	if (fetch_run(job, &c, &err) < 0)
		write_failure(&err, &line);
	else
		buffer_printf(&line, "R %s %d %zu %s\n", c.id, (int)c.moved, c.ahead,
			      c.tip[0] ? c.tip : "-");
	_exit(fd_write_full(job->report, line.data, line.size, &ignored) < 0 ? 1 : 0);
}

struct listening {
	const struct source_options *o;
	const char *url;
	struct source_commit *ret;
	bool has_ended;
};

static int read_result(const char *line, struct source_commit *ret, struct error *err)
{
	char id[GIT_COMMIT_DIGITS + 1] = "", tip[GIT_COMMIT_DIGITS + 1] = "";
	int moved = 0;

	if (sscanf(line, "R %40s %d %zu %40s", id, &moved, &ret->ahead, tip) != 4 ||
	    !git_is_commit(id))
		return error_set(err, E_INTERNAL, "the fetch ended with '%s'", line);
	memcpy(ret->id, id, sizeof(ret->id));
	ret->moved = (enum source_moved)moved;
	if (git_is_commit(tip))
		memcpy(ret->tip, tip, sizeof(ret->tip));
	return 0;
}

static int hear(struct listening *l, const char *line, struct error *err)
{
	unsigned long long done = 0, all = 0, bytes = 0;
	int code = 0, at = 0;

	if (line[0] == 'P') {
		if (l->o->progress && sscanf(line, "P %llu %llu %llu", &done, &all, &bytes) == 3)
			l->o->progress(l->o->arg, l->url, done, all, bytes);
		return 0;
	}
	l->has_ended = true;
	if (line[0] == 'R')
		return read_result(line, l->ret, err);
	if (sscanf(line, "E %d %n", &code, &at) != 1 || at == 0 || code <= 0 || code > E_INTERNAL)
		return error_set(err, E_INTERNAL, "the fetch ended with '%s'", line);
	return error_set(err, (enum error_code)code, "%s", line + at);
}

/* Return: 1 while there is more, 0 at the end, or -code */
static int listen_once(struct listening *l, int fd, struct buffer *got, struct error *err)
{
	unsigned seconds = l->o->stall_seconds ? l->o->stall_seconds : STALL_SECONDS;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char chunk[4096];
	const char *end;
	ssize_t n;
	int ready = poll(&p, 1, (int)seconds * 1000);

	if (ready < 0)
		return errno == EINTR ? 1 : error_sys(err, "wait for the fetch");
	if (ready == 0)
		return error_set(err, E_TIMEOUT, "%s: no answer for %u s", l->url, seconds);
	n = read(fd, chunk, sizeof(chunk));
	if (n < 0)
		return errno == EINTR ? 1 : error_sys(err, "read from the fetch");
	if (n == 0)
		return 0;
	buffer_add(got, chunk, (size_t)n);
	while ((end = memchr(got->data, '\n', got->size))) {
		size_t size = (size_t)(end - got->data);
		AUTO_FREE char *line = xstrndup(got->data, size);
		int r = hear(l, line, err);

		buffer_drop(got, size + 1);
		if (r < 0)
			return r;
	}
	return got->size > LINE_MAX_BYTES ? error_set(err, E_INTERNAL, "the fetch does not end")
					  : 1;
}

static int listen_all(struct listening *l, int fd, struct error *err)
{
	AUTO_BUFFER got = BUFFER_INIT;
	int r = 1;

	while (r > 0)
		r = listen_once(l, fd, &got, err);
	if (r == 0 && !l->has_ended)
		r = error_set(err, E_UNAVAILABLE, "%s: the fetch broke off", l->url);
	return r;
}

static int in_process(struct fetch_job *job, struct source_commit *ret, struct error *err)
{
	AUTO_FREE char *url = git_url_repo(job->u);
	struct listening l = { .o = job->o, .url = url, .ret = ret };
	struct process p = PROCESS_INIT;
	pid_t parent = getpid();
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, "make a pipe");
	AUTO_CLOSE int from = fds[0];
	AUTO_CLOSE int to = fds[1];
	job->report = to;
	p.pid = fork();
	if (p.pid < 0)
		return error_sys(err, "fork");
	if (p.pid == 0)
		work(job, parent);
	(void)close(take_fd(&to));
	r = listen_all(&l, from, err);
	process_end(&p, 0);
	return r;
}

/* --- the cache --- */

/* A repository of the cache; false if it is not there, or cannot be used. */
static bool open_cached(const char *dir, git_repository **ret)
{
	AUTO_ERROR err = ERROR_INIT;
	int r = file_exists(dir) ? git_library_load(&err) : -1;

	if (r == 0) {
		git_library_seal();
		r = git_open_bare(dir, ret, &err);
	}
	if (error_is_set(&err))
		error_ignore(&err, "open the cache of a repository");
	return r == 0;
}

/* Whether a commit can be read from a repository of the cache. */
static bool is_cached(const char *dir, const char *id)
{
	CLEANUP(git_repository_free_p) git_repository *repo = NULL;
	CLEANUP(git_commit_free_p) git_commit *commit = NULL;
	git_oid oid;

	return answers_exist(dir, id) ||
	       (open_cached(dir, &repo) && git_oid_fromstr(&oid, id) == 0 &&
		git_commit_lookup(&commit, repo, &oid) == 0);
}

/* What the ref of a URL meant when it was asked about last. */
static bool last_known(const char *dir, const struct git_url *u, char ret[GIT_COMMIT_DIGITS + 1])
{
	CLEANUP(git_repository_free_p) git_repository *repo = NULL;
	AUTO_FREE char *name = last_ref_name(u);
	git_oid oid;

	if (!open_cached(dir, &repo) || git_reference_name_to_id(&oid, repo, name) < 0)
		return false;
	(void)git_oid_tostr(ret, GIT_COMMIT_DIGITS + 1, &oid);
	return true;
}

static int make_repository(const char *dir, const struct git_url *u, struct error *err)
{
	git_repository *repo = NULL;
	int r = dir_remove_tree(dir, err);

	if (r == 0)
		r = git_library_load(err);
	if (r < 0)
		return r;
	git_library_seal();
	r = git_repository_init(&repo, dir, 1);
	git_repository_free(repo);
	return r < 0 ? git_failed(err, r, "make the cache '%s'", dir) : cache_name(dir, u, err);
}

/* A new repository gets its name when it holds what it was made for. */
static int fetch(const struct source_options *o, const struct git_url *u, const char *pinned,
		 struct source_commit *ret, struct error *err)
{
	AUTO_FREE char *dir = cache_dir(o, u);
	AUTO_FREE char *fresh = xasprintf("%s.new", dir);
	AUTO_CLOSE int lock = cache_lock(o, u, err);
	bool is_new = !file_exists(dir);
	struct fetch_job job = { .o = o, .u = u, .pinned = pinned, .dir = is_new ? fresh : dir };
	AUTO_ERROR ignored = ERROR_INIT;
	int r = lock < 0 ? lock : 0;

	if (r == 0 && is_new)
		r = make_repository(fresh, u, err);
	else if (r == 0)
		cache_sweep(dir);
	if (r == 0)
		r = in_process(&job, ret, err);
	if (r == 0 && is_new && rename(fresh, dir) < 0)
		r = error_sys(err, "keep the cache '%s'", dir);
	if (r < 0 && is_new && dir_remove_tree(fresh, &ignored) < 0)
		error_ignore(&ignored, "remove a cache that did not come to be");
	if (r == 0) {
		cache_note_use(dir);
		/* This one is locked, and stays. */
		if (source_cache_prune(o->cache, CACHE_BYTES_MAX, NULL, &ignored) < 0)
			error_ignore(&ignored, "bound the cache of repositories");
	}
	return r;
}

static int check_allowed(const struct source_options *o, const struct git_url *u, struct error *err)
{
	if (u->scheme == GIT_FILE && !o->may_be_file)
		return error_set(
			err, E_DENIED,
			"git+file:// reads a repository of this host, which must be allowed: "
			"--allow-file, or in config.yaml: sources: { file: true }");
	return 0;
}

static int offline_miss(const struct git_url *u, struct error *err)
{
	AUTO_FREE char *url = git_url_text(u);

	return error_set(
		err, E_UNAVAILABLE,
		"'%s' is not in the cache, and --offline was given; get it with: ctrz plan %s", url,
		url);
}

int source_resolve(const struct source_options *given, const struct git_url *u, const char *pinned,
		   struct source_commit *ret, struct error *err)
{
	struct source_options o = *given;
	AUTO_FREE char *dir = cache_dir(&o, u);
	const char *id = u->ref && git_is_commit(u->ref) ? u->ref : pinned;
	bool is_fixed = u->ref && git_is_commit(u->ref), is_here;
	struct source_commit c = { 0 };
	int r = check_allowed(&o, u, err);

	if (r < 0)
		return r;
	if (!o.max_bytes)
		o.max_bytes = FETCH_BYTES_MAX;
	is_here = id && is_cached(dir, id);
	if (is_here && (is_fixed || o.is_offline)) {
		memcpy(c.id, id, sizeof(c.id));
	} else if (o.is_offline && !id && last_known(dir, u, c.id)) {
		c.moved = SOURCE_NOT_ASKED;
	} else if (o.is_offline) {
		return offline_miss(u, err);
	} else {
		r = fetch(&o, u, is_fixed ? NULL : pinned, &c, err);
	}
	if (r < 0 && is_here) {
		c = (struct source_commit){ .moved = SOURCE_UNKNOWN };
		memcpy(c.id, id, sizeof(c.id));
		c.problem = xstrdup(error_message(err));
		error_clear(err);
		r = 0;
	}
	if (r < 0)
		return r;
	cache_note_use(dir);
	*ret = c;
	return 0;
}

int source_fetch(const struct source_options *o, const struct git_url *u, const char *commit,
		 struct source_commit *ret, struct error *err)
{
	AUTO_FREE char *dir = cache_dir(o, u);
	AUTO_GIT_URL exact = GIT_URL_INIT;
	int r = check_allowed(o, u, err);

	if (r == 0 && is_cached(dir, commit)) {
		*ret = (struct source_commit){ .moved = SOURCE_NOT_ASKED };
		memcpy(ret->id, commit, sizeof(ret->id));
		cache_note_use(dir);
		return 0;
	}
	if (r == 0)
		r = source_resolve(o, u, commit, ret, err);
	if (r != -E_NOT_FOUND)
		return r;
	/* The ref is gone; the commit may still be there. */
	error_clear(err);
	git_url_copy(&exact, u);
	free(exact.ref);
	exact.ref = xstrdup(commit);
	return source_resolve(o, &exact, NULL, ret, err);
}
