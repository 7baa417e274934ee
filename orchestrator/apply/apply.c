/* SPDX-License-Identifier: MIT */
/* Carrying a plan out. */
/*
 * DOC: Theory of Operation
 *
 * The parent owns the records; each action runs in a job of its own (executor.h) and sees them as
 * they were when it began. Around an action the parent writes: the journal line that it begins, the
 * record that it is being made (creation only), and afterwards the record of what it is now and the
 * journal line that it is done. A container being created carries its spec and STAGE_MAKING: if the
 * run is killed, the next one finds the machine running and finishes it, or removes what is left
 * and makes it anew. Every other action keeps the old record until it is done, so that a killed one
 * is planned again; all actions may be done twice.
 */
#include "orchestrator/apply/apply.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/trace.h"
#include "orchestrator/apply/actions.h"
#include "orchestrator/state/env_log.h"
#include "orchestrator/state/env_store.h"
#include "orchestrator/state/journal.h"
#include "runtime/host/event_log.h"

enum { BOUND_MAX = 16, BOUND_MIN = 2 };

struct applying {
	const struct apply_options *o;
	const char *events; /* path of the event log */
	struct journal *journal;
	unsigned noted;  /* journal lines so far */
	struct map ends; /* see struct action_context */
};

/* Tests end a run at each of these points in turn. */
static void die_if_told(const struct applying *a)
{
	const char *at = getenv("CTRZ_TEST_DIE_AT");
	uint64_t line = 0;

	if (at && parse_u64(at, UINT32_MAX, &line) && line == a->noted)
		(void)raise(SIGKILL);
}

static int note(struct applying *a, enum journal_event event, const struct action *action,
		struct error *err)
{
	AUTO_FREE char *object = xasprintf("%s %s", object_kind_name(action->object), action->name);
	int r = journal_note(a->journal, event, action_kind_name(action->kind), object, err);

	a->noted++;
	die_if_told(a);
	return r;
}

/* What is on record of the action's object. Images and secrets are in stores of their own. */
static int record_object(const struct applying *a, const struct action *action, struct error *err)
{
	static const struct {
		bool is_recorded;
		enum record_part part;
	} parts[OBJECT_KINDS] = {
		[OBJECT_CONTAINER] = { true, RECORD_CONTAINER },
		[OBJECT_NETWORK] = { true, RECORD_NETWORK },
		[OBJECT_VOLUME] = { true, RECORD_VOLUME },
	};
	struct world *w = a->o->w;

	if (!parts[action->object].is_recorded)
		return 0;
	return env_store_note(w->paths, &w->record, parts[action->object].part, action->name, err);
}

/* "web"; "network front" */
static struct json *action_event(const char *type, const struct action *action)
{
	AUTO_FREE char *id =
		action->object == OBJECT_CONTAINER
			? xstrdup(action->name)
			: xasprintf("%s %s", object_kind_name(action->object), action->name);
	struct json *event = event_new(type, id);

	json_set_string(event, "op", action_kind_name(action->kind));
	return event;
}

static void tell_end(const struct applying *a, const struct action *action, enum job_state state,
		     const struct error *failure)
{
	static const char *const types[] = {
		[JOB_DONE] = "op_done",
		[JOB_FAILED] = "op_error",
		[JOB_SKIPPED] = "op_skipped",
	};
	struct json *event = action_event(types[state], action);

	if (state == JOB_FAILED && error_is_set(failure))
		json_set_string(event, "reason", error_message(failure));
	event_log_add(a->events, event);
}

static void tell_begin(const struct applying *a)
{
	struct json *event = event_new("apply_start", NULL);

	json_set_string(event, "command", a->o->w->record.changed_by);
	json_set_int(event, "run", (int64_t)a->o->w->record.run);
	json_set_int(event, "total", (int64_t)a->o->plan->count);
	event_log_add(a->events, event);
}

