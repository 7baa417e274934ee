/* SPDX-License-Identifier: MIT */
/* Drives one build: pipe, tar reader, builder, and the file that gets its name at the end. */
#include "runtime/image/disk_build.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "runtime/archive/tar_reader.h"
#include "runtime/image/base_image.h"
#include "runtime/image/disk_temp.h"
#include "runtime/image/image_builder.h"
#include "runtime/image/layer_pipe.h"

enum { DEFAULT_ENTRIES = 2000000, DEFAULT_RATIO = 200, DEFAULT_LAYERS = 1024, LAYERS_MAX = 60000 };

static const uint64_t default_bytes = UINT64_C(128) << 30;

/* One build. */
struct build {
	const struct disk_build_options *options;
	const struct layer_source *layers;
	size_t count;
	size_t layer;
	size_t first; /* layers below come from the base */
	struct layer_pipe *pipe;
	struct image_builder builder;
};

static void build_release(struct build *b)
{
	layer_pipe_free(b->pipe);
	image_builder_release(&b->builder);
}

static struct disk_limits with_defaults(const struct disk_limits *l)
{
	return (struct disk_limits){
		.total_bytes = l->total_bytes ? l->total_bytes : default_bytes,
		.entries = l->entries ? l->entries : DEFAULT_ENTRIES,
		.ratio = l->ratio ? l->ratio : DEFAULT_RATIO,
		.layers = l->layers ? l->layers : DEFAULT_LAYERS,
	};
}

static int report(struct build *b, struct error *err)
{
	const struct disk_progress p = {
		.layer = b->layer,
		.layer_count = b->count,
		.done = layer_pipe_consumed(b->pipe),
		.total = b->layers[b->layer].size,
		.entries = b->builder.entries,
	};

	if (!b->options->progress || b->options->progress(b->options->progress_arg, &p) == 0)
		return 0;
	return error_set(err, E_CANCELED, "canceled");
}

static int next_piece(void *arg, const void **ret_data, size_t *ret_size, struct error *err)
{
	struct build *b = arg;
	int rc = layer_pipe_next(b->pipe, ret_data, ret_size, err);

	if (rc == 0)
		rc = report(b, err);
	return rc;
}

static int apply_layer(struct build *b, struct error *err)
{
	CLEANUP(tar_reader_free_p)
	struct tar_reader *tar = tar_reader_new(&(struct byte_source){ next_piece, b });
	int rc = image_builder_apply(&b->builder, tar, err);

	/* The digest is over everything, padding behind the archive included. */
	return rc < 0 ? rc : tar_reader_drain(tar, err);
}

static int apply_layers(struct build *b, struct error *err)
{
	for (b->layer = b->first; b->layer < b->count; b->layer++) {
		const char *name = b->layers[b->layer].name;
		int rc = apply_layer(b, err);

		if (rc < 0 && name) {
			AUTO_FREE char *safe = text_escaped(name);

			return error_wrap(err, "layer %zu (%.100s)", b->layer + 1, safe);
		}
		if (rc < 0)
			return error_wrap(err, "layer %zu", b->layer + 1);
	}
	return 0;
}

static int check_layers(const struct layer_source *layers, size_t count, uint32_t max,
			struct error *err)
{
	if (count > max || count > LAYERS_MAX)
		return error_set(err, E_INTEGRITY, "image of %zu layers, more than %u are refused",
				 count, max);
	for (size_t i = 0; i < count; i++) {
		const char *id = layers[i].diff_id;

		bool good = !id || (str_starts(id, "sha256:") && strlen(id) == 7 + 64) ||
			    (str_starts(id, "sha512:") && strlen(id) == 7 + 128);

		if (!good)
			return error_set(err, E_INVALID,
					 "layer %zu: digest '%.100s' is no sha256 or sha512", i + 1,
					 id);
	}
	return 0;
}

static void fill_result(const struct build *b, uint64_t disk_bytes, struct disk_build_result *ret)
{
	*ret = (struct disk_build_result){
		.disk_bytes = disk_bytes,
		.used_bytes = b->builder.writer.in_use * 4096,
		.layer_bytes = layer_pipe_total(b->pipe),
		.inodes = b->builder.tree.live,
		.entries = b->builder.entries,
		.used_base = b->first > 0,
		.steps = b->builder.tree.steps,
		.writes = b->builder.writer.writes,
	};
}

/* A base is only a short cut: if it cannot be taken, the build begins with an empty file. */
static int begin(struct build *b, int fd, const struct disk_limits *limits, struct error *err)
{
	const struct disk_build_options *o = b->options;
	const struct image_limits l = { .max_entries = limits->entries,
					.max_bytes = limits->total_bytes,
					.rooted_names = o->rooted_names };
	AUTO_ERROR why = ERROR_INIT;

	image_builder_init(&b->builder, fd, &l);
	if (!o->base_path || o->base_layers == 0 || o->base_layers > b->count)
		return 0;
	if (base_image_load(&b->builder, o->base_path, &why) == 0) {
		b->first = o->base_layers;
		return 0;
	}
	error_ignore(&why, "take the lower layers from their disk");
	image_builder_release(&b->builder);
	image_builder_init(&b->builder, fd, &l);
	return ftruncate(fd, 0) < 0 ? error_sys(err, "begin the disk again") : 0;
}

int disk_build(const struct disk_build_options *o, const struct layer_source *layers, size_t count,
	       struct disk_build_result *ret, struct error *err)
{
	AUTO_DISK_TEMP temp = DISK_TEMP_INIT;
	const struct disk_limits limits = with_defaults(&o->limits);
	CLEANUP(build_release) struct build b = { .options = o, .layers = layers, .count = count };
	uint64_t disk_bytes = 0;
	int rc = check_layers(layers, count, limits.layers, err);

	if (rc == 0)
		rc = disk_temp_open(o->path, &temp, err);
	if (rc < 0)
		return rc;
	rc = begin(&b, temp.fd, &limits, err);
	if (rc == 0)
		rc = layer_pipe_new(b.first > 0 ? layers + b.first : layers, count - b.first,
				    &limits, &b.pipe, err);
	if (rc == 0)
		rc = apply_layers(&b, err);
	if (rc == 0)
		rc = image_builder_finish(&b.builder, &disk_bytes, err);
	if (rc == 0)
		rc = disk_temp_commit(&temp, o->path, true, o->sync == DISK_SYNC_FULL, err);
	if (rc < 0)
		return rc;
	if (ret)
		fill_result(&b, disk_bytes, ret);
	return 0;
}
