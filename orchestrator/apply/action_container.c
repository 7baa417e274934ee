/* SPDX-License-Identifier: MIT */
/* Actions on containers. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/trace.h"
#include "orchestrator/apply/actions.h"
#include "orchestrator/apply/translate.h"
#include "orchestrator/state/env_store.h"
#include "runtime/network/switch_client.h"

/* What making and starting a container works with. */
struct making {
	const struct action_context *c;
	const struct spec_container *spec;
	const struct container_record *record;
	char *run_dir, *state_dir, *volumes_dir;
	struct image image;
	struct kernel kernel;
	struct contents contents;
	char **port_dirs;
	struct json *ports;
};

static void making_release(struct making *m)
{
	free(m->run_dir);
	free(m->state_dir);
	free(m->volumes_dir);
	image_release(&m->image);
	kernel_release(&m->kernel);
	contents_release(&m->contents);
	if (m->spec)
		ports_dirs_free(m->port_dirs, m->spec->networks.count);
	json_free(m->ports);
}

#define AUTO_MAKING CLEANUP(making_release) struct making

static int making_init(const struct action_context *c, struct making *m, struct error *err)
{
	const char *name = c->action->name;

	*m = (struct making){ .c = c };
	m->spec = environment_container(c->w->wanted, name);
	m->record = env_record_container(&c->w->record, name);
	if (!m->spec || !m->record)
		return error_set(err, E_INTERNAL, "container '%s' has no record", name);
	m->run_dir = env_store_run_dir(c->w->paths, m->record->run_id);
	m->state_dir = env_store_container_dir(c->w->paths, c->w->record.id, name);
	m->volumes_dir = env_store_volumes_dir(c->w->paths, c->w->record.id);
	return 0;
}

void ports_dirs_free(char **dirs, size_t count)
{
	for (size_t i = 0; dirs && i < count; i++)
		free(dirs[i]);
	free(dirs);
}

static void add_bound_ports(const struct switch_port *port, const uint16_t *bound,
			    struct json *list)
{
	for (size_t i = 0; i < port->publish_count; i++) {
		struct json *o = json_new_object();
		char address[ADDRESS_TEXT_SIZE];

		address_text(port->publish[i].host_addr, address);
		json_set_string(o, "address", address);
		json_set_int(o, "host", bound[i]);
		json_set_int(o, "container", port->publish[i].guest_port);
		json_set_string(o, "protocol", port->publish[i].udp ? "udp" : "tcp");
		json_add(list, o);
	}
}

/* A host port that was chosen stays what it was, as long as it can. */
static void keep_chosen(const struct world *w, const struct container_record *record,
			struct switch_publish *p)
{
	const struct observed_container *seen = observed_container(&w->observed, record->name);
	bool is_bound = seen && (seen->phase == SEEN_RUNNING || seen->phase == SEEN_RESTARTING);

	for (size_t i = 0; !p->host_port && i < record->port_count; i++) {
		const struct port_record *r = &record->ports[i];

		if (r->guest_port == p->guest_port && r->udp == p->udp &&
		    r->host_address.s_addr == p->host_addr.s_addr &&
		    (is_bound || host_port_is_free(p->host_addr, r->host_port, p->udp)))
			p->host_port = r->host_port;
	}
}

static int set_one_port(const struct world *w, const struct spec_container *c, size_t index,
			char **ret_dir, struct json *ports, struct error *err)
{
	const struct container_record *record = env_record_container(&w->record, c->o.name);
	const struct network_record *network =
		env_record_network(&w->record, c->networks.items[index].o.name);
	AUTO_FREE uint16_t *bound = xcalloc(c->ports.count + 1, sizeof(*bound));
	AUTO_FREE char *run_dir = NULL;
	struct switch_port port;
	int r;

	if (!record || !network)
		return error_set(err, E_INTERNAL, "network '%s' has no record",
				 c->networks.items[index].o.name);
	run_dir = env_store_run_dir(w->paths, network->run_id);
	r = translate_port(c, record, index, &port, err);
	if (r < 0)
		return r;
	strlist_printf(&port.aliases, "%s.%s", c->o.name, w->record.name);
	for (size_t i = 0; i < port.publish_count; i++)
		keep_chosen(w, record, &port.publish[i]);
	r = switch_set_port(run_dir, &port, ret_dir, bound, err);
	if (r == 0)
		add_bound_ports(&port, bound, ports);
	switch_port_release(&port);
	return r;
}

int ports_set(const struct world *w, const struct spec_container *c, char ***ret_dirs,
	      struct json **ret_ports, struct error *err)
{
	TRACE("set the ports");
	char **dirs = xcalloc(c->networks.count + 1, sizeof(*dirs));
	struct json *ports = json_new_array();
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->networks.count; i++)
		r = set_one_port(w, c, i, &dirs[i], ports, err);
	if (r < 0 || !ret_dirs)
		ports_dirs_free(dirs, c->networks.count);
	else
		*ret_dirs = dirs;
	if (r < 0)
		json_free(ports);
	else
		*ret_ports = ports;
	return r;
}

