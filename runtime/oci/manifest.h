/* SPDX-License-Identifier: MIT */
/* Manifests, indexes and image configs of OCI and Docker, decoded and checked. Pure: bytes in,
 * structs out. */
#ifndef CTRZ_RUNTIME_OCI_MANIFEST_H
#define CTRZ_RUNTIME_OCI_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "runtime/oci/platform.h"

enum {
	MANIFEST_MAX_BYTES = 4 * 1024 * 1024, /* the distribution spec's convention; configs too */
	MANIFEST_MAX_LAYERS = 1024,
	INDEX_MAX_ENTRIES = 4096,
};

#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define MEDIA_OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"

/* A pointer to content. URLs of foreign layers are not even read. */
struct descriptor {
	char *media_type; /* owned; may be "" */
	char *digest;     /* owned; valid */
	uint64_t size;
	struct platform platform; /* of an index entry; os "" = not said */
	char *ref_name;      /* owned; annotation org.opencontainers.image.ref.name; may be NULL */
	bool is_attestation; /* about another entry, no image itself */
};

enum manifest_kind { MANIFEST_IMAGE, MANIFEST_INDEX };

struct manifest {
	enum manifest_kind kind;
	char *media_type;           /* owned; never NULL */
	struct descriptor config;   /* of an image */
	struct descriptor *entries; /* layers from the bottom up, or the manifests of an index */
	size_t entry_count;
};

#define MANIFEST_INIT ((struct manifest){ 0 })
#define AUTO_MANIFEST CLEANUP(manifest_release) struct manifest

/* What an image config says; the rest of it stays in the blob. */
struct oci_config {
	struct platform platform;
	struct strlist diff_ids; /* from the bottom up; valid digests */
	struct strlist entrypoint, cmd, env;
	char *user, *working_dir, *stop_signal; /* owned; may be NULL */
	uint64_t created_unix_ms;               /* 0 = not said */
};

#define OCI_CONFIG_INIT ((struct oci_config){ 0 })
#define AUTO_OCI_CONFIG CLEANUP(oci_config_release) struct oci_config

void descriptor_release(struct descriptor *d);
void descriptor_copy(struct descriptor *dst, const struct descriptor *src);
void manifest_release(struct manifest *m);
void oci_config_release(struct oci_config *c);

/**
 * manifest_decode() - an image manifest or an index
 * @media_type:	what the registry or descriptor calls it; NULL or "" = not known. It must fit the
 *content: a document with both layers and manifests, or one that calls itself something else, is
 *refused
 * @what:	names it in messages
 *
 * Return: 0, or -E_INTEGRITY
 */
int manifest_decode(const char *text, size_t size, const char *media_type, const char *what,
		    struct manifest *ret, struct error *err) MUST_CHECK;

/** oci_config_decode() - an image config. Return: 0, or -E_INTEGRITY */
int oci_config_decode(const char *text, size_t size, const char *what, struct oci_config *ret,
		      struct error *err) MUST_CHECK;

/**
 * index_choose() - the entry for a platform
 * @what:	names the image in messages
 *
 * Return: 0 with the place of the entry, or -E_NOT_FOUND with the list of those there are
 */
int index_choose(const struct manifest *index, const struct platform *want, const char *what,
		 size_t *ret_entry, struct error *err) MUST_CHECK;

/** chain_id() - of the OCI image spec, over all diff_ids; owned "sha256:..." */
char *chain_id(const struct strlist *diff_ids);
/** chain_id_add() - of the layers of chain @below (NULL = none) and one more; owned */
char *chain_id_add(const char *below, const char *diff_id);

/** time_parse_rfc3339() - "2024-01-02T03:04:05.678Z" in milliseconds since 1970; 0 for anything
 * else */
uint64_t time_parse_rfc3339(const char *text);

#endif
