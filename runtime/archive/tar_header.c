/* SPDX-License-Identifier: MIT */
/* Parses the fixed tar header of every dialect in use: v7, ustar, star, GNU. */
#include "runtime/archive/tar_header.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"

/* Fields of the header: offset and size. */
enum {
	AT_NAME = 0,
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_SUM = 148,
	AT_FLAG = 156,
	AT_LINK = 157,
	AT_MAGIC = 257,
	AT_MAJOR = 329,
	AT_MINOR = 337,
	AT_PREFIX = 345,
	AT_GNU_SPARSE = 386,
	AT_GNU_MORE = 482,
	AT_GNU_REAL_SIZE = 483,
	AT_STAR_MAGIC = 508,
};

bool tar_block_is_zero(const uint8_t *block)
{
	static const uint8_t zero[TAR_BLOCK];

	return memcmp(block, zero, TAR_BLOCK) == 0;
}

/* Big-endian two's complement behind a set top bit (GNU and star). */
static bool parse_base256(const uint8_t *p, size_t size, int64_t *ret)
{
	bool negative = (p[0] & 0x40) != 0;
	uint64_t fill = negative ? UINT64_MAX : 0;
	uint64_t v = negative ? fill << 6 | (p[0] & 0x3f) : (p[0] & 0x3fU);

	for (size_t i = 1; i < size; i++) {
		/* What is shifted out must be copies of the sign. */
		if ((int64_t)v >> 55 != (negative ? -1 : 0))
			return false;
		v = v << 8 | p[i];
	}
	*ret = (int64_t)v;
	return true;
}

