/* SPDX-License-Identifier: MIT */
/* Reads tar headers and hands out file data without copying it. */
#include "runtime/archive/tar_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/text.h"
#include "runtime/archive/tar_header.h"
#include "runtime/archive/tar_pax.h"

enum { BLOCK = TAR_BLOCK, FD_PIECE = 256 * 1024, SPARSE_DIGITS_MAX = 20 };

struct fd_pieces {
	int fd;
	char *data; /* owned */
};

struct tar_reader {
	struct byte_source source;
	struct fd_pieces *fd; /* owned; NULL for a source of the caller's */
	const uint8_t *piece; /* lent by the source */
	size_t piece_left;
	uint64_t position;
	bool source_ended;
	bool archive_ended;

	struct buffer long_name, long_link; /* GNU 'L' and 'K' of the entry being read */
	struct buffer name, link;           /* of the current entry */
	struct pax_header pax;

	uint64_t stored_left; /* of the current entry in the stream, without padding */
	uint32_t padding;
	struct tar_sparse_map map;
	size_t map_index;
	uint64_t map_done; /* bytes of map.items[map_index] handed out */
	uint64_t file_offset;
	bool sparse;
};

static int fd_next(void *arg, const void **ret_data, size_t *ret_size, struct error *err)
{
	struct fd_pieces *f = arg;
	ssize_t n;

	do
		n = read(f->fd, f->data, FD_PIECE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_sys(err, "read archive");
	*ret_data = f->data;
	*ret_size = (size_t)n;
	return 0;
}

struct tar_reader *tar_reader_new(const struct byte_source *source)
{
	struct tar_reader *r = xcalloc(1, sizeof(*r));

	r->source = *source;
	return r;
}

struct tar_reader *tar_reader_new_fd(int fd)
{
	struct fd_pieces *f = xcalloc(1, sizeof(*f));
	struct tar_reader *r;

	f->fd = fd;
	f->data = xmalloc(FD_PIECE);
	r = tar_reader_new(&(struct byte_source){ fd_next, f });
	r->fd = f;
	return r;
}

void tar_reader_free(struct tar_reader *r)
{
	if (!r)
		return;
	if (r->fd) {
		free(r->fd->data);
		free(r->fd);
	}
	buffer_release(&r->long_name);
	buffer_release(&r->long_link);
	buffer_release(&r->name);
	buffer_release(&r->link);
	pax_header_release(&r->pax);
	tar_sparse_map_release(&r->map);
	free(r);
}

/* Have at least one byte at hand. Return: 1, 0 at the end of the source, or -code */
static int refill(struct tar_reader *r, struct error *err)
{
	const void *data = NULL;
	size_t size = 0;
	int rc;

	if (r->piece_left > 0)
		return 1;
	if (r->source_ended)
		return 0;
	rc = r->source.next(r->source.arg, &data, &size, err);
	if (rc < 0)
		return rc;
	if (size == 0) {
		r->source_ended = true;
		return 0;
	}
	r->piece = data;
	r->piece_left = size;
	return 1;
}

static void consume(struct tar_reader *r, size_t size)
{
	r->piece += size;
	r->piece_left -= size;
	r->position += size;
}

/* Copy exactly @size bytes. Return: 1, 0 if the source ended before the first of them, or -code */
static int take(struct tar_reader *r, void *out, size_t size, struct error *err)
{
	uint8_t *to = out;
	size_t done = 0;

	while (done < size) {
		size_t n;
		int rc = refill(r, err);

		if (rc < 0)
			return rc;
		if (rc == 0 && done == 0)
			return 0;
		if (rc == 0)
			return error_set(err, E_INTEGRITY, "tar is cut short at byte %" PRIu64,
					 r->position);
		n = size - done < r->piece_left ? size - done : r->piece_left;
		memcpy(to + done, r->piece, n);
		consume(r, n);
		done += n;
	}
	return 1;
}

static int take_all(struct tar_reader *r, void *out, size_t size, struct error *err)
{
	int rc = take(r, out, size, err);

	if (rc == 0 && size > 0)
		return error_set(err, E_INTEGRITY, "tar is cut short at byte %" PRIu64,
				 r->position);
	return rc < 0 ? rc : 0;
}

static int skip(struct tar_reader *r, uint64_t size, struct error *err)
{
	while (size > 0) {
		size_t n;
		int rc = refill(r, err);

		if (rc < 0)
			return rc;
		if (rc == 0)
			return error_set(err, E_INTEGRITY, "tar is cut short at byte %" PRIu64,
					 r->position);
		n = size < r->piece_left ? (size_t)size : r->piece_left;
		consume(r, n);
		size -= n;
	}
	return 0;
}

/* Some writers (umoci) leave out the padding of the last entry and the end of the archive. */
static int skip_padding(struct tar_reader *r, uint32_t size, struct error *err)
{
	while (size > 0) {
		int rc = refill(r, err);

		if (rc <= 0)
			return rc;
		size_t n = size < r->piece_left ? size : r->piece_left;
		consume(r, n);
		size -= (uint32_t)n;
	}
	return 0;
}

static int skip_entry(struct tar_reader *r, struct error *err)
{
	uint64_t left = r->stored_left;
	uint32_t padding = r->padding;

	r->stored_left = 0;
	r->padding = 0;
	int rc = skip(r, left, err);
	return rc == 0 ? skip_padding(r, padding, err) : rc;
}

static uint32_t padding_of(uint64_t size)
{
	return (uint32_t)((BLOCK - size % BLOCK) % BLOCK);
}

/* The body of an 'x', 'L' or 'K' header into @out, bounded. */
static int take_body(struct tar_reader *r, uint64_t size, uint64_t max, const char *what,
		     struct buffer *out, struct error *err)
{
	uint8_t waste[BLOCK];
	int rc;

	buffer_clear(out);
	if (size > max)
		return error_set(err, E_INTEGRITY,
				 "tar, byte %" PRIu64 ": %s of %" PRIu64
				 " bytes, more than %" PRIu64 " are refused",
				 r->position, what, size, max);
	rc = take_all(r, buffer_reserve(out, (size_t)size), (size_t)size, err);
	if (rc < 0)
		return rc;
	out->size += (size_t)size;
	out->data[out->size] = '\0';
	return take_all(r, waste, padding_of(size), err);
}

static int take_long_name(struct tar_reader *r, uint64_t size, struct buffer *out,
			  struct error *err)
{
	int rc = take_body(r, size, TAR_PATH_MAX + 1, "long name", out, err);

	if (rc < 0)
		return rc;
	while (out->size > 0 && out->data[out->size - 1] == '\0')
		out->size--;
	if (out->size == 0 || memchr(out->data, '\0', out->size))
		return error_set(err, E_INTEGRITY, "tar, byte %" PRIu64 ": bad long name",
				 r->position);
	return 0;
}

/* Read headers up to one that describes an entry. Return: 1, 0 at the end, or -code */
static int next_header(struct tar_reader *r, struct tar_header *h, struct error *err)
{
	uint8_t block[BLOCK];
	int rc;

	for (;;) {
		rc = take(r, block, sizeof(block), err);
		if (rc <= 0)
			return rc;
		if (tar_block_is_zero(block)) {
			rc = take(r, block, sizeof(block), err);
			if (rc > 0 && !tar_block_is_zero(block))
				return error_set(err, E_INTEGRITY,
						 "tar, byte %" PRIu64 ": lone zero block",
						 r->position);
			return rc < 0 ? rc : 0;
		}
		rc = tar_header_parse(block, r->position - BLOCK, h, err);
		if (rc < 0)
			return rc;
		switch (h->flag) {
		case 'x':
		case 'X':
			rc = take_body(r, h->size, TAR_PAX_MAX, "extended header", &r->pax.text,
				       err);
			if (rc == 0)
				rc = pax_header_parse(&r->pax, err);
			break;
		case 'g': /* defaults for the whole archive: bounded and left out, as Go's reader
			     does */
			rc = h->size > TAR_PAX_MAX
				     ? error_set(err, E_INTEGRITY,
						 "tar, byte %" PRIu64 ": huge global header",
						 r->position)
				     : skip(r, h->size + padding_of(h->size), err);
			break;
		case 'L':
			rc = take_long_name(r, h->size, &r->long_name, err);
			break;
		case 'K':
			rc = take_long_name(r, h->size, &r->long_link, err);
			break;
		case 'V': /* a volume label */
			rc = skip(r, h->size + padding_of(h->size), err);
			break;
		default:
			return 1;
		}
		if (rc < 0)
			return rc;
	}
}

/* Old GNU format: four pieces in the header, 21 in each block behind it. */
static int take_old_sparse(struct tar_reader *r, const struct tar_header *h, struct error *err)
{
	const uint8_t *area = h->old_sparse;
	size_t count = 4;
	bool more = h->old_sparse_more;
	uint8_t block[BLOCK];

	for (;;) {
		int rc = tar_sparse_map_add_old(&r->map, area, count, err);

		if (rc < 0)
			return rc;
		if (!more)
			return 0;
		rc = take_all(r, block, sizeof(block), err);
		if (rc < 0)
			return rc;
		area = block;
		count = 21;
		more = block[504] != 0;
	}
}

/* One decimal line of a GNU 1.0 map, which stands before the data. */
static int take_map_number(struct tar_reader *r, uint64_t *ret, struct error *err)
{
	char digits[SPARSE_DIGITS_MAX + 1];
	size_t n = 0;
	char c = 0;

	for (;;) {
		int rc;

		if (r->stored_left == 0)
			return error_set(err, E_INTEGRITY,
					 "tar, byte %" PRIu64 ": sparse map is cut short",
					 r->position);
		rc = take_all(r, &c, 1, err);
		if (rc < 0)
			return rc;
		r->stored_left--;
		if (c == '\n')
			break;
		if (n == SPARSE_DIGITS_MAX)
			break;
		digits[n++] = c;
	}
	digits[n] = '\0';
	if (c != '\n' || !parse_u64(digits, INT64_MAX, ret))
		return error_set(err, E_INTEGRITY,
				 "tar, byte %" PRIu64 ": bad number in a sparse map", r->position);
	return 0;
}

static int take_map_1_0(struct tar_reader *r, struct error *err)
{
	uint64_t start = r->stored_left;
	uint64_t count = 0;
	uint32_t rest;
	int rc = take_map_number(r, &count, err);

	if (rc < 0)
		return rc;
	if (count > TAR_SPARSE_MAX)
		return error_set(err, E_INTEGRITY,
				 "tar, byte %" PRIu64 ": sparse file of %" PRIu64 " pieces",
				 r->position, count);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t offset = 0, size = 0;

		rc = take_map_number(r, &offset, err);
		if (rc == 0)
			rc = take_map_number(r, &size, err);
		if (rc == 0)
			rc = tar_sparse_map_add(&r->map, offset, size, err);
		if (rc < 0)
			return rc;
	}
	rest = padding_of(start - r->stored_left);
	if (rest > r->stored_left)
		return error_set(err, E_INTEGRITY, "tar, byte %" PRIu64 ": sparse map is cut short",
				 r->position);
	r->stored_left -= rest;
	return skip(r, rest, err);
}

