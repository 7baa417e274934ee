/* SPDX-License-Identifier: MIT */
/* Blobs appear under their names complete and verified, or not at all. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "runtime/oci/blob_store.h"

#define HELLO "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLO_512                                                                                  \
	"sha512:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7" \
	"c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043"

struct place {
	char dir[64];
	struct blob_store *store;
};

static void place_open(struct place *p)
{
	AUTO_ERROR err = ERROR_INIT;
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/ctrz-blobs-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	assert_ok(err, blob_store_open(p->dir, &p->store, &err));
}

static void place_close(struct place *p)
{
	AUTO_ERROR err = ERROR_INIT;
	blob_store_close(p->store);
	assert_ok(err, dir_remove_tree(p->dir, &err));
}

static struct blob_writer *open_hello(struct place *p, const char *digest)
{
	AUTO_ERROR err = ERROR_INIT;
	struct blob_writer *w = NULL;
	assert_ok(err, blob_writer_open(p->store, digest, 5, LOCK_TRY, &w, &err));
	return w;
}

TEST(blob_is_written_and_read)
{
	AUTO_ERROR err = ERROR_INIT;
	struct place p;
	place_open(&p);
	const char *const digests[] = { HELLO, HELLO_512 };
	for (size_t i = 0; i < 2; i++) {
		struct blob_writer *w = open_hello(&p, digests[i]);
		assert_ok(err, blob_writer_add(w, "he", 2, &err));
		assert_false(blob_exists(p.store, digests[i], 5));
		assert_ok(err, blob_writer_add(w, "llo", 3, &err));
		assert_ok(err, blob_writer_finish(w, NULL, &err));
		blob_writer_close(w);
		assert_true(blob_exists(p.store, digests[i], 5));
		assert_false(blob_exists(p.store, digests[i], 6));
		AUTO_BUFFER out = BUFFER_INIT;
		assert_ok(err, blob_read(p.store, digests[i], 100, &out, &err));
		assert_string_equal(buffer_str(&out), "hello");
		w = NULL;
		assert_error(err, E_EXISTS,
			     blob_writer_open(p.store, digests[i], 5, LOCK_TRY, &w, &err));
	}
	place_close(&p);
}

TEST(blob_that_is_wrong_gets_no_name)
{
	AUTO_ERROR err = ERROR_INIT;
	struct place p;
	place_open(&p);
	struct blob_writer *w = open_hello(&p, HELLO);
	assert_ok(err, blob_writer_add(w, "hellx", 5, &err));
	assert_error(err, E_INTEGRITY, blob_writer_finish(w, NULL, &err));
	assert_int_equal(blob_writer_offset(w), 0);
	/* The same writer may try again. */
	assert_ok(err, blob_writer_add(w, "hell", 4, &err));
	assert_error(err, E_INTEGRITY, blob_writer_add(w, "oo", 2, &err));
	assert_error(err, E_INTEGRITY, blob_writer_finish(w, NULL, &err));
	assert_false(blob_exists(p.store, HELLO, 5));
	assert_ok(err, blob_writer_add(w, "hello", 5, &err));
	assert_ok(err, blob_writer_finish(w, NULL, &err));
	blob_writer_close(w);
	place_close(&p);
}

TEST(blob_is_resumed)
{
	AUTO_ERROR err = ERROR_INIT;
	struct place p;
	place_open(&p);
	struct blob_writer *w = open_hello(&p, HELLO);
	assert_ok(err, blob_writer_add(w, "he", 2, &err));
	struct blob_writer *second = NULL;
	assert_error(err, E_CONFLICT, blob_writer_open(p.store, HELLO, 5, LOCK_TRY, &second, &err));
	blob_writer_close(w);
	w = open_hello(&p, HELLO);
	assert_int_equal(blob_writer_offset(w), 2);
	assert_ok(err, blob_writer_add(w, "llo", 3, &err));
	assert_ok(err, blob_writer_finish(w, NULL, &err));
	blob_writer_close(w);
	/* Remains nobody works on are removed; the blob is not. */
	w = NULL;
	assert_ok(err, blob_writer_open(p.store, HELLO_512, 5, LOCK_TRY, &w, &err));
	assert_ok(err, blob_writer_add(w, "he", 2, &err));
	uint64_t freed = 0;
	assert_ok(err, blob_remove_partials(p.store, &freed, &err));
	assert_int_equal(freed, 0);
	blob_writer_close(w);
	assert_ok(err, blob_remove_partials(p.store, &freed, &err));
	assert_true(freed > 0);
	assert_true(blob_exists(p.store, HELLO, 5));
	place_close(&p);
}

TEST(blob_of_unknown_digest)
{
	AUTO_ERROR err = ERROR_INIT;
	struct place p;
	place_open(&p);
	struct blob_writer *w = open_hello(&p, NULL);
	assert_ok(err, blob_writer_add(w, "hello", 5, &err));
	AUTO_FREE char *digest = NULL;
	assert_ok(err, blob_writer_finish(w, &digest, &err));
	blob_writer_close(w);
	assert_string_equal(digest, HELLO);
	AUTO_FREE char *again = NULL;
	assert_ok(err, blob_put(p.store, "hello", 5, &again, &err));
	assert_string_equal(again, HELLO);
	AUTO_STRLIST all = STRLIST_INIT;
	assert_ok(err, blob_list(p.store, &all, &err));
	assert_int_equal(all.count, 1);
	uint64_t freed = 0;
	assert_ok(err, blob_remove(p.store, HELLO, &freed, &err));
	assert_true(freed > 0);
	assert_false(blob_exists(p.store, HELLO, UINT64_MAX));
	place_close(&p);
}

TEST(blob_that_rots_is_removed)
{
	AUTO_ERROR err = ERROR_INIT;
	struct place p;
	place_open(&p);
	AUTO_FREE char *digest = NULL;
	assert_ok(err, blob_put(p.store, "hello", 5, &digest, &err));
	AUTO_FREE char *path = blob_path(p.store, digest);
	assert_ok(err, blob_verify(p.store, digest, &err));
	assert_ok(err, file_write_atomic(path, "hellx", 5, 0600, &err));
	AUTO_BUFFER out = BUFFER_INIT;
	assert_error(err, E_INTEGRITY, blob_read(p.store, digest, 100, &out, &err));
	assert_false(blob_exists(p.store, digest, UINT64_MAX));
	assert_error(err, E_NOT_FOUND, blob_verify(p.store, digest, &err));
	place_close(&p);
}

/* A link planted where a download would go is not followed. */
TEST(blob_does_not_follow_links)
{
	AUTO_ERROR err = ERROR_INIT;
	struct place p;
	place_open(&p);
	AUTO_FREE char *victim = xasprintf("%s/victim", p.dir);
	AUTO_FREE char *trap =
		xasprintf("%s/blobs/partial/sha256-%s", p.dir, strchr(HELLO, ':') + 1);
	assert_ok(err, file_write_atomic(victim, "keep", 4, 0600, &err));
	assert_int_equal(symlink(victim, trap), 0);
	struct blob_writer *w = NULL;
	assert_true(blob_writer_open(p.store, HELLO, 5, LOCK_TRY, &w, &err) < 0);
	error_clear(&err);
	AUTO_BUFFER out = BUFFER_INIT;
	assert_ok(err, file_read(victim, 100, &out, &err));
	assert_string_equal(buffer_str(&out), "keep");
	place_close(&p);
}
