/* SPDX-License-Identifier: MIT */
/* Diffing wanted and seen into actions. */
/*
 * DOC: Theory of Operation
 *
 * Each wanted object is compared with what was seen of it, which gives at most one action per
 * object: the cheapest that makes all its differences true. Actions are listed in this order:
 * images to get, networks, volumes, secrets to make, containers with those they depend on first,
 * containers that go, networks that go. Needs are added afterwards (plan_graph.c), and only point
 * to actions that exist: what is already as it should be is not waited for.
 */
#include "orchestrator/plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/plan/plan_internal.h"

struct action *plan_add(struct plan *p, enum action_kind kind, enum object_kind object,
			const char *name)
{
	struct action *a;

	p->actions = xreallocarray(p->actions, p->count + 1, sizeof(*p->actions));
	a = &p->actions[p->count++];
	*a = (struct action){ .kind = kind, .object = object, .name = xstrdup(name) };
	return a;
}

static void add_change(struct action *a, const struct plan_change *c)
{
	a->changes = xreallocarray(a->changes, a->change_count + 1, sizeof(*a->changes));
	plan_change_copy(&a->changes[a->change_count++], c);
}

static void add_changes(struct action *a, const struct plan_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_change(a, &changes[i]);
}

static enum plan_class costliest(const struct plan_change *changes, size_t count)
{
	enum plan_class most = PLAN_CLASS_NONE;

	for (size_t i = 0; i < count; i++)
		most = changes[i].class > most ? changes[i].class : most;
	return most;
}

static char *age_text(const struct observed *o, uint64_t unix_ms)
{
	uint64_t seconds = o->now_unix_ms > unix_ms ? (o->now_unix_ms - unix_ms) / 1000 : 0;

	if (seconds < 120)
		return xasprintf("%us ago", (unsigned)seconds);
	if (seconds < 7200)
		return xasprintf("%um ago", (unsigned)(seconds / 60));
	if (seconds < 172800)
		return xasprintf("%uh ago", (unsigned)(seconds / 3600));
	return xasprintf("%ud ago", (unsigned)(seconds / 86400));
}

/* "not running (exit 137, 4m ago)" */
static char *drift_text(const struct observed *o, const struct observed_container *c)
{
	struct buffer b = BUFFER_INIT;
	const char *separator = " (";

	buffer_add_str(&b, "not running");
	if (c->oom_killed) {
		buffer_printf(&b, "%sout of memory", separator);
		separator = ", ";
	}
	if (c->exit_code >= 0) {
		buffer_printf(&b, "%sexit %d", separator, c->exit_code);
		separator = ", ";
	}
	if (c->error) {
		buffer_printf(&b, "%s%s", separator, c->error);
		separator = ", ";
	}
	if (c->exited_unix_ms) {
		AUTO_FREE char *age = age_text(o, c->exited_unix_ms);

		buffer_printf(&b, "%s%s", separator, age);
		separator = ", ";
	}
	if (*separator == ',')
		buffer_add_char(&b, ')');
	return buffer_steal(&b);
}

static bool is_up(const struct observed_container *c)
{
	return c->phase == SEEN_RUNNING || c->phase == SEEN_RESTARTING;
}

/* It did what it was made for: nothing to start. */
static bool is_finished(const struct desired_container *d, const struct observed_container *c)
{
	return c->phase == SEEN_EXITED && (c->exit_code == 0 || d->may_fail) && !c->error &&
	       !d->restart_always && !c->stopped && c->stage == SEEN_MADE;
}

enum action_kind kind_of_class(enum plan_class class)
{
	switch (class) {
	case PLAN_CLASS_LIVE:
		return ACTION_UPDATE;
	case PLAN_CLASS_PROCESS:
		return ACTION_PROCESS;
	case PLAN_CLASS_VM:
		return ACTION_REBOOT;
	case PLAN_CLASS_RECREATE:
	case PLAN_CLASS_DATA:
		return ACTION_REPLACE;
	case PLAN_CLASS_NONE:
	case PLAN_CLASSES:
		break;
	}
	return ACTION_RECORD;
}

/* The differences of a container: those of its spec, its image's digest, the kernel, a disk of its
 * that is made anew. */
