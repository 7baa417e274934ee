/* SPDX-License-Identifier: MIT */
/* Between tar archives and the frames of a copy. */
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"
#include "runtime/archive/tar_reader.h"
#include "runtime/archive/tar_writer.h"
#include "runtime/guest/copy.h"

struct tar_frames {
	struct tar_reader *reader;
	struct strlist open; /* names of the folders that are entered, below the top */
	bool is_begun, is_done;
	bool in_file;
	uint64_t at, size; /* in the file, and of it */
	uint64_t piece_at; /* of the piece that is left to be told */
	const char *piece;
	size_t piece_size;
	/* Any file may turn out to have a second name: each is told with a number, by its path
	 * here. */
	struct map numbers;
	struct strlist files; /* the path that each was told with, by its number */
	struct copy_counts counts;
};

struct tar_frames *tar_frames_new(int fd)
{
	struct tar_frames *t = xcalloc(1, sizeof(*t));

	t->reader = tar_reader_new_fd(fd);
	return t;
}

void tar_frames_free(struct tar_frames *t)
{
	if (!t)
		return;
	tar_reader_free(t->reader);
	strlist_release(&t->open);
	map_release(&t->numbers, NULL);
	strlist_release(&t->files);
	free(t);
}

const struct copy_counts *tar_frames_counts(const struct tar_frames *t)
{
	return &t->counts;
}

static void leave(struct buffer *out)
{
	frame_add(out, COPY_LEAVE, 0, 0, NULL, 0);
}

static int enter(const char *name, struct buffer *out, struct error *err)
{
	AUTO_FREE char *own = xstrdup(name);
	struct copy_entry e = { .kind = COPY_WITHIN, .name = own, .mode = 0755 };

	return copy_entry_add(out, (enum msg_type)COPY_ENTRY, 0, &e, err);
}

static void leave_down_to(struct tar_frames *t, size_t depth, struct buffer *out)
{
	while (t->open.count > depth) {
		leave(out);
		free(t->open.items[--t->open.count]);
		t->open.items[t->open.count] = NULL;
	}
}

static int split(const char *path, struct strlist *ret, struct error *err)
{
	for (const char *at = path; *at;) {
		size_t size = strcspn(at, "/");
		if (size == 2 && strncmp(at, "..", 2) == 0)
			return error_set(err, E_INVALID, "the archive's '%s' leads out of it",
					 path);
		if (size > 0 && !(size == 1 && *at == '.'))
			strlist_take(ret, xstrndup(at, size));
		at += size + strspn(at + size, "/");
	}
	return 0;
}

/* Be in the folder of the first @depth of @names. */
static int go_to(struct tar_frames *t, const struct strlist *names, size_t depth,
		 struct buffer *out, struct error *err)
{
	size_t same = 0;

	while (same < depth && same < t->open.count &&
	       str_equal(t->open.items[same], names->items[same]))
		same++;
	leave_down_to(t, same, out);
	for (; same < depth; same++) {
		if (enter(names->items[same], out, err) < 0)
			return -(int)err->code;
		strlist_add(&t->open, names->items[same]);
	}
	return 0;
}

/* The file that a hard link is another name of: it must have come before, and still be there. */
static int number_of(struct tar_frames *t, const struct strlist *names, const struct tar_entry *e,
		     uint32_t *ret, struct error *err)
{
	AUTO_STRLIST others = STRLIST_INIT;

	if (split(e->link_name, &others, err) < 0)
		return -(int)err->code;
	AUTO_FREE char *path = strlist_join(&others, "/"), *own = strlist_join(names, "/");
	uintptr_t number = (uintptr_t)map_get(&t->numbers, path);
	if (number == 0 || map_get(&t->numbers, t->files.items[number - 1]) != (void *)number)
		return error_set(err, E_INVALID,
				 "the archive's '%s' is another name of '%s', which is no file of "
				 "the archive before it",
				 e->name, e->link_name);
	(void)map_set(&t->numbers, own, (void *)number);
	*ret = (uint32_t)number;
	return 0;
}

/* Return: the number that the file is told with; 0 = it is no file, or one too many */
static uint32_t remember(struct tar_frames *t, const struct strlist *names,
			 const struct tar_entry *e)
{
	AUTO_FREE char *path = strlist_join(names, "/");
	uintptr_t number = 0;

	if (e->type == TAR_FILE && t->files.count < COPY_SAME_MAX) {
		strlist_add(&t->files, path);
		number = t->files.count;
	}
	if (number > 0 || map_has(&t->numbers, path))
		(void)map_set(&t->numbers, path, (void *)number);
	return (uint32_t)number;
}

