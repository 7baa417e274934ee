/* SPDX-License-Identifier: MIT */
/* Memory of the planner's inputs and outputs. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/plan/plan.h"

void plan_change_release(struct plan_change *c)
{
	free(c->field);
	free(c->old_text);
	free(c->new_text);
	*c = (struct plan_change){ 0 };
}

void plan_change_copy(struct plan_change *dst, const struct plan_change *src)
{
	*dst = *src;
	dst->field = xstrdup(src->field);
	dst->old_text = xstrdup_null(src->old_text);
	dst->new_text = xstrdup_null(src->new_text);
}

void plan_changes_release(struct plan_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		plan_change_release(&changes[i]);
	free(changes);
}

const char *desired_image(const struct desired_container *c)
{
	return c->image_pinned ? c->image_pinned : c->image;
}

void desired_release(struct desired *d)
{
	for (size_t i = 0; i < d->network_count; i++) {
		struct desired_network *n = &d->networks[i];

		free(n->name);
		free(n->subnet);
		plan_changes_release(n->changes, n->change_count);
	}
	for (size_t i = 0; i < d->volume_count; i++)
		free(d->volumes[i].name);
	for (size_t i = 0; i < d->container_count; i++) {
		struct desired_container *c = &d->containers[i];

		free(c->name);
		free(c->image);
		free(c->image_pinned);
		free(c->image_digest);
		strlist_release(&c->networks);
		strlist_release(&c->volumes);
		strlist_release(&c->depends_on);
		strlist_release(&c->depends_started);
		strlist_release(&c->secrets);
		strlist_release(&c->host_ports);
		plan_changes_release(c->changes, c->change_count);
	}
	for (size_t i = 0; i < d->secret_count; i++) {
		free(d->secrets[i].name);
		free(d->secrets[i].what);
	}
	free(d->networks);
	free(d->secrets);
	free(d->volumes);
	free(d->containers);
	free(d->environment);
	free(d->source);
	free(d->kernel);
	*d = (struct desired){ 0 };
}

void observed_release(struct observed *o)
{
	for (size_t i = 0; i < o->network_count; i++)
		free(o->networks[i].name);
	for (size_t i = 0; i < o->volume_count; i++)
		free(o->volumes[i].name);
	for (size_t i = 0; i < o->container_count; i++) {
		struct observed_container *c = &o->containers[i];

		free(c->name);
		free(c->error);
		free(c->trouble);
		free(c->image);
		free(c->image_digest);
		free(c->kernel);
		strlist_release(&c->networks);
		strlist_release(&c->volumes);
		strlist_release(&c->depends_on);
		strlist_release(&c->host_ports);
	}
	free(o->networks);
	free(o->volumes);
	free(o->containers);
	free(o->environment);
	free(o->source);
	*o = (struct observed){ 0 };
}

static int compare_container(const void *key, const void *item)
{
	return strcmp(key, ((const struct observed_container *)item)->name);
}

const struct observed_container *observed_container(const struct observed *o, const char *name)
{
	return o->container_count ? bsearch(name, o->containers, o->container_count,
					    sizeof(*o->containers), compare_container)
				  : NULL;
}

const struct observed_network *observed_network(const struct observed *o, const char *name)
{
	for (size_t i = 0; i < o->network_count; i++)
		if (strcmp(o->networks[i].name, name) == 0)
			return &o->networks[i];
	return NULL;
}

const struct observed_volume *observed_volume(const struct observed *o, const char *name)
{
	for (size_t i = 0; i < o->volume_count; i++)
		if (strcmp(o->volumes[i].name, name) == 0)
			return &o->volumes[i];
	return NULL;
}

void plan_release(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct action *a = &p->actions[i];

		free(a->name);
		free(a->reason);
		free(a->drift);
		free(a->what);
		free(a->after);
		free(a->early);
		plan_changes_release(a->changes, a->change_count);
	}
	free(p->actions);
	free(p->environment);
	free(p->source);
	free(p->resumes);
	*p = (struct plan){ 0 };
}

const struct action *plan_action(const struct plan *p, enum object_kind object, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->actions[i].object == object && strcmp(p->actions[i].name, name) == 0)
			return &p->actions[i];
	return NULL;
}

void plan_add_after(struct plan *p, size_t index, size_t need, bool early)
{
	struct action *a = &p->actions[index];

	for (size_t i = 0; i < a->after_count; i++) {
		if (a->after[i] == need) {
			a->early[i] = a->early[i] && early;
			return;
		}
	}
	a->after = xreallocarray(a->after, a->after_count + 1, sizeof(*a->after));
	a->early = xreallocarray(a->early, a->after_count + 1, sizeof(*a->early));
	a->early[a->after_count] = early;
	a->after[a->after_count++] = need;
}