static void tell_result(const struct applying *a, const struct executor_result *result)
{
	struct json *event = event_new("apply_end", NULL);

	json_set_int(event, "run", (int64_t)a->o->w->record.run);
	json_set_int(event, "done", (int64_t)result->done);
	json_set_int(event, "failed", (int64_t)result->failed);
	json_set_int(event, "skipped", (int64_t)result->skipped);
	json_set_bool(event, "interrupted", result->interrupted);
	event_log_add(a->events, event);
}

static struct json *wanted_member(const struct world *w, const char *key, const char *name)
{
	struct json *members = w->wanted_json ? json_member_object(w->wanted_json, key) : NULL;
	struct json *member = members ? json_member_object(members, name) : NULL;

	return member ? json_ref(member) : NULL;
}

static void set_network_spec(struct network_record *n, struct json *spec)
{
	json_free(n->spec);
	n->spec = spec;
}

static void set_container_spec(const struct world *w, struct container_record *c)
{
	AUTO_JSON spec = wanted_member(w, "containers", c->name);
	const struct spec_container *of =
		w->wanted ? environment_container(w->wanted, c->name) : NULL;

	free(c->spec);
	c->spec = spec ? json_text(spec) : NULL;
	c->memory_bytes = of ? (uint64_t)of->resources.memory.value : 0;
}

static int begin(void *arg, size_t index, struct error *err)
{
	struct applying *a = arg;
	struct world *w = a->o->w;
	const struct action *action = &a->o->plan->actions[index];
	int r = note(a, JOURNAL_BEGIN, action, err);

	if (r == 0 && action->object == OBJECT_CONTAINER && action->kind == ACTION_CREATE) {
		struct container_record *c = env_record_add_container(&w->record, action->name);

		env_record_reset_container(c);
		c->stage = STAGE_MAKING;
		c->made_unix_ms = clock_unix_ms();
		set_container_spec(w, c);
		r = record_object(a, action, err);
	}
	if (r == 0 && a->o->watcher.state) {
		AUTO_ERROR none = ERROR_INIT;

		a->o->watcher.state(a->o->watcher.arg, index, JOB_RUNNING, &none);
	}
	return r;
}

/* A container is waited for until its end if anybody depends on that, and it must be a good one if
 * any of them says so. */
static void find_ends(struct applying *a)
{
	static enum spec_condition done = SPEC_CONDITION_DONE, exited = SPEC_CONDITION_EXITED;
	const struct environment *env = a->o->w->wanted;

	for (size_t i = 0; env && i < env->containers.count; i++) {
		const struct spec_container *c = &env->containers.items[i];

		for (size_t n = 0; c->is_active && n < c->depends_on.count; n++) {
			const struct spec_dependency *d = &c->depends_on.items[n];

			if (d->condition.value == SPEC_CONDITION_DONE ||
			    (d->condition.value == SPEC_CONDITION_EXITED &&
			     !map_has(&a->ends, d->o.name)))
				(void)map_set(&a->ends, d->o.name,
					      d->condition.value == SPEC_CONDITION_DONE ? &done
											: &exited);
		}
	}
}

static int run(void *arg, size_t index, struct job_channel *channel, struct json **ret_result,
	       struct error *err)
{
	const struct applying *a = arg;
	struct action_context context = {
		.w = a->o->w,
		.config = a->o->config,
		.action = &a->o->plan->actions[index],
		.channel = channel,
		.ends = &a->ends,
	};

	AUTO_FREE char *name = xasprintf("%s %s", action_kind_name(context.action->kind),
					 object_kind_name(context.action->object));

	trace_as(a->o->command, context.action->name);
	TRACE(name);
	return action_run(&context, ret_result, err);
}

static void take_text(char **slot, const struct json *result, const char *key)
{
	const char *text = json_str(result, key, NULL);

	if (!text)
		return;
	free(*slot);
	*slot = xstrdup(text);
}

