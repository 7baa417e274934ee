/* SPDX-License-Identifier: MIT */
/* Parses pax records: names, numbers, GNU sparse maps, extended attributes of star and libarchive.
 */
#include "runtime/archive/tar_pax.h"

#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

void pax_header_clear(struct pax_header *p)
{
	struct pax_header kept = {
		.text = p->text,
		.sparse_0_0 = p->sparse_0_0,
		.xattrs = p->xattrs,
		.xattr_room = p->xattr_room,
	};

	buffer_clear(&kept.text);
	tar_sparse_map_clear(&kept.sparse_0_0);
	*p = kept;
}

void pax_header_release(struct pax_header *p)
{
	buffer_release(&p->text);
	tar_sparse_map_release(&p->sparse_0_0);
	free(p->xattrs);
	*p = (struct pax_header){ 0 };
}

static int bad_record(const char *key, struct error *err)
{
	AUTO_FREE char *safe = text_escaped(key);

	return error_set(err, E_INTEGRITY, "extended header: bad value of '%.100s'", safe);
}

/* "-12.345": seconds and nanoseconds, rounded down. */
static bool parse_time(const char *s, int64_t *ret_sec, uint32_t *ret_ns)
{
	bool negative = *s == '-';
	const char *p = negative ? s + 1 : s;
	uint64_t sec = 0;
	uint32_t ns = 0, unit = 100000000;
	size_t digits = 0;

	for (; *p >= '0' && *p <= '9'; p++, digits++) {
		if (sec > (uint64_t)INT64_MAX / 10 - 1)
			return false;
		sec = sec * 10 + (uint64_t)(*p - '0');
	}
	if (digits == 0)
		return false;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
			ns += unit * (uint32_t)(*p - '0');
	if (*p != '\0')
		return false;
	*ret_sec = negative ? -(int64_t)sec - (ns > 0) : (int64_t)sec;
	*ret_ns = negative && ns > 0 ? 1000000000 - ns : ns;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Undo %XX in place. */
static bool decode_percent(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (*s == '%') {
			int high = hex_digit(s[1]);
			int low = high < 0 ? -1 : hex_digit(s[2]);

			if (low < 0 || (high | low) == 0)
				return false;
			*out++ = (char)(high << 4 | low);
			s += 2;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
	return true;
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* In place; libarchive leaves out the padding. */
static bool decode_base64(char *data, size_t *size)
{
	size_t n = *size, out = 0;
	uint32_t bits = 0;
	unsigned count = 0;

	while (n > 0 && data[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n; i++) {
		int d = base64_digit(data[i]);

		if (d < 0)
			return false;
		bits = bits << 6 | (uint32_t)d;
		count += 6;
		if (count >= 8) {
			count -= 8;
			data[out++] = (char)(bits >> count);
		}
	}
	data[out] = '\0';
	*size = out;
	return count < 6;
}

/* Writers give both spellings of one attribute: the first one stands, star's replaces libarchive's.
 */
static int add_xattr(struct pax_header *p, const char *name, const char *value, size_t size,
		     bool replace, struct error *err)
{
	for (size_t i = 0; i < p->xattr_count; i++)
		if (strcmp(p->xattrs[i].name, name) == 0) {
			if (replace)
				p->xattrs[i] = (struct tar_xattr){ name, value, size };
			return 0;
		}
	if (p->xattr_count == TAR_XATTRS_MAX)
		return error_set(err, E_INTEGRITY, "more than %d extended attributes",
				 TAR_XATTRS_MAX);
	GROW_ARRAY(p->xattrs, p->xattr_count, p->xattr_room);
	p->xattrs[p->xattr_count++] = (struct tar_xattr){ name, value, size };
	return 0;
}

static int parse_u32_value(const char *key, const char *value, uint32_t *ret, bool *ret_has,
			   struct error *err)
{
	uint64_t v = 0;

	if (!parse_u64(value, UINT32_MAX, &v))
		return bad_record(key, err);
	*ret = (uint32_t)v;
	if (ret_has)
		*ret_has = true;
	return 0;
}

static int parse_size_value(const char *key, const char *value, uint64_t *ret, struct error *err)
{
	return parse_u64(value, INT64_MAX / 2, ret) ? 0 : bad_record(key, err);
}

static int take_sparse(struct pax_header *p, const char *key, char *value, struct error *err)
{
	const char *what = key + strlen("GNU.sparse.");
	uint64_t number = 0;
	int rc;

	if (strcmp(what, "major") == 0)
		return parse_u32_value(key, value, &p->sparse_major, NULL, err);
	if (strcmp(what, "minor") == 0)
		return parse_u32_value(key, value, &p->sparse_minor, NULL, err);
	if (strcmp(what, "name") == 0) {
		p->sparse_name = value;
		return 0;
	}
	if (strcmp(what, "map") == 0) {
		p->sparse_map = value;
		p->sparse = PAX_SPARSE_0_1;
		return 0;
	}
	if (strcmp(what, "numblocks") == 0) {
		if (p->sparse == PAX_SPARSE_NONE)
			p->sparse = PAX_SPARSE_0_0;
		return parse_size_value(key, value, &number, err);
	}
	if (strcmp(what, "size") == 0 || strcmp(what, "realsize") == 0)
		return parse_size_value(key, value, &p->real_size, err);
	rc = parse_size_value(key, value, &number, err);
	if (rc < 0)
		return rc;
	if (strcmp(what, "offset") == 0 && !p->sparse_offset_open) {
		p->sparse_offset = number;
		p->sparse_offset_open = true;
		return 0;
	}
	if (strcmp(what, "numbytes") == 0 && p->sparse_offset_open) {
		p->sparse_offset_open = false;
		return tar_sparse_map_add(&p->sparse_0_0, p->sparse_offset, number, err);
	}
	return bad_record(key, err);
}

static int take_xattr(struct pax_header *p, char *key, char *value, size_t size, struct error *err)
{
	static const char star[] = "SCHILY.xattr.", libarchive[] = "LIBARCHIVE.xattr.";
	bool is_star = str_starts(key, star);
	char *name = key + (is_star ? sizeof(star) : sizeof(libarchive)) - 1;

	if (!is_star && (!decode_percent(name) || !decode_base64(value, &size)))
		return bad_record(key, err);
	if (*name == '\0')
		return bad_record(key, err);
	return add_xattr(p, name, value, size, is_star, err);
}

static int take_number(struct pax_header *p, const char *key, const char *value, struct error *err)
{
	if (strcmp(key, "size") == 0) {
		p->has_size = true;
		return parse_size_value(key, value, &p->size, err);
	}
	if (strcmp(key, "uid") == 0)
		return parse_u32_value(key, value, &p->uid, &p->has_uid, err);
	if (strcmp(key, "gid") == 0)
		return parse_u32_value(key, value, &p->gid, &p->has_gid, err);
	if (strcmp(key, "SCHILY.devmajor") == 0)
		return parse_u32_value(key, value, &p->major, &p->has_major, err);
	if (strcmp(key, "SCHILY.devminor") == 0)
		return parse_u32_value(key, value, &p->minor, &p->has_minor, err);
	if (strcmp(key, "mtime") == 0) {
		p->has_mtime = parse_time(value, &p->mtime, &p->mtime_ns);
		return p->has_mtime ? 0 : bad_record(key, err);
	}
	return 0; /* atime, ctime, uname, comment, ...: nothing we keep */
}

static int take_record(struct pax_header *p, char *key, char *value, size_t size, struct error *err)
{
	if (str_starts(key, "SCHILY.xattr.") || str_starts(key, "LIBARCHIVE.xattr."))
		return take_xattr(p, key, value, size, err);
	if (memchr(value, '\0', size))
		return bad_record(key, err);
	if (str_starts(key, "GNU.sparse."))
		return take_sparse(p, key, value, err);
	/* An empty value takes back what an earlier record said. */
	if (strcmp(key, "path") == 0)
		p->path = size > 0 ? value : NULL;
	else if (strcmp(key, "linkpath") == 0)
		p->link_path = size > 0 ? value : NULL;
	else if (size > 0)
		return take_number(p, key, value, err);
	return 0;
}

/* One "<length> <key>=<value>\n" at @s. Return: its length or -code */
static ssize_t parse_record(struct pax_header *p, char *s, size_t left, struct error *err)
{
	size_t length = 0, digits = 0;
	char *key, *equals;
	int rc;

	for (; digits < left && s[digits] >= '0' && s[digits] <= '9' && length <= TAR_PAX_MAX;
	     digits++)
		length = length * 10 + (size_t)(s[digits] - '0');
	if (digits == 0 || digits >= left || s[digits] != ' ' || length > left ||
	    length < digits + 4 || s[length - 1] != '\n')
		return error_set(err, E_INTEGRITY, "extended header: bad record length");
	key = s + digits + 1;
	equals = memchr(key, '=', length - digits - 1);
	if (!equals || equals == key || memchr(key, '\0', (size_t)(equals - key)))
		return error_set(err, E_INTEGRITY, "extended header: record without a key");
	*equals = '\0';
	s[length - 1] = '\0';
	rc = take_record(p, key, equals + 1, (size_t)(s + length - 1 - (equals + 1)), err);
	return rc < 0 ? rc : (ssize_t)length;
}

int pax_header_parse(struct pax_header *p, struct error *err)
{
	struct buffer text = p->text;

	p->text = BUFFER_INIT;
	pax_header_clear(p); /* a second header of the same entry replaces the first */
	buffer_release(&p->text);
	p->text = text;
	for (size_t at = 0; at < text.size;) {
		ssize_t n = parse_record(p, text.data + at, text.size - at, err);

		if (n < 0)
			return (int)n;
		at += (size_t)n;
	}
	if (p->sparse_major == 1 && p->sparse_minor == 0)
		p->sparse = PAX_SPARSE_1_0;
	else if (p->sparse_major != 0 || p->sparse_minor > 1)
		return error_set(err, E_INTEGRITY, "sparse file of unknown format %u.%u",
				 p->sparse_major, p->sparse_minor);
	return 0;
}

static int parse_map_text(char *text, struct tar_sparse_map *ret, struct error *err)
{
	uint64_t offset = 0;
	bool have_offset = false;
	char *rest = NULL;

	if (*text == '\0')
		return 0;
	for (char *item = strtok_r(text, ",", &rest); item; item = strtok_r(NULL, ",", &rest)) {
		uint64_t number = 0;

		if (!parse_u64(item, INT64_MAX / 2, &number))
			return error_set(err, E_INTEGRITY, "bad number in a sparse map");
		if (have_offset) {
			int rc = tar_sparse_map_add(ret, offset, number, err);

			if (rc < 0)
				return rc;
		}
		offset = number;
		have_offset = !have_offset;
	}
	if (have_offset)
		return error_set(err, E_INTEGRITY, "sparse map is cut short");
	return 0;
}

int pax_header_sparse_map(struct pax_header *p, struct tar_sparse_map *ret, struct error *err)
{
	if (p->sparse == PAX_SPARSE_0_1)
		return parse_map_text(p->sparse_map, ret, err);
	if (p->sparse_offset_open)
		return error_set(err, E_INTEGRITY, "sparse map is cut short");
	for (size_t i = 0; i < p->sparse_0_0.count; i++) {
		int rc = tar_sparse_map_add(ret, p->sparse_0_0.items[i].offset,
					    p->sparse_0_0.items[i].size, err);

		if (rc < 0)
			return rc;
	}
	return 0;
}
