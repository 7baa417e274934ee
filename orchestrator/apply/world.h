/* SPDX-License-Identifier: MIT */
/* What is known of an environment when a command begins: its record, its applied and wanted spec,
 * what was observed. */
#ifndef CTRZ_ORCHESTRATOR_APPLY_WORLD_H
#define CTRZ_ORCHESTRATOR_APPLY_WORLD_H

#include "base/error.h"
#include "orchestrator/apply/host_facts.h"
#include "orchestrator/plan/observed.h"
#include "orchestrator/plan/plan.h"
#include "orchestrator/state/env_record.h"
#include "runtime/host/host_paths.h"
#include "runtime/image/image_store.h"
#include "spec/lock.h"
#include "spec/spec.h"

struct world {
	const struct host_paths *paths; /* lent */
	struct env_record record;
	struct spec_source source;   /* of what is wanted; record.source is of what was applied */
	struct git_files *git;       /* owned; where files from git are; NULL = there are none */
	bool is_known;               /* the record is on disk */
	bool has_moved;              /* its file was found at another path than recorded */
	struct environment *applied; /* owned; NULL = nothing was applied; may be wanted */
	uint64_t applied_serial;     /* of the record it was put together from */
	struct environment *wanted;  /* owned; NULL for commands that need no file */
	bool wants_applied;          /* wanted is what was applied: its places are in no file */
	struct spec_pins pins;       /* what the lock says of what is wanted */
	bool pins_changed;           /* that is not in its file yet */
	struct json *wanted_json;    /* owned; see world_keep_json() */
	struct observed observed;
};

#define AUTO_WORLD CLEANUP(world_release) struct world

void world_release(struct world *w);

/** world_open_file() - by spec file; a file that was never applied gets a fresh record (not
 * written) */
int world_open_file(const struct host_paths *paths, const char *file, struct world *ret,
		    struct error *err) MUST_CHECK;
/* A spec in git; all lent. */
struct git_want {
	const struct git_url *url;
	const char *
		commit; /* which one of its ref; NULL = that it was brought up with, or a new one */
	bool update;    /* what its ref points to now */
};

/**
 * world_open_git() - by the URL of a spec, which is fetched if need be
 * @ret_moved:	owned; a sentence for people if the ref moved on or could not be asked about; NULL =
 * none
 *
 * w->git must be set, and stays the world's. Return: as git_files_open()
 */
int world_open_git(struct world *w, const struct git_want *want, char **ret_file, char **ret_moved,
		   struct error *err) MUST_CHECK;
/** world_open_record() - of a known environment; takes @record over */
void world_open_record(const struct host_paths *paths, struct env_record *record,
		       struct world *ret);

/* What is to be read as the wanted spec; all lent. */
struct spec_request {
	const struct strlist *files;            /* the file, then its overlays */
	const char *first_name;                 /* see spec_options; NULL = none */
	const struct strlist *profiles;         /* NULL = none */
	const struct spec_resources *resources; /* of config.yaml; NULL = none */
	enum spec_lock_mode lock;
};

/**
 * world_load_wanted() - read the spec
 * @diags: gets every finding
 */
int world_load_wanted(struct world *w, const struct spec_request *request,
		      struct diagnostics *diags, struct error *err) MUST_CHECK;
/** world_keep_json() - make w->wanted_json, if there is something wanted */
int world_keep_json(struct world *w, struct error *err) MUST_CHECK;
/** world_load_applied() - put the applied spec together from the records, if they changed since. A
 * spec that an older or broken state holds and that cannot be read any more counts as nothing, with
 * a debug line */
void world_load_applied(struct world *w);
/** world_want_applied() - what was applied is what is wanted: for commands that do not look at the
 * file. Return: -E_NOT_FOUND if nothing was applied */
int world_want_applied(struct world *w, struct error *err) MUST_CHECK;
/** world_observe() - look at machines and networks; w->observed is made anew */
int world_observe(struct world *w, struct error *err) MUST_CHECK;
/** world_read_again() - the record from disk, after the lock was taken */
int world_read_again(struct world *w, struct error *err) MUST_CHECK;

/**
 * world_find_image() - the image of a container on this host: the one the lock has for it, or that
 * its name means here
 *
 * Return: 0, -E_NOT_FOUND if it is not here, or another -code
 */
int world_find_image(const struct world *w, struct image_store *store,
		     const struct spec_container *c, struct image *ret,
		     struct error *err) MUST_CHECK;
/** world_image_name() - the name by which its registry has that image, "nginx:1.27@sha256:..." if
 * it is locked; owned */
char *world_image_name(const struct world *w, const struct spec_container *c);

/* Which images registries are asked about; none that a lock has. */
enum resolve_mode {
	RESOLVE_STORE,  /* none */
	RESOLVE_SPEC,   /* those with pull: always */
	RESOLVE_SIZES,  /* also those that are not here, for their size; no answer is fine */
	RESOLVE_UPDATE, /* all but those with pull: never */
};

/**
 * world_plan() - what is to be done
 * @selected: containers named by the user; NULL or empty = all
 *
 * Reads the image store and the kernel store; writes nothing. Return: 0, or -code, with the place
 * in the spec if a registry that had to be asked did not answer
 */
int world_plan(const struct world *w, const struct strlist *selected,
	       const struct host_config *config, enum resolve_mode mode, struct plan *ret,
	       struct error *err) MUST_CHECK;

#endif
