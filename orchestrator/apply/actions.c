/* SPDX-License-Identifier: MIT */
/* The table of actions; those on images and networks. */
#include "orchestrator/apply/actions.h"

#include <string.h>

#include "base/alloc.h"
#include "orchestrator/apply/contents.h"
#include "orchestrator/apply/translate.h"
#include "orchestrator/state/env_store.h"
#include "runtime/network/switch_client.h"

static void report(const struct action_context *c, const char *text, uint64_t current,
		   uint64_t total)
{
	struct json *event;

	if (!c->channel)
		return;
	event = json_new_object();
	json_set_string(event, "text", text);
	json_set_int(event, "current", (int64_t)current);
	json_set_int(event, "total", (int64_t)total);
	job_progress(c->channel, event);
}

static void on_pull(void *arg, enum progress_kind kind, const char *id, uint64_t done,
		    uint64_t total)
{
	static const char *const words[] = {
		[PROGRESS_RESOLVE] = "resolving",
		[PROGRESS_LAYER] = "layer",
		[PROGRESS_DISK] = "writing disk",
		[PROGRESS_DONE] = "done",
	};
	AUTO_FREE char *text = xasprintf("%s %s", words[kind], id ? id : "");

	report(arg, text, done, total);
}

static int pull_image(const struct action_context *c, struct json **ret_result, struct error *err)
{
	CLEANUP(image_store_close_p) struct image_store *store = NULL;
	struct image image = { 0 };
	int r = host_images_open(c->w->paths, c->config, on_pull, (void *)(uintptr_t)c, &store,
				 err);

	(void)ret_result;
	if (r == 0)
		r = image_store_pull(store, c->action->name, &image, err);
	if (r < 0)
		return r;
	image_release(&image);
	return 0;
}

static char *network_run_dir(const struct action_context *c, const struct network_record **ret)
{
	*ret = env_record_network(&c->w->record, c->action->name);
	return *ret ? env_store_run_dir(c->w->paths, (*ret)->run_id) : NULL;
}

/* Every running container on a network gets its port back: a fresh switch knows none. */
static int restore_ports(const struct action_context *c, struct error *err)
{
	const struct world *w = c->w;

	for (size_t i = 0; w->applied && i < w->record.container_count; i++) {
		const struct container_record *r = &w->record.containers[i];
		const struct observed_container *seen = observed_container(&w->observed, r->name);
		const struct spec_container *spec = environment_container(w->applied, r->name);
		struct json *ports = NULL;
		int ret;

		if (!seen || !spec || seen->phase != SEEN_RUNNING ||
		    !container_record_address(r, c->action->name))
			continue;
		ret = ports_set(w, spec, NULL, &ports, err);
		json_free(ports);
		if (ret < 0)
			return error_wrap(err, "reconnect container '%s'", r->name);
	}
	return 0;
}

static int start_network(const struct action_context *c, struct json **ret_result,
			 struct error *err)
{
	const struct network_record *record = NULL;
	AUTO_FREE char *run_dir = network_run_dir(c, &record);
	struct switch_config config;
	int r;

	(void)ret_result;
	if (!record)
		return error_set(err, E_INTERNAL, "network '%s' has no record", c->action->name);
	translate_network(environment_network(c->w->wanted, c->action->name), record, run_dir,
			  &config);
	free(config.name);
	config.name = xasprintf("%s/%s", c->w->record.name, record->name);
	r = c->action->kind == ACTION_UPDATE ? switch_restart(&config, NULL, err)
					     : switch_start(&config, NULL, err);
	if (r == -E_CONFLICT) {
		/* One that an interrupted run left, with another configuration. */
		error_clear(err);
		r = switch_restart(&config, NULL, err);
	}
	switch_config_release(&config);
	if (r == 0 && c->action->kind != ACTION_CREATE)
		r = restore_ports(c, err);
	return r;
}

static int destroy_network(const struct action_context *c, struct json **ret_result,
			   struct error *err)
{
	const struct network_record *record = NULL;
	AUTO_FREE char *run_dir = network_run_dir(c, &record);

	(void)ret_result;
	return record ? switch_stop(run_dir, err) : 0;
}

static int make_secret(const struct action_context *c, struct json **ret_result, struct error *err)
{
	const struct spec_secret *s = environment_secret(c->w->wanted, c->action->name);

	(void)ret_result;
	if (!s)
		return error_set(err, E_INTERNAL, "there is no secret '%s'", c->action->name);
	return secret_make(c->w, s, err);
}

static int record_only(const struct action_context *c, struct json **ret_result, struct error *err)
{
	(void)c;
	(void)ret_result;
	(void)err;
	return 0;
}

static int stop_container(const struct action_context *c, struct json **ret_result,
			  struct error *err)
{
	const struct container_record *record =
		env_record_container(&c->w->record, c->action->name);

	(void)ret_result;
	return record ? action_container_stop(c->w, record, err) : 0;
}

typedef int (*action_fn)(const struct action_context *c, struct json **ret_result,
			 struct error *err);

static const action_fn table[OBJECT_KINDS][ACTION_KINDS] = {
	[OBJECT_IMAGE] = { [ACTION_PULL] = pull_image },
	[OBJECT_SECRET] = { [ACTION_CREATE] = make_secret },
	[OBJECT_NETWORK] = {
		[ACTION_CREATE] = start_network,
		[ACTION_START] = start_network,
		[ACTION_UPDATE] = start_network,
		[ACTION_RECORD] = record_only,
		[ACTION_DESTROY] = destroy_network,
	},
	[OBJECT_VOLUME] = {
		[ACTION_CREATE] = action_volume_make,
		[ACTION_RECORD] = record_only,
		[ACTION_UPDATE] = action_volume_grow,
		[ACTION_REPLACE] = action_volume_replace,
		[ACTION_DESTROY] = action_volume_destroy,
	},
	[OBJECT_CONTAINER] = {
		[ACTION_CREATE] = action_container_make,
		[ACTION_START] = action_container_start,
		[ACTION_RECORD] = record_only,
		[ACTION_UPDATE] = action_container_update,
		[ACTION_PROCESS] = action_container_update,
		[ACTION_REBOOT] = action_container_reboot,
		[ACTION_REPLACE] = action_container_replace,
		[ACTION_STOP] = stop_container,
		[ACTION_DESTROY] = action_container_destroy,
	},
};

int action_run(const struct action_context *c, struct json **ret_result, struct error *err)
{
	action_fn fn = table[c->action->object][c->action->kind];

	if (!fn)
		return error_set(err, E_INTERNAL, "no way to %s a %s",
				 action_kind_name(c->action->kind),
				 object_kind_name(c->action->object));
	return fn(c, ret_result, err);
}
