/* SPDX-License-Identifier: MIT */
/* env.lock, the file beside an env.yaml that says what its open names meant: images by digest,
 * includes from git by commit and content. Read by the same strict parser. */
#ifndef CTRZ_SPEC_LOCK_H
#define CTRZ_SPEC_LOCK_H

#include "spec/model/environment.h"
#include "spec/report/diagnostics.h"

enum { SPEC_LOCK_MAX = 1 << 20, SPEC_LOCK_VERSION = 1 };

struct lock_image {
	struct spec_object o;      /* o.name: as the spec writes it */
	struct spec_pairs digests; /* by platform, "linux/amd64" */
};

struct lock_include {
	struct spec_object o; /* o.name: the canonical URL */
	struct spec_text commit, sha256;
};

/* A file as it was read. */
struct spec_lock {
	struct spec_object o;
	struct spec_number version;
	struct {
		struct spec_value at;
		struct lock_image *items; /* sorted by name */
		size_t count;
	} images;
	struct {
		struct spec_value at;
		struct lock_include *items; /* sorted by name */
		size_t count;
	} includes;
	const char *path; /* where it is */
	const char *name; /* what it is called in messages */
};

/** spec_lock_path() - of the lock of a spec, beside it: "env.lock" for "env.yaml"; owned */
char *spec_lock_path(const char *spec);

/* One name, and what it means. */
struct spec_pin {
	bool is_include;
	char *name;     /* owned; the image as it is written, or the URL */
	char *platform; /* owned; of an image; NULL for an include */
	char *id;       /* owned; digest or commit */
	char *sha256;   /* owned; of an included file's content, hex; NULL for an image */
};

struct spec_pins {
	struct spec_pin *items; /* images first, by name and platform */
	size_t count, room;
};

#define AUTO_PINS CLEANUP(spec_pins_release) struct spec_pins

void spec_pins_release(struct spec_pins *p);
/** spec_pins_add() - a copy of @pin, in its place; replaces one of that name and platform */
void spec_pins_add(struct spec_pins *p, const struct spec_pin *pin);
/** spec_pins_find() - NULL if there is none; @platform NULL = an include */
const struct spec_pin *spec_pins_find(const struct spec_pins *p, const char *name,
				      const char *platform);
/** spec_pins_of() - of a file that was read */
void spec_pins_of(const struct spec_lock *lock, struct spec_pins *ret);
/** spec_pins_print() - as the file is written; spec_lock_parse() reads the same back */
void spec_pins_print(const struct spec_pins *p, struct buffer *out);

/* @old or @new is NULL for what came or went. */
typedef void (*spec_pins_diff_fn)(void *arg, const struct spec_pin *old,
				  const struct spec_pin *new);
/** spec_pins_diff() - each difference, in the order of the file */
void spec_pins_diff(const struct spec_pins *old, const struct spec_pins *new, spec_pins_diff_fn fn,
		    void *arg);

/**
 * spec_lock_parse() - the text of a lock on its own
 * @name: what it is called in findings
 *
 * Return: 0; -E_INVALID if there are errors among the findings
 */
int spec_lock_parse(const char *text, size_t size, const char *name, struct spec_pins *ret,
		    struct diagnostics *diags, struct error *err) MUST_CHECK;

/** container_is_locked() - whether the image of a container is a matter of the lock: it names no
 * digest itself, and is neither this host's own (pull: never) nor asked for each time (always) */
bool container_is_locked(const struct spec_container *c);

#endif