struct differences {
	struct plan_change items[3];
	size_t count;
};

static void find_differences(const struct desired *d, const struct observed *o,
			     const struct desired_container *c,
			     const struct observed_container *seen, struct differences *ret)
{
	const struct desired_volume *remade;
	bool renamed = false;

	ret->count = 0;
	for (size_t i = 0; i < c->change_count; i++)
		renamed = renamed || strcmp(c->changes[i].field, "image") == 0;
	if (!renamed && c->image_digest && seen->image_digest &&
	    strcmp(c->image_digest, seen->image_digest) != 0)
		ret->items[ret->count++] =
			(struct plan_change){ .field = xstrdup("image.digest"),
					      .old_text = xstrdup(seen->image_digest),
					      .new_text = xstrdup(c->image_digest),
					      .class = PLAN_CLASS_RECREATE,
					      .pos = c->pos };
	if (d->kernel && seen->kernel && strcmp(d->kernel, seen->kernel) != 0)
		ret->items[ret->count++] = (struct plan_change){ .field = xstrdup("kernel"),
								 .old_text = xstrdup(seen->kernel),
								 .new_text = xstrdup(d->kernel),
								 .class = PLAN_CLASS_VM,
								 .pos = c->pos };
	remade = volume_remade(d, o, c);
	if (remade)
		ret->items[ret->count++] =
			(struct plan_change){ .field = xasprintf("volume %s", remade->name),
					      .old_text = xstrdup("as it is"),
					      .new_text = xstrdup("made anew"),
					      .class = PLAN_CLASS_VM,
					      .pos = remade->size_pos };
}

static void plan_new_container(struct plan *p, const struct desired_container *c,
			       const struct observed_container *seen)
{
	struct action *a = plan_add(p, ACTION_CREATE, OBJECT_CONTAINER, c->name);

	a->what = xstrdup(c->image);
	a->pos = c->pos;
	if (seen && seen->stage == SEEN_HALF_MADE)
		a->reason = xstrdup("an interrupted run left it half made");
}

static void explain_start(struct action *a, const struct observed *o,
			  const struct observed_container *seen)
{
	if (seen->stopped)
		a->reason = xstrdup("stopped by ctrz stop");
	else if (seen->phase == SEEN_STARTING || seen->phase == SEEN_STOPPING)
		a->drift = xasprintf("still %s, and nobody waits for it",
				     seen->phase == SEEN_STARTING ? "starting" : "stopping");
	else
		a->drift = drift_text(o, seen);
}

static void plan_made_container(struct plan *p, const struct desired *d, const struct observed *o,
				const struct desired_container *c,
				const struct observed_container *seen)
{
	struct differences more;
	enum action_kind kind;
	struct action *a;
	AUTO_FREE char *reason = NULL;
	bool half, start = !is_up(seen) && !is_finished(c, seen);

	bool is_troubled = !start && is_up(seen) && seen->trouble;
	enum action_kind mends = seen->trouble_is_process ? ACTION_PROCESS : ACTION_UPDATE;

	find_differences(d, o, c, seen, &more);
	kind = kind_of_class(costliest(c->changes, c->change_count));
	if (kind_of_class(costliest(more.items, more.count)) > kind)
		kind = kind_of_class(costliest(more.items, more.count));
	if ((kind == ACTION_UPDATE || kind == ACTION_PROCESS) && is_up(seen)) {
		reason = plan_cannot_live(c, seen);
		kind = reason ? ACTION_REBOOT : kind;
	}
	half = seen->is_half_changed && is_up(seen) && kind <= ACTION_REBOOT;
	kind = half ? ACTION_REBOOT : kind;
	if (kind != ACTION_REPLACE && (start || (!is_up(seen) && kind > ACTION_RECORD)))
		kind = ACTION_START;
	if (seen->stage == SEEN_HALF_MADE && kind == ACTION_RECORD)
		kind = ACTION_UPDATE;
	if (is_troubled && kind < mends)
		kind = mends;
	if (kind == ACTION_RECORD && !c->change_count && !more.count) {
		p->unchanged++;
		return;
	}
	a = plan_add(p, kind, OBJECT_CONTAINER, c->name);
	a->pos = c->pos;
	a->process_count = c->process_count;
	add_changes(a, c->changes, c->change_count);
	add_changes(a, more.items, more.count);
	if (start)
		explain_start(a, o, seen);
	else if (half)
		a->drift = xstrdup("changed half way");
	else if (is_troubled)
		a->drift = xstrdup(seen->trouble);
	else if (seen->stage == SEEN_HALF_MADE)
		a->reason = xstrdup("an interrupted run began it");
	else if (kind == ACTION_REBOOT)
		a->reason = TAKE_PTR(reason);
	for (size_t i = 0; i < more.count; i++)
		plan_change_release(&more.items[i]);
}

