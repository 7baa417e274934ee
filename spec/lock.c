/* SPDX-License-Identifier: MIT */
/* Reading env.lock, comparing it with a spec. */
#include "spec/lock_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "spec/load.h"

char *spec_lock_path(const char *spec)
{
	size_t size = strlen(spec);

	if (size > 5 && str_ends(spec, ".yaml"))
		size -= 5;
	else if (size > 4 && str_ends(spec, ".yml"))
		size -= 4;
	return xasprintf("%.*s.lock", (int)size, spec);
}

bool container_is_locked(const struct spec_container *c)
{
	return c->image.at.is_set && c->pull.value == SPEC_PULL_MISSING &&
	       !strchr(c->image.text, '@');
}

static void check_version(struct decode *d, const struct spec_lock *lock, const struct node *root)
{
	const struct spec_number *v = &lock->version;

	if (!v->at.is_set && !node_find(root, "version"))
		report_help(report(d->diags, "E113", root->pos, 1, "version is missing"),
			    "mend it, or remove it and run: ctrz lock");
	else if (v->at.is_set && v->value != SPEC_LOCK_VERSION)
		report_help(report(d->diags, "E307", AT(v->at), "a newer ctrz wrote this lock"),
			    "this ctrz reads version %d", SPEC_LOCK_VERSION);
}

static struct spec_lock *decode_lock(struct decode *d, const struct source *source)
{
	struct spec_lock *lock = arena_alloc(d->arena, sizeof(*lock));
	struct node *root = NULL;

	lock->name = source->name;
	if (!yaml_read(d->arena, source, d->diags, &root))
		return lock;
	if (!root || root->kind != NODE_MAPPING) {
		struct source_pos pos =
			root ? root->pos : (struct source_pos){ source->name, 1, 1 };

		report_help(report(d->diags, "E103", pos, 1, "a lock is a map"),
			    "mend it, or remove it and run: ctrz lock");
		return lock;
	}
	decode_object(d, &lock_type, root, lock, NULL);
	check_version(d, lock, root);
	return lock;
}

int lock_read(struct decode *d, const char *spec, const char *name, struct spec_lock **ret,
	      struct error *err)
{
	AUTO_FREE char *path = spec_lock_path(spec);
	AUTO_FREE char *called = spec_lock_path(name);
	AUTO_BUFFER text = BUFFER_INIT;
	const struct source *source;
	size_t size;
	int r = load_bytes(d, path, SPEC_LOCK_MAX, &text, err);

	if (r == -E_NOT_FOUND) {
		error_clear(err);
		return 0;
	}
	if (r < 0)
		return error_wrap(err, "read the lock");
	size = text.size;
	source = sources_add(d->sources, called, "/", buffer_steal(&text), size);
	*ret = decode_lock(d, source);
	(*ret)->path = arena_strdup(d->arena, path);
	return 0;
}

int spec_lock_parse(const char *text, size_t size, const char *name, struct spec_pins *ret,
		    struct diagnostics *diags, struct error *err)
{
	struct spec_arena *arena = arena_new();
	struct decode d = {
		.arena = arena, .diags = diags, .sources = sources_new(), .host = &no_host
	};
	const struct source *source;
	const struct spec_lock *lock;
	char *copy;
	int r = 0;

	sources_unref(diags->sources);
	diags->sources = sources_ref(d.sources);
	copy = xmalloc(size + 1);
	memcpy(copy, text, size);
	copy[size] = '\0';
	source = sources_add(d.sources, name, "/", copy, size);
	lock = decode_lock(&d, source);
	diagnostics_sort(diags);
	if (diags->errors)
		r = load_summary(name, diags, err);
	else
		spec_pins_of(lock, ret);
	map_release(&d.host_vars, NULL);
	sources_unref(d.sources);
	arena_free(arena);
	return r;
}

static int compare_named(const void *name, const void *object)
{
	const struct spec_object *o = object;

	return strcmp(name, o->name);
}

const struct lock_include *lock_include_find(const struct spec_lock *lock, const char *url)
{
	return lock && lock->includes.count
		       ? bsearch(url, lock->includes.items, lock->includes.count,
				 sizeof(*lock->includes.items), compare_named)
		       : NULL;
}

static const struct lock_image *image_find(const struct spec_lock *lock, const char *name)
{
	return lock->images.count ? bsearch(name, lock->images.items, lock->images.count,
					    sizeof(*lock->images.items), compare_named)
				  : NULL;
}

/* --- what --locked refuses --- */

static const char advice[] = "write it with: ctrz lock, look at the difference and commit it";

static bool uses_image(const struct environment *env, const char *name)
{
	for (size_t i = 0; i < env->containers.count; i++)
		if (container_is_locked(&env->containers.items[i]) &&
		    strcmp(env->containers.items[i].image.text, name) == 0)
			return true;
	return false;
}

static bool uses_include(const struct environment *env, const char *url)
{
	for (size_t i = 0; i < env->pinned.count; i++)
		if (strcmp(env->pinned.items[i].url, url) == 0)
			return true;
	return false;
}

static void check_unused(struct decode *d, const struct spec_lock *lock,
			 const struct environment *env)
{
	for (size_t i = 0; i < lock->images.count; i++) {
		const struct lock_image *image = &lock->images.items[i];

		if (!uses_image(env, image->o.name))
			report_help(report(d->diags, "E305", AT(image->o.at),
					   "no container has the image \"%s\" any more",
					   shown(d, image->o.name)),
				    "%s", advice);
	}
	for (size_t i = 0; i < lock->includes.count; i++) {
		const struct lock_include *include = &lock->includes.items[i];

		if (!uses_include(env, include->o.name))
			report_help(report(d->diags, "E305", AT(include->o.at),
					   "\"%s\" is not included any more",
					   shown(d, include->o.name)),
				    "%s", advice);
	}
}

void lock_check(struct decode *d, const struct spec_lock *lock, const struct environment *env)
{
	const char *platform = d->host->platform;

	for (size_t i = 0; i < env->containers.count; i++) {
		const struct spec_container *c = &env->containers.items[i];
		const struct lock_image *image;

		if (!container_is_locked(c))
			continue;
		image = image_find(lock, c->image.text);
		if (!image)
			report_help(report(d->diags, "E305", AT(c->image.at),
					   "the image \"%s\" is not in %s", shown(d, c->image.text),
					   lock->name),
				    "%s", advice);
		else if (platform && !spec_pairs_get(&image->digests, platform))
			report_help(report(d->diags, "E305", AT(c->image.at),
					   "%s has the image \"%s\" for other platforms than %s",
					   lock->name, shown(d, c->image.text), platform),
				    "%s", advice);
	}
	check_unused(d, lock, env);
}
