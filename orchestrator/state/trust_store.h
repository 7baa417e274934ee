/* SPDX-License-Identifier: MIT */
/* What people agreed to: $state/trust/<hash of the source>.json, 0600 in a folder of 0700. A file
 * or folder that others could have written counts for nothing and is refused. */
#ifndef CTRZ_ORCHESTRATOR_STATE_TRUST_STORE_H
#define CTRZ_ORCHESTRATOR_STATE_TRUST_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/host/host_paths.h"
#include "spec/reach.h"

enum { TRUST_HASH_SIZE = 33 };

struct trust_record {
	char *source; /* owned; the real path of the file, or its URL */
	/* The folder the file lies in, by which it is known again where both were moved; 0 = none
	 */
	uint64_t folder_device, folder_inode;
	uint64_t agreed_unix_ms;
	struct spec_reach_set agreed;
};

#define AUTO_TRUST_RECORD CLEANUP(trust_record_release) struct trust_record

void trust_record_release(struct trust_record *r);

/** trust_record_of_file() - nothing agreed to yet, for a file that exists */
int trust_record_of_file(const char *file, struct trust_record *ret, struct error *err) MUST_CHECK;

/**
 * trust_find() - what was agreed to for a source
 * @source: as trust_record_of_file() made it
 * @ret_old: owned; where it was before, if the file was moved together with its folder; else NULL
 *
 * Return: 0, -E_NOT_FOUND, -E_DENIED if others could have written it, -E_INVALID if it is damaged,
 * or another -code
 */
int trust_find(const struct host_paths *paths, const struct trust_record *source,
	       struct trust_record *ret, char **ret_old, struct error *err) MUST_CHECK;
/** trust_write() - in the place of what was there; atomic */
int trust_write(const struct host_paths *paths, const struct trust_record *r,
		struct error *err) MUST_CHECK;
/** trust_remove() - Return: 0, or -E_NOT_FOUND if nothing was agreed to for @source. Content that
 * others wrote may be removed */
int trust_remove(const struct host_paths *paths, const char *source, struct error *err) MUST_CHECK;

struct trust_list {
	struct trust_record *items; /* by source */
	size_t count;
};

#define AUTO_TRUST_LIST CLEANUP(trust_list_release) struct trust_list

void trust_list_release(struct trust_list *l);
/** trust_list() - all sources. Return: as trust_find(), of the first that is refused */
int trust_list(const struct host_paths *paths, struct trust_list *ret,
	       struct error *err) MUST_CHECK;

/** trust_parse() - the content of one file. Return: 0, -E_INVALID, or -E_CONFLICT for one of a
 * newer ctrz */
int trust_parse(const char *text, size_t size, const char *what, struct trust_record *ret,
		struct error *err) MUST_CHECK;
/** trust_print() - what trust_parse() reads back */
void trust_print(const struct trust_record *r, struct buffer *out);

/** trust_grown() - what of @wanted asks and is not, or not as much, in @agreed */
void trust_grown(const struct spec_reach_set *agreed, const struct spec_reach_set *wanted,
		 struct spec_reach_set *ret);
/** trust_hash() - names all of @wanted that asks, wherever its file lies */
void trust_hash(const struct spec_reach_set *wanted, char out[TRUST_HASH_SIZE]);

#endif