static int set_up_sparse(struct tar_reader *r, const struct tar_header *h, struct tar_entry *e,
			 struct error *err)
{
	int rc = 0;

	r->sparse = h->flag == 'S' || r->pax.sparse != PAX_SPARSE_NONE;
	tar_sparse_map_clear(&r->map);
	r->map_index = 0;
	r->map_done = 0;
	if (!r->sparse)
		return 0;
	if (h->flag == 'S') {
		rc = take_old_sparse(r, h, err);
		e->size = h->old_real_size;
	} else {
		if (r->pax.sparse == PAX_SPARSE_1_0)
			rc = take_map_1_0(r, err);
		else
			rc = pax_header_sparse_map(&r->pax, &r->map, err);
		e->size = r->pax.real_size;
	}
	if (rc < 0)
		return rc;
	e->sparse = true;
	return tar_sparse_map_check(&r->map, e->size, r->stored_left, err);
}

static void choose_text(struct buffer *out, const char *pax, const struct buffer *gnu,
			const char *header)
{
	buffer_clear(out);
	if (pax)
		buffer_add_str(out, pax);
	else if (gnu->size > 0)
		buffer_add(out, gnu->data, gnu->size);
	else
		buffer_add_str(out, header);
}

static int check_text(const struct tar_reader *r, const struct buffer *text, const char *what,
		      struct error *err)
{
	if (text->size == 0)
		return error_set(err, E_INTEGRITY, "tar, byte %" PRIu64 ": entry without a %s",
				 r->position, what);
	if (text->size > TAR_PATH_MAX)
		return error_set(err, E_INTEGRITY,
				 "tar, byte %" PRIu64 ": %s of %zu bytes, more than %d are refused",
				 r->position, what, text->size, TAR_PATH_MAX);
	return 0;
}

