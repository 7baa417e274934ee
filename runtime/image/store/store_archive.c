/* SPDX-License-Identifier: MIT */
/* Loading images from tar archives: OCI layouts, and docker archives old and new.
 *
 * DOC: Theory of Operation
 *
 * Nothing of an archive is unpacked and no name in it is used as a path. One pass takes every
 * member named blobs/<algorithm>/<hex> into the blob store, which checks it against its name, and
 * keeps the small JSON files in memory. If there is an index.json it goes on as an OCI layout. Else
 * manifest.json names a config and layers by their member names, and a second pass takes just those
 * into the store. What turns out not to be needed goes with the next prune.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json/json.h"
#include "base/map.h"
#include "runtime/archive/tar_reader.h"
#include "runtime/image/layer_stream.h"
#include "runtime/image/store/store_load.h"

enum {
	ARCHIVE_MEMBERS_MAX = 65536,
	ARCHIVE_PIECE = 256 * 1024,
	LINK_DEPTH_MAX = 8,
};

struct archive {
	struct load *load;
	int fd;
	size_t members;              /* seen by the first pass */
	struct buffer index, docker; /* index.json, manifest.json */
	struct map links;            /* member name to the name a symlink of it means; owned */
	struct map wanted;           /* names of pass two to struct member, owned */
};

/* A member of a docker archive in the store. */
struct member {
	char *digest;
	uint64_t size;
};

static void member_free(void *p)
{
	struct member *m = p;
	if (m)
		free(m->digest);
	free(m);
}

static void archive_release(struct archive *a)
{
	if (a->fd >= 0)
		(void)close(a->fd);
	buffer_release(&a->index);
	buffer_release(&a->docker);
	map_release(&a->links, free);
	map_release(&a->wanted, member_free);
}

struct archive_input {
	int fd;
	struct layer_stream *stream;
	char *piece;
};

static ssize_t input_read(void *arg, void *buf, size_t size, struct error *err)
{
	const struct archive_input *in = arg;
	for (;;) {
		ssize_t n = read(in->fd, buf, size);
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return error_sys(err, "read the archive");
	}
}

static int input_next(void *arg, const void **ret_data, size_t *ret_size, struct error *err)
{
	struct archive_input *in = arg;
	ssize_t n = layer_stream_read(in->stream, in->piece, ARCHIVE_PIECE, err);
	if (n < 0)
		return (int)n;
	*ret_data = in->piece;
	*ret_size = (size_t)n;
	return 0;
}

/* Called for each member that is a file or a link. */
typedef int (*member_fn)(struct archive *a, struct tar_reader *r, const struct tar_entry *e,
			 const char *name, struct error *err);

