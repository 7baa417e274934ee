/* SPDX-License-Identifier: MIT */
/* Files and secrets of containers. */
#include "orchestrator/apply/contents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/file.h"
#include "orchestrator/state/secret_store.h"

/* What one message carries of a file. */
enum { PIECE_BYTES = 96 << 10, MARK_SIZE = 7 + 65 };

void contents_release(struct contents *c)
{
	for (size_t i = 0; i < c->file_count; i++)
		machine_file_release(&c->files[i]);
	free(c->files);
	for (size_t i = 0; i < c->secret_env.count; i++)
		explicit_bzero(c->secret_env.items[i], strlen(c->secret_env.items[i]));
	strlist_release(&c->secret_env);
	json_free(c->marks);
	*c = CONTENTS_INIT;
}

bool secret_is_kept(const struct spec_secret *s)
{
	return s->generate.o.at.is_set || (s->prompt.at.is_set && s->prompt.value);
}

static bool is_required(const struct spec_secret *s)
{
	return !s->required.at.is_set || s->required.value;
}

/* Return: 0, -E_NOT_FOUND if there is none, another -code */
static int read_secret(const struct world *w, const struct spec_secret *s, struct buffer *out,
		       struct error *err)
{
	const char *value;

	if (secret_is_kept(s))
		return secret_store_read(w->paths, w->record.id, s->o.name, out, err);
	if (s->file.at.is_set)
		return file_read_plain(s->resolved.at.is_set ? s->resolved.text : s->file.text,
				       SECRET_MAX_BYTES, out, err);
	value = s->env.at.is_set ? getenv(s->env.text) : NULL;
	if (!value)
		return error_set(err, E_NOT_FOUND, "the variable %s is not set",
				 s->env.at.is_set ? s->env.text : "");
	if (strlen(value) > SECRET_MAX_BYTES)
		return error_set(err, E_INVALID, "the variable %s is longer than %d bytes",
				 s->env.text, SECRET_MAX_BYTES);
	buffer_add_str(out, value);
	return 0;
}

static struct json *marks_of(struct contents *c, const char *kind)
{
	struct json *marks;

	if (!c->marks)
		c->marks = json_new_object();
	marks = json_member_object(c->marks, kind);
	if (!marks) {
		marks = json_new_object();
		json_set(c->marks, kind, marks);
	}
	return marks;
}

/* What every piece of a file says. */
struct placed {
	const char *path, *link_at, *owner;
	const struct spec_number *mode;
};

static int add_file(struct contents *c, const struct placed *p, const struct buffer *content,
		    struct error *err)
{
	size_t at = 0;

	c->bytes += content->size;
	if (c->bytes > CONTENTS_ALL_MAX)
		return error_set(err, E_INVALID,
				 "the files and secrets of a container are over %d MiB together; "
				 "mount large ones (type: file)",
				 CONTENTS_ALL_MAX >> 20);
	do {
		size_t n = content->size - at < PIECE_BYTES ? content->size - at : PIECE_BYTES;
		uint8_t *piece = xmalloc(n + 1);

		if (n > 0)
			memcpy(piece, content->data + at, n);
		GROW_ARRAY(c->files, c->file_count, c->file_room);
		c->files[c->file_count++] = (struct msg_write_file){
			.path = xstrdup(p->path),
			.link_at = xstrdup(p->link_at),
			.owner = xstrdup(p->owner),
			.mode = (uint32_t)p->mode->value,
			.append = at > 0,
			.content = piece,
			.content_size = n,
		};
		at += n;
	} while (at < content->size);
	return 0;
}

static int read_content(const struct world *w, const struct spec_file *f, struct buffer *out,
			char mark[MARK_SIZE], struct error *err)
{
	char hex[65];
	int r = 0;

	if (f->content.at.is_set)
		buffer_add_str(out, f->content.text);
	else
		r = git_files_read(w->git, f->source.text, CONTENTS_FILE_MAX, out, err);
	if (r == 1)
		r = file_read_plain(f->resolved.at.is_set ? f->resolved.text : f->source.text,
				    CONTENTS_FILE_MAX, out, err);
	sha256_hex(buffer_str(out), out->size, hex);
	(void)snprintf(mark, MARK_SIZE, "sha256:%s", hex);
	return r;
}

