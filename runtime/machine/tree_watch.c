/* SPDX-License-Identifier: MIT */
/* Watching trees by inotify. */
/*
 * DOC: Theory of Operation
 *
 * inotify watches one inode. A root is watched at three places: in its folder, by its name, since
 * editors put another file in the place of the old one and a root may come later; itself, since it
 * may be a link to what is written; and, a folder, in every folder below, which come and go. Links
 * below a root are not followed. Two places may be the same inode and then share one descriptor of
 * inotify.
 */
#include "runtime/machine/tree_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"

enum { PLACES_MAX = 8192, DEPTH_MAX = 64, EVENTS_ROOM = 65536 };

#define EVENTS                                                                                   \
	(IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | \
	 IN_MOVE_SELF)

enum place_kind { PLACE_BY_NAME, PLACE_ITSELF, PLACE_BELOW };

struct place {
	int wd;
	enum place_kind kind;
	size_t root;
	char *path; /* of the folder, or of the root itself; owned */
};

struct root {
	char *path;
	struct strlist ignore;
};

struct tree_watch {
	struct loop *loop;
	int fd;
	tree_changed_fn fn;
	void *arg;
	struct root *roots;
	size_t root_count;
	struct place *places;
	size_t place_count, place_room;
};

static bool is_ignored(const struct root *root, const char *name)
{
	static const char *const always[] = { ".git", ".hg", ".*.sw?", "*~", ".#*", "4913" };

	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		if (fnmatch(always[i], name, 0) == 0)
			return true;
	for (size_t i = 0; i < root->ignore.count; i++)
		if (fnmatch(root->ignore.items[i], name, 0) == 0)
			return true;
	return false;
}

static bool is_known(const struct tree_watch *w, int wd, enum place_kind kind, size_t root)
{
	for (size_t i = 0; i < w->place_count; i++)
		if (w->places[i].wd == wd && w->places[i].kind == kind && w->places[i].root == root)
			return true;
	return false;
}

static int add_place(struct tree_watch *w, size_t root, enum place_kind kind, const char *path,
		     uint32_t flags, struct error *err)
{
	int wd;

	if (w->place_count >= PLACES_MAX)
		return error_set(err, E_UNAVAILABLE,
				 "'%s' has more folders than the %d that are watched; leave some "
				 "out with ignore",
				 w->roots[root].path, PLACES_MAX);
	wd = inotify_add_watch(w->fd, path, EVENTS | flags);
	if (wd < 0 && errno == ENOSPC)
		return error_set(err, E_UNAVAILABLE,
				 "'%s' cannot be watched: the user's watches are used up; leave "
				 "folders out with ignore, or raise fs.inotify.max_user_watches",
				 path);
	if (wd < 0)
		return error_sys(err, "watch '%s'", path);
	if (is_known(w, wd, kind, root))
		return 0;
	GROW_ARRAY(w->places, w->place_count, w->place_room);
	w->places[w->place_count++] =
		(struct place){ .wd = wd, .kind = kind, .root = root, .path = xstrdup(path) };
	return 0;
}

static bool is_folder(int dir_fd, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* A folder below a root, and those in it. One that goes away meanwhile is none. */
static int add_folder(struct tree_watch *w, size_t root, const char *path, unsigned depth,
		      struct error *err)
{
	uint32_t flags = IN_ONLYDIR | (depth ? IN_DONT_FOLLOW : 0);
	AUTO_DIR DIR *dir = NULL;
	const struct dirent *entry;
	int r = add_place(w, root, PLACE_BELOW, path, flags, err);

	if (r < 0 &&
	    (err->sys_errno == ENOENT || err->sys_errno == ENOTDIR || err->sys_errno == EACCES)) {
		error_ignore(err, "watch a folder");
		return 0;
	}
	if (r < 0 || depth >= DEPTH_MAX)
		return r;
	dir = opendir(path);
	while (dir && r == 0 && (entry = readdir(dir))) {
		AUTO_FREE char *below = NULL;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    is_ignored(&w->roots[root], entry->d_name) || !is_folder(dirfd(dir), entry))
			continue;
		below = path_join(path, entry->d_name);
		r = add_folder(w, root, below, depth + 1, err);
	}
	return r;
}

