/* SPDX-License-Identifier: MIT */
/* What the files of the image store share. */
#ifndef CTRZ_RUNTIME_IMAGE_STORE_STORE_INTERNAL_H
#define CTRZ_RUNTIME_IMAGE_STORE_STORE_INTERNAL_H

#include <sys/types.h>
#include <time.h>

#include "base/map.h"
#include "runtime/image/image_store.h"
#include "runtime/oci/blob_store.h"
#include "runtime/oci/manifest.h"
#include "runtime/oci/platform.h"
#include "runtime/oci/reference.h"

enum {
	INDEX_FILE_MAX = 64 * 1024 * 1024,
	INDEX_DEPTH_MAX = 3, /* indexes that name indexes */
};

/* A document of the store: a manifest, an index or a config. */
struct document {
	struct buffer body;
	char *media_type; /* owned */
	char *digest;     /* owned */
};

#define AUTO_STORE_DOCUMENT CLEANUP(document_release) struct document
void document_release(struct document *d);

/* One line of images.json. All strings are owned. */
struct image_record {
	char *reference, *digest, *media_type;
	char *index_digest; /* NULL if there was no index */
	char *config_digest, *chain_id, *platform;
	struct strlist layers; /* digests, from the bottom up */
	uint64_t size_bytes, created_unix_ms, pulled_unix_ms;
};

struct image_index {
	struct image_record *records;
	size_t count, room;
};

#define AUTO_INDEX CLEANUP(image_index_release) struct image_index
#define AUTO_RECORD CLEANUP(image_record_release) struct image_record

/* What was read and is still true. */
struct store_cache {
	struct image_index index;
	bool index_read;
	ino_t inode; /* of the file it was read from */
	off_t size;
	struct timespec mtime;
	struct map configs; /* config digest to struct oci_config, owned */
};

struct image_store {
	struct store_cache cache;
	struct image_store_options options;
	struct platform platform;
	struct blob_store *blobs;
	char *index_path, *disks; /* owned */
};

void store_cache_release(struct store_cache *c);
/** index_cached() - as index_read(), read again only when the file changed; lent until the next
 * call */
int index_cached(struct image_store *s, const struct image_index **ret,
		 struct error *err) MUST_CHECK;

void image_record_release(struct image_record *r);
void image_record_copy(struct image_record *dst, const struct image_record *src);
void image_index_release(struct image_index *i);

/** index_read() - a missing file is an empty index */
int index_read(const struct image_store *s, struct image_index *ret, struct error *err) MUST_CHECK;
/** index_lock() - for reading, changing and writing it. Return: a descriptor to close, or -code */
int index_lock(const struct image_store *s, struct error *err) MUST_CHECK;
int index_write(const struct image_store *s, const struct image_index *i,
		struct error *err) MUST_CHECK;
/** index_put() - add @r, in place of one of the same reference; lock, read and write included */
int index_put(const struct image_store *s, const struct image_record *r,
	      struct error *err) MUST_CHECK;
/** index_find() - by reference as written, or a digest prefix; lent. NULL with E_NOT_FOUND or
 * E_INVALID set if there is none */
struct image_record *index_find(const struct image_index *i, const char *name,
				struct error *err) MUST_CHECK;

/** disk_path() - of a chain id, owned */
char *disk_path(const struct image_store *s, const char *chain_id);
/** record_is_whole() - its disk and blobs are here */
bool record_is_whole(const struct image_store *s, const struct image_record *r);
/** record_to_image() - with what its config says */
int record_to_image(struct image_store *s, const struct image_record *r, struct image *ret,
		    struct error *err) MUST_CHECK;

/** gc_hold() - keep others from removing blobs and disks while the descriptor is open. Return: it,
 * or -code */
int gc_hold(const struct image_store *s, struct error *err) MUST_CHECK;
/** gc_begin() - be the only one here. Return: a descriptor, or -E_CONFLICT while anybody holds it
 */
int gc_begin(const struct image_store *s, struct error *err) MUST_CHECK;
/** name_lock() - an exclusive lock on a file that name_unlock() removes. Return: descriptor or
 * -code */
int name_lock(const char *path, struct error *err) MUST_CHECK;
void name_unlock(const char *path, int fd);

/* An image on its way into the store: its documents are known, its layers not yet here. */
struct assembly {
	struct manifest manifest;
	struct oci_config config;
	struct image_record record; /* complete but for the reference and the times */
};

#define AUTO_ASSEMBLY CLEANUP(assembly_release) struct assembly
void assembly_release(struct assembly *a);
/** assembly_init() - from a manifest and its config; takes ownership of nothing. The platform must
 * be the store's */
int assembly_init(const struct image_store *s, const struct document *manifest,
		  const struct document *config, const char *what, struct assembly *ret,
		  struct error *err) MUST_CHECK;

/* Tells a build about bytes that arrive; the shape of registry_fetch_events. */
struct registry_fetch_events;
/* Brings the blobs of an assembly into the store, telling @events meanwhile. */
typedef int (*bring_fn)(void *arg, const struct descriptor *const *blobs, size_t count,
			const struct registry_fetch_events *events, struct error *err);
/** assemble() - layers into the store and the disk at once; @wake (may be NULL) is called from
 * another thread to have
 * @bring look at should_stop */
int assemble(struct image_store *s, const struct assembly *a, bring_fn bring,
	     void (*wake)(void *arg), void *arg, struct error *err) MUST_CHECK;
/** assembly_commit() - give it its name: the image is there for everybody from now on */
int assembly_commit(struct image_store *s, struct assembly *a, const char *reference,
		    struct image *ret, struct error *err) MUST_CHECK;

/** store_document() - keep a document under its digest, which it is checked against */
int store_document(struct image_store *s, const struct document *d, struct error *err) MUST_CHECK;

/* Where documents come from: a registry, a folder, the store itself. */
typedef int (*get_document_fn)(void *arg, const struct descriptor *d, struct document *ret,
			       struct error *err);
/**
 * resolve_manifest() - from an index (or indexes of indexes) to the manifest for the store's
 * platform
 * @root:	the document the name stands for; replaced by the image manifest
 * @ret_index:	digest of the root if it was an index, else NULL; owned
 */
int resolve_manifest(struct image_store *s, struct document *root, get_document_fn get, void *arg,
		     const char *what, char **ret_index, struct error *err) MUST_CHECK;

/** store_give_back_space() - where @failure is that space ran out, keep nothing for the next try,
 * and say how to get some */
void store_give_back_space(const struct image_store *s, struct error *failure);
/** store_report() - to the progress function, if there is one */
void store_report(const struct image_store *s, enum progress_kind kind, const char *id,
		  uint64_t done, uint64_t total);

#endif