static void take_ports(struct container_record *c, const struct json *result)
{
	struct json *ports = json_member_array(result, "ports");
	size_t count = ports ? json_count(ports) : 0;

	if (!ports)
		return;
	container_record_reset_ports(c);
	c->ports = xcalloc(count + 1, sizeof(*c->ports));
	for (size_t i = 0; i < count; i++) {
		const struct json *p = json_item(ports, i);
		struct port_record *to = &c->ports[c->port_count++];

		(void)address_parse(json_str(p, "address", ""), &to->host_address);
		to->host_port = (uint16_t)json_u64(p, "host", 0);
		to->guest_port = (uint16_t)json_u64(p, "container", 0);
		to->udp = strcmp(json_str(p, "protocol", "tcp"), "udp") == 0;
	}
}

static void take_contents(struct container_record *c, const struct json *result)
{
	struct json *contents = json_member_object(result, "contents");

	json_free(c->contents);
	c->contents = contents ? json_ref(contents) : NULL;
}

/* Places on networks that the spec does not name any more. */
static void drop_places(struct container_record *c, const struct spec_container *spec)
{
	for (size_t i = c->address_count; spec && i > 0; i--) {
		const char *network = c->addresses[i - 1].network;
		bool named = false;

		for (size_t n = 0; n < spec->networks.count; n++)
			named = named || strcmp(spec->networks.items[n].o.name, network) == 0;
		if (!named)
			container_record_drop_address(c, network);
	}
}

static void container_done(struct applying *a, const struct action *action,
			   const struct json *result)
{
	struct world *w = a->o->w;
	struct container_record *c = env_record_add_container(&w->record, action->name);

	if (action->kind == ACTION_DESTROY) {
		if (a->o->keeps_orphan_records)
			env_record_reset_container(c);
		else
			env_record_drop_container(&w->record, action->name);
		return;
	}
	if (action->kind == ACTION_STOP) {
		c->stopped = true;
		return;
	}
	c->stage = STAGE_MADE;
	set_container_spec(w, c);
	drop_places(c, environment_container(w->wanted, action->name));
	if (!result || action->kind == ACTION_RECORD)
		return;
	if (action->kind != ACTION_UPDATE)
		c->stopped = false;
	take_text(&c->image, result, "image");
	take_text(&c->image_digest, result, "digest");
	take_text(&c->image_disk, result, "disk");
	take_text(&c->kernel, result, "kernel");
	take_text(&c->stop_signal, result, "stop_signal");
	take_ports(c, result);
	if (action->kind != ACTION_UPDATE || json_member(result, "contents"))
		take_contents(c, result);
}

/* It runs, and is not ready yet: if that fails, it is what there is. */
static void container_placed(struct applying *a, const struct action *action,
			     const struct json *result)
{
	struct world *w = a->o->w;
	AUTO_ERROR err = ERROR_INIT;

	container_done(a, action, result);
	env_record_add_container(&w->record, action->name)->stage = STAGE_MAKING;
	if (record_object(a, action, &err) < 0)
		error_ignore(&err, "note what was started");
}

static void progress(void *arg, size_t index, const struct json *event)
{
	struct applying *a = arg;
	const struct json *placed = json_member(event, "placed");

	if (placed)
		container_placed(a, &a->o->plan->actions[index], placed);
	else if (a->o->watcher.detail)
		a->o->watcher.detail(a->o->watcher.arg, index, json_str(event, "text", ""),
				     json_u64(event, "current", 0), json_u64(event, "total", 0));
}

/* What a failed action left: of a creation nothing, of a replacement maybe nothing. */
static void container_failed(struct applying *a, const struct action *action,
			     const struct error *failure)
{
	struct world *w = a->o->w;
	struct container_record *c = env_record_container(&w->record, action->name);
	AUTO_FREE char *dir = env_store_container_dir(w->paths, w->record.id, action->name);

	if (!c || failure->code == E_CANCELED || failure->code == E_INTERNAL)
		return;
	/* What was started and is not ready stays: its log tells why. */
	if ((action->kind == ACTION_CREATE || action->kind == ACTION_REPLACE) &&
	    access(dir, F_OK) < 0)
		env_record_reset_container(c);
}