static int give_file(const struct world *w, const struct spec_file_ref *ref, struct contents *c,
		     struct error *err)
{
	const struct spec_file *f = environment_file(w->wanted, ref->file.text);
	struct placed p = { .path = ref->target.text,
			    .link_at = "",
			    .owner = ref->owner.text ? ref->owner.text : "",
			    .mode = &ref->mode };
	AUTO_BUFFER content = BUFFER_INIT;
	char mark[MARK_SIZE];
	int r;

	if (!f)
		return error_set(err, E_INTERNAL, "there is no file '%s'", ref->file.text);
	r = read_content(w, f, &content, mark, err);
	if (r == 0)
		r = add_file(c, &p, &content, err);
	if (r < 0)
		return r;
	json_set_string(marks_of(c, "files"), ref->file.text, mark);
	return 0;
}

/* A variable holds no line end that an editor put behind the value, and no NUL. */
static int give_variable(const struct spec_secret_ref *ref, const struct buffer *value,
			 struct contents *c, struct error *err)
{
	size_t size = value->size;

	if (size > 0 && memchr(value->data, 0, size))
		return error_set(err, E_INVALID,
				 "its value has a NUL byte, which no variable can hold; give it as "
				 "a file: leave env out");
	if (size > 0 && value->data[size - 1] == '\n')
		size--;
	strlist_printf(&c->secret_env, "%s=%.*s", ref->env.text, (int)size, buffer_str(value));
	return 0;
}

static int give_secret_file(const struct spec_secret_ref *ref, const char *user,
			    const struct buffer *value, struct contents *c, struct error *err)
{
	bool is_here = str_starts(ref->target.text, SECRETS_DIR "/");
	AUTO_FREE char *linked = xasprintf(SECRETS_LINKED "%s", ref->target.text);
	bool is_users = !ref->owner.text || strcmp(ref->owner.text, "same") == 0;
	struct placed p = { .path = is_here ? ref->target.text : linked,
			    .link_at = is_here ? "" : ref->target.text,
			    .owner = is_users ? user : ref->owner.text,
			    .mode = &ref->mode };

	c->has_secret_files = true;
	return add_file(c, &p, value, err);
}

static int give_secret(const struct world *w, const struct spec_secret_ref *ref, const char *user,
		       struct contents *c, struct error *err)
{
	const struct spec_secret *s = environment_secret(w->wanted, ref->secret.text);
	AUTO_SECRET_BUFFER value = BUFFER_INIT;
	char mark[SECRET_MARK_SIZE];
	int r;

	if (!s)
		return error_set(err, E_INTERNAL, "there is no secret '%s'", ref->secret.text);
	r = read_secret(w, s, &value, err);
	if (r == -E_NOT_FOUND && !is_required(s)) {
		error_clear(err);
		return 0;
	}
	if (r == 0 && ref->env.at.is_set)
		r = give_variable(ref, &value, c, err);
	if (r == 0 && ref->target.at.is_set)
		r = give_secret_file(ref, user, &value, c, err);
	if (r == 0)
		r = secret_store_mark(w->paths, w->record.id, true, buffer_str(&value), value.size,
				      mark, err);
	if (r < 0)
		return r;
	json_set_string(marks_of(c, "secrets"), ref->secret.text, mark);
	return 0;
}

static int place_error(struct error *err, struct source_pos pos, const char *kind, const char *name)
{
	if (!err->pos.line)
		err->pos = pos;
	return error_wrap(err, "%s '%s'", kind, name);
}