static bool is_on(const struct spec_container *c, const char *network)
{
	for (size_t i = 0; c && i < c->networks.count; i++)
		if (strcmp(c->networks.items[i].o.name, network) == 0)
			return true;
	return false;
}

/* @stays: keep those on networks that it names; NULL = keep none */
static void remove_ports(const struct world *w, const struct container_record *record,
			 const struct spec_container *stays)
{
	for (size_t i = 0; i < record->address_count; i++) {
		const struct network_record *network =
			env_record_network(&w->record, record->addresses[i].network);
		if (is_on(stays, record->addresses[i].network))
			continue;
		AUTO_FREE char *run_dir =
			network ? env_store_run_dir(w->paths, network->run_id) : NULL;
		AUTO_ERROR err = ERROR_INIT;

		if (run_dir && switch_observe(run_dir) > 0 &&
		    switch_remove_port(run_dir, record->name, &err) < 0)
			error_ignore(&err, "remove a port from its network");
	}
}

/* create: what is missing of the sources is made, as the user who runs ctrz. */
static int make_sources(const struct spec_container *c, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->mounts.count; i++) {
		const struct spec_mount *m = &c->mounts.items[i];

		if (m->create.value == SPEC_CREATE_NONE || file_exists(m->source.text) ||
		    (m->type.value != SPEC_MOUNT_DIR && m->type.value != SPEC_MOUNT_FILE))
			continue;
		if (m->create.value == SPEC_CREATE_DIR)
			r = dir_make(m->source.text, 0755, err);
		else
			r = file_write_atomic(m->source.text, "", 0, 0644, err);
		if (r < 0)
			(void)error_at(err, m->source.at.pos, err->code, "create '%s'",
				       m->source.text);
	}
	return r;
}

/* The image a kept disk belongs to, else what the reference names; got from its registry if it is
 * gone. */
static int find_image(struct making *m, bool same_as_before, struct error *err)
{
	TRACE("find the image");
	CLEANUP(image_store_close_p) struct image_store *store = NULL;
	const char *digest = m->record->image_digest;
	const char *hex = digest ? strchr(digest, ':') : NULL;
	int r = host_images_open(m->c->w->paths, m->c->config, NULL, NULL, &store, err);

	if (r < 0)
		return r;
	if (same_as_before && hex) {
		r = image_store_find(store, hex + 1, &m->image, err);
		if (r != -E_NOT_FOUND)
			return r;
		error_clear(err);
	}
	r = world_find_image(m->c->w, store, m->spec, &m->image, err);
	if (r == -E_NOT_FOUND && m->spec->pull.value != SPEC_PULL_NEVER) {
		AUTO_FREE char *name = world_image_name(m->c->w, m->spec);

		error_clear(err);
		r = image_store_pull(store, name, &m->image, err);
	}
	if (r < 0)
		return r;
	if (same_as_before && digest && strcmp(m->image.digest, digest) != 0) {
		return error_set(err, E_CONFLICT,
				 "its disk was made for image %s, which is gone; '%s' is %s now. "
				 "Run ctrz up again to replace the container",
				 digest, m->spec->image.text, m->image.digest);
	}
	return 0;
}

static int read_contents(struct making *m, struct error *err)
{
	const char *user = m->spec->user.text ? m->spec->user.text : m->image.config.user;

	return contents_make(m->c->w, m->spec, user ? user : "", &m->contents, err);
}

/* What its machine is to be, now that its ports are there. */
static int make_config(struct making *m, struct machine_config *ret, struct error *err)
{
	TRACE("files, ports, configuration");
	const struct world *w = m->c->w;
	AUTO_FREE char *events = env_store_path(w->paths, w->record.id, EVENTS_NAME);
	struct translate_input in = {
		.env = w->wanted,
		.container = m->spec,
		.record = &w->record,
		.image = &m->image,
		.kernel = &m->kernel,
		.run_dir = m->run_dir,
		.state_dir = m->state_dir,
		.events = events,
		.volumes_dir = m->volumes_dir,
	};
	int r = kernel_store_default(w->paths, &m->kernel, err);

	if (r == 0)
		r = read_contents(m, err);
	if (r == 0)
		r = ports_set(w, m->spec, &m->port_dirs, &m->ports, err);
	if (r < 0)
		return r;
	in.port_dirs = m->port_dirs;
	in.contents = &m->contents;
	return translate_container(&in, ret, err);
}

