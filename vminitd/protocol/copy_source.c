/* SPDX-License-Identifier: MIT */
/* Walking a tree and telling it in frames. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "vminitd/protocol/copy.h"
#include "vminitd/protocol/copy_seen.h"

/* File systems that are no files, as their magic numbers (linux/magic.h cannot be had everywhere).
 */
enum { MAGIC_PROC = 0x9fa0, MAGIC_SYSFS = 0x62656572, MAGIC_CGROUP2 = 0x63677270 };

struct source_level {
	DIR *dir; /* owned */
	dev_t device;
};

struct copy_source {
	char *name;     /* owned; of the top */
	int top;        /* -1 = told already */
	struct stat st; /* of the top */
	struct source_level levels[COPY_DEPTH_MAX];
	size_t depth;
	int file;          /* being read; -1 = none */
	uint64_t at, data; /* how far; up to where there is no hole */
	struct copy_seen seen;
	bool is_done;
	struct copy_counts counts;
};

bool copy_name_is_plain(const char *name)
{
	return *name && !str_equal(name, ".") && !str_equal(name, "..") && !strchr(name, '/') &&
	       strlen(name) <= COPY_NAME_MAX;
}

bool copy_path_contents(const char *path)
{
	return str_ends(path, "/.") || str_equal(path, ".") || str_equal(path, "/");
}

uint64_t copy_hole(const struct frame *f)
{
	uint64_t size = f->size == 8 ? get_be64(f->payload) : 0;

	return size <= COPY_HOLE_MAX ? size : 0;
}

static int add_frame(struct buffer *out, enum copy_frame type)
{
	frame_add(out, (uint16_t)type, 0, 0, NULL, 0);
	return 1;
}

/* What belongs to the file itself, and not to its file system or to this machine. */
static bool is_told(const char *attribute)
{
	return str_starts(attribute, "user.") || str_equal(attribute, "security.capability");
}

static int add_attribute(struct copy_entry *e, int fd, const char *name, struct error *err)
{
	char value[COPY_ATTRIBUTE_MAX];
	ssize_t n = fgetxattr(fd, name, value, sizeof(value));

	if (n < 0 && errno == ENODATA)
		return 0;
	if (n < 0)
		return error_sys(err, "read the attribute %s of '%s'", name, e->name);
	if (e->attribute_count == COPY_ATTRIBUTES_MAX)
		return error_set(err, E_INVALID, "'%s' has more than %d extended attributes",
				 e->name, COPY_ATTRIBUTES_MAX);
	e->attributes[e->attribute_count++] = (struct copy_attribute){
		.name = xstrdup(name),
		.value = n > 0 ? xmemdup(value, (size_t)n) : NULL,
		.value_size = (size_t)n,
	};
	return 0;
}

static int read_attributes(struct copy_entry *e, int fd, struct error *err)
{
	char names[COPY_CHUNK];
	ssize_t size = fd < 0 ? 0 : flistxattr(fd, names, sizeof(names));
	int r = 0;

	if (size < 0 && errno != EOPNOTSUPP)
		return error_sys(err, "list the attributes of '%s'", e->name);
	if (size <= 0)
		return 0;
	e->attributes = xcalloc(COPY_ATTRIBUTES_MAX, sizeof(*e->attributes));
	for (const char *at = names; r == 0 && at < names + size; at += strlen(at) + 1)
		if (is_told(at))
			r = add_attribute(e, fd, at, err);
	return r;
}

/* @fd: whose attributes are told; -1 = none */
static int add_entry(struct buffer *out, enum copy_kind kind, const char *name,
		     const struct stat *st, const char *link, uint32_t same, int fd,
		     struct error *err)
{
	struct copy_entry e = { .kind = kind,
				.name = xstrdup(name),
				.mode = st->st_mode & 07777,
				.uid = st->st_uid,
				.gid = st->st_gid,
				.size_bytes = kind == COPY_FILE ? (uint64_t)st->st_size : 0,
				.mtime_s = (uint64_t)st->st_mtim.tv_sec,
				.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
				.link = xstrdup(link),
				.same = same };
	int r = read_attributes(&e, fd, err);
	if (r == 0)
		r = copy_entry_add(out, (enum msg_type)COPY_ENTRY, 0, &e, err);
	copy_entry_release(&e);

	return r < 0 ? r : 1;
}

/* Takes the folder behind @fd. */
static int enter(struct copy_source *s, int fd, const struct stat *st, struct error *err)
{
	DIR *dir = fdopendir(fd);

	if (!dir) {
		(void)close(fd);
		return error_sys(err, "read a folder");
	}
	s->levels[s->depth++] = (struct source_level){ dir, st->st_dev };
	return 0;
}