static void network_done(struct applying *a, const struct action *action)
{
	struct world *w = a->o->w;
	struct network_record *n = env_record_add_network(&w->record, action->name);
	struct json *spec;

	if (action->kind == ACTION_DESTROY) {
		if (a->o->keeps_orphan_records)
			set_network_spec(n, NULL);
		else
			env_record_drop_network(&w->record, action->name);
		return;
	}
	spec = wanted_member(w, "networks", action->name);
	set_network_spec(n, spec ? spec : json_new_object());
}

static void volume_done(const struct applying *a, const struct action *action)
{
	struct world *w = a->o->w;
	const struct spec_volume *spec =
		w->wanted ? environment_volume(w->wanted, action->name) : NULL;
	struct volume_record *v;

	if (action->kind == ACTION_DESTROY) {
		env_record_drop_volume(&w->record, action->name);
		return;
	}
	v = env_record_add_volume(&w->record, action->name);
	if (!v->made_unix_ms || action->kind == ACTION_REPLACE || action->kind == ACTION_CREATE)
		v->made_unix_ms = clock_unix_ms();
	if (!spec)
		return;
	v->size_bytes = (uint64_t)spec->size.value;
	v->protect = spec->protect.value;
}

static int end(void *arg, size_t index, enum job_state state, const struct json *result,
	       const struct error *failure, struct error *err)
{
	struct applying *a = arg;
	const struct action *action = &a->o->plan->actions[index];
	int r = 0;

	if (state == JOB_DONE && action->object == OBJECT_CONTAINER)
		container_done(a, action, result);
	else if (state == JOB_DONE && action->object == OBJECT_NETWORK)
		network_done(a, action);
	else if (state == JOB_DONE && action->object == OBJECT_VOLUME)
		volume_done(a, action);
	else if (state == JOB_FAILED && action->object == OBJECT_CONTAINER)
		container_failed(a, action, failure);
	if (state == JOB_DONE || state == JOB_FAILED)
		r = record_object(a, action, err);
	if (r == 0 && state != JOB_SKIPPED)
		r = note(a, state == JOB_DONE ? JOURNAL_DONE : JOURNAL_FAILED, action, err);
	if (r == 0)
		tell_end(a, action, state, failure);
	if (r == 0 && a->o->watcher.state)
		a->o->watcher.state(a->o->watcher.arg, index, state, failure);
	if (r == 0 && result && a->o->watcher.note && json_str(result, "note", NULL))
		a->o->watcher.note(a->o->watcher.arg, index, json_str(result, "note", ""));
	return r;
}

static void interrupted(void *arg, unsigned times)
{
	const struct applying *a = arg;

	if (a->o->watcher.interrupted)
		a->o->watcher.interrupted(a->o->watcher.arg, times);
}

static void tick(void *arg)
{
	const struct applying *a = arg;

	a->o->watcher.tick(a->o->watcher.arg);
}

static unsigned default_bound(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (processors < BOUND_MIN)
		return BOUND_MIN;
	return processors > BOUND_MAX ? BOUND_MAX : (unsigned)processors;
}

static int run_jobs(struct applying *a, struct executor_result *ret, struct error *err)
{
	const struct apply_options *o = a->o;
	AUTO_FREE struct job *jobs = xcalloc(o->plan->count + 1, sizeof(*jobs));
	const struct executor_ops ops = {
		.begin = begin,
		.run = run,
		.progress = progress,
		.end = end,
		.interrupted = interrupted,
		.tick = o->watcher.tick ? tick : NULL,
		.fail_fast = o->fail_fast,
	};

	for (size_t i = 0; i < o->plan->count; i++) {
		jobs[i].after = o->plan->actions[i].after;
		jobs[i].early = o->plan->actions[i].early;
		jobs[i].after_count = o->plan->actions[i].after_count;
	}
	return executor_run(jobs, o->plan->count, o->bound ? o->bound : default_bound(), &ops, a,
			    ret, err);
}

