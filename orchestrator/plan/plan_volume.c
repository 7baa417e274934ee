/* SPDX-License-Identifier: MIT */
/* Planning volumes: made when first mounted, grown in place, kept when nobody mounts them any more.
 */
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/plan/plan_internal.h"

/* A disk that has to be made anew to be as it is wanted. */
static bool is_remade(const struct desired_volume *v, const struct observed_volume *seen)
{
	return seen && seen->there && v->size_bytes < seen->size_bytes;
}

const struct desired_volume *volume_remade(const struct desired *d, const struct observed *o,
					   const struct desired_container *c)
{
	for (size_t i = 0; i < d->volume_count; i++) {
		const struct observed_volume *seen = observed_volume(o, d->volumes[i].name);
		const struct observed_container *user = observed_container(o, c->name);

		/* Only who has it already has to let it go. */
		if (user && strlist_has(&user->volumes, d->volumes[i].name) &&
		    strlist_has(&c->volumes, d->volumes[i].name) &&
		    ((seen && !seen->there) || is_remade(&d->volumes[i], seen)))
			return &d->volumes[i];
	}
	return NULL;
}

static bool is_wanted(const struct desired *d, const char *name)
{
	for (size_t i = 0; i < d->container_count; i++)
		if (d->containers[i].selected && strlist_has(&d->containers[i].volumes, name))
			return true;
	return false;
}

static void add_change(struct action *a, const char *field, char *old_text, char *new_text,
		       enum plan_class class, struct source_pos pos)
{
	a->changes = xreallocarray(a->changes, a->change_count + 1, sizeof(*a->changes));
	a->changes[a->change_count++] = (struct plan_change){ .field = xstrdup(field),
							      .old_text = old_text,
							      .new_text = new_text,
							      .class = class,
							      .pos = pos };
}

static void plan_new_volume(struct plan *p, const struct desired_volume *v,
			    const struct observed_volume *seen)
{
	struct action *a = plan_add(p, ACTION_CREATE, OBJECT_VOLUME, v->name);

	a->what = text_size(v->size_bytes);
	a->pos = v->pos;
	if (seen)
		a->drift = xstrdup("its disk is gone");
}

static void plan_made_volume(struct plan *p, const struct desired_volume *v,
			     const struct observed_volume *seen)
{
	enum plan_class size_class = is_remade(v, seen) ? PLAN_CLASS_DATA : PLAN_CLASS_LIVE;
	enum action_kind kind = ACTION_RECORD;
	struct action *a;

	if (v->size_bytes != seen->size_bytes)
		kind = kind_of_class(size_class);
	else if (v->protect == seen->protect)
		return;
	a = plan_add(p, kind, OBJECT_VOLUME, v->name);
	a->pos = v->pos;
	if (v->size_bytes != seen->size_bytes)
		add_change(a, "size", text_size(seen->size_bytes), text_size(v->size_bytes),
			   size_class, v->size_pos);
	if (v->protect != seen->protect)
		add_change(a, "protect", xstrdup(seen->protect ? "true" : "false"),
			   xstrdup(v->protect ? "true" : "false"), PLAN_CLASS_NONE, v->protect_pos);
}

void plan_volumes(struct plan *p, const struct desired *d, const struct observed *o)
{
	for (size_t i = 0; i < d->volume_count; i++) {
		const struct desired_volume *v = &d->volumes[i];
		const struct observed_volume *seen = observed_volume(o, v->name);

		if (!is_wanted(d, v->name))
			continue;
		if (!seen || !seen->there)
			plan_new_volume(p, v, seen);
		else
			plan_made_volume(p, v, seen);
	}
}

void plan_down_volumes(struct plan *p, const struct observed *o)
{
	for (size_t i = 0; i < o->volume_count; i++) {
		struct action *a = plan_add(p, ACTION_DESTROY, OBJECT_VOLUME, o->volumes[i].name);

		a->what = text_size(o->volumes[i].size_bytes);
		a->reason = xstrdup("ALL ITS DATA IS LOST");
	}
}

const struct action *plan_loses_data(const struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct action *a = &p->actions[i];

		if (a->object == OBJECT_VOLUME &&
		    (a->kind == ACTION_REPLACE || a->kind == ACTION_DESTROY))
			return a;
	}
	return NULL;
}