static int tell_entry(struct tar_frames *t, const struct tar_entry *e, struct buffer *out,
		      struct error *err)
{
	static const enum copy_kind kinds[] = {
		[TAR_FILE] = COPY_FILE,         [TAR_SYMLINK] = COPY_LINK,
		[TAR_CHAR_DEVICE] = COPY_OTHER, [TAR_BLOCK_DEVICE] = COPY_OTHER,
		[TAR_DIRECTORY] = COPY_FOLDER,  [TAR_FIFO] = COPY_OTHER,
		[TAR_HARD_LINK] = COPY_SAME,
	};
	AUTO_STRLIST names = STRLIST_INIT;
	AUTO_FREE char *link = xstrdup(e->link_name ? e->link_name : "");
	int r = split(e->name, &names, err);

	if (r < 0 || names.count == 0)
		return r;
	uint32_t same = 0;
	if (e->type == TAR_HARD_LINK)
		r = number_of(t, &names, e, &same, err);
	else
		same = remember(t, &names, e);
	if (r == 0)
		r = go_to(t, &names, names.count - 1, out, err);
	if (r < 0)
		return r;
	struct copy_entry entry = { .kind = kinds[e->type],
				    .name = names.items[names.count - 1],
				    .mode = e->mode,
				    .uid = e->uid,
				    .gid = e->gid,
				    .size_bytes = e->size,
				    .mtime_s = (uint64_t)e->mtime,
				    .mtime_ns = e->mtime_ns,
				    .link = e->type == TAR_SYMLINK ? link : NULL,
				    .same = same };
	if (entry.kind == COPY_FOLDER)
		strlist_add(&t->open, entry.name);
	t->in_file = entry.kind == COPY_FILE;
	t->at = t->piece_size = 0;
	t->size = e->size;
	t->counts.files += entry.kind != COPY_FOLDER && entry.kind != COPY_OTHER;
	t->counts.skipped += entry.kind == COPY_OTHER;
	return copy_entry_add(out, (enum msg_type)COPY_ENTRY, 0, &entry, err);
}

/* A piece of the file, or of a hole in it. */
static int tell_data(struct tar_frames *t, struct buffer *out, struct error *err)
{
	static const char zeros[COPY_CHUNK];

	if (t->piece_size == 0) {
		const void *data = NULL;
		ssize_t n = tar_reader_data(t->reader, &t->piece_at, &data, err);
		if (n < 0)
			return (int)n;
		t->piece = data;
		t->piece_size = (size_t)n;
		if (n == 0)
			t->piece_at = t->size;
	}
	bool is_hole = t->at < t->piece_at;
	uint64_t size = is_hole ? t->piece_at - t->at : t->piece_size;
	size_t now = size < sizeof(zeros) ? (size_t)size : sizeof(zeros);
	if (now == 0) {
		t->in_file = false;
		leave(out);
		return 0;
	}
	frame_add(out, COPY_DATA, 0, 0, is_hole ? zeros : t->piece, now);
	t->at += now;
	t->counts.bytes += now;
	if (!is_hole) {
		t->piece += now;
		t->piece_at += now;
		t->piece_size -= now;
	}
	return 0;
}

int tar_frames_next(struct tar_frames *t, struct buffer *out, struct error *err)
{
	struct tar_entry e;
	size_t before = out->size;

	if (t->is_done)
		return 0;
	if (!t->is_begun) {
		t->is_begun = true;
		return enter(".", out, err) < 0 ? -(int)err->code : 1;
	}
	while (out->size == before) {
		int r = t->in_file ? tell_data(t, out, err) : tar_reader_next(t->reader, &e, err);
		if (r < 0)
			return r;
		if (out->size > before)
			break;
		if (r == 0)
			t->is_done = true;
		if (r == 0) {
			leave_down_to(t, 0, out);
			leave(out);
			frame_add(out, COPY_DONE, 0, 0, NULL, 0);
		} else if (tell_entry(t, &e, out, err) < 0) {
			return -(int)err->code;
		}
	}
	return 1;
}

struct tar_sink {
	struct tar_writer *writer;
	struct strlist open; /* names of the folders that are entered */
	char *top;           /* owned; taken by the first entry */
	bool in_file;
	uint64_t left;       /* of it */
	struct strlist same; /* paths of the files with several names */
	struct copy_counts counts;
};

int tar_sink_new(int fd, const char *top, struct tar_sink **ret, struct error *err)
{
	CLEANUP(tar_sink_free_p) struct tar_sink *t = xcalloc(1, sizeof(*t));

	t->top = xstrdup(top);
	if (tar_writer_new(fd, &t->writer, err) < 0)
		return -(int)err->code;
	*ret = TAKE_PTR(t);
	return 0;
}

void tar_sink_free(struct tar_sink *t)
{
	if (!t)
		return;
	tar_writer_free(t->writer);
	strlist_release(&t->open);
	strlist_release(&t->same);
	free(t->top);
	free(t);
}

