/* SPDX-License-Identifier: MIT */
/* Looking at what is there: records, keepers, switches, the journal. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/trace.h"
#include "orchestrator/apply/world.h"
#include "orchestrator/plan/from_spec.h"
#include "orchestrator/state/env_store.h"
#include "orchestrator/state/journal.h"
#include "runtime/machine/machine.h"
#include "runtime/network/switch_client.h"

static const enum observed_phase phases[] = {
	[MACHINE_ABSENT] = SEEN_ABSENT,         [MACHINE_STARTING] = SEEN_STARTING,
	[MACHINE_RUNNING] = SEEN_RUNNING,       [MACHINE_STOPPING] = SEEN_STOPPING,
	[MACHINE_RESTARTING] = SEEN_RESTARTING, [MACHINE_EXITED] = SEEN_EXITED,
};
static_assert(ARRAY_SIZE(phases) == MACHINE_PHASES, "every phase is known");

static const enum observed_stage stages[] = {
	[STAGE_NONE] = SEEN_NOT_MADE,
	[STAGE_MAKING] = SEEN_HALF_MADE,
	[STAGE_MADE] = SEEN_MADE,
};
static_assert(ARRAY_SIZE(stages) == STAGE_COUNT, "every stage is known");

/* Why a process that should run or be done does not and is not; NULL = all is well. */
static char *process_trouble(const struct status_process *p)
{
	bool has_failed =
		p->phase == PROCESS_FAILED || (p->phase == PROCESS_EXITED && p->exit_code != 0);

	if (!has_failed)
		return NULL;
	if (p->exit_code >= 0)
		return xasprintf("process '%s' ended (exit %d)", p->name, p->exit_code);
	return xasprintf("process '%s': %s", p->name, p->text ? p->text : "failed");
}

static void find_trouble(const struct machine_status *s, struct observed_container *to)
{
	if (s->is_paused) {
		to->trouble = xstrdup("paused");
		return;
	}
	for (size_t i = 0; !to->trouble && i < s->process_count; i++) {
		to->trouble = process_trouble(&s->processes[i]);
		to->trouble_is_process = to->trouble != NULL;
	}
	for (size_t i = 0; !to->trouble && i < s->process_count; i++)
		if (s->processes[i].health == HEALTH_UNHEALTHY)
			to->trouble =
				xasprintf("process '%s' is unhealthy (%s)", s->processes[i].name,
					  s->processes[i].text ? s->processes[i].text : "");
	if (!to->trouble && s->health == HEALTH_UNHEALTHY)
		to->trouble = xasprintf("unhealthy (%s)", s->health_text ? s->health_text : "");
}

static int observe_machine(const struct world *w, const struct container_record *c,
			   struct observed_container *to, struct error *err)
{
	AUTO_FREE char *run_dir = env_store_run_dir(w->paths, c->run_id);
	AUTO_FREE char *state_dir = env_store_container_dir(w->paths, w->record.id, c->name);
	struct machine_status status = { 0 };
	int r = machine_observe(run_dir, state_dir, &status, err);

	if (r < 0)
		return error_wrap(err, "look at container '%s'", c->name);
	to->phase = phases[status.phase];
	to->max_memory_bytes = status.max_memory_bytes;
	to->max_cpus = status.max_cpus;
	to->knows_ports = status.cpus > 0;
	to->free_ports = status.free_ports;
	to->is_half_changed = status.is_half_changed;
	to->exit_code = status.exit_code;
	to->oom_killed = status.oom_killed;
	to->exited_unix_ms = status.exited_unix_ms;
	to->error = TAKE_PTR(status.error);
	if (status.phase == MACHINE_RUNNING)
		find_trouble(&status, to);
	machine_status_release(&status);
	return 0;
}

static int observe_container(const struct world *w, const struct container_record *c,
			     struct observed_container *to, struct error *err)
{
	*to = (struct observed_container){
		.name = xstrdup(c->name),
		.stage = stages[c->stage],
		.stopped = c->stopped,
		.exit_code = -1,
		.image = xstrdup_null(c->image),
		.image_digest = xstrdup_null(c->image_digest),
		.kernel = xstrdup_null(c->kernel),
	};
	return c->stage == STAGE_NONE ? 0 : observe_machine(w, c, to, err);
}

static void observe_network(const struct world *w, const struct network_record *n,
			    struct observed_network *to)
{
	AUTO_FREE char *run_dir = env_store_run_dir(w->paths, n->run_id);

	*to = (struct observed_network){
		.name = xstrdup(n->name),
		.applied = n->spec != NULL,
		.running = n->spec && switch_observe(run_dir) > 0,
	};
}

static void observe_volume(const struct world *w, const struct volume_record *v,
			   struct observed_volume *to)
{
	AUTO_FREE char *path = env_store_volume(w->paths, w->record.id, v->name);

	*to = (struct observed_volume){
		.name = xstrdup(v->name),
		.there = file_exists(path),
		.size_bytes = v->size_bytes,
		.protect = v->protect,
	};
}

static void observe_journal(const struct world *w, struct observed *o)
{
	struct journal_rest rest = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (journal_read(w->paths, w->record.id, &rest, &err) < 0) {
		error_ignore(&err, "read the journal");
		return;
	}
	o->interrupted_run = rest.run;
	o->interrupted_done = rest.done;
	o->interrupted_total = rest.total;
	o->interrupted_unix_ms = rest.last_unix_ms;
	journal_rest_release(&rest);
}

static int by_container_name(const void *a, const void *b)
{
	return strcmp(((const struct observed_container *)a)->name,
		      ((const struct observed_container *)b)->name);
}

int world_observe(struct world *w, struct error *err)
{
	TRACE("observe");
	const struct env_record *record = &w->record;
	struct observed *o = &w->observed;
	struct memory_facts memory;
	int r = 0;

	observed_release(o);
	memory_facts_read(&memory);
	o->environment = xstrdup(record->name);
	o->source = xstrdup(record->file);
	o->serial = record->serial;
	o->now_unix_ms = clock_unix_ms();
	o->host_memory_bytes = memory.total_bytes;
	o->host_available_bytes = memory.available_bytes;
	o->networks = xcalloc(record->network_count + 1, sizeof(*o->networks));
	o->containers = xcalloc(record->container_count + 1, sizeof(*o->containers));
	o->volumes = xcalloc(record->volume_count + 1, sizeof(*o->volumes));
	for (size_t i = 0; i < record->volume_count; i++)
		observe_volume(w, &record->volumes[i], &o->volumes[o->volume_count++]);
	for (size_t i = 0; i < record->network_count; i++)
		observe_network(w, &record->networks[i], &o->networks[o->network_count++]);
	for (size_t i = 0; r == 0 && i < record->container_count; i++)
		r = observe_container(w, &record->containers[i],
				      &o->containers[o->container_count++], err);
	if (r < 0)
		return r;
	if (o->container_count)
		qsort(o->containers, o->container_count, sizeof(*o->containers), by_container_name);
	observe_journal(w, o);
	if (w->applied)
		observed_add_spec(o, w->applied);
	return 0;
}