/* What is there of a root now. */
static int add_itself(struct tree_watch *w, size_t root, struct error *err)
{
	const char *path = w->roots[root].path;
	struct stat st;

	if (stat(path, &st) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return add_folder(w, root, path, 0, err);
	return add_place(w, root, PLACE_ITSELF, path, 0, err);
}

/* After the start nobody waits for an answer. */
static void scan(struct tree_watch *w, size_t root, const char *path, unsigned depth)
{
	AUTO_ERROR err = ERROR_INIT;
	int r = depth ? add_folder(w, root, path, depth, &err) : add_itself(w, root, &err);

	if (r < 0)
		log_warn("%s", error_message(&err));
}

static void drop_place(struct tree_watch *w, size_t index)
{
	free(w->places[index].path);
	w->places[index] = w->places[--w->place_count];
}

static void forget_wd(struct tree_watch *w, int wd)
{
	for (size_t i = w->place_count; i > 0; i--)
		if (w->places[i - 1].wd == wd)
			drop_place(w, i - 1);
}

static bool is_below(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && (!path[length] || path[length] == '/');
}

/* A folder that was moved away is watched no more; its inode tells no longer where it is. */
static void forget_folder(struct tree_watch *w, const char *path)
{
	for (size_t i = w->place_count; i > 0; i--)
		if (w->places[i - 1].kind == PLACE_BELOW && is_below(w->places[i - 1].path, path))
			(void)inotify_rm_watch(w->fd, w->places[i - 1].wd);
}

static void on_name(struct tree_watch *w, size_t root, const struct inotify_event *e)
{
	const char *path = w->roots[root].path;

	if (e->len == 0 || strcmp(e->name, path_basename(path)) != 0)
		return;
	if (e->mask & IN_MOVED_FROM)
		forget_folder(w, path);
	if (e->mask & (IN_CREATE | IN_MOVED_TO))
		scan(w, root, path, 0);
	w->fn(w->arg, root, path);
}

static void on_below(struct tree_watch *w, const struct place *place, const struct inotify_event *e)
{
	AUTO_FREE char *path = NULL;
	size_t root = place->root;

	if (e->len == 0 || is_ignored(&w->roots[root], e->name))
		return;
	path = path_join(place->path, e->name);
	if ((e->mask & IN_ISDIR) && (e->mask & IN_MOVED_FROM))
		forget_folder(w, path);
	if ((e->mask & IN_ISDIR) && (e->mask & (IN_CREATE | IN_MOVED_TO)))
		scan(w, root, path, 1);
	w->fn(w->arg, root, path);
}

static void on_event(struct tree_watch *w, const struct inotify_event *e)
{
	size_t count = w->place_count; /* those that the event adds are none of its */

	if (e->mask & IN_Q_OVERFLOW) {
		for (size_t i = 0; i < w->root_count; i++) {
			scan(w, i, w->roots[i].path, 0);
			w->fn(w->arg, i, w->roots[i].path);
		}
		return;
	}
	if (e->mask & IN_IGNORED) {
		forget_wd(w, e->wd);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct place place = w->places[i];

		if (place.wd != e->wd)
			continue;
		if (place.kind == PLACE_BY_NAME)
			on_name(w, place.root, e);
		else if (place.kind == PLACE_BELOW)
			on_below(w, &place, e);
		else
			w->fn(w->arg, place.root, place.path);
	}
}

static void on_readable(void *arg, uint32_t events)
{
	struct tree_watch *w = arg;
	AUTO_FREE char *room = xmalloc(EVENTS_ROOM);
	ssize_t n = read(w->fd, room, EVENTS_ROOM);

	(void)events;
	for (char *at = room; n > 0 && at < room + n;) {
		/* The kernel aligns them for their struct. */
		const struct inotify_event *e = (const void *)at;

		on_event(w, e);
		at += sizeof(*e) + e->len;
	}
}

struct tree_watch *tree_watch_new(struct loop *loop, tree_changed_fn fn, void *arg,
				  struct error *err)
{
	struct tree_watch *w;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd < 0 && errno == EMFILE)
		(void)error_set(err, E_UNAVAILABLE,
				"files cannot be watched: the user's inotify instances are used "
				"up; raise fs.inotify.max_user_instances");
	else if (fd < 0)
		(void)error_sys(err, "watch files");
	if (fd < 0)
		return NULL;
	w = xcalloc(1, sizeof(*w));
	*w = (struct tree_watch){ .loop = loop, .fd = fd, .fn = fn, .arg = arg };
	loop_watch(loop, fd, EPOLLIN, on_readable, w);
	return w;
}

void tree_watch_free(struct tree_watch *w)
{
	if (!w)
		return;
	loop_unwatch(w->loop, w->fd);
	(void)close(w->fd);
	for (size_t i = 0; i < w->place_count; i++)
		free(w->places[i].path);
	for (size_t i = 0; i < w->root_count; i++) {
		free(w->roots[i].path);
		strlist_release(&w->roots[i].ignore);
	}
	free(w->places);
	free(w->roots);
	free(w);
}

int tree_watch_add(struct tree_watch *w, const char *path, const struct strlist *ignore,
		   struct error *err)
{
	AUTO_FREE char *folder = path_dirname(path);
	size_t root = w->root_count;
	int r;

	w->roots = xreallocarray(w->roots, w->root_count + 1, sizeof(*w->roots));
	w->roots[w->root_count++] = (struct root){ .path = xstrdup(path) };
	for (size_t i = 0; i < ignore->count; i++) {
		char *pattern = xstrdup(ignore->items[i]);
		size_t length = strlen(pattern);

		/* "tmp/" is what others write for a folder. */
		if (length > 1 && pattern[length - 1] == '/')
			pattern[length - 1] = '\0';
		strlist_take(&w->roots[root].ignore, pattern);
	}
	r = add_place(w, root, PLACE_BY_NAME, folder, IN_ONLYDIR, err);
	return r < 0 ? r : add_itself(w, root, err);
}
