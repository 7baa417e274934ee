/* SPDX-License-Identifier: MIT */
/* config.yaml for commands. */
#include "orchestrator/cli/settings.h"

#include "orchestrator/cli/open.h"

int settings_load(const struct cli *cli, struct host_config *ret, struct error *err)
{
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR print_err = ERROR_INIT;
	int r = host_config_load(&cli->paths, ret, &diags, err);

	/* With --json, warnings would be a second document before the answer. */
	if (diags.count && (!cli->json || r < 0) && print_findings(cli, &diags, &print_err) < 0)
		error_ignore(&print_err, "print findings");
	return r;
}

int settings_images(struct cli *cli, const struct host_config *c, const char *platform,
		    image_progress_fn progress, void *arg, struct image_store **ret,
		    struct error *err)
{
	struct image_store_options o = {
		.paths = &cli->paths,
		.registries = c->registries,
		.registry_count = c->registry_count,
		.max_downloads = (unsigned)c->config->images.downloads.value,
		.stall_seconds = (unsigned)(c->config->images.stall.value / 1000),
		.platform = platform,
		.progress = progress,
		.progress_arg = arg,
	};
	int r = host_paths_make(&cli->paths, err);
	return r < 0 ? r : image_store_open(&o, ret, err);
}
