/* SPDX-License-Identifier: MIT */
/* Entry points of the spec language: load, print, hash, compare, describe. */
#ifndef CTRZ_SPEC_SPEC_H
#define CTRZ_SPEC_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/text.h"
#include "spec/model/environment.h"
#include "spec/report/diagnostics.h"

enum { SPEC_FILE_MAX = 16 << 20 };

/* What a path is on the host. */
enum spec_path_kind {
	SPEC_PATH_MISSING,
	SPEC_PATH_FILE,
	SPEC_PATH_DIR,
	SPEC_PATH_OTHER,
	SPEC_PATH_LOOP,   /* too many symbolic links */
	SPEC_PATH_DENIED, /* may not be looked at */
};

/* Facts about the host that rules look at. A callback that is NULL leaves its rules out; tests give
 * fixtures, the program host_facts of the orchestrator. All get @arg. */
struct spec_host {
	void *arg;
	/* host environment, for vars with env: and secrets with env:; NULL result = unset; lent */
	const char *(*env)(void *arg, const char *name);
	enum spec_path_kind (*path)(void *arg, const char *path);
	/* real path, all links followed, owned; NULL if it cannot be */
	char *(*real_path)(void *arg, const char *path);
	/* whole file, at most @max bytes, appended; NULL = files are read from disk */
	int (*read)(void *arg, const char *path, size_t max, struct buffer *out, struct error *err);
	/* the text of a file of the language that is not (yet) on disk: as read(), or 1 if it is on
	 * disk; NULL = all are. include() opens one that a URL names: owned *ret_path for text()
	 * and owned *ret_commit, which is @pinned unless that is NULL */
	int (*text)(void *arg, const char *path, size_t max, struct buffer *out, struct error *err);
	int (*include)(void *arg, const char *url, const char *pinned, char **ret_path,
		       char **ret_commit, struct error *err);
	/* who listens on a host port: owned "nginx (pid 812)" or "another program"; NULL = free */
	char *(*port_holder)(void *arg, const char *address, unsigned port, bool is_udp);
	/* what already uses addresses of a subnet (host byte order): owned "the route of docker0";
	 * NULL = nothing */
	char *(*subnet_holder)(void *arg, uint32_t base, unsigned bits);
	/* why an image cannot be had for this host's platform: owned; NULL = it can, or is not
	 * known */
	char *(*image_problem)(void *arg, const char *image);
	bool may_bind_low_ports;                 /* looked at only with port_holder */
	uint64_t memory_total, memory_available; /* bytes; 0 = not known */
	unsigned cpus;                           /* 0 = not known */
	const char *home;                        /* for ~; NULL = not known */
	const char *platform;                    /* of images, "linux/amd64"; NULL = not known */
	const char *state; /* where ctrz keeps what people agreed to: never shared; NULL = nowhere
			    */
};

/* What the lock beside the first file is for. */
enum spec_lock_mode {
	SPEC_LOCK_NONE,   /* it is not looked at */
	SPEC_LOCK_USE,    /* what it has counts */
	SPEC_LOCK_RENEW,  /* it is read, but everything is asked for anew */
	SPEC_LOCK_STRICT, /* E305 for whatever it lacks or has too much */
};

struct spec_options {
	const char *const *files; /* the file, then overlays (-f a -f b); NULL = text below */
	size_t file_count;
	const char *first_name; /* what to call the first in messages; NULL = as it is */
	const char *text;       /* instead of files: a document, */
	size_t text_size;
	const char *text_name; /* what to call it in messages ("-"), and */
	const char *text_dir;  /* the folder its relative paths start from */
	const char *const *profiles;
	size_t profile_count;
	const struct spec_host *host;           /* NULL: no host facts */
	const struct spec_resources *resources; /* of config.yaml, for what the file leaves open */
	enum spec_lock_mode lock;
	bool is_strict;        /* also W306 and the like */
	bool keeps_later_keys; /* accept keys that have no effect yet (validate --all, config) */
	bool is_canonical;     /* reading back what spec_json() wrote */
};

