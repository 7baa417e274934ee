/* SPDX-License-Identifier: MIT */
/* Host ports and volumes that change hands: who holds them lets go before anybody takes them. */
/*
 * Where one container only gives a port up, its action comes first (plan_graph.c). Two that
 * exchange ports would wait for each other: for them both are let go of up front. The record says
 * so before it is done, so that a run that is killed in between is taken up as a port to be
 * published. Of those that exchange volumes one ends first, as the plan says.
 */
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/apply/actions.h"
#include "orchestrator/apply/apply.h"
#include "orchestrator/state/env_log.h"

static bool same_port(const struct spec_port *a, const struct spec_port *b)
{
	return a->host.value == b->host.value && a->protocol.value == b->protocol.value &&
	       strcmp(a->address.text, b->address.text) == 0;
}

static bool has_port(const struct spec_container *c, const struct spec_port *p)
{
	for (size_t i = 0; i < c->ports.count; i++)
		if (same_port(&c->ports.items[i], p))
			return true;
	return false;
}

/* Whether a container that the plan changes is to have it, and @holder is not. */
static bool is_given_away(const struct world *w, const struct plan *plan,
			  const struct spec_container *holder, const struct spec_port *p)
{
	const struct spec_container *wanted = environment_container(w->wanted, holder->o.name);

	if (!p->host.value || !wanted || has_port(wanted, p) ||
	    !plan_action(plan, OBJECT_CONTAINER, holder->o.name))
		return false;
	for (size_t i = 0; i < plan->count; i++) {
		const struct action *a = &plan->actions[i];
		const struct spec_container *taker =
			a->object == OBJECT_CONTAINER ? environment_container(w->wanted, a->name)
						      : NULL;

		if (taker && taker != wanted && has_port(taker, p))
			return true;
	}
	return false;
}

/* The applied spec without some of its ports. */
static void forget_ports(struct container_record *record, const bool *gone, size_t count)
{
	AUTO_JSON spec = container_record_spec(record);
	const struct json *old_ports = json_member_array(spec, "ports");
	struct json *ports = json_new_array();

	for (size_t i = 0; old_ports && i < json_count(old_ports); i++)
		if (i >= count || !gone[i])
			json_add(ports, json_ref(json_item(old_ports, i)));
	json_set(spec, "ports", ports);
	free(record->spec);
	record->spec = json_text(spec);
}

static int release(struct world *w, const struct plan *plan, const struct spec_container *holder,
		   struct error *err)
{
	struct container_record *record = env_record_container(&w->record, holder->o.name);
	AUTO_FREE bool *gone = xcalloc(holder->ports.count + 1, sizeof(*gone));
	AUTO_FREE struct spec_port *kept = xcalloc(holder->ports.count + 1, sizeof(*kept));
	struct spec_container rest = *holder;
	struct json *bound = NULL;
	int r;

	rest.ports.items = kept;
	rest.ports.count = 0;
	for (size_t i = 0; i < holder->ports.count; i++) {
		gone[i] = is_given_away(w, plan, holder, &holder->ports.items[i]);
		if (!gone[i])
			kept[rest.ports.count++] = holder->ports.items[i];
	}
	if (rest.ports.count == holder->ports.count || !record || !record->spec)
		return 0;
	forget_ports(record, gone, holder->ports.count);
	r = env_store_note(w->paths, &w->record, RECORD_CONTAINER, record->name, err);
	if (r == 0)
		r = ports_set(w, &rest, NULL, &bound, err);
	json_free(bound);
	return r < 0 ? error_wrap(err, "let go of ports of container '%s'", holder->o.name) : 0;
}

static int stop_first(struct world *w, const struct plan *plan, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->count; i++) {
		const struct action *a = &plan->actions[i];
		const struct container_record *record =
			a->stops_first ? env_record_container(&w->record, a->name) : NULL;

		if (record)
			r = action_container_stop(w, record, err);
		if (r < 0)
			return error_wrap(err, "stop container '%s'", a->name);
	}
	return r;
}

int apply_release(struct world *w, const struct plan *plan, struct error *err)
{
	int r = 0;

	for (size_t i = 0; w->applied && r == 0 && i < w->applied->containers.count; i++) {
		const struct spec_container *c = &w->applied->containers.items[i];
		const struct observed_container *seen = observed_container(&w->observed, c->o.name);

		if (seen && seen->phase == SEEN_RUNNING)
			r = release(w, plan, c, err);
	}
	return r < 0 ? r : stop_first(w, plan, err);
}