int contents_make(const struct world *w, const struct spec_container *spec, const char *user,
		  struct contents *ret, struct error *err)
{
	struct contents c = CONTENTS_INIT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->files.count; i++) {
		const struct spec_file_ref *ref = &spec->files.items[i];

		r = give_file(w, ref, &c, err);
		if (r < 0)
			r = place_error(err, ref->o.at.pos, "file", ref->file.text);
	}
	for (size_t i = 0; r == 0 && i < spec->secrets.count; i++) {
		const struct spec_secret_ref *ref = &spec->secrets.items[i];

		r = give_secret(w, ref, user, &c, err);
		if (r < 0)
			r = place_error(err, ref->o.at.pos, "secret", ref->secret.text);
	}
	if (r < 0)
		contents_release(&c);
	else
		*ret = c;
	return r;
}

static bool secret_differs(const struct world *w, const struct spec_secret *s, const char *before)
{
	AUTO_SECRET_BUFFER value = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	char mark[SECRET_MARK_SIZE];
	int r = read_secret(w, s, &value, &err);

	if (r == -E_NOT_FOUND && !is_required(s))
		return before != NULL;
	if (r == 0)
		r = secret_store_mark(w->paths, w->record.id, false, buffer_str(&value), value.size,
				      mark, &err);
	if (r < 0)
		error_ignore(&err, "look at a secret");
	return r > 0 && (!before || strcmp(before, mark) != 0);
}

static bool file_differs(const struct world *w, const struct spec_file *f, const char *before)
{
	AUTO_BUFFER content = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	char mark[MARK_SIZE];
	int r = read_content(w, f, &content, mark, &err);

	if (r < 0)
		error_ignore(&err, "look at a file");
	return r == 0 && before && strcmp(before, mark) != 0;
}

bool contents_differ(const struct world *w, const char *name, const char *kind, const char *item)
{
	const struct container_record *c = env_record_container(&w->record, name);
	const struct json *marks = c && c->contents ? json_member_object(c->contents, kind) : NULL;
	const char *before = marks ? json_str(marks, item, NULL) : NULL;
	const struct spec_file *f;
	const struct spec_secret *s;

	if (!c || c->stage != STAGE_MADE || !w->wanted)
		return false;
	if (strcmp(kind, "secrets") == 0) {
		s = environment_secret(w->wanted, item);
		return s && secret_differs(w, s, before);
	}
	f = environment_file(w->wanted, item);
	return f && file_differs(w, f, before);
}

/* @bytes random bytes, written as the spec says; each letter of an alphanumeric one is drawn anew
 * until it is one of 62. */
static void generate(const struct spec_generate *g, struct buffer *out)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	static const char base64[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t count = (size_t)g->bytes.value;
	AUTO_FREE uint8_t *bytes = xcalloc(count + 3, 1);

	random_bytes(bytes, count);
	if (g->format.value == SPEC_FORMAT_HEX) {
		for (size_t i = 0; i < count; i++)
			buffer_printf(out, "%02x", bytes[i]);
	} else if (g->format.value == SPEC_FORMAT_BASE64) {
		for (size_t i = 0; i < count; i += 3) {
			uint32_t v = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 |
				     bytes[i + 2];

			for (size_t k = 0; k < 4; k++)
				buffer_add_char(
					out, i + k > count ? '=' : base64[v >> (18 - 6 * k) & 63]);
		}
	} else {
		for (size_t i = 0; i < count; i++) {
			while ((bytes[i] & 63) >= sizeof(letters) - 1)
				random_bytes(&bytes[i], 1);
			buffer_add_char(out, letters[bytes[i] & 63]);
		}
	}
	explicit_bzero(bytes, count);
}

int secret_make(const struct world *w, const struct spec_secret *s, struct error *err)
{
	AUTO_SECRET_BUFFER value = BUFFER_INIT;

	if (secret_store_has(w->paths, w->record.id, s->o.name))
		return 0;
	if (!s->generate.o.at.is_set)
		return error_at(err, s->o.at.pos, E_DENIED,
				"secret '%s' is asked for on a terminal, and there is none; run "
				"ctrz up once on a terminal, or write env: or file: for it",
				s->o.name);
	generate(&s->generate, &value);
	return secret_store_write(w->paths, w->record.id, s->o.name, value.data, value.size, err);
}
