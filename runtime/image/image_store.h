/* SPDX-License-Identifier: MIT */
/* Images on this host: pulled or loaded, content-addressed, each with its bootable ext4. */
#ifndef CTRZ_RUNTIME_IMAGE_IMAGE_STORE_H
#define CTRZ_RUNTIME_IMAGE_IMAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "runtime/host/host_paths.h"
#include "runtime/oci/registry_config.h"

/* What the image's config says about running it (OCI image-spec, config.md). */
struct image_config {
	struct strlist entrypoint, cmd, env; /* env: NAME=value */
	char *user;                          /* may be NULL */
	char *working_dir;                   /* may be NULL */
	char *stop_signal;                   /* may be NULL */
	char *architecture, *os;
};

struct image {
	char *reference;          /* as stored, full: "docker.io/library/alpine:latest" */
	char *digest;             /* of the manifest for this platform: "sha256:..." */
	char *index_digest;       /* of the index it was chosen from, or NULL */
	char *chain_id;           /* of its diff_ids; names the disk */
	char *disk;               /* absolute path of the read-only ext4 */
	uint64_t size_bytes;      /* compressed, config and layers */
	uint64_t disk_bytes;      /* allocated on the host */
	uint64_t created_unix_ms; /* of the image */
	uint64_t pulled_unix_ms;
	struct image_config config;
};

struct image_list {
	struct image *items;
	size_t count;
};

void image_release(struct image *i);
void image_list_release(struct image_list *l);

enum progress_kind { PROGRESS_RESOLVE, PROGRESS_LAYER, PROGRESS_DISK, PROGRESS_DONE };

/* Called from the pulling thread; @id is a short digest or name, total 0 = unknown. */
typedef void (*image_progress_fn)(void *arg, enum progress_kind kind, const char *id, uint64_t done,
				  uint64_t total);

struct image_store_options {
	const struct host_paths *paths;           /* lent */
	const struct registry_config *registries; /* lent */
	size_t registry_count;
	const char *platform;       /* "linux/amd64"; NULL = the host's */
	unsigned max_downloads;     /* 0 = 6 */
	unsigned stall_seconds;     /* silence that ends a transfer; 0 = 30 */
	bool reads_only;            /* make no folder: for image_store_find() and _ask() */
	image_progress_fn progress; /* may be NULL */
	void *progress_arg;
};

struct image_store;
int image_store_open(const struct image_store_options *o, struct image_store **ret,
		     struct error *err) MUST_CHECK;
void image_store_close(struct image_store *s);
DEFINE_CLEANUP(struct image_store *, image_store_close)

/** image_store_find() - by reference as people write it, or by digest prefix (at least 12 hex
 * digits); no network. Return: -E_NOT_FOUND if not here */
int image_store_find(struct image_store *s, const char *reference, struct image *ret,
		     struct error *err) MUST_CHECK;
/** image_store_pull() - get it from its registry (mirrors first), build its disk; ends when it can
 * be booted. Return: -E_NOT_FOUND no such image or platform, -E_DENIED, -E_UNAVAILABLE,
 * -E_INTEGRITY, ... */
int image_store_pull(struct image_store *s, const char *reference, struct image *ret,
		     struct error *err) MUST_CHECK;
/* What a registry has for a name now. */
struct image_offer {
	char *digest;            /* of the manifest for this platform; owned */
	bool is_here;            /* the store has that under the name */
	uint64_t download_bytes; /* of config and layers that are not here */
};

void image_offer_release(struct image_offer *o);
/** image_store_ask() - what the registry has for a name; writes nothing. A reference by digest that
 * is here is not asked for. Return: as image_store_pull() */
int image_store_ask(struct image_store *s, const char *reference, struct image_offer *ret,
		    struct error *err) MUST_CHECK;
/** image_store_load() - from "oci:DIR", "oci-archive:FILE", "docker-archive:FILE", a plain path
 * (found by looking) or "-", an archive on standard input.
 * @name: the reference to give it, or NULL for the name it carries */
int image_store_load(struct image_store *s, const char *source, const char *name, struct image *ret,
		     struct error *err) MUST_CHECK;
