/* SPDX-License-Identifier: MIT */
/* Looking at containers, and saying what was seen. */
#include "orchestrator/cli/container_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/cli/select.h"
#include "orchestrator/state/env_store.h"

static const char *const phase_names[] = {
	[MACHINE_ABSENT] = "not running",    [MACHINE_STARTING] = "starting",
	[MACHINE_RUNNING] = "running",       [MACHINE_STOPPING] = "stopping",
	[MACHINE_RESTARTING] = "restarting", [MACHINE_EXITED] = "exited",
};
_Static_assert(ARRAY_SIZE(phase_names) == MACHINE_PHASES, "a name per phase");

void container_views_release(struct container_views *v)
{
	for (size_t i = 0; i < v->count; i++)
		machine_status_release(&v->items[i].status);
	free(v->items);
	*v = (struct container_views){ 0 };
}

int container_view_look(const struct cli *cli, struct container_view *v, struct error *err)
{
	AUTO_FREE char *run_dir = env_store_run_dir(&cli->paths, v->c->run_id);
	AUTO_FREE char *state_dir = env_store_container_dir(&cli->paths, v->env->id, v->c->name);
	struct machine_status status = { 0 };
	int r = machine_observe(run_dir, state_dir, &status, err);

	if (r < 0)
		return error_wrap(err, "look at container '%s'", v->c->name);
	machine_status_release(&v->status);
	v->status = status;
	return 0;
}

static int add_view(const struct cli *cli, const struct env_record *env,
		    const struct container_record *c, struct container_views *v, struct error *err)
{
	struct container_view view = { .env = env, .c = c };
	int r = container_view_look(cli, &view, err);

	if (r < 0)
		return r;
	GROW_ARRAY(v->items, v->count, v->room);
	v->items[v->count++] = view;
	return 0;
}

int container_views_add(const struct cli *cli, const struct env_record *env,
			const struct strlist *names, struct container_views *v, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < names->count; i++) {
		struct container_record *c = NULL;

		r = select_container(env, names->items[i], &c, err);
		if (r == 0 && c)
			r = add_view(cli, env, c, v, err);
	}
	for (size_t i = 0; r == 0 && !names->count && i < env->container_count; i++)
		if (env->containers[i].stage != STAGE_NONE)
			r = add_view(cli, env, &env->containers[i], v, err);
	return r;
}

const char *container_status_name(const struct container_view *v)
{
	if (v->c->stopped &&
	    (v->status.phase == MACHINE_ABSENT || v->status.phase == MACHINE_EXITED))
		return "stopped";
	if (v->status.phase == MACHINE_RUNNING && v->status.is_paused)
		return "paused";
	return phase_names[v->status.phase];
}

static struct json *process_json(const struct status_process *p)
{
	struct json *o = json_new_object();

	json_set_string(o, "name", p->name);
	json_set_string(o, "kind", p->is_task ? "task" : "service");
	json_set_string(o, "status", process_phase_name(p->phase));
	json_set_string(o, "health",
			p->health == HEALTH_NONE ? NULL : process_health_name(p->health));
	json_set(o, "exit_code", p->exit_code >= 0 ? json_new_int(p->exit_code) : json_new_null());
	json_set_int(o, "restarts", p->restarts);
	json_set_int(o, "guest_pid", p->pid);
	json_set_int(o, "started_unix_ms", (int64_t)p->started_unix_ms);
	json_set_string(o, "text", p->text && *p->text ? p->text : NULL);
	return o;
}

static void add_health_json(const struct machine_status *s, struct json *o)
{
	struct json *processes = json_new_array();

	for (size_t i = 0; i < s->process_count; i++)
		json_add(processes, process_json(&s->processes[i]));
	json_set_string(o, "health",
			s->health == HEALTH_NONE ? NULL : process_health_name(s->health));
	json_set_string(o, "health_text",
			s->health_text && *s->health_text ? s->health_text : NULL);
	json_set(o, "processes", processes);
}

static void add_health_text(enum process_health_state health, struct buffer *out)
{
	if (health != HEALTH_NONE)
		buffer_printf(out, " (%s)",
			      health == HEALTH_STARTING ? "not healthy yet"
							: process_health_name(health));
}

char *container_status_text(const struct container_view *v)
{
	const struct machine_status *s = &v->status;
	AUTO_BUFFER b = BUFFER_INIT;
	buffer_add_str(&b, container_status_name(v));
	if (s->phase == MACHINE_EXITED && s->exit_code >= 0)
		buffer_printf(&b, " (%d)", s->exit_code);
	if (s->phase == MACHINE_RESTARTING)
		buffer_printf(&b, " (%u)", s->restarts);
	if (s->oom_killed)
		buffer_add_str(&b, ", out of memory");
	if (s->phase == MACHINE_RUNNING)
		add_health_text(s->health, &b);
	return buffer_steal(&b);
}

char *process_status_text(const struct status_process *p)
{
	AUTO_BUFFER b = BUFFER_INIT;

	buffer_add_str(&b, process_phase_name(p->phase));
	if (p->exit_code >= 0 && p->phase >= PROCESS_BACKOFF)
		buffer_printf(&b, " (%d)", p->exit_code);
	if (p->phase == PROCESS_RUNNING)
		add_health_text(p->health, &b);
	return buffer_steal(&b);
}

