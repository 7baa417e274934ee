/* SPDX-License-Identifier: MIT */
/* The order of actions: what waits for what. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "orchestrator/plan/plan_internal.h"

/* Depth-first walk; a cycle, which the spec refuses, is cut where it closes. */
struct walk {
	const struct desired *d;
	struct map by_name; /* name -> index + 1 */
	bool *seen;
	size_t *order;
	size_t count;
};

static void visit(struct walk *w, size_t index)
{
	const struct desired_container *c = &w->d->containers[index];

	if (w->seen[index])
		return;
	w->seen[index] = true;
	for (size_t i = 0; i < c->depends_on.count; i++) {
		size_t need = (size_t)(uintptr_t)map_get(&w->by_name, c->depends_on.items[i]);

		if (need)
			visit(w, need - 1);
	}
	w->order[w->count++] = index;
}

void plan_order(const struct desired *d, size_t *order)
{
	AUTO_FREE bool *seen = xcalloc(d->container_count + 1, sizeof(*seen));
	struct walk w = { .d = d, .by_name = MAP_INIT, .seen = seen, .order = order };

	for (size_t i = 0; i < d->container_count; i++)
		(void)map_set(&w.by_name, d->containers[i].name, (void *)(uintptr_t)(i + 1));
	for (size_t i = 0; i < d->container_count; i++)
		visit(&w, i);
	map_release(&w.by_name, NULL);
}

/* The actions by object, so that linking stays linear. */
struct links {
	struct plan *p;
	struct map by_object[OBJECT_KINDS]; /* name -> index + 1 */
	/* index + 1 of the destroy or change that frees it, by host port and by volume */
	struct map by_port, by_volume;
};

static size_t find(const struct links *l, enum object_kind object, const char *name)
{
	return (size_t)(uintptr_t)map_get(&l->by_object[object], name);
}

static void need(struct links *l, size_t index, enum object_kind object, const char *name)
{
	size_t other = find(l, object, name);

	if (other && other - 1 != index)
		plan_add_after(l->p, index, other - 1, false);
}

/* Whether action @index waits for @other, directly or not. */
static bool needs(const struct plan *p, size_t index, size_t other)
{
	const struct action *a = &p->actions[index];

	for (size_t i = 0; i < a->after_count; i++)
		if (a->after[i] == other || needs(p, a->after[i], other))
			return true;
	return false;
}

/* Who takes what another container lets go waits for that one, if that one does not wait for it. */
static void need_freed(struct links *l, size_t index, const struct map *freed, const char *name)
{
	size_t holder = (size_t)(uintptr_t)map_get(freed, name);

	if (holder && holder - 1 != index && !needs(l->p, holder - 1, index))
		plan_add_after(l->p, index, holder - 1, false);
}

/* The same of volumes. Two that exchange them cannot wait for each other: one machine ends, gets
 * its volume when the other has let go of it, and starts. */
static void need_volume(struct links *l, size_t index, const char *name)
{
	size_t holder = (size_t)(uintptr_t)map_get(&l->by_volume, name);
	struct action *a = holder ? &l->p->actions[holder - 1] : NULL;

	need_freed(l, index, &l->by_volume, name);
	if (!a || holder - 1 == index || !needs(l->p, holder - 1, index))
		return;
	a->stops_first = true;
	if (a->kind != ACTION_UPDATE && a->kind != ACTION_PROCESS)
		return;
	a->kind = ACTION_REBOOT;
	if (!a->reason)
		a->reason = xasprintf("it exchanges volumes with %s, which needs '%s' first",
				      l->p->actions[index].name, name);
}

/* A container that is made or changed waits for its image, networks, volumes and those it depends
 * on. */
