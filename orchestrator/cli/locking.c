/* SPDX-License-Identifier: MIT */
/* Locks as commands see them. */
#include "orchestrator/cli/locking.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/text.h"

enum { SHORT_DIGITS = 12 };

/* "sha256:0123456789ab" or "0123456"; owned. */
static char *short_id(const struct spec_pin *pin)
{
	const char *colon = strchr(pin->id, ':');
	size_t size = colon ? (size_t)(colon + 1 - pin->id) + SHORT_DIGITS : SHORT_DIGITS;

	return xstrndup(pin->id, size);
}

struct printing {
	struct buffer *out;
	size_t count;
};

static void print_change(void *arg, const struct spec_pin *old, const struct spec_pin *new)
{
	struct printing *p = arg;
	const struct spec_pin *any = new ? new : old;
	AUTO_FREE char *name = text_escaped(any->name);
	AUTO_FREE char *before = old ? short_id(old) : NULL;
	AUTO_FREE char *now = new ? short_id(new) : NULL;

	p->count++;
	buffer_printf(p->out, "  %c %s %s%s%s  %s%s%s\n",
		      !old   ? '+'
		      : !new ? '-'
			     : '~',
		      any->is_include ? "include" : "image", name, any->platform ? " " : "",
		      any->platform ? any->platform : "", before ? before : "",
		      before && now ? " -> " : "", now ? now : "");
}

size_t lock_changes_print(const struct spec_pins *old, const struct spec_pins *new,
			  struct buffer *out)
{
	struct printing p = { .out = out };

	spec_pins_diff(old, new, print_change, &p);
	return p.count;
}

static void add_change(void *arg, const struct spec_pin *old, const struct spec_pin *new)
{
	const struct spec_pin *any = new ? new : old;
	struct json *o = json_new_object();

	json_set_string(o, "kind", any->is_include ? "include" : "image");
	json_set_string(o, "name", any->name);
	if (any->platform)
		json_set_string(o, "platform", any->platform);
	json_set_string(o, "old", old ? old->id : NULL);
	json_set_string(o, "new", new ? new->id : NULL);
	json_add(arg, o);
}

struct json *lock_changes_json(const struct spec_pins *old, const struct spec_pins *new)
{
	struct json *list = json_new_array();

	spec_pins_diff(old, new, add_change, list);
	return list;
}

/* What would be locked if somebody did. */
static void say_missing(const struct cli *cli, const struct world *w)
{
	AUTO_STRLIST missing = STRLIST_INIT;

	for (size_t i = 0; i < w->wanted->containers.count; i++) {
		const struct spec_container *c = &w->wanted->containers.items[i];

		if (container_is_locked(c) && !strlist_has(&missing, c->image.text) &&
		    !spec_pins_find(&w->pins, c->image.text, host_platform()))
			strlist_add(&missing, c->image.text);
	}
	for (size_t i = 0; i < w->wanted->pinned.count; i++)
		if (!spec_pins_find(&w->pins, w->wanted->pinned.items[i].url, NULL))
			strlist_add(&missing, w->wanted->pinned.items[i].url);
	if (!missing.count || cli->quiet)
		return;
	AUTO_FREE char *first = text_escaped(missing.items[0]);
	AUTO_FREE char *name = text_escaped(w->wanted->lock->name);

	(void)fprintf(stderr, "%s lacks %s", name, first);
	if (missing.count > 1)
		(void)fprintf(stderr, " and %zu more", missing.count - 1);
	(void)fprintf(stderr, "; ctrz lock adds what is missing\n");
}

static int renew(const struct cli *cli, const struct target *t, const struct host_config *config,
		 struct world *w, struct error *err)
{
	struct lock_request q = {
		.paths = w->paths,
		.config = config,
		.env = w->wanted,
		.was = &w->pins,
		.renews = true,
		.is_offline = t->offline,
	};
	AUTO_PINS pins = { 0 };
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_FREE char *name = text_escaped(w->wanted->lock->name);
	int r = lock_make(&q, &pins, err);

	if (r < 0)
		return r;
	buffer_printf(&text, "%s changes:\n", name);
	w->pins_changed = lock_changes_print(&w->pins, &pins, &text) > 0;
	spec_pins_release(&w->pins);
	w->pins = pins;
	pins = (struct spec_pins){ 0 };
	if (!w->pins_changed || cli->quiet)
		return 0;
	return fd_write_full(STDERR_FILENO, text.data, text.size, err);
}

int lock_take_up(const struct cli *cli, const struct target *t, const struct host_config *config,
		 struct world *w, struct error *err)
{
	if (!w->wanted->lock)
		return 0;
	if (t->update && !t->is_git)
		return renew(cli, t, config, w, err);
	say_missing(cli, w);
	return 0;
}

int lock_settle(struct world *w, struct error *err)
{
	int r;

	if (!w->pins_changed)
		return 0;
	r = lock_write(w->wanted->lock->path, &w->pins, err);
	w->pins_changed = r < 0;
	return r;
}