static int start_machine(struct making *m, struct error *err)
{
	struct machine_config config;
	int r = make_sources(m->spec, err);

	if (r == 0)
		r = make_config(m, &config, err);
	if (r < 0)
		return r;
	config.cold = m->c->config->cold;
	r = machine_start(&config, NULL, err);
	machine_config_release(&config);
	return r;
}

static struct json *making_result(const struct making *m)
{
	struct json *o = json_new_object();

	if (m->image.digest) {
		json_set_string(o, "image", m->image.reference);
		json_set_string(o, "digest", m->image.digest);
		json_set_string(o, "disk", m->image.disk);
	}
	if (m->kernel.name)
		json_set_string(o, "kernel", m->kernel.name);
	if (m->image.config.stop_signal)
		json_set_string(o, "stop_signal", m->image.config.stop_signal);
	json_set(o, "ports", json_ref(m->ports));
	if (m->contents.marks)
		json_set(o, "contents", json_ref(m->contents.marks));
	return o;
}

static int make_disk(const struct making *m, struct error *err)
{
	TRACE("make the disk");
	AUTO_FREE char *disk = path_join(m->state_dir, UPPER_DISK_NAME);
	int r = dir_make(m->state_dir, 0700, err);

	if (r == 0 && !file_exists(disk))
		r = writable_disk_create(disk, translate_disk_bytes(m->spec), m->spec->o.name, err);
	return r < 0 ? error_wrap(err, "make the writable disk") : 0;
}

/* Undo a failed creation: nothing of it stays. */
static void unmake(const struct making *m)
{
	AUTO_ERROR err = ERROR_INIT;

	remove_ports(m->c->w, m->record, NULL);
	if (dir_remove_tree(m->state_dir, &err) < 0)
		error_ignore(&err, "remove the folder of a container");
}

/* What a keeper that was killed, or an interrupted run, left of the machine. */
static int clear_machine(const struct making *m, struct error *err)
{
	return machine_stop(m->run_dir, m->state_dir, 0, 0, err);
}

static int await_end(const struct making *m, bool must_be_well, struct error *err)
{
	struct machine_status status = { 0 };
	int r = machine_wait_end(m->run_dir, m->state_dir, &status, err);

	if (r < 0)
		return r;
	if (must_be_well && (status.exit_code != 0 || status.error))
		r = error_set(err, E_UNAVAILABLE, "it ended with exit code %d%s%s",
			      status.exit_code, status.error ? ": " : "",
			      status.error ? status.error : "");
	machine_status_release(&status);
	return r;
}

/* It runs: wait until it is ready, and for its end where somebody needs that. What it is made of is
 * on record before. */
static int await(const struct making *m, struct json *result, struct error *err)
{
	TRACE("wait until it is ready");
	const struct action_context *c = m->c;
	const enum spec_condition *wanted = c->ends ? map_get(c->ends, m->spec->o.name) : NULL;
	enum spec_condition end = wanted ? *wanted : SPEC_CONDITION_STARTED;
	struct json *event = json_new_object();
	int r;

	json_set(event, "placed", json_ref(result));
	if (c->channel)
		job_progress(c->channel, event);
	else
		json_free(event);
	r = machine_wait(m->run_dir, m->state_dir, WAIT_STARTED, err);
	if (r == 0 && c->channel)
		job_half_way(c->channel);
	if (r == 0 && end == SPEC_CONDITION_STARTED)
		r = machine_wait(m->run_dir, m->state_dir, WAIT_READY, err);
	else if (r == 0)
		r = await_end(m, end == SPEC_CONDITION_DONE, err);
	return r < 0 ? error_wrap(err, "not ready (more: ctrz logs %s)", m->spec->o.name) : 0;
}

int action_container_make(const struct action_context *c, struct json **ret_result,
			  struct error *err)
{
	AUTO_MAKING m = { 0 };
	int r = making_init(c, &m, err);

	if (r == 0)
		r = clear_machine(&m, err);
	if (r == 0)
		r = dir_remove_tree(m.state_dir, err);
	if (r == 0)
		r = find_image(&m, false, err);
	if (r == 0)
		r = make_disk(&m, err);
	if (r == 0)
		r = start_machine(&m, err);
	if (r == 0)
		*ret_result = making_result(&m);
	else if (m.state_dir)
		unmake(&m);
	return r < 0 ? r : await(&m, *ret_result, err);
}

static int start_again(struct making *m, struct json **ret_result, struct error *err)
{
	int r = find_image(m, true, err);

	remove_ports(m->c->w, m->record, m->spec);
	if (r == 0)
		r = make_disk(m, err);
	if (r == 0)
		r = start_machine(m, err);
	if (r == 0)
		*ret_result = making_result(m);
	else
		remove_ports(m->c->w, m->record, NULL);
	return r < 0 ? r : await(m, *ret_result, err);
}