static bool network_is_used(const struct env_record *r, const char *network)
{
	for (size_t i = 0; i < r->container_count; i++)
		if (r->containers[i].stage != STAGE_NONE &&
		    container_record_address(&r->containers[i], network))
			return true;
	return false;
}

/* A network made for containers that then failed goes again. */
static int undo_networks(struct applying *a, struct error *err)
{
	struct world *w = a->o->w;
	for (size_t i = 0; i < a->o->plan->count; i++) {
		const struct action *made = &a->o->plan->actions[i];
		struct network_record *n = env_record_network(&w->record, made->name);
		if (made->object != OBJECT_NETWORK || made->kind != ACTION_CREATE || !n ||
		    !n->spec || network_is_used(&w->record, made->name))
			continue;
		struct action gone = { .kind = ACTION_DESTROY,
				       .object = OBJECT_NETWORK,
				       .name = made->name };
		struct action_context context = { .w = w, .config = a->o->config, .action = &gone };
		struct json *none = NULL;
		int r = action_run(&context, &none, err);
		json_free(none);
		if (r < 0)
			return error_wrap(err, "undo network '%s'", made->name);
		set_network_spec(n, NULL);
		r = record_object(a, made, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void describe_run(const struct apply_options *o)
{
	struct env_record *r = &o->w->record;

	r->run++;
	free(r->changed_by);
	r->changed_by =
		xasprintf("%s (uid %u, pid %d)", o->command, (unsigned)getuid(), (int)getpid());
	if (!o->w->wanted)
		return;
	free(r->name);
	r->name = xstrdup(o->w->wanted->name.text);
}

/* As spec_json() writes it: world_load_applied() compares the bytes. */
static int write_wanted(const struct world *w, struct error *err)
{
	AUTO_BUFFER text = BUFFER_INIT;

	spec_json(w->wanted, &text);
	return env_store_write_spec(w->paths, w->record.id, &text, err);
}

/* All is on disk in any case; readers are faster with it in one place. */
static void fold(const struct apply_options *o, bool all_done)
{
	struct env_record *record = &o->w->record;
	AUTO_ERROR err = ERROR_INIT;

	record->is_whole = o->w->wanted && o->plan->is_all && all_done;
	if (env_store_write(o->w->paths, record, &err) < 0)
		error_ignore(&err, "write the state in one piece");
}

int apply_plan(const struct apply_options *o, struct executor_result *ret, struct error *err)
{
	TRACE("apply");
	struct world *w = o->w;
	CLEANUP(journal_close_p) struct journal *journal = NULL;
	AUTO_FREE char *events = env_store_path(w->paths, w->record.id, EVENTS_NAME);
	struct applying a = { .o = o, .events = events };
	int r;

	*ret = (struct executor_result){ 0 };
	r = world_keep_json(w, err);
	if (r < 0)
		return r;
	describe_run(o);
	env_store_take_specs(w->paths, &w->record);
	w->record.is_whole = false;
	r = w->wanted ? apply_prepare(w, o->plan, err) : env_store_write(w->paths, &w->record, err);
	if (r == 0 && w->wanted)
		r = write_wanted(w, err);
	if (r == 0)
		r = journal_start(w->paths, w->record.id, w->record.run, o->plan->count, o->command,
				  &journal, err);
	if (r < 0)
		return r;
	a.journal = journal;
	die_if_told(&a);
	r = w->wanted ? apply_release(w, o->plan, err) : 0;
	if (r < 0)
		return r;
	tell_begin(&a);
	find_ends(&a);
	r = run_jobs(&a, ret, err);
	map_release(&a.ends, NULL);
	if (r == 0 && ret->failed && !ret->interrupted)
		r = undo_networks(&a, err);
	if (r == 0)
		tell_result(&a, ret);
	if (r == 0 && !ret->interrupted)
		r = journal_finish(journal, err);
	if (r == 0)
		fold(o, ret->done == o->plan->count);
	return r;
}
