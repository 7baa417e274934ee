/* SPDX-License-Identifier: MIT */
/* Making files of the frames of a copy. Nothing in them is trusted. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "vminitd/protocol/copy.h"

struct target_level {
	int fd;              /* owned */
	bool keeps_meta;     /* was there before and is only passed through */
	struct copy_entry e; /* what the folder is to look like once it is full */
};

struct copy_target {
	const struct copy_target_options *o;
	struct target_level levels[COPY_DEPTH_MAX + 1];
	size_t depth;
	bool has_top, is_done;
	int file;                     /* being written; -1 = none */
	int file_in;                  /* its folder; lent from a level, or @top_folder */
	char *file_draft, *file_name; /* owned; what it is called until it is whole, and then; NULL
					 = it is written in place */
	struct copy_entry file_entry;
	bool ends_in_hole;
	struct strlist same; /* where the files with several names are, below the top */
	int top_folder;      /* owned; -1 = none */
	struct copy_counts counts;
};

struct copy_target *copy_target_new(const struct copy_target_options *o)
{
	struct copy_target *t = xcalloc(1, sizeof(*t));

	t->o = o;
	t->file = t->file_in = t->top_folder = -1;
	return t;
}

static void forget_file(struct copy_target *t)
{
	if (t->file >= 0)
		(void)close(take_fd(&t->file));
	free(TAKE_PTR(t->file_name));
	free(TAKE_PTR(t->file_draft));
	copy_entry_release(&t->file_entry);
}

static void leave_level(struct copy_target *t)
{
	struct target_level *l = &t->levels[--t->depth];

	(void)close(l->fd);
	copy_entry_release(&l->e);
}

void copy_target_free(struct copy_target *t)
{
	if (!t)
		return;
	if (t->file_draft)
		(void)unlinkat(t->file_in, t->file_draft, 0);
	forget_file(t);
	while (t->depth > 0)
		leave_level(t);
	strlist_release(&t->same);
	if (t->top_folder >= 0)
		(void)close(t->top_folder);
	free(t);
}

const struct copy_counts *copy_target_counts(const struct copy_target *t)
{
	return &t->counts;
}

static int broken(struct error *err, const char *what)
{
	return error_set(err, E_INTEGRITY, "the other end broke the protocol: %s", what);
}

/* Return: 0, or -code; what has no place there is counted */
static int set_attributes(struct copy_target *t, int fd, const struct copy_entry *e,
			  struct error *err)
{
	bool is_bare = false;

	for (size_t i = 0; i < e->attribute_count; i++) {
		const struct copy_attribute *a = &e->attributes[i];
		bool is_power = str_equal(a->name, "security.capability");

		if (!is_power && !str_starts(a->name, "user."))
			return broken(err, "an attribute that is none of a file's own");
		/* It goes where set-user-id goes. */
		if (is_power && !(t->o->mode_mask & S_ISUID))
			continue;
		const void *value = a->value_size ? (const void *)a->value : "";
		if (fsetxattr(fd, a->name, value, a->value_size, 0) == 0)
			continue;
		if (errno != EOPNOTSUPP && errno != EPERM && errno != ENOSPC && errno != E2BIG)
			return error_sys(err, "set the attribute %s", a->name);
		is_bare = true;
	}
	t->counts.bare += is_bare;
	return 0;
}

/* Owner, mode, attributes and time, once the content is there. */
static int dress(struct copy_target *t, int fd, const struct copy_entry *e, struct error *err)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { (time_t)e->mtime_s, (long)e->mtime_ns } };

	if (t->o->keeps_owner && fchown(fd, e->uid, e->gid) < 0)
		return error_sys(err, "set the owner");
	if (fchmod(fd, e->mode & t->o->mode_mask) < 0)
		return error_sys(err, "set the mode");
	if (set_attributes(t, fd, e, err) < 0)
		return -(int)err->code;
	if (futimens(fd, times) < 0)
		return error_sys(err, "set the time");
	return 0;
}