int image_store_list(struct image_store *s, struct image_list *ret, struct error *err) MUST_CHECK;
/** image_store_remove() - drop a reference and what only it used; a disk whose lock a machine holds
 * is E_CONFLICT.
 * @ret_freed_bytes may be NULL */
int image_store_remove(struct image_store *s, const char *reference, uint64_t *ret_freed_bytes,
		       struct error *err) MUST_CHECK;

/* Whether a name may stay. */
typedef bool (*image_keep_fn)(void *arg, const char *reference, const char *digest);
/**
 * image_store_prune() - remove blobs and disks no name needs, and remains of broken pulls
 * @keep:	names it does not want are dropped first; NULL = all names stay. Disks of running
 * machines stay
 * @ret_freed_bytes: may be NULL
 *
 * Return: 0, or -E_CONFLICT while an image is pulled
 */
int image_store_prune(struct image_store *s, image_keep_fn keep, void *arg,
		      uint64_t *ret_freed_bytes, struct error *err) MUST_CHECK;

/** image_store_tag() - give an image one more name */
int image_store_tag(struct image_store *s, const char *source, const char *name,
		    struct error *err) MUST_CHECK;
/** image_store_push() - to the registry of @reference, which names an image here, or of @target if
 * that is not NULL */
int image_store_push(struct image_store *s, const char *reference, const char *target,
		     struct error *err) MUST_CHECK;
/** image_store_save() - to an archive that is an OCI layout and a docker archive at once
 * @references:	@count of them
 * @path:	replaced atomically if there; "-" = standard output */
int image_store_save(struct image_store *s, const char *const *references, size_t count,
		     const char *path, struct error *err) MUST_CHECK;
/** image_store_import() - a root file system tar (plain, gzip or zstd) becomes an image of one
 * layer
 * @path:	"-" = standard input
 * @config:	what to put into the config of it; NULL = nothing */
int image_store_import(struct image_store *s, const char *path, const char *name,
		       const struct image_config *config, struct image *ret,
		       struct error *err) MUST_CHECK;
/** image_store_inspect() - append JSON: names, digests, manifest and config as they are */
int image_store_inspect(struct image_store *s, const char *reference, struct buffer *out,
			struct error *err) MUST_CHECK;

/* One step of how an image was made, the oldest first. */
struct image_step {
	char *created_by, *comment; /* owned; may be ""; from outside: escape before printing */
	uint64_t created_unix_ms;
	uint64_t size_bytes; /* compressed; 0 if it made no layer */
	char *layer;         /* owned digest; NULL if it made no layer */
};

struct image_history {
	struct image_step *items;
	size_t count;
};

void image_history_release(struct image_history *h);
int image_store_history(struct image_store *s, const char *reference, struct image_history *ret,
			struct error *err) MUST_CHECK;

/** image_store_login() - try credentials on a registry and keep them if they are good */
int image_store_login(struct image_store *s, const char *host, const char *user, const char *secret,
		      struct error *err) MUST_CHECK;
/** image_store_logout() - forget what image_store_login() kept. Return: 0, -E_NOT_FOUND */
int image_store_logout(struct image_store *s, const char *host, struct error *err) MUST_CHECK;

/** writable_disk_create() - a sparse empty ext4 of @size_bytes at @path, 0600, owned root inside;
 * atomic; E_EXISTS if there */
int writable_disk_create(const char *path, uint64_t size_bytes, const char *label,
			 struct error *err) MUST_CHECK;
/** volume_disk_create() - the same of a kind that a guest can grow while it is mounted */
int volume_disk_create(const char *path, uint64_t size_bytes, const char *label,
		       struct error *err) MUST_CHECK;
/** throwaway_disk_create() - as writable_disk_create(), without a journal: for one machine, after
 * which nobody reads it */
int throwaway_disk_create(const char *path, uint64_t size_bytes, const char *label,
			  struct error *err) MUST_CHECK;
/** throwaway_disk_kind() - those of one kind differ in label and UUID only; owned */
char *throwaway_disk_kind(uint64_t size_bytes);

#endif
