/* SPDX-License-Identifier: MIT */
/* Making the lock of a spec. */
#include "orchestrator/apply/lock.h"

#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"

enum { LOCK_MODE = 0644 };

/* Images for one platform. */
struct asking {
	const struct lock_request *q;
	const char *platform;
	struct image_store *store; /* NULL = not opened yet */
};

/* The host's, those asked for, and those the lock was made for: they stay in step. */
static void find_platforms(const struct lock_request *q, struct strlist *out)
{
	strlist_add(out, host_platform());
	for (size_t i = 0; q->platforms && i < q->platforms->count; i++)
		if (!strlist_has(out, q->platforms->items[i]))
			strlist_add(out, q->platforms->items[i]);
	for (size_t i = 0; i < q->was->count; i++)
		if (!q->was->items[i].is_include && !strlist_has(out, q->was->items[i].platform))
			strlist_add(out, q->was->items[i].platform);
}

static int ask_here(struct asking *a, const char *name, char **ret_digest, struct error *err)
{
	struct image found = { 0 };
	int r = image_store_find(a->store, name, &found, err);

	if (r == 0)
		*ret_digest = xstrdup(found.digest);
	image_release(&found);
	return r < 0 ? error_wrap(err, "--offline was given") : 0;
}

static int ask(struct asking *a, const char *name, char **ret_digest, struct error *err)
{
	struct image_offer offer = { 0 };
	int r = 0;

	if (!a->store)
		r = host_images_read(a->q->paths, a->q->config, a->platform, &a->store, err);
	if (r == 0 && a->q->is_offline)
		return ask_here(a, name, ret_digest, err);
	if (r == 0)
		r = image_store_ask(a->store, name, &offer, err);
	if (r == 0)
		*ret_digest = TAKE_PTR(offer.digest);
	image_offer_release(&offer);
	return r;
}

static int lock_image(struct asking *a, const struct spec_container *c, struct spec_pins *ret,
		      struct error *err)
{
	const char *name = c->image.text;
	const struct spec_pin *before = spec_pins_find(a->q->was, name, a->platform);
	AUTO_FREE char *digest = NULL;
	AUTO_FREE char *platform = xstrdup(a->platform);
	AUTO_FREE char *called = xstrdup(name);
	struct spec_pin pin = { .name = called, .platform = platform };
	int r = 0;

	if (spec_pins_find(ret, name, a->platform))
		return 0;
	if (before && !a->q->renews)
		digest = xstrdup(before->id);
	else
		r = ask(a, name, &digest, err);
	if (r < 0) {
		if (!err->pos.line)
			err->pos = c->image.at.pos;
		return r;
	}
	pin.id = digest;
	spec_pins_add(ret, &pin);
	return 0;
}

static int lock_images(const struct lock_request *q, const char *platform, struct spec_pins *ret,
		       struct error *err)
{
	struct asking a = { .q = q, .platform = platform };
	int r = 0;

	for (size_t i = 0; r == 0 && i < q->env->containers.count; i++)
		if (container_is_locked(&q->env->containers.items[i]))
			r = lock_image(&a, &q->env->containers.items[i], ret, err);
	image_store_close(a.store);
	return r;
}

static void lock_includes(const struct environment *env, struct spec_pins *ret)
{
	for (size_t i = 0; i < env->pinned.count; i++) {
		AUTO_FREE char *url = xstrdup(env->pinned.items[i].url);
		AUTO_FREE char *commit = xstrdup(env->pinned.items[i].commit);
		AUTO_FREE char *sha256 = xstrdup(env->pinned.items[i].sha256);
		struct spec_pin pin = {
			.is_include = true, .name = url, .id = commit, .sha256 = sha256
		};

		spec_pins_add(ret, &pin);
	}
}

int lock_make(const struct lock_request *q, struct spec_pins *ret, struct error *err)
{
	AUTO_STRLIST platforms = STRLIST_INIT;
	AUTO_PINS pins = { 0 };
	int r = 0;

	find_platforms(q, &platforms);
	for (size_t i = 0; r == 0 && i < platforms.count; i++)
		r = lock_images(q, platforms.items[i], &pins, err);
	if (r < 0)
		return r;
	lock_includes(q->env, &pins);
	*ret = pins;
	pins = (struct spec_pins){ 0 };
	return 0;
}

int lock_write(const char *path, const struct spec_pins *pins, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;
	struct stat st;
	mode_t mode = stat(path, &st) == 0 ? st.st_mode & 0777 : LOCK_MODE;

	spec_pins_print(pins, &text);
	return file_write_atomic(path, text.data, text.size, mode, err);
}