const struct copy_counts *tar_sink_counts(const struct tar_sink *t)
{
	return &t->counts;
}

static int broken(struct error *err)
{
	return error_set(err, E_INTEGRITY, "the guest broke the protocol of a copy");
}

static enum tar_type type_of(enum copy_kind kind)
{
	if (kind == COPY_FILE)
		return TAR_FILE;
	if (kind == COPY_SAME)
		return TAR_HARD_LINK;
	return kind == COPY_LINK ? TAR_SYMLINK : TAR_DIRECTORY;
}

static int write_entry(struct tar_sink *t, const struct copy_entry *e, struct error *err)
{
	bool is_top = t->top != NULL;
	AUTO_FREE char *top = TAKE_PTR(t->top);
	const char *name = is_top ? top : e->name;

	if (t->in_file || (!is_top && (t->open.count == 0 || !copy_name_is_plain(name))))
		return broken(err);
	if (e->kind == COPY_OTHER) {
		t->counts.skipped++;
		return 0;
	}
	if (t->open.count > COPY_DEPTH_MAX || (e->kind == COPY_LINK && !*e->link))
		return broken(err);
	AUTO_FREE char *folder = strlist_join(&t->open, "/");
	AUTO_FREE char *path = t->open.count ? xasprintf("%s/%s", folder, name) : xstrdup(name);
	if ((e->kind == COPY_SAME && (e->same == 0 || e->same > t->same.count)) ||
	    (e->kind == COPY_FILE && e->same && e->same != t->same.count + 1))
		return broken(err);
	if (e->kind == COPY_FILE && e->same)
		strlist_add(&t->same, path);
	struct tar_entry entry = { .type = type_of(e->kind),
				   .name = path,
				   .link_name = e->kind == COPY_SAME ? t->same.items[e->same - 1]
								     : e->link,
				   .mode = e->mode & 07777,
				   .uid = e->uid,
				   .gid = e->gid,
				   .size = e->size_bytes,
				   .mtime = (int64_t)e->mtime_s,
				   .mtime_ns = e->mtime_ns };
	if (entry.type == TAR_DIRECTORY)
		strlist_add(&t->open, name);
	t->in_file = entry.type == TAR_FILE;
	t->left = e->size_bytes;
	t->counts.files += entry.type != TAR_DIRECTORY;
	return tar_writer_add(t->writer, &entry, err);
}

/* A file that has grown since is cut, for its size is written already. */
static int write_data(struct tar_sink *t, const struct frame *f, struct error *err)
{
	size_t size = f->size < t->left ? f->size : (size_t)t->left;

	if (!t->in_file)
		return broken(err);
	t->left -= size;
	t->counts.bytes += size;
	return size ? tar_writer_data(t->writer, f->payload, size, err) : 0;
}

static int write_hole(struct tar_sink *t, const struct frame *f, struct error *err)
{
	static const char zeros[COPY_CHUNK];
	uint64_t left = copy_hole(f);
	int r = left ? 0 : broken(err);

	while (r == 0 && left > 0) {
		struct frame part = { .payload = zeros,
				      .size = left < sizeof(zeros) ? (size_t)left : sizeof(zeros) };
		left -= part.size;
		r = write_data(t, &part, err);
	}
	return r;
}

static int write_leave(struct tar_sink *t, struct error *err)
{
	if (!t->in_file && t->open.count == 0)
		return broken(err);
	/* Its size is written already, and what is missing would be filled up with zeros: as many
	 * as a guest likes to say. */
	if (t->in_file && t->left > 0)
		return error_set(err, E_CONFLICT,
				 "a file became shorter while it was copied; copy again");
	if (!t->in_file) {
		free(t->open.items[--t->open.count]);
		t->open.items[t->open.count] = NULL;
	}
	t->in_file = false;
	return 0;
}

int tar_sink_frame(struct tar_sink *t, const struct frame *f, struct error *err)
{
	struct copy_entry e = { 0 };
	int r;

	switch (f->type) {
	case COPY_ENTRY:
		r = copy_entry_unpack(f->payload, f->size, &e, err);
		if (r == 0)
			r = write_entry(t, &e, err);
		copy_entry_release(&e);
		break;
	case COPY_DATA:
		r = write_data(t, f, err);
		break;
	case COPY_HOLE:
		r = write_hole(t, f, err);
		break;
	case COPY_LEAVE:
		r = write_leave(t, err);
		break;
	case COPY_DONE:
		return t->top || t->open.count || t->in_file ? broken(err)
							     : tar_writer_finish(t->writer, err);
	default:
		r = broken(err);
	}
	return r < 0 ? r : 1;
}
