/* SPDX-License-Identifier: MIT */
/* Differences of two environments, field by field. Pure. */
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/text.h"
#include "spec/print/canonical.h"
#include "spec/spec.h"

enum { TEXT_SHOWN_MAX = 200 };

struct differ {
	spec_change_fn fn;
	void *arg;
	const char *object, *name, *container;
	struct source_pos pos; /* of the object on the new side */
	struct buffer path;    /* of the field */
};

/* One side of a comparison: text to compare and to show. */
struct side {
	char *text; /* owned; NULL = not there */
	struct source_pos pos;
	bool is_private;
};

const char *spec_class_name(enum spec_class c)
{
	static const char *const names[] = { "none", "live", "process", "vm", "recreate", "data" };
	return (size_t)c < ARRAY_SIZE(names) ? names[c] : "";
}

static bool looks_secret(const char *key)
{
	static const char *const words[] = { "PASSWORD",   "PASSWD",  "SECRET",  "TOKEN",
					     "CREDENTIAL", "PRIVATE", "API_KEY", "APIKEY" };
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasestr(key, words[i]))
			return true;
	size_t n = strlen(key);
	return n > 4 && strcasecmp(key + n - 4, "_KEY") == 0;
}

static char *show(const char *text)
{
	if (!text)
		return NULL;
	char *safe = text_escaped(text);
	if (strlen(safe) > TEXT_SHOWN_MAX) {
		size_t n = TEXT_SHOWN_MAX - 3;
		while (n && ((unsigned char)safe[n] & 0xc0) == 0x80)
			n--;
		memcpy(safe + n, "...", 4);
	}
	return safe;
}

static void tell(struct differ *d, enum spec_class class, const struct side *old,
		 const struct side *new, bool is_secret)
{
	AUTO_FREE char *old_text = is_secret && old->text ? xstrdup("(changed)") : show(old->text);
	AUTO_FREE char *new_text = is_secret && new->text ? xstrdup("(changed)") : show(new->text);
	struct spec_change change = {
		.kind = !old->text   ? SPEC_ADDED
			: !new->text ? SPEC_REMOVED
				     : SPEC_CHANGED,
		.object = d->object,
		.name = d->name,
		.container = d->container,
		.field = buffer_str(&d->path),
		.change_class = class,
		.old_text = old_text,
		.new_text = new_text,
		.pos = new->pos.line ? new->pos : d->pos,
		.is_secret = is_secret,
	};
	d->fn(d->arg, &change);
}

static char *value_text(const struct field *f, const void *object, enum canonical_form form)
{
	if (!object || !canonical_prints(f, object, false))
		return NULL;
	AUTO_BUFFER out = BUFFER_INIT;
	struct canonical c = { &out, form, false };
	canonical_value(&c, f, object);
	return buffer_steal(&out);
}

static bool texts_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Disks grow while they are in use; to shrink one is to make it anew. */
static enum spec_class class_of(const struct differ *d, const struct field *f, const void *old,
				const void *new)
{
	if (f->kind != KIND_SIZE || !old || !new)
		return f->change;
	const struct spec_number *was = field_at(f, old), *is = field_at(f, new);
	bool shrinks = was->at.is_set && is->at.is_set && is->value < was->value;
	if (shrinks && str_equal(d->object, "volume"))
		return SPEC_CLASS_DATA;
	if (shrinks && str_equal(f->name, "disk"))
		return SPEC_CLASS_RECREATE;
	return f->change;
}

static size_t enter(struct differ *d, const char *name)
{
	size_t size = d->path.size;
	buffer_printf(&d->path, "%s%s", size ? "." : "", name);
	return size;
}

static void leave(struct differ *d, size_t size)
{
	d->path.size = size;
	if (d->path.data)
		d->path.data[size] = 0;
}

static void diff_object(struct differ *d, const struct object_type *type, const void *old,
			const void *new);

static void diff_whole(struct differ *d, const struct field *f, const void *old, const void *new)
{
	/* Compared exactly, shown as people write it. */
	AUTO_FREE char *was = value_text(f, old, FORM_JSON), *is = value_text(f, new, FORM_JSON);
	if (texts_equal(was, is))
		return;
	struct side a = { value_text(f, old, FORM_FLOW), { 0 }, false };
	struct side b = { value_text(f, new, FORM_FLOW), { 0 }, false };
	if (new)
		b.pos = field_value(f, new)->pos;
	tell(d, class_of(d, f, old, new), &a, &b, (f->flags & FIELD_SECRET) != 0);
	free(a.text);
	free(b.text);
}