/* Where @name is below the top, in the folder that is entered; owned. */
static char *path_below_top(const struct copy_target *t, const char *name)
{
	AUTO_BUFFER path = BUFFER_INIT;

	for (size_t i = 1; i < t->depth; i++)
		buffer_printf(&path, "%s/", t->levels[i].e.name);
	buffer_add_str(&path, name);
	return buffer_steal(&path);
}

/* Takes @fd. */
static int push(struct copy_target *t, int fd, const struct copy_entry *e, bool keeps_meta,
		struct error *err)
{
	if (t->depth == ARRAY_SIZE(t->levels)) {
		(void)close(fd);
		return error_set(err, E_INVALID, "'%s' is more than %d folders deep", e->name,
				 COPY_DEPTH_MAX);
	}
	struct target_level *l = &t->levels[t->depth++];
	*l = (struct target_level){ .fd = fd, .keeps_meta = keeps_meta };
	/* Whatever it is to have is not kept for all the folders it is in. */
	struct copy_entry bare = *e;
	bare.attributes = NULL;
	bare.attribute_count = 0;
	copy_entry_copy(&l->e, &bare);
	return keeps_meta ? 0 : set_attributes(t, fd, e, err);
}

static int make_folder(struct copy_target *t, int at, const char *name, const struct copy_entry *e,
		       struct error *err)
{
	bool is_new = mkdirat(at, name, 0700) == 0;

	if (!is_new && errno != EEXIST)
		return error_sys(err, "create the folder '%s'", name);
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return error_set(err, E_CONFLICT, "'%s' is there and no folder", name);
	if (fd < 0)
		return error_sys(err, "open the folder '%s'", name);
	return push(t, fd, e, e->kind == COPY_WITHIN && !is_new, err);
}

/* Make room for @name. Return: 0, or -code; -E_CONFLICT for a folder */
static int clear(int at, const char *name, struct error *err)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : error_sys(err, "look at '%s'", name);
	if (S_ISDIR(st.st_mode))
		return error_set(err, E_CONFLICT, "'%s' is a folder there", name);
	return unlinkat(at, name, 0) < 0 && errno != ENOENT ? error_sys(err, "replace '%s'", name)
							    : 0;
}

/* It is being written. */
static int remember_file(struct copy_target *t, const char *name, const struct copy_entry *e,
			 struct error *err)
{
	copy_entry_copy(&t->file_entry, e);
	if (e->same == 0)
		return 0;
	if (e->same != t->same.count + 1 || e->same > COPY_SAME_MAX || t->depth == 0)
		return broken(err, "a number of a file that is not the next");
	strlist_take(&t->same, path_below_top(t, name));
	return 0;
}

/* The folder of @path below the top, without going through a link. Return: descriptor or -code */
static int open_folder_of(const struct copy_target *t, const char *path, const char **ret_name,
			  struct error *err)
{
	AUTO_CLOSE int fd = openat(t->levels[0].fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *slash;

	for (; fd >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
		AUTO_FREE char *name = xstrndup(path, (size_t)(slash - path));
		int next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		(void)close(fd);
		fd = next;
	}
	if (fd < 0)
		return error_sys(err, "find the other name of a file");
	*ret_name = path;
	return take_fd(&fd);
}

/* Another name for a file that is there already. */
static int make_same(struct copy_target *t, int at, const char *name, const struct copy_entry *e,
		     struct error *err)
{
	const char *other = NULL;

