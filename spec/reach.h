/* SPDX-License-Identifier: MIT */
/* What an environment reaches of the host: its capability set. */
#ifndef CTRZ_SPEC_REACH_H
#define CTRZ_SPEC_REACH_H

#include "spec/spec.h"

/* In the order in which people are shown them. */
enum spec_reach_kind {
	SPEC_REACH_SOURCE,   /* part of the file comes from there: the URL of a repository */
	SPEC_REACH_MOUNT,    /* a folder or file of the host appears inside */
	SPEC_REACH_FILE,     /* a file of the host is read and given inside */
	SPEC_REACH_SOCKET,   /* a unix socket leads to the host, or from there inside */
	SPEC_REACH_SECRET,   /* a secret, by its name and where it is from */
	SPEC_REACH_VARIABLE, /* a variable of the host, by its name */
	SPEC_REACH_PORT,     /* a port of the host leads inside */
	SPEC_REACH_EGRESS,   /* what may be reached outside */
	SPEC_REACH_CPUS,     /* all containers together */
	SPEC_REACH_MEMORY,   /* the same, in bytes */
	SPEC_REACH_COUNT
};

/* How much of something: more is a larger number. */
enum { SPEC_LEVEL_ONE = 1, SPEC_LEVEL_RO = 1, SPEC_LEVEL_RW = 2, SPEC_LEVEL_RW_GIT = 3 };

/* Below the folder of the file, paths are written from there: "./data". */
struct spec_reach {
	enum spec_reach_kind kind;
	char *what;            /* owned; "" for sums. Names only, never a value */
	uint64_t level;        /* SPEC_LEVEL_*, processors, or bytes */
	char *inside;          /* owned; "app:/srv", the first that gets it; may be "" */
	struct source_pos pos; /* lent from the environment; line 0 = none */
	bool is_free;          /* nobody need be asked about it */
};

struct spec_reach_set {
	struct spec_reach *items; /* by kind, then what; each once */
	size_t count, room;
};

#define AUTO_REACH_SET CLEANUP(spec_reach_set_release) struct spec_reach_set

/**
 * spec_reach_set() - the set of an environment, by the field tables
 * @host: of it real_path and home are used: a link counts as what it leads to. NULL = paths are
 * taken as they are written
 *
 * Containers that are not active count for nothing. Free are: read-only folders and files of the
 * project (the folder of the file, unless that is the home folder or above it), ports from 1024 up
 * on the loopback, public addresses, secrets that ctrz makes or asks for, and sums up to
 * SPEC_FREE_CPUS and SPEC_FREE_MEMORY; beyond these they count in steps, each twice the one before.
 */
void spec_reach_set(const struct environment *env, const struct spec_host *host,
		    struct spec_reach_set *ret);
void spec_reach_set_release(struct spec_reach_set *c);

/* As much as sixteen containers have that say nothing. */
#define SPEC_FREE_CPUS UINT64_C(16)
#define SPEC_FREE_MEMORY (UINT64_C(8) << 30)

/** spec_reach_kind_name() - "mount" */
const char *spec_reach_kind_name(enum spec_reach_kind kind);
/** spec_reach_kind_find() - by name; SPEC_REACH_COUNT if there is none */
enum spec_reach_kind spec_reach_kind_find(const char *name);
/** spec_level_text() - owned: "ro", "rw", "rw with .git", "20", "12 GiB"; "" where there is only
 * one
 */
char *spec_level_text(enum spec_reach_kind kind, uint64_t level);
/** spec_reach_set_level() - how much of it is in a set; 0 = none */
uint64_t spec_reach_set_level(const struct spec_reach_set *c, enum spec_reach_kind kind,
			      const char *what);
/** spec_reach_set_add() - append a copy of an item; then spec_reach_set_sort() before anything else
 */
void spec_reach_set_add(struct spec_reach_set *c, const struct spec_reach *item);
/** spec_reach_set_sort() - put in order; of two of one kind and name the larger stays, free only if
 * both are */
void spec_reach_set_sort(struct spec_reach_set *c);

#endif
