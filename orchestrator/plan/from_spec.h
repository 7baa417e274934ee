/* SPDX-License-Identifier: MIT */
/* Planner input from specs: the wanted state with its differences to the applied one. */
#ifndef CTRZ_ORCHESTRATOR_PLAN_FROM_SPEC_H
#define CTRZ_ORCHESTRATOR_PLAN_FROM_SPEC_H

#include "base/error.h"
#include "orchestrator/plan/desired.h"
#include "orchestrator/plan/observed.h"
#include "spec/spec.h"

/* What is known of an image. */
struct image_fact {
	char *digest; /* of the manifest; NULL = not known */
	char *pinned; /* the name with the digest that a lock gives it; NULL = none does */
	bool is_here;
	bool download_known;
	uint64_t download_bytes;
};

/* What else the wanted state depends on. */
struct desired_facts {
	const struct strlist *selected; /* containers named by the user; NULL or empty = all */
	const char *kernel;             /* in use; NULL = unknown */
	/* what a container's image is; NULL = not on this host, and nobody was asked; lent */
	const struct image_fact *(*image)(void *arg, const struct spec_container *c);
	/* whether ctrz keeps a value of this secret already */
	bool (*has_secret)(void *arg, const char *name);
	/* whether what a container was given ("files" or "secrets", name) is not what it would be
	 * given now */
	bool (*content_differs)(void *arg, const char *container, const char *kind,
				const char *name);
	void *arg;
};

/**
 * desired_from_spec() - the wanted state
 * @applied: what was applied, as one environment; NULL = nothing
 *
 * Places point into @env, which must outlive *ret. A container whose profile was not asked for is
 * left as it is. Return: 0, or -E_NOT_FOUND if a selected container is not in the file
 */
int desired_from_spec(const struct environment *env, const struct environment *applied,
		      const struct desired_facts *facts, struct desired *ret,
		      struct error *err) MUST_CHECK;

/** observed_add_spec() - fill in what of the seen containers only the applied spec knows */
void observed_add_spec(struct observed *o, const struct environment *applied);

/** class_now() - what a change of a field costs with what machines can do today; @of_table is the
 * language's class */
enum plan_class class_now(const char *field, enum spec_class of_table);

#endif
