/* SPDX-License-Identifier: MIT */
/* The best advice for a key that is not in the tables. */
#include <string.h>

#include "base/text.h"
#include "spec/compose/import.h"
#include "spec/fields/decode.h"

enum { KEYS_MAX = 64, ALLOWED_SHOWN = 12 };

static const struct alias *find_alias(const struct object_type *type, const char *key)
{
	for (const struct alias *a = type->aliases; a && a->name; a++)
		if (strcmp(a->name, key) == 0)
			return a;
	return NULL;
}

/* Where below @type a key of that name is: "resources" or "networks.NAME". */
static bool find_below(const struct object_type *type, const char *key, unsigned depth,
		       struct buffer *path)
{
	size_t size = path->size;
	for (size_t i = 0; i < type->field_count; i++) {
		const struct field *f = &type->fields[i];
		if (!f->object || (f->flags & FIELD_COMPUTED))
			continue;
		buffer_printf(path, "%s%s%s", size ? "." : "", f->name,
			      f->kind == KIND_MAP    ? ".NAME"
			      : f->kind == KIND_LIST ? "[]"
						     : "");
		if (field_find(f->object, key))
			return true;
		if (depth && find_below(f->object, key, depth - 1, path))
			return true;
		path->size = size;
		if (path->data)
			path->data[size] = 0;
	}
	return false;
}

static void list_allowed(struct diagnostic *e, const struct object_type *type)
{
	AUTO_BUFFER out = BUFFER_INIT;
	size_t shown_count = 0, total = 0;
	for (size_t i = 0; i < type->field_count; i++) {
		if (type->fields[i].flags & FIELD_COMPUTED)
			continue;
		if (++total > ALLOWED_SHOWN)
			continue;
		shown_count++;
		buffer_printf(&out, "%s%s", out.size ? ", " : "", type->fields[i].name);
	}
	report_help(e, "allowed here: %s%s   (ctrz explain E104)", buffer_str(&out),
		    total > shown_count ? ", ..." : "");
}

static void report_alias(struct decode *d, const struct alias *a, const struct node *key)
{
	if (a->help && !*a->instead) {
		struct diagnostic *e = report(d->diags, "E105", key->pos, key->width,
					      "there is no key \"%s\"%s", key->text, place_text(d));
		report_help(e, "%s", a->help);
		return;
	}
	struct diagnostic *e = report(d->diags, "E105", key->pos, key->width,
				      "\"%s\" is called \"%s\" here", key->text, a->instead);
	if (a->help)
		report_help(e, "%s", a->help);
	else
		report_hint(e, "write %s", a->instead);
}

static const char *nearest(const struct object_type *type, const char *key)
{
	const char *names[KEYS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < type->field_count && count < KEYS_MAX; i++)
		if (!(type->fields[i].flags & FIELD_COMPUTED))
			names[count++] = type->fields[i].name;
	return text_suggest(key, names, count);
}

void report_unknown_key(struct decode *d, const struct object_type *type, const struct node *key)
{
	if (type == &environment_type && strcmp(key->text, "services") == 0) {
		struct diagnostic *e = report(d->diags, "E102", key->pos, key->width,
					      "this looks like a Compose file");
		report_help(e, "ctrz import compose.yaml makes an env.yaml of it; here the word is "
			       "containers:");
		return;
	}
	const struct alias *a = find_alias(type, key->text);
	if (a) {
		report_alias(d, a, key);
		return;
	}
	const char *advice = type == &container_type ? compose_key_advice(key->text) : NULL;
	if (advice) {
		const struct alias lost = { key->text, "", advice };
		report_alias(d, &lost, key);
		return;
	}
	struct diagnostic *e = report(d->diags, "E104", key->pos, key->width,
				      "unknown key \"%s\"%s", shown(d, key->text), place_text(d));
	const char *near = nearest(type, key->text);
	AUTO_BUFFER path = BUFFER_INIT;
	if (near)
		report_hint(e, "did you mean \"%s\"?", near);
	else if (find_below(type, key->text, 1, &path))
		report_hint(e, "this key belongs under %s:", buffer_str(&path));
	else if (type != &environment_type && field_find(&environment_type, key->text))
		report_hint(e, "this key belongs at the top of the file");
	else if (type != &container_type && field_find(&container_type, key->text))
		report_hint(e, "this key belongs into a container");
	list_allowed(e, type);
}