/* Octal digits with blanks or zero bytes around them, or base-256; an empty field is 0. */
static bool parse_number(const uint8_t *p, size_t size, int64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;

	if (p[0] & 0x80)
		return parse_base256(p, size, ret);
	while (i < size && (p[i] == ' ' || p[i] == '\0'))
		i++;
	for (; i < size && p[i] >= '0' && p[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(p[i] - '0'); /* at most 12 digits */
	for (; i < size; i++)
		if (p[i] != ' ' && p[i] != '\0')
			return false;
	*ret = (int64_t)v;
	return true;
}

static bool parse_u32(const uint8_t *p, size_t size, uint32_t *ret)
{
	int64_t v = 0;

	if (!parse_number(p, size, &v) || v < 0 || v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool parse_size(const uint8_t *p, size_t size, uint64_t *ret)
{
	int64_t v = 0;

	if (!parse_number(p, size, &v) || v < 0 || v > INT64_MAX / 2)
		return false;
	*ret = (uint64_t)v;
	return true;
}

/* Old writers summed signed characters. */
static bool sum_is_right(const uint8_t *block)
{
	int64_t want = 0;
	int64_t plain = 0, with_sign = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++) {
		uint8_t c = i >= AT_SUM && i < AT_SUM + 8 ? ' ' : block[i];

		plain += c;
		with_sign += (int8_t)c;
	}
	return parse_number(block + AT_SUM, 8, &want) && (want == plain || want == with_sign);
}

static void copy_text(char *out, const uint8_t *p, size_t size)
{
	size_t n = strnlen((const char *)p, size);

	memcpy(out, p, n);
	out[n] = '\0';
}

static void copy_name(const uint8_t *block, char *out)
{
	char prefix[156] = "";
	size_t n = 0;

	if (memcmp(block + AT_MAGIC, "ustar\0", 6) == 0)
		copy_text(prefix, block + AT_PREFIX,
			  memcmp(block + AT_STAR_MAGIC, "tar\0", 4) == 0 ? 131 : 155);
	if (prefix[0]) {
		n = strlen(prefix);
		memcpy(out, prefix, n);
		out[n++] = '/';
	}
	copy_text(out + n, block + AT_NAME, 100);
}

/* Return: whether @flag stands for an entry of a known kind, or for a header about the next one */
static bool type_of_flag(char flag, enum tar_type *ret)
{
	switch (flag) {
	case '\0':
	case '0':
	case '7':
	case 'S':
		*ret = TAR_FILE;
		return true;
	case '1':
		*ret = TAR_HARD_LINK;
		return true;
	case '2':
		*ret = TAR_SYMLINK;
		return true;
	case '3':
		*ret = TAR_CHAR_DEVICE;
		return true;
	case '4':
		*ret = TAR_BLOCK_DEVICE;
		return true;
	case '5':
	case 'D':
		*ret = TAR_DIRECTORY;
		return true;
	case '6':
		*ret = TAR_FIFO;
		return true;
	default:
		return flag == 'x' || flag == 'X' || flag == 'g' || flag == 'L' || flag == 'K' ||
		       flag == 'V';
	}
}

int tar_header_parse(const uint8_t *block, uint64_t position, struct tar_header *ret,
		     struct error *err)
{
	int64_t mtime = 0;

	if (!sum_is_right(block))
		return error_set(err, E_INTEGRITY,
				 "tar, byte %" PRIu64 ": header checksum does not match", position);
	ret->flag = (char)block[AT_FLAG];
	if (!type_of_flag(ret->flag, &ret->type))
		return error_set(err, E_INTEGRITY,
				 "tar, byte %" PRIu64 ": entry of unknown type 0x%02x", position,
				 block[AT_FLAG]);
	copy_name(block, ret->name);
	copy_text(ret->link_name, block + AT_LINK, 100);
	ret->major = ret->minor = 0;
	if (!parse_u32(block + AT_MODE, 8, &ret->mode) ||
	    !parse_u32(block + AT_UID, 8, &ret->uid) || !parse_u32(block + AT_GID, 8, &ret->gid) ||
	    !parse_size(block + AT_SIZE, 12, &ret->size) ||
	    !parse_number(block + AT_MTIME, 12, &mtime))
		return error_set(err, E_INTEGRITY, "tar, byte %" PRIu64 ": bad number in a header",
				 position);
	if ((ret->flag == '3' || ret->flag == '4') &&
	    (!parse_u32(block + AT_MAJOR, 8, &ret->major) ||
	     !parse_u32(block + AT_MINOR, 8, &ret->minor)))
		return error_set(err, E_INTEGRITY, "tar, byte %" PRIu64 ": bad device number",
				 position);
	if (ret->flag == 'S') {
		if (!parse_size(block + AT_GNU_REAL_SIZE, 12, &ret->old_real_size))
			return error_set(err, E_INTEGRITY,
					 "tar, byte %" PRIu64 ": bad size of a sparse file",
					 position);
		memcpy(ret->old_sparse, block + AT_GNU_SPARSE, sizeof(ret->old_sparse));
		ret->old_sparse_more = block[AT_GNU_MORE] != 0;
	}
	ret->mode &= 07777;
	ret->mtime = mtime;
	return 0;
}

void tar_sparse_map_clear(struct tar_sparse_map *m)
{
	m->count = 0;
}

void tar_sparse_map_release(struct tar_sparse_map *m)
{
	free(m->items);
	*m = (struct tar_sparse_map){ 0 };
}

int tar_sparse_map_add(struct tar_sparse_map *m, uint64_t offset, uint64_t size, struct error *err)
{
	if (m->count == TAR_SPARSE_MAX)
		return error_set(err, E_INTEGRITY, "sparse file of more than %d pieces",
				 TAR_SPARSE_MAX);
	GROW_ARRAY(m->items, m->count, m->room);
	m->items[m->count++] = (struct tar_piece){ offset, size };
	return 0;
}

int tar_sparse_map_add_old(struct tar_sparse_map *m, const uint8_t *area, size_t count,
			   struct error *err)
{
	for (size_t i = 0; i < count; i++, area += 24) {
		uint64_t offset = 0, size = 0;
		int rc;

		if (area[0] == '\0' || area[12] == '\0')
			return 0;
		if (!parse_size(area, 12, &offset) || !parse_size(area + 12, 12, &size))
			return error_set(err, E_INTEGRITY, "bad number in a sparse map");
		rc = tar_sparse_map_add(m, offset, size, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int tar_sparse_map_check(const struct tar_sparse_map *m, uint64_t file_size, uint64_t stored_size,
			 struct error *err)
{
	uint64_t end = 0, sum = 0;

	for (size_t i = 0; i < m->count; i++) {
		const struct tar_piece *p = &m->items[i];

		if (p->offset < end || p->size > file_size || p->offset > file_size - p->size)
			return error_set(err, E_INTEGRITY,
					 "sparse map is out of order or beyond the file's size");
		end = p->offset + p->size;
		sum += p->size;
	}
	if (sum != stored_size)
		return error_set(err, E_INTEGRITY, "sparse map does not add up to the stored size");
	return 0;
}