static bool is_no_place_for_files(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == MAGIC_PROC || fs.f_type == MAGIC_SYSFS || fs.f_type == MAGIC_CGROUP2);
}

static int tell_other(struct copy_source *s, const char *name, const struct stat *st,
		      struct buffer *out, struct error *err)
{
	s->counts.skipped++;
	return add_entry(out, COPY_OTHER, name, st, "", 0, -1, err);
}

static int tell_folder(struct copy_source *s, int at, const char *name, struct buffer *out,
		       struct error *err)
{
	struct stat st;
	AUTO_CLOSE int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "open the folder '%s'", name);
	if (st.st_dev != s->levels[s->depth - 1].device && is_no_place_for_files(fd))
		return tell_other(s, name, &st, out, err);
	if (s->depth == COPY_DEPTH_MAX)
		return error_set(err, E_INVALID, "'%s' is more than %d folders deep", name,
				 COPY_DEPTH_MAX);
	if (enter(s, take_fd(&fd), &st, err) < 0)
		return -(int)err->code;
	return add_entry(out, COPY_FOLDER, name, &st, "", 0, dirfd(s->levels[s->depth - 1].dir),
			 err);
}

static void begin_file(struct copy_source *s, int fd)
{
	s->file = fd;
	s->at = s->data = 0;
}

static int tell_file(struct copy_source *s, int at, const char *name, struct buffer *out,
		     struct error *err)
{
	struct stat st;
	/* Something else may be there by now, and must not make us wait. */
	AUTO_CLOSE int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "read '%s'", name);
	if (!S_ISREG(st.st_mode))
		return tell_other(s, name, &st, out, err);
	s->counts.files++;
	bool is_new = true;
	uint32_t same =
		st.st_nlink > 1 ? copy_seen_number(&s->seen, st.st_dev, st.st_ino, &is_new) : 0;
	if (!is_new)
		return add_entry(out, COPY_SAME, name, &st, "", same, -1, err);
	begin_file(s, take_fd(&fd));
	return add_entry(out, COPY_FILE, name, &st, "", same, s->file, err);
}

static int tell_link(struct copy_source *s, int at, const char *open_as, const char *name,
		     const struct stat *st, struct buffer *out, struct error *err)
{
	char target[4096];
	ssize_t n = readlinkat(at, open_as, target, sizeof(target));

	if (n < 0 || n == sizeof(target))
		return error_sys(err, "read the link '%s'", name);
	target[n] = '\0';
	s->counts.files++;
	return add_entry(out, COPY_LINK, name, st, target, 0, -1, err);
}

/* What is at the top was opened by its path. */
static int tell_top(struct copy_source *s, struct buffer *out, struct error *err)
{
	AUTO_CLOSE int top = take_fd(&s->top);

	if (S_ISLNK(s->st.st_mode))
		return tell_link(s, top, "", s->name, &s->st, out, err);
	if (S_ISDIR(s->st.st_mode)) {
		if (enter(s, take_fd(&top), &s->st, err) < 0)
			return -(int)err->code;
		return add_entry(out, COPY_FOLDER, s->name, &s->st, "", 0, dirfd(s->levels[0].dir),
				 err);
	}
	begin_file(s, take_fd(&top));
	s->counts.files++;
	return add_entry(out, COPY_FILE, s->name, &s->st, "", 0, s->file, err);
}

