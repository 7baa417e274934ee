/* SPDX-License-Identifier: MIT */
/* Environments on disk: $state/envs/<id>/{state.json, state.log, spec.json, journal, lock,
 * containers/<name>/}. Readers take no lock. */
#ifndef CTRZ_ORCHESTRATOR_STATE_ENV_STORE_H
#define CTRZ_ORCHESTRATOR_STATE_ENV_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/git_url.h"
#include "orchestrator/state/env_record.h"
#include "runtime/host/host_paths.h"

/* Of the event log, below env_store_dir(). */
#define EVENTS_NAME "events"

struct env_list {
	struct env_record *items; /* by name, then id */
	size_t count;
};

#define AUTO_ENV_LIST CLEANUP(env_list_release) struct env_list

void env_list_release(struct env_list *l);

/** env_store_list() - all known environments; a folder whose state cannot be read is skipped with a
 * debug line */
int env_store_list(const struct host_paths *paths, struct env_list *ret,
		   struct error *err) MUST_CHECK;

/**
 * env_store_find_file() - the environment of a spec file
 * @file: as people give it; resolved here
 * @ret_moved: set if it was found by device and inode because the file was renamed or moved; *ret
 *then still holds the old path. May be NULL
 *
 * A record found by path wins, unless its file still exists elsewhere.
 * Return: 0, or -E_NOT_FOUND if the file is no environment's (or does not exist)
 */
int env_store_find_file(const struct host_paths *paths, const char *file, struct env_record *ret,
			bool *ret_moved, struct error *err) MUST_CHECK;

/**
 * env_store_select() - which environment a command means
 * @selector: a name, an id or a prefix of one (4 characters up), or NULL: ./env.yaml's, else the
 * only one
 *
 * Return: 0; -E_NOT_FOUND with the list of those there are; -E_CONFLICT if a name or prefix fits
 * several
 */
int env_store_select(const struct host_paths *paths, const char *selector, struct env_record *ret,
		     struct error *err) MUST_CHECK;

/**
 * env_store_create() - a record for a new environment, not yet on disk
 * @file: exists
 */
int env_store_create(const char *file, const char *name, struct env_record *ret,
		     struct error *err) MUST_CHECK;

/** env_store_find_source() - the environment of a spec in git: by repository and path, whatever the
 * ref. A URL without a path fits one of the usual names. Return: 0, or -E_NOT_FOUND */
int env_store_find_source(const struct host_paths *paths, const struct git_url *u,
			  struct env_record *ret, struct error *err) MUST_CHECK;
/** env_store_create_source() - a record for one of git, whose @file may not be there yet */
void env_store_create_source(const char *file, struct env_record *ret);

/** env_store_follow() - take over where the file is now and what its inode is. Return: 1 if that
 * changed, 0 if not, or -code */
int env_store_follow(struct env_record *r, const char *file, struct error *err) MUST_CHECK;

/** env_store_read() - by id */
int env_store_read(const struct host_paths *paths, const char *id, struct env_record *ret,
		   struct error *err) MUST_CHECK;
/** env_store_is_current() - whether nobody wrote the record since @r was read */
bool env_store_is_current(const struct host_paths *paths, const struct env_record *r);
/** env_store_write() - all of it, atomic; counts r->serial up. The environment's lock must be held
 */
int env_store_write(const struct host_paths *paths, struct env_record *r,
		    struct error *err) MUST_CHECK;
/** env_store_write_spec() - spec.json: the effective spec, so that no later command needs the file
 * or the network */
int env_store_write_spec(const struct host_paths *paths, const char *id, const struct buffer *spec,
			 struct error *err) MUST_CHECK;
/** env_store_take_specs() - what the containers of a whole record are made of, which spec.json has;
 * nothing to do for another. One that is not there or cannot be read stays without */
void env_store_take_specs(const struct host_paths *paths, struct env_record *r);
/** env_store_forget() - remove all of it, with the secrets that were kept for it */
int env_store_forget(const struct host_paths *paths, const char *id, struct error *err) MUST_CHECK;

/* Owned paths. */
char *env_store_dir(const struct host_paths *paths, const char *id);
char *env_store_path(const struct host_paths *paths, const char *id, const char *name);
/** env_store_container_dir() - what machine.h calls state_dir */
char *env_store_container_dir(const struct host_paths *paths, const char *id,
			      const char *container);
/** env_store_volume() - a volume's disk */
char *env_store_volume(const struct host_paths *paths, const char *id, const char *volume);
/** env_store_volumes_dir() - the folder of an environment's volumes */
char *env_store_volumes_dir(const struct host_paths *paths, const char *id);
/** env_store_run_dir() - the short folder for sockets of a container or network */
char *env_store_run_dir(const struct host_paths *paths, const char *run_id);

/**
 * env_store_choose_subnet() - a free subnet for a network without one
 * @hosts: how many containers it has room for at least
 *
 * Holds a lock over all environments while it looks and until *ret_lock is closed, so that two
 * applies never choose the same: write the record, then close it.
 */
int env_store_choose_subnet(const struct host_paths *paths, const struct env_record *self,
			    size_t hosts, struct subnet *ret, int *ret_lock,
			    struct error *err) MUST_CHECK;

#endif