static int set_names(struct tar_reader *r, const struct tar_header *h, struct tar_entry *e,
		     struct error *err)
{
	const struct pax_header *p = &r->pax;
	int rc;

	choose_text(&r->name, p->sparse_name ? p->sparse_name : p->path, &r->long_name, h->name);
	choose_text(&r->link, p->link_path, &r->long_link, h->link_name);
	rc = check_text(r, &r->name, "name", err);
	if (rc < 0)
		return rc;
	e->name = buffer_str(&r->name);
	e->type = h->type;
	if (h->type == TAR_FILE && h->flag == '\0' && str_ends(e->name, "/"))
		e->type = TAR_DIRECTORY; /* the oldest format has no flag for one */
	if (e->type != TAR_HARD_LINK && e->type != TAR_SYMLINK)
		return 0;
	e->link_name = buffer_str(&r->link);
	return check_text(r, &r->link, "link target", err);
}

static int compose(struct tar_reader *r, const struct tar_header *h, struct tar_entry *e,
		   struct error *err)
{
	const struct pax_header *p = &r->pax;
	uint64_t stored = p->has_size ? p->size : h->size;
	int rc;

	*e = (struct tar_entry){
		.mode = h->mode,
		.uid = p->has_uid ? p->uid : h->uid,
		.gid = p->has_gid ? p->gid : h->gid,
		.mtime = p->has_mtime ? p->mtime : h->mtime,
		.mtime_ns = p->has_mtime ? p->mtime_ns : 0,
		.major = p->has_major ? p->major : h->major,
		.minor = p->has_minor ? p->minor : h->minor,
		.xattrs = p->xattrs,
		.xattr_count = p->xattr_count,
	};
	rc = set_names(r, h, e, err);
	if (rc < 0)
		return rc;
	/* Only files carry data; a size on anything else is meaningless, but a GNU dump directory
	 * has a list behind it. */
	r->stored_left = e->type == TAR_FILE || h->flag == 'D' ? stored : 0;
	r->padding = padding_of(r->stored_left);
	r->file_offset = 0;
	r->sparse = false;
	if (e->type == TAR_FILE) {
		e->size = stored;
		rc = set_up_sparse(r, h, e, err);
	}
	if (e->type == TAR_DIRECTORY)
		rc = skip_entry(r, err);
	e->data_offset = r->position;
	return rc < 0 ? rc : 1;
}

