/* SPDX-License-Identifier: MIT */
/* This host as the spec's rules see it, and the user's config.yaml as the runtime wants it. */
#ifndef CTRZ_ORCHESTRATOR_APPLY_HOST_FACTS_H
#define CTRZ_ORCHESTRATOR_APPLY_HOST_FACTS_H

#include "base/error.h"
#include "orchestrator/apply/git_files.h"
#include "orchestrator/apply/memory_facts.h"
#include "orchestrator/state/env_record.h"
#include "runtime/host/host_paths.h"
#include "runtime/image/image_store.h"
#include "spec/config.h"
#include "spec/spec.h"

/* What the facts are answered from; must outlive the spec_host made of it. */
struct host_facts {
	const struct host_paths *paths; /* lent */
	struct image_store *images;     /* lent; registries are asked through it; NULL = none is */
	struct git_files *git;          /* lent; files that come from there; NULL = none do */
	const char *file;               /* lent; the spec's, for what it includes from git */
	const struct env_record *own;   /* lent; its ports and memory count as free; NULL = none */
};

/**
 * host_facts_init() - what rules may look at
 * @facts: filled in by the caller
 */
void host_facts_init(const struct host_facts *facts, struct spec_host *ret);

/* config.yaml and what of it the image store takes. */
struct host_config {
	struct config *config;              /* owned */
	struct registry_config *registries; /* owned; strings lent from config */
	size_t registry_count;
	bool cold; /* --cold: machines boot, and start from no template */
};

#define AUTO_HOST_CONFIG CLEANUP(host_config_release) struct host_config

/** host_config_load() - $config/config.yaml; a missing one gives the defaults. @diags gets every
 * finding */
int host_config_load(const struct host_paths *paths, struct host_config *ret,
		     struct diagnostics *diags, struct error *err) MUST_CHECK;
void host_config_release(struct host_config *c);

/** host_images_open() - the image store with the registries of config.yaml; @progress may be NULL
 */
int host_images_open(const struct host_paths *paths, const struct host_config *config,
		     image_progress_fn progress, void *arg, struct image_store **ret,
		     struct error *err) MUST_CHECK;
/** host_images_read() - the same to look only: it makes nothing on this host. @platform: of the
 * images; NULL = this host's */
int host_images_read(const struct host_paths *paths, const struct host_config *config,
		     const char *platform, struct image_store **ret, struct error *err) MUST_CHECK;
/** host_platform() - of images for this host, "linux/amd64"; lent */
const char *host_platform(void);

#endif