static void diff_pairs(struct differ *d, const struct field *f, const void *old, const void *new)
{
	static const struct spec_pairs none = { 0 };
	const struct spec_pairs *was = old ? field_at(f, old) : &none;
	const struct spec_pairs *is = new ? field_at(f, new) : &none;
	for (size_t i = 0, j = 0; i < was->count || j < is->count;) {
		const struct spec_pair *a = i < was->count ? &was->items[i] : NULL;
		const struct spec_pair *b = j < is->count ? &is->items[j] : NULL;
		int order = !a ? 1 : !b ? -1 : strcmp(a->key, b->key);
		i += order <= 0;
		j += order >= 0;
		a = order <= 0 ? a : NULL;
		b = order >= 0 ? b : NULL;
		if (!a && !b)
			break;
		if (a && b && strcmp(a->value.text, b->value.text) == 0)
			continue;
		const char *key = b ? b->key : a->key;
		size_t size = enter(d, key);
		struct side x = { a ? xstrdup(a->value.text) : NULL, { 0 }, false };
		struct side y = { b ? xstrdup(b->value.text) : NULL, { 0 }, false };
		if (b)
			y.pos = b->value.at.pos;
		bool is_private = (a && a->value.at.is_private) || (b && b->value.at.is_private);
		tell(d, f->change, &x, &y, is_private || looks_secret(key));
		free(x.text);
		free(y.text);
		leave(d, size);
	}
}

/* --- lists and maps of objects --- */

static char *item_text(const struct object_type *type, const void *item)
{
	if (!item)
		return NULL;
	if (type == &mount_type) {
		const struct spec_mount *m = item;
		return xasprintf("%s:%s:%s",
				 m->source.text ? m->source.text
						: choice_name(field_find(type, "type")->choices,
							      m->type.value),
				 m->target.text,
				 spec_access_name((enum spec_access)m->access.value));
	}
	if (type == &socket_type) {
		const struct spec_socket *s = item;
		bool is_out = s->direction.value == SPEC_DIRECTION_OUT;
		return xasprintf("%s%s%s", s->host.text, is_out ? "<-" : "->", s->target.text);
	}
	if (type == &port_type) {
		const struct spec_port *p = item;
		AUTO_FREE char *host =
			p->host.value ? xasprintf("%d", (int)p->host.value) : xstrdup("auto");
		return xasprintf("%s:%s->%d/%s", p->address.text, host, (int)p->container.value,
				 spec_protocol_name((enum spec_protocol)p->protocol.value));
	}
	AUTO_BUFFER out = BUFFER_INIT;
	struct canonical c = { &out, FORM_FLOW, false };
	canonical_object(&c, type, item);
	return buffer_steal(&out);
}

static char *key_text(const struct object_type *type, const struct spec_object *o)
{
	if (o->name)
		return xstrdup(o->name);
	AUTO_FREE char *a =
		type->key ? value_text(field_find(type, type->key), o, FORM_FLOW) : NULL;
	AUTO_FREE char *b =
		type->key2 ? value_text(field_find(type, type->key2), o, FORM_FLOW) : NULL;
	return xasprintf("%s%s%s", a ? a : "", b ? "/" : "", b ? b : "");
}

static void diff_item(struct differ *d, const struct field *f, const void *old, const void *new)
{
	const struct spec_object *o = new ? new : old;
	if (!o)
		return;
	AUTO_FREE char *key = key_text(f->object, o);
	size_t size = d->path.size;
	if (f->kind == KIND_MAP)
		buffer_printf(&d->path, "%s%s", size ? "." : "", key);
	else
		buffer_printf(&d->path, "[%s]", key);
	if (old && new) {
		diff_object(d, f->object, old, new);
	} else {
		struct side a = { item_text(f->object, old), { 0 }, false };
		struct side b = { item_text(f->object, new), { 0 }, false };
		if (new)
			b.pos = o->at.pos;
		tell(d, f->change, &a, &b, false);
		free(a.text);
		free(b.text);
	}
	leave(d, size);
}

static void get_list(const struct field *f, const void *object, struct object_list *ret)
{
	*ret = (struct object_list){ 0 };
	if (object)
		memcpy(ret, field_at(f, object), sizeof(*ret));
}

