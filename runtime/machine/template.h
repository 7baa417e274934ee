/* SPDX-License-Identifier: MIT */
/* Templates: machines that were booted once, up to the point where the agent waits, and saved. */
#ifndef CTRZ_RUNTIME_MACHINE_TEMPLATE_H
#define CTRZ_RUNTIME_MACHINE_TEMPLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct keeper_config;
struct machine_config;

enum template_kind {
	TEMPLATE_MACHINE, /* it has booted, with placeholders for devices */
	TEMPLATE_IMAGE,   /* and has mounted an image and an empty disk over it */
	TEMPLATE_KINDS
};

enum { TEMPLATE_KEY_SIZE = 17 }; /* with the NUL byte */

/* An open template. A machine never maps it: it copies the memory and the disk, and reads the
 * state. */
struct template
{
	enum template_kind kind;
	char key[TEMPLATE_KEY_SIZE]; /* its name */
	int memory_fd, state_fd;     /* owned; read-only; -1 = none */
	int disk_fd; /* likewise; an image's: what is on the writable disk by then */
	uint64_t memory_bytes, disk_bytes;
};

#define TEMPLATE_INIT ((struct template){ .memory_fd = -1, .state_fd = -1, .disk_fd = -1 })

void template_close(struct template *t);

/** template_suits() - whether a machine like @m can start from one of that kind: from an image's if
 * its writable disk is empty */
bool template_suits(const struct machine_config *m, enum template_kind kind);

/**
 * template_open() - the one for machines like @c
 * @folder: of all templates
 * @kind: suits it
 *
 * Everything is checked: that it was made from what is here now, that its files are ours, whole and
 * those that were saved. Return: 0; -E_NOT_FOUND if there is none; -E_INTEGRITY if it is not to be
 * used
 */
int template_open(const char *folder, const struct keeper_config *c, enum template_kind kind,
		  struct template *ret, struct error *err) MUST_CHECK;

/** template_fill_disk() - put what the machine of @t had on its writable disk in the place of the
 * file at @path, whole or not at all */
int template_fill_disk(const struct template *t, const char *path, struct error *err) MUST_CHECK;

/**
 * template_ensure() - make the one for machines like @c unless it is there
 *
 * Boots a machine and saves it, which takes as long as a boot; an image's starts from the one that
 * has booted. Whoever wants one meanwhile waits for that. A broken one is replaced. Where it failed
 * it is not tried again for a while. Return: 0, or -code: do without
 */
int template_ensure(const char *folder, const struct keeper_config *c, enum template_kind kind,
		    struct error *err) MUST_CHECK;

/** template_discard() - the one of that name is of no use */
void template_discard(const char *folder, const char *key);

enum template_state {
	TEMPLATE_READY,
	TEMPLATE_STALE,  /* what it was made from is gone or another */
	TEMPLATE_BROKEN, /* not to be used */
	TEMPLATE_STATES
};

/* One of the list. */
struct template_info {
	char *name;   /* owned, as all here */
	char *kernel; /* path */
	char *image;  /* path of the image's disk; "" = it is a machine's */
	bool kvm;
	unsigned cpus, devices; /* it takes */
	uint64_t memory_bytes;
	uint64_t size_bytes; /* on the disk */
	uint64_t created_unix_ms, used_unix_ms;
	enum template_state state;
};

struct template_list {
	struct template_info *items;
	size_t count;
};

void template_list_release(struct template_list *l);
/** template_list() - all, by name; a missing folder is an empty list */
int template_list(const char *folder, struct template_list *ret, struct error *err) MUST_CHECK;
/** template_state_name() - "ready", "stale", "broken" */
const char *template_state_name(enum template_state state);
/**
 * template_prune() - remove those that are stale or broken, and with @all the others too
 * @ret: what was removed; owned
 */
int template_prune(const char *folder, bool all, struct template_list *ret,
		   struct error *err) MUST_CHECK;

#endif
