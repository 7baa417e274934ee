/* SPDX-License-Identifier: MIT */
/* What a lock holds, as a list: to make, compare and print. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "spec/lock.h"
#include "spec/print/canonical.h"

enum { SHORT_KEY_MAX = 500 };

static void pin_release(struct spec_pin *p)
{
	free(p->name);
	free(p->platform);
	free(p->id);
	free(p->sha256);
}

void spec_pins_release(struct spec_pins *p)
{
	for (size_t i = 0; i < p->count; i++)
		pin_release(&p->items[i]);
	free(p->items);
	*p = (struct spec_pins){ 0 };
}

static int compare(const struct spec_pin *a, bool is_include, const char *name,
		   const char *platform)
{
	int r = (int)a->is_include - (int)is_include;

	if (r == 0)
		r = strcmp(a->name, name);
	return r || is_include ? r : strcmp(a->platform, platform);
}

/* Where it is, or where it belongs. */
static size_t place_of(const struct spec_pins *p, bool is_include, const char *name,
		       const char *platform, bool *ret_is_there)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&p->items[middle], is_include, name, platform) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_is_there = low < p->count && compare(&p->items[low], is_include, name, platform) == 0;
	return low;
}

void spec_pins_add(struct spec_pins *p, const struct spec_pin *pin)
{
	bool is_there;
	size_t at = place_of(p, pin->is_include, pin->name, pin->platform, &is_there);
	struct spec_pin copy = {
		.is_include = pin->is_include,
		.name = xstrdup(pin->name),
		.platform = xstrdup_null(pin->platform),
		.id = xstrdup(pin->id),
		.sha256 = xstrdup_null(pin->sha256),
	};

	if (is_there) {
		pin_release(&p->items[at]);
	} else {
		GROW_ARRAY(p->items, p->count, p->room);
		memmove(&p->items[at + 1], &p->items[at], (p->count - at) * sizeof(*p->items));
		p->count++;
	}
	p->items[at] = copy;
}

const struct spec_pin *spec_pins_find(const struct spec_pins *p, const char *name,
				      const char *platform)
{
	bool is_there;
	size_t at = place_of(p, !platform, name, platform, &is_there);

	return is_there ? &p->items[at] : NULL;
}

/* The parser's strings are not written to. */
static char *lend(const char *s)
{
	return (char *)(uintptr_t)s;
}

void spec_pins_of(const struct spec_lock *lock, struct spec_pins *ret)
{
	for (size_t i = 0; i < lock->images.count; i++) {
		const struct lock_image *image = &lock->images.items[i];

		for (size_t n = 0; n < image->digests.count; n++) {
			const struct spec_pair *pair = &image->digests.items[n];
			struct spec_pin pin = { .name = lend(image->o.name),
						.platform = lend(pair->key),
						.id = lend(pair->value.text) };

			spec_pins_add(ret, &pin);
		}
	}
	for (size_t i = 0; i < lock->includes.count; i++) {
		const struct lock_include *include = &lock->includes.items[i];
		struct spec_pin pin = { .is_include = true,
					.name = lend(include->o.name),
					.id = lend(include->commit.text),
					.sha256 = lend(include->sha256.text) };

		spec_pins_add(ret, &pin);
	}
}

/* A key that is longer than YAML readers look ahead begins with a question mark. */
static void add_name(const char *name, struct buffer *out)
{
	bool is_long = strlen(name) > SHORT_KEY_MAX;

	buffer_add_str(out, is_long ? "  ? " : "  ");
	canonical_yaml_text(name, out);
	buffer_add_str(out, is_long ? "\n  :\n" : ":\n");
}

void spec_pins_print(const struct spec_pins *p, struct buffer *out)
{
	const struct spec_pin *before = NULL;

	buffer_printf(out,
		      "# What the names in the spec meant. Written by ctrz lock: commit it, "
		      "and do not edit it.\nversion: %d\n",
		      SPEC_LOCK_VERSION);
	for (size_t i = 0; i < p->count; before = &p->items[i++]) {
		const struct spec_pin *pin = &p->items[i];

		if (!before || before->is_include != pin->is_include)
			buffer_add_str(out, pin->is_include ? "includes:\n" : "images:\n");
		if (pin->is_include) {
			add_name(pin->name, out);
			buffer_printf(out, "    commit: \"%s\"\n    sha256: \"%s\"\n", pin->id,
				      pin->sha256);
			continue;
		}
		if (!before || strcmp(before->name, pin->name) != 0) {
			add_name(pin->name, out);
			buffer_add_str(out, "    digests:\n");
		}
		buffer_printf(out, "      %s: %s\n", pin->platform, pin->id);
	}
}

static bool same_meaning(const struct spec_pin *a, const struct spec_pin *b)
{
	return strcmp(a->id, b->id) == 0 && str_equal(a->sha256, b->sha256);
}

void spec_pins_diff(const struct spec_pins *old, const struct spec_pins *new, spec_pins_diff_fn fn,
		    void *arg)
{
	size_t i = 0, k = 0;

	while (i < old->count || k < new->count) {
		const struct spec_pin *a = i < old->count ? &old->items[i] : NULL;
		const struct spec_pin *b = k < new->count ? &new->items[k] : NULL;
		int order = !a ? 1 : !b ? -1 : compare(a, b->is_include, b->name, b->platform);

		if (order < 0)
			fn(arg, a, NULL);
		else if (order > 0)
			fn(arg, NULL, b);
		else if (!same_meaning(a, b))
			fn(arg, a, b);
		i += order <= 0;
		k += order >= 0;
	}
}
