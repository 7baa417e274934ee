/* SPDX-License-Identifier: MIT */
/* Looking into images: everything about one, how it was made, one more name for it. */
#include <string.h>

#include "base/alloc.h"
#include "base/json/json.h"
#include "runtime/image/store/store_internal.h"

/* A record with its manifest and config as JSON. */
struct looked {
	struct image_index index;
	struct image_record *record;    /* lent from index */
	struct json *manifest, *config; /* owned */
};

static void looked_release(struct looked *l)
{
	image_index_release(&l->index);
	json_free(l->manifest);
	json_free(l->config);
}

static int read_json(const struct image_store *s, const char *digest, struct json **ret,
		     struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;
	int rc = blob_read(s->blobs, digest, MANIFEST_MAX_BYTES, &text, err);
	return rc == 0 ? json_parse(buffer_str(&text), text.size, MANIFEST_MAX_BYTES, digest, ret,
				    err)
		       : rc;
}

static int look(const struct image_store *s, const char *reference, struct looked *l,
		struct error *err)
{
	int rc = index_read(s, &l->index, err);
	if (rc < 0)
		return rc;
	l->record = index_find(&l->index, reference, err);
	if (!l->record)
		return -(int)err->code;
	rc = read_json(s, l->record->digest, &l->manifest, err);
	if (rc == 0)
		rc = read_json(s, l->record->config_digest, &l->config, err);
	return rc;
}

int image_store_inspect(struct image_store *s, const char *reference, struct buffer *out,
			struct error *err)
{
	CLEANUP(looked_release) struct looked l = { 0 };
	struct image image = { 0 };
	int rc = look(s, reference, &l, err);
	if (rc == 0)
		rc = record_to_image(s, l.record, &image, err);
	if (rc < 0)
		return rc;
	AUTO_JSON v = json_new_object();
	json_set_string(v, "reference", image.reference);
	json_set_string(v, "digest", image.digest);
	if (image.index_digest)
		json_set_string(v, "index_digest", image.index_digest);
	json_set_string(v, "config_digest", l.record->config_digest);
	json_set_string(v, "chain_id", image.chain_id);
	json_set_string(v, "platform", l.record->platform);
	json_set_string(v, "disk", image.disk);
	json_set_int(v, "size_bytes", (int64_t)image.size_bytes);
	json_set_int(v, "disk_bytes", (int64_t)image.disk_bytes);
	json_set_int(v, "created_unix_ms", (int64_t)image.created_unix_ms);
	json_set_int(v, "pulled_unix_ms", (int64_t)image.pulled_unix_ms);
	json_set(v, "manifest", json_ref(l.manifest));
	json_set(v, "config", json_ref(l.config));
	json_print(v, 2, false, out);
	buffer_add_char(out, '\n');
	image_release(&image);
	return 0;
}

void image_history_release(struct image_history *h)
{
	for (size_t i = 0; i < h->count; i++) {
		free(h->items[i].created_by);
		free(h->items[i].comment);
		free(h->items[i].layer);
	}
	free(h->items);
	*h = (struct image_history){ 0 };
}

static struct image_step *add_step(struct image_history *h, size_t *room)
{
	GROW_ARRAY(h->items, h->count, *room);
	struct image_step *step = &h->items[h->count++];
	*step = (struct image_step){ 0 };
	return step;
}

static void set_layer(struct image_step *step, const struct json *layer)
{
	step->layer = xstrdup(json_str(layer, "digest", ""));
	step->size_bytes = json_u64(layer, "size", 0);
}

int image_store_history(struct image_store *s, const char *reference, struct image_history *ret,
			struct error *err)
{
	CLEANUP(looked_release) struct looked l = { 0 };
	int rc = look(s, reference, &l, err);
	if (rc < 0)
		return rc;
	const struct json *layers = json_member_array(l.manifest, "layers");
	const struct json *steps = json_member_array(l.config, "history");
	size_t layer_count = layers ? json_count(layers) : 0, layer = 0, room = 0;
	struct image_history h = { 0 };
	for (size_t i = 0; steps && i < json_count(steps); i++) {
		const struct json *from = json_item(steps, i);
		struct image_step *step = add_step(&h, &room);
		step->created_by = xstrdup(json_str(from, "created_by", ""));
		step->comment = xstrdup(json_str(from, "comment", ""));
		step->created_unix_ms = time_parse_rfc3339(json_str(from, "created", ""));
		if (!json_bool(from, "empty_layer", false) && layer < layer_count)
			set_layer(step, json_item(layers, layer++));
	}
	/* Layers the history does not tell of. */
	while (layer < layer_count) {
		struct image_step *step = add_step(&h, &room);
		step->created_by = xstrdup("");
		step->comment = xstrdup("");
		set_layer(step, json_item(layers, layer++));
	}
	*ret = h;
	return 0;
}

int image_store_tag(struct image_store *s, const char *source, const char *name, struct error *err)
{
	AUTO_CLOSE int hold = gc_hold(s, err);
	if (hold < 0)
		return hold;
	AUTO_REFERENCE r = REFERENCE_INIT;
	int rc = reference_parse(name, &r, err);
	if (rc < 0)
		return rc;
	if (r.digest)
		return error_set(err, E_INVALID, "'%s': a new name has no digest", name);
	AUTO_INDEX index = { 0 };
	rc = index_read(s, &index, err);
	if (rc < 0)
		return rc;
	const struct image_record *found = index_find(&index, source, err);
	if (!found)
		return -(int)err->code;

	AUTO_RECORD copy = { 0 };
	image_record_copy(&copy, found);
	free(copy.reference);
	copy.reference = reference_text(&r);
	return index_put(s, &copy, err);
}