static void plan_container(struct plan *p, const struct desired *d, const struct observed *o,
			   const struct desired_container *c)
{
	const struct observed_container *seen = observed_container(o, c->name);

	if (!seen || seen->stage == SEEN_NOT_MADE ||
	    (seen->stage == SEEN_HALF_MADE && !is_up(seen)))
		plan_new_container(p, c, seen);
	else
		plan_made_container(p, d, o, c, seen);
}

static bool network_is_wanted(const struct desired *d, const char *name)
{
	for (size_t i = 0; i < d->container_count; i++)
		if (d->containers[i].selected && strlist_has(&d->containers[i].networks, name))
			return true;
	return false;
}

static void plan_network(struct plan *p, const struct observed *o, const struct desired_network *n)
{
	const struct observed_network *seen = observed_network(o, n->name);
	struct action *a;

	if (!seen || !seen->applied) {
		a = plan_add(p, ACTION_CREATE, OBJECT_NETWORK, n->name);
		a->what = xstrdup_null(n->subnet);
	} else if (n->change_count) {
		a = plan_add(p, kind_of_class(costliest(n->changes, n->change_count)),
			     OBJECT_NETWORK, n->name);
		add_changes(a, n->changes, n->change_count);
	} else if (!seen->running) {
		a = plan_add(p, ACTION_START, OBJECT_NETWORK, n->name);
		a->drift = xstrdup("not running");
	} else {
		return;
	}
	a->pos = n->pos;
}

static void plan_secret(struct plan *p, const struct desired_secret *s)
{
	struct action *a = plan_add(p, ACTION_CREATE, OBJECT_SECRET, s->name);

	a->what = xstrdup(s->what);
	a->pos = s->pos;
}

static int compare_desired(const void *key, const void *item)
{
	return strcmp(key, ((const struct desired_container *)item)->name);
}

static bool is_desired(const struct desired *d, const char *name)
{
	return d->container_count && bsearch(name, d->containers, d->container_count,
					     sizeof(*d->containers), compare_desired);
}

static bool network_is_desired(const struct desired *d, const char *name)
{
	for (size_t i = 0; i < d->network_count; i++)
		if (strcmp(d->networks[i].name, name) == 0)
			return true;
	return false;
}

/* What was applied from this environment and is wanted no more. */
static void plan_orphans(struct plan *p, const struct desired *d, const struct observed *o)
{
	for (size_t i = 0; i < o->container_count; i++) {
		const struct observed_container *c = &o->containers[i];

		if (c->stage != SEEN_NOT_MADE && !is_desired(d, c->name))
			plan_add(p, ACTION_DESTROY, OBJECT_CONTAINER, c->name)->reason =
				xasprintf("no longer in %s", d->source);
	}
	for (size_t i = 0; i < o->network_count; i++) {
		const struct observed_network *n = &o->networks[i];

		if (n->applied && !network_is_desired(d, n->name))
			plan_add(p, ACTION_DESTROY, OBJECT_NETWORK, n->name)->reason =
				xasprintf("no container of %s uses it", d->source);
	}
}

static bool needs_image(const struct action *a)
{
	return a->kind == ACTION_CREATE || a->kind == ACTION_REPLACE;
}

/* Images that must come before the containers made of them. */
static void plan_pulls(struct plan *p, const struct desired *d, const struct plan *containers)
{
	for (size_t i = 0; i < d->container_count; i++) {
		const struct desired_container *c = &d->containers[i];
		const struct action *a = plan_action(containers, OBJECT_CONTAINER, c->name);

		if (!a || !needs_image(a) || plan_action(p, OBJECT_IMAGE, desired_image(c)))
			continue;
		if (c->image_is_here)
			continue;
		plan_add(p, ACTION_PULL, OBJECT_IMAGE, desired_image(c))->pos = c->pos;
		p->download_bytes += c->download_bytes;
		p->unsized_downloads += !c->download_known;
	}
}

