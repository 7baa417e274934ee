/* SPDX-License-Identifier: MIT */
/* Looking things up in the model. */
#include "spec/model/environment.h"

#include <string.h>

#include "spec/fields/fields.h"
#include "spec/fields/kernel_names.h"
#include "spec/report/sources.h"
#include "spec/tree/arena.h"

/* Objects of a map are sorted by name. */
static struct spec_object *find(const void *list_at, const struct object_type *type,
				const char *name)
{
	struct object_list list;
	memcpy(&list, list_at, sizeof(list));
	size_t low = 0, high = list.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct spec_object *o = list_item(&list, type, middle);
		int order = strcmp(name, o->name);
		if (order == 0)
			return o;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct spec_mount *spec_container_mount(const struct spec_container *c, const char *target)
{
	for (size_t i = 0; i < c->mounts.count; i++) {
		const struct spec_mount *m = &c->mounts.items[i];
		if (m->target.text && strcmp(m->target.text, target) == 0)
			return m;
	}
	return NULL;
}

struct spec_container *environment_container(const struct environment *env, const char *name)
{
	return (struct spec_container *)(void *)find(&env->containers, &container_type, name);
}

struct spec_network *environment_network(const struct environment *env, const char *name)
{
	return (struct spec_network *)(void *)find(&env->networks, &network_type, name);
}

struct spec_volume *environment_volume(const struct environment *env, const char *name)
{
	return (struct spec_volume *)(void *)find(&env->volumes, &volume_type, name);
}

struct spec_file *environment_file(const struct environment *env, const char *name)
{
	return (struct spec_file *)(void *)find(&env->files, &file_type, name);
}

struct spec_secret *environment_secret(const struct environment *env, const char *name)
{
	return (struct spec_secret *)(void *)find(&env->secrets, &secret_type, name);
}

static int compare_resolved(const void *path, const void *item)
{
	return strcmp(path, ((const struct spec_resolved *)item)->path);
}

const char *environment_resolved(const struct environment *env, const char *path)
{
	const struct spec_resolved *r =
		env->resolved.count ? bsearch(path, env->resolved.items, env->resolved.count,
					      sizeof(*r), compare_resolved)
				    : NULL;
	return r ? r->real : NULL;
}

struct spec_process *container_process(const struct spec_container *c, const char *name)
{
	return (struct spec_process *)(void *)find(&c->processes, &process_type, name);
}

const char *spec_pairs_get(const struct spec_pairs *p, const char *key)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->items[i].key, key) == 0)
			return p->items[i].value.text;
	return NULL;
}

bool container_has_health(const struct spec_container *c)
{
	if (c->health.o.at.is_set)
		return true;
	for (size_t i = 0; i < c->processes.count; i++)
		if (c->processes.items[i].health.o.at.is_set)
			return true;
	return false;
}

uint64_t spec_capability_mask(const char *name)
{
	return capability_mask(name);
}

int spec_ulimit_number(const char *name)
{
	return ulimit_number(name);
}

int spec_signal_number(const char *name)
{
	return signal_number(name);
}

void environment_free(struct environment *env)
{
	if (!env)
		return;
	struct spec_arena *arena = env->arena;
	sources_unref(env->sources);
	/* The environment itself is in the arena. */
	arena_free(arena);
}
