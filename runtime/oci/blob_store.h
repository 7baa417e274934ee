/* SPDX-License-Identifier: MIT */
/* Content-addressed blobs: blobs/<algorithm>/<hex>, only ever there complete and verified. */
#ifndef CTRZ_RUNTIME_OCI_BLOB_STORE_H
#define CTRZ_RUNTIME_OCI_BLOB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

struct blob_store;
struct blob_writer;

/** blob_store_open() - below @data_dir, made where missing */
int blob_store_open(const char *data_dir, struct blob_store **ret, struct error *err) MUST_CHECK;
/** blob_store_open_existing() - to read; makes nothing, a missing one is empty */
struct blob_store *blob_store_open_existing(const char *data_dir);
void blob_store_close(struct blob_store *s);
DEFINE_CLEANUP(struct blob_store *, blob_store_close)

/** blob_path() - where a blob of this (valid) digest lies or would lie; owned */
char *blob_path(const struct blob_store *s, const char *digest);
/** blob_exists() - whether it is there with this size; UINT64_MAX = any */
bool blob_exists(const struct blob_store *s, const char *digest, uint64_t size);
/** blob_size() - false if it is not there */
bool blob_size(const struct blob_store *s, const char *digest, uint64_t *ret_size);
/** blob_read() - a whole small blob, appended and verified again; a changed one is removed and
 * E_INTEGRITY */
int blob_read(const struct blob_store *s, const char *digest, size_t max, struct buffer *out,
	      struct error *err) MUST_CHECK;
/** blob_put() - store bytes whose digest was not known before; @ret_digest is owned */
int blob_put(struct blob_store *s, const void *data, size_t size, char **ret_digest,
	     struct error *err) MUST_CHECK;
/** blob_verify() - hash a blob again; a changed one is removed. Return: 0, -E_INTEGRITY or
 * -E_NOT_FOUND */
int blob_verify(const struct blob_store *s, const char *digest, struct error *err) MUST_CHECK;
/** blob_sync() - have it on the medium; before anything that outlives a power cut relies on it */
int blob_sync(const struct blob_store *s, const char *digest, struct error *err) MUST_CHECK;
/** blob_remove() - and add what it took on disk to *ret_freed; a missing one is fine */
int blob_remove(struct blob_store *s, const char *digest, uint64_t *ret_freed,
		struct error *err) MUST_CHECK;
/** blob_list() - the digests of all blobs */
int blob_list(const struct blob_store *s, struct strlist *ret, struct error *err) MUST_CHECK;
/** blob_remove_partials() - remains of downloads that nobody works on; adds what they took to
 * *ret_freed */
int blob_remove_partials(struct blob_store *s, uint64_t *ret_freed, struct error *err) MUST_CHECK;

/**
 * blob_writer_open() - begin or go on writing a blob
 * @digest:	valid; NULL = not known yet, blob_writer_finish() will tell
 * @size:	expected size; more is refused at once, less at the end. UINT64_MAX = not known
 * @mode:	whether to wait for another process that writes the same blob
 *
 * What an interrupted writer left is hashed and kept: blob_writer_offset() says where to go on.
 * Return: 0, -E_EXISTS if the blob is there, -E_CONFLICT if it is being written (LOCK_TRY), or
 * another -code
 */
int blob_writer_open(struct blob_store *s, const char *digest, uint64_t size, enum lock_mode mode,
		     struct blob_writer **ret, struct error *err) MUST_CHECK;
uint64_t blob_writer_offset(const struct blob_writer *w);
/** blob_writer_fd() - readable from 0 to the offset, also after blob_writer_finish(); lent */
int blob_writer_fd(const struct blob_writer *w);
/** blob_writer_add() - -E_INTEGRITY if it gets larger than expected */
int blob_writer_add(struct blob_writer *w, const void *data, size_t size,
		    struct error *err) MUST_CHECK;
/** blob_writer_restart() - throw away what is there */
int blob_writer_restart(struct blob_writer *w, struct error *err) MUST_CHECK;
/** blob_writer_finish() - verify size and digest, then give it its final name. What does not verify
 * is thrown away: -E_INTEGRITY. @ret_digest is owned, may be NULL */
int blob_writer_finish(struct blob_writer *w, char **ret_digest, struct error *err) MUST_CHECK;
/** blob_writer_close() - an unfinished blob of a known digest stays for the next try */
void blob_writer_close(struct blob_writer *w);
DEFINE_CLEANUP(struct blob_writer *, blob_writer_close)

/** blob_writer_add_fd() - feed all of @fd to the writer */
int blob_writer_add_fd(struct blob_writer *w, int fd, struct error *err) MUST_CHECK;

#endif