static int walk(struct archive *a, struct tar_reader *r, member_fn fn, struct error *err)
{
	struct tar_entry e;
	int rc;
	a->members = 0;
	while ((rc = tar_reader_next(r, &e, err)) > 0) {
		if (++a->members > ARCHIVE_MEMBERS_MAX)
			return error_set(err, E_INTEGRITY, "more than %d members",
					 ARCHIVE_MEMBERS_MAX);
		AUTO_FREE char *name = path_clean(e.name);
		rc = fn(a, r, &e, name, err);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int pass(struct archive *a, member_fn fn, struct error *err)
{
	if (lseek(a->fd, 0, SEEK_SET) < 0)
		return error_sys(err, "seek");
	struct archive_input in = { .fd = a->fd, .piece = xmalloc(ARCHIVE_PIECE) };
	const struct layer_source source = { .name = a->load->path,
					     .read = input_read,
					     .arg = &in };
	in.stream = layer_stream_new(&source);
	const struct byte_source bytes = { .next = input_next, .arg = &in };
	struct tar_reader *r = tar_reader_new(&bytes);
	int rc = walk(a, r, fn, err);
	tar_reader_free(r);
	layer_stream_free(in.stream);
	free(in.piece);
	return rc;
}

static int read_small(struct tar_reader *r, const struct tar_entry *e, const char *name,
		      struct buffer *out, struct error *err)
{
	if (e->size > MANIFEST_MAX_BYTES || e->sparse)
		return error_set(err, E_INTEGRITY, "'%s' is over 4 MiB", name);
	buffer_clear(out);
	char *to = buffer_reserve(out, (size_t)e->size + 1);
	size_t have = 0;
	ssize_t n = 1;
	while (have < e->size &&
	       (n = tar_reader_read(r, to + have, (size_t)e->size - have, err)) > 0)
		have += (size_t)n;
	if (n < 0)
		return (int)n;
	out->size = have;
	to[have] = '\0';
	return 0;
}

static int take_in(struct tar_reader *r, struct blob_writer *w, struct error *err)
{
	uint64_t offset, expected = 0;
	const void *data;
	for (ssize_t n; (n = tar_reader_data(r, &offset, &data, err)) != 0;) {
		if (n < 0)
			return (int)n;
		if (offset != expected)
			return error_set(err, E_INTEGRITY, "a sparse member");
		expected += (uint64_t)n;
		int rc = blob_writer_add(w, data, (size_t)n, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* "blobs/sha256/<hex>" as a digest, owned; NULL for any other name. */
static char *digest_of_name(const char *name)
{
	if (!str_starts(name, "blobs/sha256/") && !str_starts(name, "blobs/sha512/"))
		return NULL;
	AUTO_FREE char *digest = xasprintf("%.6s:%s", name + 6, name + 13);
	return digest_is_valid(digest) ? TAKE_PTR(digest) : NULL;
}

static int take_blob(struct archive *a, struct tar_reader *r, const struct tar_entry *e,
		     const char *digest, struct error *err)
{
	AUTO_ERROR one = ERROR_INIT;
	CLEANUP(blob_writer_close_p) struct blob_writer *w = NULL;
	int rc = blob_writer_open(a->load->store->blobs, digest, e->size, LOCK_WAIT, &w, &one);
	if (rc == -E_EXISTS)
		return 0;
	if (rc == 0)
		rc = blob_writer_restart(w, &one);
	if (rc == 0)
		rc = take_in(r, w, &one);
	if (rc == 0)
		rc = blob_writer_finish(w, NULL, &one);
	return rc < 0 ? error_move(err, &one) : 0;
}

/* A link of an old docker archive, as the member name it means. */
static void keep_link(struct archive *a, const char *name, const char *target)
{
	AUTO_FREE char *dir = path_dirname(name);
	AUTO_FREE char *joined = path_join(dir, target);
	free(map_set(&a->links, name, path_clean(joined)));
}

static int first_pass(struct archive *a, struct tar_reader *r, const struct tar_entry *e,
		      const char *name, struct error *err)
{
	if (e->type == TAR_SYMLINK)
		keep_link(a, name, e->link_name);
	else if (e->type == TAR_HARD_LINK)
		free(map_set(&a->links, name, path_clean(e->link_name)));
	if (e->type != TAR_FILE)
		return 0;
	if (str_equal(name, "index.json"))
		return read_small(r, e, name, &a->index, err);
	if (str_equal(name, "manifest.json"))
		return read_small(r, e, name, &a->docker, err);
	AUTO_FREE char *digest = digest_of_name(name);
	return digest ? take_blob(a, r, e, digest, err) : 0;
}

static int second_pass(struct archive *a, struct tar_reader *r, const struct tar_entry *e,
		       const char *name, struct error *err)
{
	if (e->type != TAR_FILE || !map_has(&a->wanted, name))
		return 0;
	CLEANUP(blob_writer_close_p) struct blob_writer *w = NULL;
	struct member *m = xcalloc(1, sizeof(*m));
	m->size = e->size;
	int rc = blob_writer_open(a->load->store->blobs, NULL, e->size, LOCK_TRY, &w, err);
	if (rc == 0)
		rc = take_in(r, w, err);
	if (rc == 0)
		rc = blob_writer_finish(w, &m->digest, err);
	if (rc < 0) {
		member_free(m);
		return rc;
	}
	member_free(map_set(&a->wanted, name, m));
	return 0;
}

/* What a member name means after links, lent. */
static const char *follow(const struct archive *a, const char *name)
{
	for (int depth = 0; depth < LINK_DEPTH_MAX; depth++) {
		const char *target = map_get(&a->links, name);
		if (!target)
			break;
		name = target;
	}
	return name;
}

static int find_member(struct archive *a, const char *name, const struct member **ret,
		       struct error *err)
{
	AUTO_FREE char *clean = path_clean(name);
	*ret = map_get(&a->wanted, follow(a, clean));
	if (*ret)
		return 0;
	AUTO_FREE char *shown = text_escaped(name);
	return error_set(err, E_INTEGRITY, "lacks '%.200s', which its manifest.json names", shown);
}

static void want(struct archive *a, const char *name)
{
	AUTO_FREE char *clean = path_clean(name);
	(void)map_set(&a->wanted, follow(a, clean), NULL);
}

/* The image of manifest.json that is meant. */
static int choose(const struct archive *a, const struct json *list, const struct json **ret,
		  struct error *err)
{
	AUTO_STRLIST all = STRLIST_INIT;
	*ret = NULL;
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *one = json_item(list, i);
		AUTO_STRLIST tags = STRLIST_INIT;
		if (!json_strings(one, "RepoTags", &tags))
			tags = STRLIST_INIT;
		for (size_t k = 0; k < tags.count; k++)
			strlist_take(&all, text_escaped(tags.items[k]));
		if (a->load->choice ? strlist_has(&tags, a->load->choice) : json_count(list) == 1)
			*ret = one;
	}
	if (*ret)
		return 0;
	AUTO_FREE char *names = strlist_join(&all, ", ");
	return error_set(err, a->load->choice ? E_NOT_FOUND : E_INVALID, "%s; there are: %s",
			 a->load->choice ? "no image of that name in it"
					 : "it holds not one image; add :NAME to say which",
			 names);
}

static const char *layer_type(const struct archive *a, const char *digest)
{
	uint8_t magic[4] = { 0 };
	AUTO_FREE char *path = blob_path(a->load->store->blobs, digest);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, magic, sizeof(magic));
	if (n >= 2 && magic[0] == 0x1f && magic[1] == 0x8b)
		return MEDIA_OCI_LAYER "+gzip";
	if (n == 4 && memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0)
		return MEDIA_OCI_LAYER "+zstd";
	return MEDIA_OCI_LAYER;
}

static struct json *descriptor_json(const char *type, const struct member *m)
{
	struct json *o = json_new_object();
	json_set_string(o, "mediaType", type);
	json_set_string(o, "digest", m->digest);
	json_set_int(o, "size", (int64_t)m->size);
	return o;
}

/* A docker archive has no manifest of its own kind: this makes the one it stands for. */
static int make_manifest(struct archive *a, const struct json *image, struct document *manifest,
			 struct document *config, struct error *err)
{
	const struct member *m = NULL;
	int rc = find_member(a, json_str(image, "Config", ""), &m, err);
	if (rc < 0)
		return rc;
	AUTO_JSON v = json_new_object();
	struct json *layers = json_new_array();
	json_set_int(v, "schemaVersion", 2);
	json_set_string(v, "mediaType", MEDIA_OCI_MANIFEST);
	json_set(v, "config", descriptor_json(MEDIA_OCI_CONFIG, m));
	json_set(v, "layers", layers);
	config->digest = xstrdup(m->digest);
	const struct json *names = json_member_array(image, "Layers");
	for (size_t i = 0; rc == 0 && names && i < json_count(names); i++) {
		const char *name = json_string_value_of(json_item(names, i));
		rc = find_member(a, name ? name : "", &m, err);
		if (rc == 0)
			json_add(layers, descriptor_json(layer_type(a, m->digest), m));
	}
	if (rc < 0)
		return rc;
	json_print(v, 0, false, &manifest->body);
	manifest->media_type = xstrdup(MEDIA_OCI_MANIFEST);
	rc = blob_put(a->load->store->blobs, manifest->body.data, manifest->body.size,
		      &manifest->digest, err);
	if (rc == 0)
		rc = blob_read(a->load->store->blobs, config->digest, MANIFEST_MAX_BYTES,
			       &config->body, err);
	return rc;
}

static int load_docker(struct archive *a, struct image *ret, struct error *err)
{
	AUTO_JSON v = NULL;
	const struct json *image = NULL;
	int rc = json_parse(buffer_str(&a->docker), a->docker.size, MANIFEST_MAX_BYTES,
			    "manifest.json", &v, err);
	if (rc == 0 && json_kind_of(v) != JSON_ARRAY_T)
		rc = error_set(err, E_INTEGRITY, "manifest.json is no list");
	if (rc == 0)
		rc = choose(a, v, &image, err);
	if (rc < 0)
		return rc;
	want(a, json_str(image, "Config", ""));
	const struct json *names = json_member_array(image, "Layers");
	for (size_t i = 0; names && i < json_count(names) && i < MANIFEST_MAX_LAYERS; i++) {
		const char *name = json_string_value_of(json_item(names, i));
		want(a, name ? name : "");
	}
	AUTO_STORE_DOCUMENT manifest = { 0 };
	AUTO_STORE_DOCUMENT config = { 0 };
	AUTO_ASSEMBLY assembly = { 0 };
	rc = pass(a, second_pass, err);
	if (rc == 0)
		rc = make_manifest(a, image, &manifest, &config, err);
	if (rc == 0)
		rc = assembly_init(a->load->store, &manifest, &config, a->load->path, &assembly,
				   err);
	if (rc < 0)
		return rc;
	AUTO_STRLIST tags = STRLIST_INIT;
	if (!json_strings(image, "RepoTags", &tags))
		return error_set(err, E_INTEGRITY, "\"RepoTags\" is no list of strings");
	return load_finish(a->load, &assembly, &tags, ret, err);
}

/* An archive is read twice: one that comes through a pipe is kept in a file without a name. */
static int spool(const struct load *l, int from, int *ret, struct error *err)
{
	AUTO_CLOSE int fd = open(l->store->disks, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_sys(err, "make a file in '%s'", l->store->disks);
	AUTO_FREE char *piece = xmalloc(ARCHIVE_PIECE);
	for (;;) {
		ssize_t n = read(from, piece, ARCHIVE_PIECE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "read '%s'", l->path);
		if (n == 0)
			break;
		int rc = fd_write_full(fd, piece, (size_t)n, err);
		if (rc < 0)
			return error_wrap(err, "keep the archive in '%s'", l->store->disks);
	}
	*ret = take_fd(&fd);
	return 0;
}

int load_archive(struct load *l, int fd, struct image *ret, struct error *err)
{
	CLEANUP(archive_release)
	struct archive a = { .load = l, .fd = -1, .links = MAP_INIT, .wanted = MAP_INIT };
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_sys(err, "look at '%s'", l->path);
	int rc = 0;
	if (S_ISREG(st.st_mode))
		a.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	else
		rc = spool(l, fd, &a.fd, err);
	if (rc == 0)
		rc = a.fd < 0 ? error_sys(err, "open '%s'", l->path) : pass(&a, first_pass, err);
	if (rc == -E_INTEGRITY && a.members == 0)
		return error_wrap(err, "it is no tar archive");
	if (rc < 0)
		return rc;
	if (a.index.size)
		return load_layout(l, buffer_str(&a.index), a.index.size, ret, err);
	if (a.docker.size)
		return load_docker(&a, ret, err);
	return error_set(err, E_INVALID,
			 "it is neither an OCI layout nor a docker archive; a root file system is "
			 "taken by: ctrz image import");
}