int tar_reader_next(struct tar_reader *r, struct tar_entry *ret, struct error *err)
{
	struct tar_header h = { 0 };
	int rc;

	if (r->archive_ended)
		return 0;
	rc = skip_entry(r, err);
	if (rc < 0)
		return rc;
	buffer_clear(&r->long_name);
	buffer_clear(&r->long_link);
	pax_header_clear(&r->pax);
	rc = next_header(r, &h, err);
	if (rc == 0)
		r->archive_ended = true;
	if (rc <= 0)
		return rc;
	rc = compose(r, &h, ret, err);
	if (rc < 0 && r->name.size > 0) {
		AUTO_FREE char *name = text_escaped(buffer_str(&r->name));

		return error_wrap(err, "entry '%.300s'", name);
	}
	return rc;
}

ssize_t tar_reader_data(struct tar_reader *r, uint64_t *ret_offset, const void **ret_data,
			struct error *err)
{
	uint64_t want = r->stored_left;
	size_t n;
	int rc;

	if (r->sparse) {
		while (r->map_index < r->map.count &&
		       r->map_done == r->map.items[r->map_index].size) {
			r->map_index++;
			r->map_done = 0;
		}
		if (r->map_index == r->map.count)
			return 0;
		r->file_offset = r->map.items[r->map_index].offset + r->map_done;
		want = r->map.items[r->map_index].size - r->map_done;
	}
	if (want == 0)
		return 0;
	rc = refill(r, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return error_set(err, E_INTEGRITY, "tar is cut short at byte %" PRIu64,
				 r->position);
	n = want < r->piece_left ? (size_t)want : r->piece_left;
	*ret_offset = r->file_offset;
	*ret_data = r->piece;
	consume(r, n);
	r->stored_left -= n;
	r->file_offset += n;
	r->map_done += n;
	return (ssize_t)n;
}

ssize_t tar_reader_read(struct tar_reader *r, void *buf, size_t size, struct error *err)
{
	size_t n = size < r->stored_left ? size : (size_t)r->stored_left;
	int rc;

	if (r->sparse)
		return error_set(err, E_INTEGRITY,
				 "entry '%.300s' is a sparse file, which is refused here",
				 buffer_str(&r->name));
	rc = take_all(r, buf, n, err);
	if (rc < 0)
		return rc;
	r->stored_left -= n;
	r->file_offset += n;
	return (ssize_t)n;
}

int tar_reader_drain(struct tar_reader *r, struct error *err)
{
	int rc;

	r->archive_ended = true;
	while ((rc = refill(r, err)) > 0)
		consume(r, r->piece_left);
	return rc;
}
