/* SPDX-License-Identifier: MIT */
/* Decoding of manifests and indexes. */
#include "runtime/oci/manifest.h"

#include <string.h>

#include "base/alloc.h"
#include "base/json/json.h"
#include "runtime/oci/reference.h"

static const char *const index_types[] = { MEDIA_OCI_INDEX, MEDIA_DOCKER_INDEX };
static const char *const image_types[] = { MEDIA_OCI_MANIFEST, MEDIA_DOCKER_MANIFEST };
static const char *const schema1_types[] = {
	"application/vnd.docker.distribution.manifest.v1+json",
	"application/vnd.docker.distribution.manifest.v1+prettyjws",
};

/* No single blob or image is larger: keeps sums of sizes far from overflow. */
static const uint64_t max_blob_size = 1ULL << 44;

static bool is_one_of(const char *s, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (str_equal(s, list[i]))
			return true;
	return false;
}

void descriptor_release(struct descriptor *d)
{
	free(d->media_type);
	free(d->digest);
	free(d->ref_name);
	platform_release(&d->platform);
	*d = (struct descriptor){ 0 };
}

void descriptor_copy(struct descriptor *dst, const struct descriptor *src)
{
	*dst = (struct descriptor){
		.media_type = xstrdup_null(src->media_type),
		.digest = xstrdup_null(src->digest),
		.size = src->size,
		.platform = { .os = xstrdup_null(src->platform.os),
			      .architecture = xstrdup_null(src->platform.architecture),
			      .variant = xstrdup_null(src->platform.variant) },
		.ref_name = xstrdup_null(src->ref_name),
		.is_attestation = src->is_attestation,
	};
}

void manifest_release(struct manifest *m)
{
	free(m->media_type);
	descriptor_release(&m->config);
	for (size_t i = 0; i < m->entry_count; i++)
		descriptor_release(&m->entries[i]);
	free(m->entries);
	*m = MANIFEST_INIT;
}

static int bad(struct error *err, const char *what, const char *why)
{
	return error_set(err, E_INTEGRITY, "%s: %s", what, why);
}

static void decode_platform(const struct json *o, struct platform *ret)
{
	*ret = (struct platform){
		.os = xstrdup(json_str(o, "os", "")),
		.architecture = xstrdup(json_str(o, "architecture", "")),
	};
	const char *variant = json_str(o, "variant", "");
	if (*variant)
		ret->variant = xstrdup(variant);
}

static int decode_descriptor(const struct json *o, const char *what, struct descriptor *ret,
			     struct error *err)
{
	if (!o || json_kind_of(o) != JSON_OBJECT_T)
		return bad(err, what, "a descriptor is not an object");
	const char *digest = json_str(o, "digest", "");
	if (!digest_is_valid(digest)) {
		AUTO_FREE char *shown = text_escaped(digest);
		return error_set(err, E_INTEGRITY, "%s: '%.80s' is not a sha256 or sha512 digest",
				 what, shown);
	}
	int64_t size = json_i64(o, "size", -1);
	if (size < 0 || (uint64_t)size > max_blob_size)
		return bad(err, what, "a descriptor has no sensible size");
	const struct json *annotations = json_member_object(o, "annotations");
	const char *ref_name =
		annotations ? json_str(annotations, "org.opencontainers.image.ref.name", NULL)
			    : NULL;
	/* A full name where the one above is often just a tag. */
	if (annotations)
		ref_name = json_str(annotations, "io.containerd.image.name", ref_name);
	*ret = (struct descriptor){
		.media_type = xstrdup(json_str(o, "mediaType", "")),
		.digest = xstrdup(digest),
		.size = (uint64_t)size,
		.ref_name = xstrdup_null(ref_name),
		.is_attestation =
			annotations && json_str(annotations, "vnd.docker.reference.type", NULL),
	};
	decode_platform(json_member_object(o, "platform"), &ret->platform);
	return 0;
}

static int decode_entries(const struct json *array, size_t max, const char *what,
			  struct manifest *m, struct error *err)
{
	size_t count = json_count(array);
	if (count > max)
		return error_set(err, E_INTEGRITY, "%s: %zu entries, more than %zu", what, count,
				 max);
	m->entries = xcalloc(count ? count : 1, sizeof(*m->entries));
	for (size_t i = 0; i < count; i++) {
		int rc = decode_descriptor(json_item(array, i), what, &m->entries[i], err);
		if (rc < 0)
			return rc;
		m->entry_count++;
	}
	return 0;
}

/* CVE-2021-41190: one document must not be readable as two kinds; what it is called must fit what
 * it holds. */