static int not_ready(const struct container_view *v, struct error *err, const char *what,
		     const char *said)
{
	return error_set(err, E_UNAVAILABLE,
			 "container '%s' is not ready: %s%s%s; see: ctrz logs %s", v->c->name, what,
			 said && *said ? ": " : "", said ? said : "", v->c->name);
}

/* Return: as container_is_ready() */
static int process_is_ready(const struct container_view *v, const struct status_process *p,
			    struct error *err)
{
	bool has_failed =
		p->phase == PROCESS_FAILED || (p->phase == PROCESS_EXITED && p->exit_code != 0);
	AUTO_FREE char *status = process_status_text(p);
	AUTO_FREE char *what = xasprintf("process '%s' is %s", p->name, status);

	if (has_failed || p->health == HEALTH_UNHEALTHY)
		return not_ready(v, err, what, p->text);
	if (p->is_task)
		return p->phase == PROCESS_DONE;
	if (p->phase == PROCESS_EXITED)
		return 1;
	return p->phase == PROCESS_RUNNING && p->health != HEALTH_STARTING;
}

int container_is_ready(const struct container_view *v, struct error *err)
{
	const struct machine_status *s = &v->status;
	int r = s->health != HEALTH_STARTING;

	for (size_t i = 0; i < s->process_count; i++) {
		int one = process_is_ready(v, &s->processes[i], err);

		if (one < 0)
			return one;
		r = one < r ? one : r;
	}
	if (s->health == HEALTH_UNHEALTHY)
		return not_ready(v, err, "it is unhealthy", s->health_text);
	return r;
}

char *container_addresses_text(const struct container_record *c)
{
	AUTO_STRLIST all = STRLIST_INIT;
	for (size_t i = 0; i < c->address_count; i++) {
		char text[ADDRESS_TEXT_SIZE];
		address_text(c->addresses[i].address, text);
		strlist_add(&all, text);
	}
	return strlist_join(&all, ", ");
}

char *container_ports_text(const struct container_record *c)
{
	AUTO_STRLIST all = STRLIST_INIT;
	for (size_t i = 0; i < c->port_count; i++) {
		char text[ADDRESS_TEXT_SIZE];
		address_text(c->ports[i].host_address, text);
		strlist_printf(&all, "%s:%u->%u/%s", text, c->ports[i].host_port,
			       c->ports[i].guest_port, c->ports[i].udp ? "udp" : "tcp");
	}
	return strlist_join(&all, ", ");
}

struct json *container_ports_json(const struct container_record *c)
{
	struct json *list = json_new_array();
	for (size_t i = 0; i < c->port_count; i++) {
		struct json *o = json_new_object();
		char text[ADDRESS_TEXT_SIZE];
		address_text(c->ports[i].host_address, text);
		json_set_string(o, "address", text);
		json_set_int(o, "host", c->ports[i].host_port);
		json_set_int(o, "container", c->ports[i].guest_port);
		json_set_string(o, "protocol", c->ports[i].udp ? "udp" : "tcp");
		json_add(list, o);
	}
	return list;
}

struct json *container_view_json(const struct container_view *v)
{
	const struct machine_status *s = &v->status;
	struct json *o = json_new_object();
	struct json *addresses = json_new_array();
	char first[ADDRESS_TEXT_SIZE] = "";
	for (size_t i = v->c->address_count; i > 0; i--)
		address_text(v->c->addresses[i - 1].address, first);
	for (size_t i = 0; i < v->c->address_count; i++) {
		struct json *a = json_new_object();
		char text[ADDRESS_TEXT_SIZE];
		address_text(v->c->addresses[i].address, text);
		json_set_string(a, "network", v->c->addresses[i].network);
		json_set_string(a, "address", text);
		json_add(addresses, a);
	}
	json_set_string(o, "environment", v->env->name);
	json_set_string(o, "name", v->c->name);
	json_set_string(o, "image", v->c->image);
	json_set_string(o, "status", container_status_name(v));
	json_set(o, "exit_code", s->exit_code >= 0 ? json_new_int(s->exit_code) : json_new_null());
	json_set_bool(o, "oom_killed", s->oom_killed);
	json_set_int(o, "restarts", s->restarts);
	json_set_string(o, "error", s->error);
	add_health_json(s, o);
	json_set_int(o, "pid", s->qemu_pid);
	json_set_int(o, "keeper_pid", s->keeper_pid);
	json_set_int(o, "memory_bytes", (int64_t)s->memory_bytes);
	json_set_int(o, "max_memory_bytes", (int64_t)s->max_memory_bytes);
	json_set_int(o, "cpus", s->cpus);
	json_set_int(o, "max_cpus", s->max_cpus);
	json_set_int(o, "started_unix_ms", (int64_t)s->started_unix_ms);
	json_set_string(o, "address", *first ? first : NULL);
	json_set(o, "addresses", addresses);
	json_set(o, "ports", container_ports_json(v->c));
	return o;
}
