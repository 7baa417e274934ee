/* SPDX-License-Identifier: MIT */
/* config.yaml for commands. */
#ifndef CTRZ_ORCHESTRATOR_CLI_SETTINGS_H
#define CTRZ_ORCHESTRATOR_CLI_SETTINGS_H

#include "orchestrator/apply/host_facts.h"
#include "orchestrator/cli/cli.h"

/** settings_load() - read config.yaml; its findings are printed. Return: 0, -E_INVALID */
int settings_load(const struct cli *cli, struct host_config *ret, struct error *err) MUST_CHECK;

/**
 * settings_images() - make the host folders and open the image store
 * @platform: "linux/arm64", or NULL for the host's
 * @progress: called as image_store.h says, with @arg; may be NULL
 */
int settings_images(struct cli *cli, const struct host_config *c, const char *platform,
		    image_progress_fn progress, void *arg, struct image_store **ret,
		    struct error *err) MUST_CHECK;

#endif