	if (e->same == 0 || e->same > t->same.count)
		return broken(err, "a further name of no file");
	AUTO_CLOSE int fd = open_folder_of(t, t->same.items[e->same - 1], &other, err);
	if (fd < 0)
		return fd;
	if (clear(at, name, err) < 0)
		return -(int)err->code;
	if (linkat(fd, other, at, name, 0) < 0)
		return error_sys(err, "give '%s' its second name '%s'", t->same.items[e->same - 1],
				 name);
	t->counts.files++;
	return 0;
}

/* A file is written beside and renamed once it is whole. */
static int begin_file(struct copy_target *t, int at, const char *name, const struct copy_entry *e,
		      struct error *err)
{
	AUTO_FREE char *draft = xasprintf(".%.200s.ctrz-new", name);
	struct stat st, folder;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		st.st_mode = 0;
	if (S_ISDIR(st.st_mode))
		return error_set(err, E_CONFLICT, "'%s' is a folder there", name);
	if (S_ISREG(st.st_mode) && fstat(at, &folder) == 0 && st.st_dev != folder.st_dev) {
		/* It is mounted there: only its content can be another. */
		t->file =
			openat(at, name, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	} else {
		(void)unlinkat(at, draft, 0);
		t->file = openat(at, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				 0600);
		if (t->file >= 0) {
			t->file_draft = TAKE_PTR(draft);
			t->file_name = xstrdup(name);
		}
	}
	if (t->file < 0)
		return error_sys(err, "create '%s'", name);
	t->file_in = at;
	return remember_file(t, name, e, err);
}

static int make_link(struct copy_target *t, int at, const char *name, const struct copy_entry *e,
		     struct error *err)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { (time_t)e->mtime_s, (long)e->mtime_ns } };

