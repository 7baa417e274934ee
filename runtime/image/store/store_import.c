/* SPDX-License-Identifier: MIT */
/* A root file system tar becomes an image of one layer. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/json/json.h"
#include "runtime/image/layer_stream.h"
#include "runtime/image/store/store_load.h"

enum { HASH_CHUNK = 256 * 1024 };

struct imported {
	char *digest, *diff_id; /* owned */
	const char *media_type;
	uint64_t size;
};

static ssize_t read_fd(void *arg, void *buf, size_t size, struct error *err)
{
	const int *fd = arg;
	for (;;) {
		ssize_t n = read(*fd, buf, size);
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return error_sys(err, "read the layer");
	}
}

/* The digest of what is inside the compression. */
static int hash_inside(int fd, const char *name, char **ret, struct error *err)
{
	const struct layer_source source = { .name = name, .read = read_fd, .arg = &fd };
	CLEANUP(layer_stream_free_p) struct layer_stream *stream = layer_stream_new(&source);
	CLEANUP(digest_free_p) struct digest *hash = digest_new(DIGEST_SHA256);
	AUTO_FREE char *chunk = xmalloc(HASH_CHUNK);
	ssize_t n;
	while ((n = layer_stream_read(stream, chunk, HASH_CHUNK, err)) > 0)
		digest_add(hash, chunk, (size_t)n);
	if (n < 0)
		return (int)n;
	char hex[DIGEST_HEX_MAX + 1];
	digest_hex(hash, hex);
	*ret = xasprintf("sha256:%s", hex);
	return 0;
}

static const char *type_of(const uint8_t magic[4])
{
	if (magic[0] == 0x1f && magic[1] == 0x8b)
		return MEDIA_OCI_LAYER "+gzip";
	if (memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0)
		return MEDIA_OCI_LAYER "+zstd";
	return MEDIA_OCI_LAYER;
}

static int take_layer(struct image_store *s, const char *path, struct imported *ret,
		      struct error *err)
{
	bool from_stdin = str_equal(path, "-");
	AUTO_CLOSE int fd = from_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
				       : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "open '%s'", path);
	CLEANUP(blob_writer_close_p) struct blob_writer *w = NULL;
	int rc = blob_writer_open(s->blobs, NULL, UINT64_MAX, LOCK_TRY, &w, err);
	if (rc == 0)
		rc = blob_writer_add_fd(w, fd, err);
	if (rc < 0)
		return rc;
	uint8_t magic[4] = { 0 };
	int copy = blob_writer_fd(w);
	if (pread(copy, magic, sizeof(magic), 0) < 0 || lseek(copy, 0, SEEK_SET) < 0)
		return error_sys(err, "read '%s'", path);
	ret->media_type = type_of(magic);
	ret->size = blob_writer_offset(w);
	rc = hash_inside(copy, path, &ret->diff_id, err);
	return rc == 0 ? blob_writer_finish(w, &ret->digest, err) : rc;
}

static void set_text(struct json *o, const char *key, const char *value)
{
	if (value)
		json_set_string(o, key, value);
}

static struct json *run_json(const struct image_config *c)
{
	struct json *o = json_new_object();
	if (!c)
		return o;
	if (c->entrypoint.count)
		json_set_strings(o, "Entrypoint", &c->entrypoint);
	if (c->cmd.count)
		json_set_strings(o, "Cmd", &c->cmd);
	if (c->env.count)
		json_set_strings(o, "Env", &c->env);
	set_text(o, "User", c->user);
	set_text(o, "WorkingDir", c->working_dir);
	set_text(o, "StopSignal", c->stop_signal);
	return o;
}

static void make_config(const struct image_store *s, const struct imported *layer,
			const struct image_config *run, struct buffer *out)
{
	AUTO_JSON v = json_new_object();
	struct json *rootfs = json_new_object(), *ids = json_new_array();
	json_set_string(v, "architecture",
			run && run->architecture ? run->architecture : s->platform.architecture);
	json_set_string(v, "os", run && run->os ? run->os : s->platform.os);
	set_text(v, "variant", run && run->architecture ? NULL : s->platform.variant);
	json_set(v, "config", run_json(run));
	json_add(ids, json_new_string(layer->diff_id));
	json_set_string(rootfs, "type", "layers");
	json_set(rootfs, "diff_ids", ids);
	json_set(v, "rootfs", rootfs);
	json_print(v, 0, false, out);
}

static struct json *descriptor_json(const char *type, const char *digest, uint64_t size)
{
	struct json *o = json_new_object();
	json_set_string(o, "mediaType", type);
	json_set_string(o, "digest", digest);
	json_set_int(o, "size", (int64_t)size);
	return o;
}

static void make_manifest(const struct imported *layer, const struct document *config,
			  struct buffer *out)
{
	AUTO_JSON v = json_new_object();
	struct json *layers = json_new_array();
	json_set_int(v, "schemaVersion", 2);
	json_set_string(v, "mediaType", MEDIA_OCI_MANIFEST);
	json_set(v, "config", descriptor_json(MEDIA_OCI_CONFIG, config->digest, config->body.size));
	json_add(layers, descriptor_json(layer->media_type, layer->digest, layer->size));
	json_set(v, "layers", layers);
	json_print(v, 0, false, out);
}

static int import_layer(struct image_store *s, const char *path, const struct image_config *run,
			struct assembly *ret, struct error *err)
{
	struct imported layer = { 0 };
	AUTO_STORE_DOCUMENT config = { 0 };
	AUTO_STORE_DOCUMENT manifest = { .media_type = xstrdup(MEDIA_OCI_MANIFEST) };
	int rc = take_layer(s, path, &layer, err);
	if (rc == 0) {
		make_config(s, &layer, run, &config.body);
		rc = blob_put(s->blobs, config.body.data, config.body.size, &config.digest, err);
	}
	if (rc == 0) {
		make_manifest(&layer, &config, &manifest.body);
		rc = blob_put(s->blobs, manifest.body.data, manifest.body.size, &manifest.digest,
			      err);
	}
	if (rc == 0)
		rc = assembly_init(s, &manifest, &config, path, ret, err);
	free(layer.digest);
	free(layer.diff_id);
	return rc;
}

int image_store_import(struct image_store *s, const char *path, const char *name,
		       const struct image_config *config, struct image *ret, struct error *err)
{
	AUTO_CLOSE int hold = gc_hold(s, err);
	if (hold < 0)
		return hold;
	AUTO_ASSEMBLY a = { 0 };
	AUTO_STRLIST none = STRLIST_INIT;
	struct load l = { .store = s, .path = path, .name = name, .dir_fd = -1 };
	int rc = import_layer(s, path, config, &a, err);
	if (rc == 0)
		rc = load_finish(&l, &a, &none, ret, err);
	if (rc < 0)
		store_give_back_space(s, err);
	return rc < 0 ? error_wrap(err, "import '%s'", path) : 0;
}
