/* SPDX-License-Identifier: MIT */
/* ctrz cache: repositories that were fetched from. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "orchestrator/cli/command.h"
#include "orchestrator/cli/output.h"
#include "runtime/source/source.h"

static struct json *cache_json(const struct source_cache_list *l)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < l->count; i++) {
		struct json *o = json_new_object();

		json_set_string(o, "url", l->items[i].url);
		json_set_int(o, "bytes", (int64_t)l->items[i].bytes);
		json_set_int(o, "used_unix_ms", (int64_t)l->items[i].used_unix_ms);
		json_add(list, o);
	}
	return list;
}

static int print_cache(const struct source_cache_list *l, struct error *err)
{
	AUTO_BUFFER b = BUFFER_INIT;

	buffer_printf(&b, "%-10s  %-8s  %s\n", "SIZE", "USED", "URL");
	for (size_t i = 0; i < l->count; i++) {
		AUTO_FREE char *size = text_size(l->items[i].bytes);
		AUTO_FREE char *age = text_age(l->items[i].used_unix_ms);
		AUTO_FREE char *url = text_escaped(l->items[i].url);

		buffer_printf(&b, "%-10s  %-8s  %s\n", size, age, url);
	}
	return out_write(&b, err);
}

static int run_cache_ls(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_FREE char *cache = path_join(cli->paths.cache, "git");
	struct source_cache_list list = { 0 };
	int r = source_cache_list(cache, &list, err);

	(void)o;
	if (r == 0 && cli->json) {
		AUTO_JSON v = cache_json(&list);

		r = out_json(v, err);
	} else if (r == 0) {
		r = print_cache(&list, err);
	}
	source_cache_list_release(&list);
	return r;
}

static const struct command cmd_cache_ls = {
	.name = "ls",
	.summary = "list repositories in the cache, the one used last first",
	.run = run_cache_ls,
	.flags = COMMAND_JSON,
	.group = GROUP_HOST,
};

static int run_cache_prune(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_FREE char *cache = path_join(cli->paths.cache, "git");
	AUTO_FREE char *size = NULL;
	AUTO_BUFFER b = BUFFER_INIT;
	uint64_t freed = 0, keep_mib = 0;
	int r = option_number(o, "keep", UINT32_MAX, 0, &keep_mib, err);

	if (r == 0)
		r = source_cache_prune(cache, keep_mib << 20, &freed, err);
	if (r < 0 || cli->quiet)
		return r;
	size = text_size(freed);
	buffer_printf(&b, "freed %s\n", size);
	return out_write(&b, err);
}

static const struct option_def cache_prune_options[] = {
	{ .name = "keep", .value = "MIB", .help = "so much may stay, of those used last" },
	OPTIONS_END,
};

static const struct command cmd_cache_prune = {
	.name = "prune",
	.summary = "remove repositories from the cache",
	.text = "All of them, or with --keep those used longest ago. One that is being fetched "
		"stays. Environments that are up need none; the next ctrz up of a spec in git "
		"fetches again.",
	.example = "ctrz cache prune\nctrz cache prune --keep 500",
	.options = cache_prune_options,
	.run = run_cache_prune,
	.group = GROUP_HOST,
};

static const struct command *const cache_commands[] = { &cmd_cache_ls, &cmd_cache_prune, NULL };

const struct command cmd_cache = {
	.name = "cache",
	.summary = "repositories that specs were fetched from",
	.sub = cache_commands,
	.group = GROUP_HOST,
};
