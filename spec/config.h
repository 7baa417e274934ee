/* SPDX-License-Identifier: MIT */
/* The user's config.yaml: registries, default resources, allowed sources; same strict parser. */
#ifndef CTRZ_SPEC_CONFIG_H
#define CTRZ_SPEC_CONFIG_H

#include "base/cleanup.h"
#include "spec/model/environment.h"
#include "spec/report/diagnostics.h"

struct config_mirror {
	struct spec_object o;
	struct spec_text host; /* "127.0.0.1:5000" */
	struct spec_flag insecure;
};

struct config_registry {
	struct spec_object o; /* o.name: the registry, "docker.io", "registry.example:5000" */
	struct {
		struct spec_value at;
		struct config_mirror *items; /* tried in this order */
		size_t count;
	} mirrors;
	struct spec_text ca;        /* absolute path of a PEM file */
	struct spec_text cert, key; /* absolute: client certificate */
	struct spec_flag insecure;  /* plain HTTP allowed */
	struct spec_text auth_host; /* token service that may get the credentials */
};

struct config_sources {
	struct spec_object o;
	struct spec_texts allow; /* prefixes of git URLs that need no question */
	struct spec_flag file;   /* git+file:// is allowed */
	struct spec_text ca;     /* absolute path of a PEM file; for git servers */
};

struct config_images {
	struct spec_object o;
	struct spec_number downloads; /* blobs fetched or sent at a time */
	struct spec_number stall;     /* ms of silence that end a transfer */
};

struct config {
	struct spec_object o;
	struct {
		struct spec_value at;
		struct config_registry *items;
		size_t count;
	} registries;
	struct spec_resources resources; /* for containers that say nothing */
	struct config_sources sources;
	struct config_images images;
	struct spec_text kernel; /* default guest kernel */

	struct spec_arena *arena; /* owned */
	struct spec_sources *texts;
};

/**
 * config_load() - read a config file
 * @path: a missing file gives the defaults
 * @diags: gets every finding
 *
 * Return: 0; -E_INVALID if there are errors among the findings; or another -code
 */
int config_load(const char *path, struct config **ret, struct diagnostics *diags,
		struct error *err) MUST_CHECK;
/** config_free() - NULL is fine */
void config_free(struct config *c);
DEFINE_CLEANUP(struct config *, config_free)
#define AUTO_CONFIG CLEANUP(config_free_p) struct config *

/** config_registry() - settings of a registry host, or NULL */
const struct config_registry *config_registry(const struct config *c, const char *host);

#endif