static int decide_kind(const struct json *v, const char *media_type, const char *what,
		       struct manifest *m, struct error *err)
{
	const char *own = json_str(v, "mediaType", "");
	bool has_layers = json_member(v, "layers") || json_member(v, "config");
	bool has_manifests = json_member(v, "manifests");
	if (json_i64(v, "schemaVersion", 2) == 1 || json_member(v, "fsLayers") ||
	    is_one_of(media_type, schema1_types, ARRAY_SIZE(schema1_types)))
		return bad(err, what,
			   "a Docker schema 1 manifest; push the image again with a current tool");
	if (json_i64(v, "schemaVersion", -1) != 2)
		return bad(err, what, "schemaVersion is not 2");
	if (has_layers && has_manifests)
		return bad(err, what, "both an image and an index");
	if (!has_layers && !has_manifests)
		return bad(err, what, "neither layers nor manifests: not an image manifest");
	m->kind = has_manifests ? MANIFEST_INDEX : MANIFEST_IMAGE;
	const char *const *fits = has_manifests ? index_types : image_types;
	const char *const names[] = { own, media_type };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		bool generic = *names[i] == '\0' || str_equal(names[i], "application/json") ||
			       str_equal(names[i], "application/octet-stream") ||
			       str_starts(names[i], "text/plain");
		if (generic || is_one_of(names[i], fits, ARRAY_SIZE(index_types)))
			continue;
		AUTO_FREE char *shown = text_escaped(names[i]);
		return error_set(err, E_INTEGRITY, "%s: called '%.100s', but holds %s", what, shown,
				 has_manifests ? "an index" : "an image manifest");
	}
	if (*own && is_one_of(media_type, fits, ARRAY_SIZE(index_types)) &&
	    !str_equal(own, media_type))
		return bad(err, what, "its mediaType is not the one it was sent as");
	bool docker = strstr(*own ? own : media_type, "docker") != NULL;
	m->media_type = xstrdup(fits[docker ? 1 : 0]);
	return 0;
}

static int decode_image(const struct json *v, const char *what, struct manifest *m,
			struct error *err)
{
	int rc = decode_descriptor(json_member(v, "config"), what, &m->config, err);
	if (rc < 0)
		return rc;
	const char *type = m->config.media_type;
	if (type && *type && !str_equal(type, MEDIA_OCI_CONFIG) &&
	    !str_equal(type, MEDIA_DOCKER_CONFIG) && !str_equal(type, "application/octet-stream")) {
		AUTO_FREE char *shown = text_escaped(type);
		return error_set(err, E_INTEGRITY,
				 "%s: an artifact of type '%.100s', not a container image", what,
				 shown);
	}
	const struct json *layers = json_member_array(v, "layers");
	if (!layers)
		return bad(err, what, "\"layers\" is not a list");
	return decode_entries(layers, MANIFEST_MAX_LAYERS, what, m, err);
}

static int decode_index(const struct json *v, const char *what, struct manifest *m,
			struct error *err)
{
	const struct json *manifests = json_member_array(v, "manifests");
	if (!manifests)
		return bad(err, what, "\"manifests\" is not a list");
	return decode_entries(manifests, INDEX_MAX_ENTRIES, what, m, err);
}

int manifest_decode(const char *text, size_t size, const char *media_type, const char *what,
		    struct manifest *ret, struct error *err)
{
	AUTO_JSON v = NULL;
	if (json_parse(text, size, MANIFEST_MAX_BYTES, what, &v, err) < 0) {
		err->code = E_INTEGRITY;
		return -E_INTEGRITY;
	}
	if (json_kind_of(v) != JSON_OBJECT_T)
		return bad(err, what, "not a JSON object");
	AUTO_FREE char *bare = xstrndup(media_type ? media_type : "",
					media_type ? strcspn(media_type, "; \t") : 0);
	AUTO_MANIFEST m = MANIFEST_INIT;
	int rc = decide_kind(v, bare, what, &m, err);
	if (rc == 0)
		rc = m.kind == MANIFEST_INDEX ? decode_index(v, what, &m, err)
					      : decode_image(v, what, &m, err);
	if (rc < 0)
		return rc;
	*ret = m;
	m = MANIFEST_INIT;
	return 0;
}

static bool entry_is_image(const struct descriptor *d)
{
	return !d->is_attestation && !str_equal(d->platform.os, "unknown") &&
	       !str_equal(d->platform.architecture, "unknown");
}

static char *list_platforms(const struct manifest *index)
{
	AUTO_STRLIST names = STRLIST_INIT;
	for (size_t i = 0; i < index->entry_count && names.count < 32; i++) {
		const struct descriptor *d = &index->entries[i];
		if (!entry_is_image(d) || !*d->platform.os)
			continue;
		AUTO_FREE char *raw = platform_text(&d->platform);
		AUTO_FREE char *text = text_escaped(raw);
		if (!strlist_has(&names, text))
			strlist_add(&names, text);
	}
	return names.count ? strlist_join(&names, ", ") : xstrdup("none that is named");
}

int index_choose(const struct manifest *index, const struct platform *want, const char *what,
		 size_t *ret_entry, struct error *err)
{
	int best = -1;
	size_t chosen = 0, images = 0, last = 0;
	for (size_t i = 0; i < index->entry_count; i++) {
		const struct descriptor *d = &index->entries[i];
		if (!entry_is_image(d))
			continue;
		images++;
		last = i;
		int rank = platform_rank(&d->platform, want);
		if (rank > best) {
			best = rank;
			chosen = i;
		}
	}
	/* A lone image that does not say its platform: its config will. */
	if (best < 0 && images == 1 && !*index->entries[last].platform.os) {
		best = 0;
		chosen = last;
	}
	if (best >= 0) {
		*ret_entry = chosen;
		return 0;
	}
	AUTO_FREE char *wanted = platform_text(want);
	AUTO_FREE char *there = list_platforms(index);
	return error_set(err, E_NOT_FOUND,
			 "%s has no image for %s; there are: %s (chosen by --platform)", what,
			 wanted, there);
}