static void append_plan(struct plan *dst, struct plan *src)
{
	dst->actions =
		xreallocarray(dst->actions, dst->count + src->count + 1, sizeof(*dst->actions));
	if (src->count)
		memcpy(dst->actions + dst->count, src->actions, src->count * sizeof(*src->actions));
	dst->count += src->count;
	free(src->actions);
	src->actions = NULL;
	src->count = 0;
}

static char *resume_text(const struct observed *o)
{
	AUTO_FREE char *age = NULL;

	if (!o->interrupted_run)
		return NULL;
	age = age_text(o, o->interrupted_unix_ms);
	return xasprintf("%zu of %zu operations done by run %llu (interrupted %s)",
			 o->interrupted_done, o->interrupted_total,
			 (unsigned long long)o->interrupted_run, age);
}

void plan_make(const struct desired *d, const struct observed *o, struct plan *ret)
{
	AUTO_FREE size_t *order = xcalloc(d->container_count + 1, sizeof(*order));
	struct plan containers = { 0 };

	*ret = (struct plan){
		.environment = xstrdup(d->environment),
		.source = xstrdup(d->source),
		.serial = o->serial,
		.resumes = resume_text(o),
		.is_all = !d->is_selection,
		.host_memory_bytes = o->host_memory_bytes,
		.host_available_bytes = o->host_available_bytes,
	};
	plan_order(d, order);
	for (size_t i = 0; i < d->container_count; i++) {
		const struct desired_container *c = &d->containers[order[i]];

		if (!c->selected)
			continue;
		ret->container_count++;
		ret->memory_bytes += c->memory_bytes;
		plan_container(&containers, d, o, c);
	}
	ret->unchanged = containers.unchanged;
	plan_pulls(ret, d, &containers);
	for (size_t i = 0; i < d->network_count; i++)
		if (network_is_wanted(d, d->networks[i].name))
			plan_network(ret, o, &d->networks[i]);
	for (size_t i = 0; i < d->secret_count; i++)
		plan_secret(ret, &d->secrets[i]);
	plan_volumes(ret, d, o);
	append_plan(ret, &containers);
	if (!d->is_selection)
		plan_orphans(ret, d, o);
	plan_link(ret, d, o);
}

void plan_make_down(const struct observed *o, bool volumes, struct plan *ret)
{
	*ret = (struct plan){
		.environment = xstrdup(o->environment),
		.source = xstrdup(o->source),
		.serial = o->serial,
	};
	for (size_t i = 0; i < o->container_count; i++)
		if (o->containers[i].stage != SEEN_NOT_MADE)
			(void)plan_add(ret, ACTION_DESTROY, OBJECT_CONTAINER,
				       o->containers[i].name);
	for (size_t i = 0; i < o->network_count; i++)
		if (o->networks[i].applied)
			(void)plan_add(ret, ACTION_DESTROY, OBJECT_NETWORK, o->networks[i].name);
	if (volumes)
		plan_down_volumes(ret, o);
	plan_link(ret, NULL, o);
}

static bool concerns(const struct observed_container *c, enum action_kind kind)
{
	if (c->stage == SEEN_NOT_MADE)
		return false;
	return kind != ACTION_STOP || !c->stopped ||
	       (c->phase != SEEN_ABSENT && c->phase != SEEN_EXITED);
}

void plan_make_each(const struct observed *o, enum action_kind kind, const struct strlist *names,
		    struct plan *ret)
{
	*ret = (struct plan){
		.environment = xstrdup(o->environment),
		.source = xstrdup(o->source),
		.serial = o->serial,
	};
	for (size_t i = 0; i < o->container_count; i++) {
		const struct observed_container *c = &o->containers[i];

		if (concerns(c, kind) && (!names || !names->count || strlist_has(names, c->name)))
			(void)plan_add(ret, kind, OBJECT_CONTAINER, c->name);
	}
	plan_link(ret, NULL, o);
}