int action_container_start(const struct action_context *c, struct json **ret_result,
			   struct error *err)
{
	AUTO_MAKING m = { 0 };
	int r = making_init(c, &m, err);

	if (r == 0)
		r = clear_machine(&m, err);
	return r < 0 ? r : start_again(&m, ret_result, err);
}

int action_container_stop(const struct world *w, const struct container_record *r,
			  struct error *err)
{
	const struct spec_container *spec =
		w->applied ? environment_container(w->applied, r->name) : NULL;
	AUTO_FREE char *run_dir = env_store_run_dir(w->paths, r->run_id);
	AUTO_FREE char *state_dir = env_store_container_dir(w->paths, w->record.id, r->name);
	int sig = 0;
	uint64_t grace_ms = 0;
	int ret = translate_stop(spec, r->stop_signal, &sig, &grace_ms, err);

	return ret < 0 ? ret : machine_stop(run_dir, state_dir, sig, grace_ms, err);
}

int action_container_reboot(const struct action_context *c, struct json **ret_result,
			    struct error *err)
{
	AUTO_MAKING m = { 0 };
	int r = making_init(c, &m, err);

	if (r == 0)
		r = action_container_stop(c->w, m.record, err);
	return r < 0 ? r : start_again(&m, ret_result, err);
}

int action_container_replace(const struct action_context *c, struct json **ret_result,
			     struct error *err)
{
	AUTO_MAKING m = { 0 };
	int r = making_init(c, &m, err);

	/* What may fail for lack of the image fails before the old one is gone. */
	if (r == 0)
		r = find_image(&m, false, err);
	if (r == 0)
		r = action_container_stop(c->w, m.record, err);
	if (r < 0)
		return r;
	r = dir_remove_tree(m.state_dir, err);
	if (r == 0)
		r = make_disk(&m, err);
	if (r == 0)
		r = start_machine(&m, err);
	if (r == 0)
		*ret_result = making_result(&m);
	else
		unmake(&m);
	return r < 0 ? r : await(&m, *ret_result, err);
}

/* In place. Return: as machine_change() */
static int change_machine(struct making *m, struct error *err)
{
	struct machine_config config;
	int r = make_sources(m->spec, err);

	if (r == 0)
		r = make_config(m, &config, err);
	if (r < 0)
		return r;
	r = machine_change(&config, err);
	machine_config_release(&config);
	return r;
}

/* What the machine cannot do as it runs, or cannot any more half way, it does by starting anew. */
static int reboot_instead(struct making *m, struct json **ret_result, struct error *why,
			  struct error *err)
{
	AUTO_FREE char *reason = xasprintf("restarted, since %s", error_message(why));
	int r;

	error_ignore(why, "change a machine in place");
	ports_dirs_free(m->port_dirs, m->spec->networks.count);
	json_free(m->ports);
	kernel_release(&m->kernel);
	image_release(&m->image);
	m->port_dirs = NULL;
	m->ports = NULL;
	r = action_container_stop(m->c->w, m->record, err);
	if (r == 0)
		r = start_again(m, ret_result, err);
	if (r == 0)
		json_set_string(*ret_result, "note", reason);
	return r;
}

static bool is_for_reboot(enum error_code code)
{
	return code == E_CONFLICT || code == E_UNAVAILABLE || code == E_TIMEOUT ||
	       code == E_NOT_FOUND;
}

int action_container_update(const struct action_context *c, struct json **ret_result,
			    struct error *err)
{
	AUTO_MAKING m = { 0 };
	AUTO_ERROR why = ERROR_INIT;
	int r = making_init(c, &m, err);

	if (r == 0)
		r = find_image(&m, m.record->stage != STAGE_MAKING, err);
	if (r < 0)
		return r;
	remove_ports(c->w, m.record, m.spec);
	r = change_machine(&m, &why);
	/* What would fail after a reboot too, or has nothing to do with the machine, is no reason
	 * for one. */
	if (r < 0 && (!m.ports || !is_for_reboot((enum error_code) - r)))
		return error_move(err, &why);
	if (r < 0)
		return reboot_instead(&m, ret_result, &why, err);
	*ret_result = making_result(&m);
	return await(&m, *ret_result, err);
}

int action_container_destroy(const struct action_context *c, struct json **ret_result,
			     struct error *err)
{
	const struct container_record *record =
		env_record_container(&c->w->record, c->action->name);
	AUTO_FREE char *state_dir =
		env_store_container_dir(c->w->paths, c->w->record.id, c->action->name);
	int r;

	(void)ret_result;
	if (!record)
		return 0;
	r = action_container_stop(c->w, record, err);
	if (r < 0)
		return r;
	remove_ports(c->w, record, NULL);
	return dir_remove_tree(state_dir, err);
}
