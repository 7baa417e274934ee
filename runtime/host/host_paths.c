/* SPDX-License-Identifier: MIT */
/* Decides the host folders from the environment and creates them safely. */
#include "runtime/host/host_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/digest/digest.h"
#include "base/file.h"

enum { RUN_HASH_DIGITS = 10, RUN_TRIES = 20 };

/* The folder goes only while nobody else holds it: who made sure that it is theirs relies on it. */
static void let_run_go(struct host_paths *p)
{
	if (!p->run_held)
		return;
	if (flock(p->run_fd, LOCK_EX | LOCK_NB) == 0)
		(void)rmdir(p->run);
	(void)close(p->run_fd);
}

void host_paths_release(struct host_paths *p)
{
	let_run_go(p);
	free(p->data);
	free(p->state);
	free(p->cache);
	free(p->config);
	free(p->run);
	*p = (struct host_paths){ 0 };
}

/* The cleaned value of a variable, NULL if it is unset or empty. */
static int absolute_from_env(const char *name, char **ret, struct error *err)
{
	const char *value = getenv(name);
	*ret = NULL;
	if (!value || !*value)
		return 0;
	if (value[0] != '/')
		return error_set(err, E_INVALID, "%s must hold an absolute path, not '%s'", name,
				 value);
	*ret = path_clean(value);
	return 0;
}

static bool is_our_folder(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

/* A short folder for sockets that only depends on the user and @tag (may be NULL). */
static char *short_run(const char *tag)
{
	uid_t uid = geteuid();
	char hash[65] = "";
	const char *dash = tag ? "-" : "";
	if (tag) {
		sha256_hex(tag, strlen(tag), hash);
		hash[RUN_HASH_DIGITS] = '\0';
	}
	if (uid == 0)
		return xasprintf("/run/ctrz%s%s", dash, hash);
	AUTO_FREE char *user_run = xasprintf("/run/user/%u", (unsigned)uid);
	if (is_our_folder(user_run))
		return xasprintf("%s/ctrz%s%s", user_run, dash, hash);
	return xasprintf("/tmp/ctrz-%u%s%s", (unsigned)uid, dash, hash);
}

static char *run_that_fits(char *wanted)
{
	if (strlen(wanted) <= HOST_PATHS_RUN_MAX)
		return wanted;
	char *other = short_run(wanted);
	free(wanted);
	return other;
}

static void init_below(struct host_paths *p, const char *root)
{
	p->data = path_join(root, "data");
	p->state = path_join(root, "state");
	p->cache = path_join(root, "cache");
	p->config = path_join(root, "config");
	p->run = run_that_fits(path_join(root, "run"));
}

static void init_system(struct host_paths *p)
{
	p->data = xstrdup("/var/lib/ctrz");
	p->state = xstrdup("/var/lib/ctrz/state");
	p->cache = xstrdup("/var/cache/ctrz");
	p->config = xstrdup("/etc/ctrz");
	p->run = xstrdup("/run/ctrz");
}

/* $VARIABLE/ctrz, or else ~/@fallback/ctrz. */
static int xdg_folder(const char *variable, const char *fallback, char **ret, struct error *err)
{
	AUTO_FREE char *base = NULL;
	int r = absolute_from_env(variable, &base, err);
	if (r < 0)
		return r;
	if (!base) {
		AUTO_FREE char *home = NULL;
		r = absolute_from_env("HOME", &home, err);
		if (r < 0)
			return r;
		if (!home)
			return error_set(err, E_INVALID,
					 "neither %s nor HOME is set: set HOME, or CTRZ_HOME to a "
					 "folder for everything",
					 variable);
		base = path_join(home, fallback);
	}
	*ret = path_join(base, "ctrz");
	return 0;
}

static int init_xdg(struct host_paths *p, struct error *err)
{
	AUTO_FREE char *runtime = NULL;
	int r = xdg_folder("XDG_DATA_HOME", ".local/share", &p->data, err);
	if (r == 0)
		r = xdg_folder("XDG_STATE_HOME", ".local/state", &p->state, err);
	if (r == 0)
		r = xdg_folder("XDG_CACHE_HOME", ".cache", &p->cache, err);
	if (r == 0)
		r = xdg_folder("XDG_CONFIG_HOME", ".config", &p->config, err);
	if (r == 0)
		r = absolute_from_env("XDG_RUNTIME_DIR", &runtime, err);
	if (r < 0)
		return r;
	p->run = runtime ? run_that_fits(path_join(runtime, "ctrz")) : short_run(NULL);
	return 0;
}

static bool has_xdg_home(void)
{
	static const char *const names[] = { "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME",
					     "XDG_CONFIG_HOME" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);
		if (value && *value)
			return true;
	}
	return false;
}

int host_paths_init(struct host_paths *ret, struct error *err)
{
	AUTO_FREE char *root = NULL;
	int r = absolute_from_env("CTRZ_HOME", &root, err);
	if (r < 0)
		return r;
	struct host_paths p = { 0 };
	if (root) {
		init_below(&p, root);
	} else if (geteuid() == 0 && !has_xdg_home()) {
		init_system(&p);
	} else {
		r = init_xdg(&p, err);
		if (r < 0) {
			host_paths_release(&p);
			return r;
		}
	}
	*ret = p;
	return 0;
}

static bool is_at(int fd, const char *path)
{
	struct stat held, there;
	return fstat(fd, &held) == 0 && lstat(path, &there) == 0 && held.st_ino == there.st_ino &&
	       held.st_dev == there.st_dev;
}

/* Others may write where the run folder's parent is (/tmp): what is there must be a folder of ours,
 * then it is closed to others before anything is put into it. */
static int open_run(const char *path, int *ret_fd, struct error *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return error_set(err, E_DENIED,
				 "'%s' must be a folder of yours, no link or file: remove it",
				 path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "open folder '%s'", path);
	if (st.st_uid != geteuid())
		return error_set(err, E_DENIED,
				 "'%s' belongs to user %u, not to you: remove it, or set "
				 "XDG_RUNTIME_DIR to a folder of yours",
				 path, (unsigned)st.st_uid);
	if ((st.st_mode & 077) != 0 && fchmod(fd, 0700) < 0)
		return error_sys(err, "close folder '%s' to others", path);
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Another command may remove the folder until it is held. */
static int make_run(const char *path, int *ret_fd, struct error *err)
{
	AUTO_FREE char *parent = path_dirname(path);
	int r = dir_make(parent, 0700, err);
	for (int tries = 0; r == 0 && tries < RUN_TRIES; tries++) {
		AUTO_CLOSE int fd = -1;
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return error_sys(err, "create folder '%s'", path);
		r = open_run(path, &fd, err);
		if (r == -E_NOT_FOUND) {
			error_clear(err);
			r = 0;
			continue;
		}
		if (r == 0 && flock(fd, LOCK_SH) < 0)
			return error_sys(err, "lock folder '%s'", path);
		if (r == 0 && is_at(fd, path)) {
			*ret_fd = take_fd(&fd);
			return 0;
		}
	}
	return r < 0 ? r
		     : error_set(err, E_CONFLICT, "'%s' is removed again and again by others",
				 path);
}

int host_paths_make(struct host_paths *p, struct error *err)
{
	const char *const folders[] = { p->data, p->state, p->cache };
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		int r = dir_make(folders[i], 0700, err);
		if (r < 0)
			return r;
	}
	if (p->run_held)
		return 0;
	int r = make_run(p->run, &p->run_fd, err);
	p->run_held = r == 0;
	return r;
}