static int next_of_folder(struct copy_source *s, struct buffer *out, struct error *err)
{
	struct source_level *level = &s->levels[s->depth - 1];
	struct dirent *e;
	struct stat st;
	int at = dirfd(level->dir);

	for (;;) {
		errno = 0;
		e = readdir(level->dir);
		if (!e && errno)
			return error_sys(err, "read a folder");
		if (!e) {
			(void)closedir(level->dir);
			s->depth--;
			return add_frame(out, COPY_LEAVE);
		}
		/* What has gone since is not there. */
		if (!str_equal(e->d_name, ".") && !str_equal(e->d_name, "..") &&
		    fstatat(at, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			break;
	}
	if (S_ISDIR(st.st_mode))
		return tell_folder(s, at, e->d_name, out, err);
	if (S_ISREG(st.st_mode))
		return tell_file(s, at, e->d_name, out, err);
	if (S_ISLNK(st.st_mode))
		return tell_link(s, at, e->d_name, e->d_name, &st, out, err);
	return tell_other(s, e->d_name, &st, out, err);
}

/* Where the next data are. A file system that knows of no holes has none. Return: the size of the
 * hole before them, 0 = none */
static uint64_t skip_hole(struct copy_source *s)
{
	struct stat st;
	off_t data = lseek(s->file, (off_t)s->at, SEEK_DATA), hole = -1;
	uint64_t begin = s->at;

	if (data < 0 && errno == ENXIO && fstat(s->file, &st) == 0)
		data = hole = st.st_size > (off_t)s->at ? st.st_size : (off_t)s->at;
	else if (data >= 0)
		hole = lseek(s->file, data, SEEK_HOLE);
	if (data < 0 || hole < 0) {
		data = (off_t)s->at;
		hole = INT64_MAX;
	}
	if ((uint64_t)data - begin > COPY_HOLE_MAX)
		data = hole = (off_t)(begin + COPY_HOLE_MAX);
	s->at = (uint64_t)data;
	s->data = (uint64_t)hole;
	(void)lseek(s->file, data, SEEK_SET);
	return s->at - begin;
}

static int next_of_file(struct copy_source *s, struct buffer *out, struct error *err)
{
	uint8_t size[8];
	uint64_t hole = s->at >= s->data ? skip_hole(s) : 0;
	size_t most = s->data - s->at < COPY_CHUNK ? (size_t)(s->data - s->at) : COPY_CHUNK;

	if (hole > 0) {
		put_be64(size, hole);
		frame_add(out, COPY_HOLE, 0, 0, size, sizeof(size));
		s->counts.bytes += hole;
		return 1;
	}
	/* At the end it is looked whether that has moved. */
	most = most ? most : COPY_CHUNK;
	ssize_t n = frame_add_read(out, COPY_DATA, 0, 0, s->file, most);

	if (n < 0 && errno == EINTR)
		n = frame_add_read(out, COPY_DATA, 0, 0, s->file, most);
	if (n < 0)
		return error_sys(err, "read a file");
	if (n == 0) {
		(void)close(take_fd(&s->file));
		return add_frame(out, COPY_LEAVE);
	}
	s->counts.bytes += (uint64_t)n;
	s->at += (uint64_t)n;
	return 1;
}

int copy_source_next(struct copy_source *s, struct buffer *out, struct error *err)
{
	if (s->is_done)
		return 0;
	if (s->file >= 0)
		return next_of_file(s, out, err);
	if (s->depth > 0)
		return next_of_folder(s, out, err);
	if (s->top >= 0)
		return tell_top(s, out, err);
	s->is_done = true;
	return add_frame(out, COPY_DONE);
}

/* A file or folder to be read; it may be another one by now than @was. */
static int reopen(int root, const char *path, int flags, const struct stat *was, struct error *err)
{
	struct stat st;
	AUTO_CLOSE int fd = fd_open_in_root(root, path, O_RDONLY | O_NONBLOCK | flags, 0);

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, "read '%s'", path);
	if (st.st_dev != was->st_dev || st.st_ino != was->st_ino)
		return error_set(err, E_CONFLICT, "'%s' is being replaced", path);
	return take_fd(&fd);
}

int copy_source_open(int root, const char *path, bool follow, struct copy_source **ret,
		     struct error *err)
{
	AUTO_FREE char *clean = path_clean(path);
	CLEANUP(copy_source_free_p) struct copy_source *s = xcalloc(1, sizeof(*s));
	int flags = follow ? 0 : O_NOFOLLOW;
	AUTO_CLOSE int found = fd_open_in_root(root, path, O_PATH | flags, 0);

	s->file = s->top = -1;
	s->name = xstrdup(path_basename(clean));
	if (found < 0 || fstat(found, &s->st) < 0)
		return error_sys(err, "open '%s'", path);
	if (S_ISLNK(s->st.st_mode))
		s->top = take_fd(&found);
	else if (S_ISREG(s->st.st_mode) || S_ISDIR(s->st.st_mode))
		s->top = reopen(root, path, flags, &s->st, err);
	else
		return error_set(err, E_INVALID, "'%s' is no file, folder or link", path);
	if (s->top < 0)
		return -(int)err->code;
	*ret = TAKE_PTR(s);
	return 0;
}

void copy_source_free(struct copy_source *s)
{
	if (!s)
		return;
	while (s->depth > 0)
		(void)closedir(s->levels[--s->depth].dir);
	if (s->top >= 0)
		(void)close(s->top);
	if (s->file >= 0)
		(void)close(s->file);
	copy_seen_release(&s->seen);
	free(s->name);
	free(s);
}

const struct copy_counts *copy_source_counts(const struct copy_source *s)
{
	return &s->counts;
}
