/* SPDX-License-Identifier: MIT */
#include "runtime/source/answers.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/file.h"

enum { ANSWERS_MAX = 256, PATH_MAX_BYTES = 4096, ENTRY_HEAD_MAX = 64, HASH_DIGITS = 64 };
enum { FILE_MAX_BYTES = 1 << 20 };

#define FOLDER "ctrz-read"
#define MAGIC "ctrz-read 1 "
#define HEAD_BYTES (sizeof(MAGIC) - 1 + HASH_DIGITS + 1)

static void answer_free(void *p)
{
	struct answer *a = p;

	if (a)
		buffer_release(&a->content);
	free(a);
}

void answers_release(struct answers *a)
{
	map_release(&a->by_path, answer_free);
	free(a->path);
	*a = (struct answers){ 0 };
}

const struct answer *answers_find(const struct answers *a, const char *path)
{
	return map_get(&a->by_path, path);
}

static void set(struct answers *a, const char *path, enum source_kind kind, const void *content,
		size_t size)
{
	struct answer *new = xcalloc(1, sizeof(*new));

	new->kind = kind;
	new->is_read = content != NULL;
	if (content)
		buffer_add(&new->content, content, size);
	answer_free(map_set(&a->by_path, path, new));
	a->bytes += ENTRY_HEAD_MAX + strlen(path) + size;
}

void answers_add(struct answers *a, const char *path, enum source_kind kind,
		 const struct buffer *content)
{
	const struct answer *known = answers_find(a, path);
	size_t size = strlen(path) + (content ? content->size : 0) + ENTRY_HEAD_MAX;

	if (!a->path || (known && (known->is_read || !content)) || strlen(path) > PATH_MAX_BYTES ||
	    a->by_path.count >= ANSWERS_MAX || size > FILE_MAX_BYTES - HEAD_BYTES ||
	    a->bytes > FILE_MAX_BYTES - HEAD_BYTES - size)
		return;
	set(a, path, kind, content ? buffer_str(content) : NULL, content ? content->size : 0);
	a->is_changed = true;
}

/* --- the file --- */

/* Where the reading of a file is. */
struct cursor {
	const char *at, *end;
};

/* A number of at most seven digits and the byte behind it. */
static bool take_number(struct cursor *c, char behind, size_t *ret)
{
	size_t value = 0, digits = 0;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && digits++ < 7)
		value = value * 10 + (size_t)(*c->at++ - '0');
	*ret = value;
	return digits > 0 && c->at < c->end && *c->at++ == behind;
}

static const char *take(struct cursor *c, size_t size, char behind)
{
	const char *start = c->at;

	if ((size_t)(c->end - c->at) <= size || c->at[size] != behind)
		return NULL;
	c->at += size + 1;
	return start;
}

static bool take_answer(struct cursor *c, struct answers *a)
{
	size_t kind = 0, path_size = 0, size = 0;
	const char *path, *content = NULL;
	AUTO_FREE char *name = NULL;
	bool is_read;

	if (!take_number(c, ' ', &kind) || kind > SOURCE_MODULE ||
	    !take_number(c, ' ', &path_size) || path_size > PATH_MAX_BYTES || c->at == c->end)
		return false;
	is_read = *c->at != '-';
	if (is_read ? !take_number(c, ' ', &size) : !take(c, 1, ' '))
		return false;
	path = take(c, path_size, '\n');
	if (path && is_read)
		content = take(c, size, '\n');
	if (!path || (is_read && !content) || memchr(path, '\0', path_size))
		return false;
	name = xstrndup(path, path_size);
	if (map_has(&a->by_path, name) || a->by_path.count >= ANSWERS_MAX)
		return false;
	set(a, name, (enum source_kind)kind, content, size);
	return true;
}

int answers_parse(const char *text, size_t size, struct answers *ret, struct error *err)
{
	struct cursor c = { .at = text + HEAD_BYTES, .end = text + size };
	char hash[HASH_DIGITS + 1];

	if (size < HEAD_BYTES || size > FILE_MAX_BYTES ||
	    memcmp(text, MAGIC, sizeof(MAGIC) - 1) != 0 || c.at[-1] != '\n')
		return error_set(err, E_INVALID, "no file of answers");
	sha256_hex(c.at, (size_t)(c.end - c.at), hash);
	if (memcmp(text + sizeof(MAGIC) - 1, hash, HASH_DIGITS) != 0)
		return error_set(err, E_INVALID, "its content is not what was written");
	while (c.at < c.end)
		if (!take_answer(&c, ret)) {
			map_release(&ret->by_path, answer_free);
			ret->bytes = 0;
			return error_set(err, E_INVALID, "malformed at byte %zu",
					 (size_t)(c.at - text));
		}
	return 0;
}

void answers_format(const struct answers *a, struct buffer *out)
{
	AUTO_BUFFER body = BUFFER_INIT;
	char hash[HASH_DIGITS + 1];

	for (size_t i = 0; i < a->by_path.count; i++) {
		const struct map_entry *e = &a->by_path.entries[i];
		const struct answer *one = e->value;

		buffer_printf(&body, "%d %zu ", (int)one->kind, strlen(e->key));
		if (one->is_read)
			buffer_printf(&body, "%zu %s\n", one->content.size, e->key);
		else
			buffer_printf(&body, "- %s\n", e->key);
		if (one->is_read) {
			buffer_add(&body, buffer_str(&one->content), one->content.size);
			buffer_add_char(&body, '\n');
		}
	}
	sha256_hex(buffer_str(&body), body.size, hash);
	buffer_printf(out, MAGIC "%s\n", hash);
	buffer_add(out, buffer_str(&body), body.size);
}

static char *path_of(const char *dir, const char *commit)
{
	return xasprintf("%s/" FOLDER "/%s", dir, commit);
}

bool answers_exist(const char *dir, const char *commit)
{
	AUTO_FREE char *path = path_of(dir, commit);

	return file_exists(path);
}

bool answers_load(const char *dir, const char *commit, struct answers *ret)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	int r;

	*ret = (struct answers){ .path = path_of(dir, commit) };
	r = file_read(ret->path, FILE_MAX_BYTES, &text, &err);
	if (r == 0)
		r = answers_parse(buffer_str(&text), text.size, ret, &err);
	if (r < 0)
		error_ignore(&err, "read what is known of a commit");
	return r == 0;
}

void answers_save(struct answers *a)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *folder = NULL;
	int r;

	if (!a->path || !a->is_changed)
		return;
	a->is_changed = false;
	folder = path_dirname(a->path);
	r = dir_make(folder, 0700, &err);
	answers_format(a, &text);
	if (r == 0)
		r = file_write_atomic(a->path, buffer_str(&text), text.size, 0600, &err);
	if (r < 0)
		error_ignore(&err, "keep what was read of a commit");
}