static void link_wanted(struct links *l, const struct desired_container *c)
{
	size_t index = find(l, OBJECT_CONTAINER, c->name);

	if (!index)
		return;
	index--;
	if (l->p->actions[index].kind == ACTION_RECORD)
		return;
	need(l, index, OBJECT_IMAGE, desired_image(c));
	for (size_t i = 0; i < c->secrets.count; i++)
		need(l, index, OBJECT_SECRET, c->secrets.items[i]);
	for (size_t i = 0; i < c->networks.count; i++)
		need(l, index, OBJECT_NETWORK, c->networks.items[i]);
	for (size_t i = 0; i < c->depends_on.count; i++) {
		const char *name = c->depends_on.items[i];
		size_t other = find(l, OBJECT_CONTAINER, name);

		if (other && other - 1 != index)
			plan_add_after(l->p, index, other - 1,
				       strlist_has(&c->depends_started, name));
	}
	for (size_t i = 0; i < c->volumes.count; i++) {
		need(l, index, OBJECT_VOLUME, c->volumes.items[i]);
		need_volume(l, index, c->volumes.items[i]);
	}
	for (size_t i = 0; i < c->host_ports.count; i++)
		need_freed(l, index, &l->by_port, c->host_ports.items[i]);
}

static const struct desired_container *wanted(const struct desired *d, const char *name)
{
	for (size_t i = 0; d && i < d->container_count; i++)
		if (strcmp(d->containers[i].name, name) == 0)
			return &d->containers[i];
	return NULL;
}

static void note(struct map *freed, const struct strlist *held, const struct strlist *kept,
		 size_t index)
{
	for (size_t i = 0; i < held->count; i++)
		if (!kept || !strlist_has(kept, held->items[i]))
			(void)map_set(freed, held->items[i], (void *)(uintptr_t)(index + 1));
}

/* Host ports and volumes that a container holds and will not hold any more. */
static void note_freed(struct links *l, const struct desired *d, const struct observed_container *c,
		       size_t index)
{
	const struct desired_container *stays = wanted(d, c->name);

	note(&l->by_port, &c->host_ports, stays ? &stays->host_ports : NULL, index);
	note(&l->by_volume, &c->volumes, stays ? &stays->volumes : NULL, index);
}

static bool ends(const struct action *a)
{
	return a->kind == ACTION_DESTROY || a->kind == ACTION_STOP;
}

/* A container that goes waits for those that depend on it and go too; a network, for the containers
 * on it. */
static void link_seen(struct links *l, const struct observed_container *c)
{
	size_t index = find(l, OBJECT_CONTAINER, c->name);

	if (!index)
		return;
	index--;
	for (size_t i = 0; i < c->networks.count; i++) {
		size_t network = find(l, OBJECT_NETWORK, c->networks.items[i]);

		if (network && l->p->actions[network - 1].kind == ACTION_DESTROY)
			plan_add_after(l->p, network - 1, index, false);
	}
	for (size_t i = 0; i < c->volumes.count; i++) {
		size_t volume = find(l, OBJECT_VOLUME, c->volumes.items[i]);

		if (volume && l->p->actions[volume - 1].kind == ACTION_DESTROY)
			plan_add_after(l->p, volume - 1, index, false);
	}
	if (!ends(&l->p->actions[index]))
		return;
	for (size_t i = 0; i < c->depends_on.count; i++) {
		size_t other = find(l, OBJECT_CONTAINER, c->depends_on.items[i]);

		if (other && ends(&l->p->actions[other - 1]))
			plan_add_after(l->p, other - 1, index, false);
	}
}

void plan_link(struct plan *p, const struct desired *d, const struct observed *o)
{
	struct links l = { .p = p };

	for (size_t i = 0; i < p->count; i++)
		(void)map_set(&l.by_object[p->actions[i].object], p->actions[i].name,
			      (void *)(uintptr_t)(i + 1));
	for (size_t i = 0; i < o->container_count; i++) {
		const struct observed_container *c = &o->containers[i];
		size_t index = find(&l, OBJECT_CONTAINER, c->name);

		if (index && (c->host_ports.count || c->volumes.count))
			note_freed(&l, d, c, index - 1);
	}
	for (size_t i = 0; d && i < d->container_count; i++)
		link_wanted(&l, &d->containers[i]);
	for (size_t i = 0; i < o->container_count; i++)
		link_seen(&l, &o->containers[i]);
	for (size_t i = 0; i < OBJECT_KINDS; i++)
		map_release(&l.by_object[i], NULL);
	map_release(&l.by_port, NULL);
	map_release(&l.by_volume, NULL);
}