/* Items belong together if their keys are equal; of equal keys the first with the first. */
static void diff_items(struct differ *d, const struct field *f, const void *old, const void *new)
{
	struct object_list was, is;
	get_list(f, old, &was);
	get_list(f, new, &is);
	AUTO_FREE bool *taken = xcalloc(was.count + 1, sizeof(*taken));
	AUTO_STRLIST keys = STRLIST_INIT;
	for (size_t i = 0; i < was.count; i++)
		strlist_take(&keys, key_text(f->object, list_item(&was, f->object, i)));
	for (size_t j = 0; j < is.count; j++) {
		const struct spec_object *item = list_item(&is, f->object, j), *match = NULL;
		AUTO_FREE char *key = key_text(f->object, item);
		for (size_t i = 0; !match && i < was.count; i++) {
			if (taken[i] || strcmp(keys.items[i], key) != 0)
				continue;
			match = list_item(&was, f->object, i);
			taken[i] = true;
		}
		diff_item(d, f, match, item);
	}
	for (size_t i = 0; i < was.count; i++)
		if (!taken[i])
			diff_item(d, f, list_item(&was, f->object, i), NULL);
}

static void diff_field(struct differ *d, const struct field *f, const void *old, const void *new)
{
	bool has_old = old && canonical_prints(f, old, false);
	bool has_new = new &&canonical_prints(f, new, false);
	if (!has_old && !has_new)
		return;
	bool is_content = (f->flags & FIELD_COMPUTED) && !(f->flags & FIELD_UNHASHED);
	size_t size = enter(d, is_content ? "content" : f->name);
	if (f->kind == KIND_PAIRS)
		diff_pairs(d, f, old, new);
	else if (f->kind == KIND_LIST || f->kind == KIND_MAP)
		diff_items(d, f, old, new);
	else if (f->kind == KIND_OBJECT && has_old && has_new)
		diff_object(d, f->object, field_at(f, old), field_at(f, new));
	else
		diff_whole(d, f, old, new);
	leave(d, size);
}

static void diff_object(struct differ *d, const struct object_type *type, const void *old,
			const void *new)
{
	for (size_t i = 0; i < type->field_count; i++)
		/* Processes are objects of their own in a plan. */
		if (!(type->fields[i].flags & FIELD_APPLIED) &&
		    type->fields[i].object != &process_type)
			diff_field(d, &type->fields[i], old, new);
}

/* --- top level --- */

static void diff_named(struct differ *d, const struct field *f, const void *old, const void *new,
		       const char *container);

static void diff_one(struct differ *d, const struct field *f, const struct spec_object *old,
		     const struct spec_object *new)
{
	const struct spec_object *o = new ? new : old;
	if (!o)
		return;
	d->object = f->object->word;
	d->name = o->name;
	d->pos = new ? new->at.pos : (struct source_pos){ 0 };
	if (!old || !new) {
		/* The whole object is the change: its texts are empty. */
		struct side a = { old ? xstrdup("") : NULL, { 0 }, false };
		struct side b = { new ? xstrdup("") : NULL, d->pos, false };
		tell(d, f->change, &a, &b, false);
		free(a.text);
		free(b.text);
		return;
	}
	diff_object(d, f->object, old, new);
	if (f->object == &container_type)
		diff_named(d, field_find(&container_type, "processes"), old, new, o->name);
}

static const struct spec_object *next_active(const struct field *f, const struct object_list *l,
					     size_t *at)
{
	for (; *at < l->count; (*at)++) {
		const struct spec_object *o = list_item(l, f->object, *at);
		if (canonical_is_active(f->object, o))
			return o;
	}
	return NULL;
}

/* Both sides are sorted by name. */
static void diff_named(struct differ *d, const struct field *f, const void *old, const void *new,
		       const char *container)
{
	struct object_list was, is;
	get_list(f, old, &was);
	get_list(f, new, &is);
	d->container = container;
	for (size_t i = 0, j = 0;;) {
		const struct spec_object *a = next_active(f, &was, &i),
					 *b = next_active(f, &is, &j);
		if (!a && !b)
			break;
		int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
		diff_one(d, f, order <= 0 ? a : NULL, order >= 0 ? b : NULL);
		i += order <= 0;
		j += order >= 0;
	}
	d->container = NULL;
}

void spec_diff(const struct environment *old, const struct environment *new, spec_change_fn fn,
	       void *arg)
{
	static const char *const order[] = { "networks", "volumes", "files", "secrets",
					     "containers" };
	struct differ d = { .fn = fn, .arg = arg, .object = "environment", .name = "" };
	for (size_t i = 0; i < environment_type.field_count; i++) {
		const struct field *f = &environment_type.fields[i];
		if (f->kind != KIND_MAP && !(f->flags & FIELD_APPLIED))
			diff_field(&d, f, old, new);
	}
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		diff_named(&d, field_find(&environment_type, order[i]), old, new, NULL);
	buffer_release(&d.path);
}