	if (!*e->link)
		return broken(err, "a link to nothing");
	if (clear(at, name, err) < 0)
		return -(int)err->code;
	if (symlinkat(e->link, at, name) < 0)
		return error_sys(err, "create the link '%s'", name);
	if (t->o->keeps_owner && fchownat(at, name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, "set the owner of '%s'", name);
	(void)utimensat(at, name, times, AT_SYMLINK_NOFOLLOW);
	t->counts.files++;
	return 0;
}

static int make_entry(struct copy_target *t, int at, const char *name, const struct copy_entry *e,
		      struct error *err)
{
	if (!copy_name_is_plain(name))
		return broken(err, "a name that leads elsewhere");
	if (e->kind == COPY_FOLDER || e->kind == COPY_WITHIN)
		return make_folder(t, at, name, e, err);
	if (e->kind == COPY_LINK)
		return make_link(t, at, name, e, err);
	if (e->kind == COPY_SAME)
		return make_same(t, at, name, e, err);
	return begin_file(t, at, name, e, err);
}

/* The path itself is to become what is copied: its folder must be there. */
static int make_at_path(struct copy_target *t, const struct copy_entry *e, struct error *err)
{
	AUTO_FREE char *clean = path_clean(t->o->path);
	AUTO_FREE char *dir = path_dirname(clean);

	t->top_folder = fd_open_in_root(t->o->root, dir, O_PATH | O_DIRECTORY, 0);
	if (t->top_folder < 0)
		return error_sys(err, "open the folder '%s'", dir);
	return make_entry(t, t->top_folder, path_basename(clean), e, err);
}

/* Over a file that is there, which may be what a link leads to. */
static int overwrite(struct copy_target *t, const struct copy_entry *e, struct error *err)
{
	struct stat st;

	if (e->kind == COPY_LINK)
		return make_at_path(t, e, err);
	if (e->kind == COPY_SAME)
		return broken(err, "a further name of no file");
	if (e->kind != COPY_FILE)
		return error_set(err, E_CONFLICT, "'%s' is a file: a folder cannot be copied to it",
				 t->o->path);
	AUTO_CLOSE int fd =
		fd_open_in_root(t->o->root, t->o->path, O_WRONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "write '%s'", t->o->path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, E_CONFLICT, "'%s' is neither file nor folder", t->o->path);
	if (ftruncate(fd, 0) < 0)
		return error_sys(err, "write '%s'", t->o->path);
	t->file = take_fd(&fd);
	copy_entry_copy(&t->file_entry, e);
	return 0;
}

static int into_folder(struct copy_target *t, int fd, const struct copy_entry *e, struct error *err)
{
	bool is_folder = e->kind == COPY_FOLDER || e->kind == COPY_WITHIN;

	t->top_folder = fd;
	if (!is_folder || !(t->o->contents || e->kind == COPY_WITHIN))
		return make_entry(t, fd, t->o->name, e, err);
	t->top_folder = -1;
	return push(t, fd, e, true, err);
}

static int make_top(struct copy_target *t, const struct copy_entry *e, struct error *err)
{
	const char *path = t->o->path;
	bool wants_folder = str_ends(path, "/") || str_ends(path, "/.") || e->kind == COPY_WITHIN;
	int fd = fd_open_in_root(t->o->root, path, O_RDONLY | O_DIRECTORY, 0);

	t->has_top = true;
	if (fd >= 0)
		return into_folder(t, fd, e, err);
	if (errno == ENOENT && (!wants_folder || e->kind == COPY_FOLDER))
		return make_at_path(t, e, err);
	if (errno == ENOENT)
		return error_set(err, E_NOT_FOUND, "there is no folder '%s'", path);
	if (errno != ENOTDIR || wants_folder)
		return error_sys(err, "open '%s'", path);
	return overwrite(t, e, err);
}

static int on_entry(struct copy_target *t, const struct frame *f, struct error *err)
{
	struct copy_entry e = { 0 };
	int r = copy_entry_unpack(f->payload, f->size, &e, err);

	if (r < 0)
		return r;
	if (t->file >= 0 || (t->has_top && t->depth == 0))
		r = broken(err, "an entry in no folder");
	else if (e.kind == COPY_OTHER)
		t->counts.skipped++;
	else if (!t->has_top)
		r = make_top(t, &e, err);
	else
		r = make_entry(t, t->levels[t->depth - 1].fd, e.name, &e, err);
	copy_entry_release(&e);
	return r;
}

static int on_data(struct copy_target *t, const struct frame *f, struct error *err)
{
	if (t->file < 0)
		return broken(err, "data of no file");
	t->ends_in_hole = false;
	t->counts.bytes += f->size;
	return fd_write_full(t->file, f->payload, f->size, err);
}

static int on_hole(struct copy_target *t, const struct frame *f, struct error *err)
{
	uint64_t size = copy_hole(f);

	if (t->file < 0 || size == 0)
		return broken(err, "a hole in no file, or of no size");
	if (lseek(t->file, (off_t)size, SEEK_CUR) < 0)
		return error_sys(err, "leave a hole");
	t->ends_in_hole = true;
	t->counts.bytes += size;
	return 0;
}

static int end_file(struct copy_target *t, struct error *err)
{
	off_t size = t->ends_in_hole ? lseek(t->file, 0, SEEK_CUR) : -1;

	if (t->ends_in_hole && (size < 0 || ftruncate(t->file, size) < 0))
		return error_sys(err, "leave a hole at the end");
	t->ends_in_hole = false;
	if (dress(t, t->file, &t->file_entry, err) < 0)
		return -(int)err->code;
	if (t->file_draft && renameat(t->file_in, t->file_draft, t->file_in, t->file_name) < 0)
		return error_sys(err, "replace '%s'", t->file_name);
	free(TAKE_PTR(t->file_draft));
	forget_file(t);
	t->counts.files++;
	return 0;
}

static int on_leave(struct copy_target *t, struct error *err)
{
	if (t->file >= 0)
		return end_file(t, err);
	if (t->depth == 0)
		return broken(err, "more folders are left than entered");
	struct target_level *l = &t->levels[t->depth - 1];
	int r = l->keeps_meta ? 0 : dress(t, l->fd, &l->e, err);
	leave_level(t);
	return r;
}

int copy_target_frame(struct copy_target *t, const struct frame *f, struct error *err)
{
	int r;

	if (t->is_done)
		return broken(err, "more after the end");
	switch (f->type) {
	case COPY_ENTRY:
		r = on_entry(t, f, err);
		break;
	case COPY_DATA:
		r = on_data(t, f, err);
		break;
	case COPY_HOLE:
		r = on_hole(t, f, err);
		break;
	case COPY_LEAVE:
		r = on_leave(t, err);
		break;
	case COPY_DONE:
		if (!t->has_top || t->depth > 0 || t->file >= 0)
			return broken(err, "an end too early");
		t->is_done = true;
		return 0;
	default:
		return broken(err, "a frame of no known type");
	}
	return r < 0 ? r : 1;
}