/** spec_options_default() - everything empty */
#define SPEC_OPTIONS_INIT ((struct spec_options){ 0 })

/**
 * spec_load() - read, check and complete an environment
 * @diags: gets every finding, warnings too; sorted
 *
 * Return: 0; -E_INVALID if there are findings that are errors (the message sums them up: print
 * @diags); -E_NOT_FOUND and the like if a file given cannot be read
 */
int spec_load(const struct spec_options *o, struct environment **ret, struct diagnostics *diags,
	      struct error *err) MUST_CHECK;
/** environment_free() - NULL is fine */
void environment_free(struct environment *env);
DEFINE_CLEANUP(struct environment *, environment_free)
#define AUTO_ENVIRONMENT CLEANUP(environment_free_p) struct environment *

/** spec_json() - append the canonical JSON of an environment: long forms, defaults filled in,
 * absolute paths, maps sorted. spec_load_json() reads it back. No value of a secret is in it */
void spec_json(const struct environment *env, struct buffer *out);
/** spec_yaml() - the same as YAML for people, which spec_load() reads; @origins adds "# file:line"
 */
void spec_yaml(const struct environment *env, bool origins, struct buffer *out);
/** spec_load_json() - read back what spec_json() wrote; positions are lost */
int spec_load_json(const char *text, size_t size, const char *what, struct environment **ret,
		   struct error *err) MUST_CHECK;
/** spec_hash() - SHA-256 of the canonical form of what takes part in the hash; hex */
void spec_hash(const struct environment *env, char out[65]);
/** spec_container_hash() - the same for one container */
void spec_container_hash(const struct environment *env, const struct spec_container *c,
			 char out[65]);

/* What a change of a field costs, cheapest first. */
enum spec_class {
	SPEC_CLASS_NONE,
	SPEC_CLASS_LIVE,
	SPEC_CLASS_PROCESS,
	SPEC_CLASS_VM,
	SPEC_CLASS_RECREATE,
	SPEC_CLASS_DATA,
};
const char *spec_class_name(enum spec_class c);

enum spec_change_kind { SPEC_CHANGED, SPEC_ADDED, SPEC_REMOVED };

struct spec_change {
	enum spec_change_kind
		kind;          /* of the field's value, or of the whole object if field is "" */
	const char *object;    /* "environment", "container", "process", "network", "volume",
				  "file", "secret" */
	const char *name;      /* of the object; "" for the environment; "app" */
	const char *container; /* of a process: its container; else NULL */
	const char *field;     /* "resources.memory", "mounts[/srv].access", "env.DEBUG" */
	enum spec_class change_class;
	const char *old_text, *new_text; /* as in the file, safe to print, at most 200 bytes; NULL =
					    none */
	struct source_pos pos;           /* in the new file; of the old one for what is gone */
	bool is_secret;                  /* texts must not be shown; they are "(changed)" here */
};

typedef void (*spec_change_fn)(void *arg, const struct spec_change *change);

/**
 * spec_diff() - every difference between two environments, by the field tables
 * @old: may be NULL: all is added
 * @new: may be NULL: all is removed
 *
 * Calls in a stable order: environment, networks, volumes, files, secrets, containers by name. A
 * container, process, network, volume, file or secret that is only on one side is one call with
 * field "". Inactive containers count as not there.
 */
void spec_diff(const struct environment *old, const struct environment *new, spec_change_fn fn,
	       void *arg);

/** spec_later_keys() - the keys of the language that have no effect in this version yet, as paths:
 * "containers.NAME.health", "containers.NAME.mounts[].type=volume" */
void spec_later_keys(struct strlist *out);
/** spec_keys() - all keys of the language as paths, for completion and tests */
void spec_keys(struct strlist *out);
/** spec_schema() - JSON Schema (draft-07) of env.yaml */
void spec_schema(struct buffer *out);
/** spec_manual() - the keys as a section of env.yaml(5), scdoc */
void spec_manual(struct buffer *out);
/** config_manual() - the same for config.yaml */
void config_manual(struct buffer *out);
/** lock_manual() - the same for env.lock */
void lock_manual(struct buffer *out);

#endif
