/* SPDX-License-Identifier: MIT */
/* Subnets and addresses: chosen once, kept as long as the environment is known. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/apply/apply.h"
#include "orchestrator/state/env_log.h"
#include "orchestrator/state/env_store.h"

static bool same_subnet(const struct subnet *a, const struct subnet *b)
{
	return a->base.s_addr == b->base.s_addr && a->prefix == b->prefix;
}

static void drop_addresses(struct env_record *r, const char *network)
{
	for (size_t i = 0; i < r->container_count; i++)
		container_record_drop_address(&r->containers[i], network);
}

/* A subnet that the spec names replaces what was there; addresses on it are then given anew. */
static int take_spec_subnet(struct env_record *record, struct network_record *n,
			    const struct spec_network *spec, struct error *err)
{
	struct subnet wanted;
	int r = subnet_parse(spec->subnet.text, &wanted, err);

	if (r < 0)
		return error_at(err, spec->subnet.at.pos, E_INVALID, "subnet '%s'",
				spec->subnet.text);
	if (!same_subnet(&wanted, &n->subnet)) {
		n->subnet = wanted;
		drop_addresses(record, n->name);
	}
	return 0;
}

static size_t count_members(const struct environment *env, const char *network)
{
	size_t count = 0;

	for (size_t i = 0; i < env->containers.count; i++)
		for (size_t n = 0; n < env->containers.items[i].networks.count; n++)
			count += strcmp(env->containers.items[i].networks.items[n].o.name,
					network) == 0;
	return count;
}

static int prepare_network(struct world *w, const char *name, struct error *err)
{
	struct network_record *n = env_record_add_network(&w->record, name);
	const struct spec_network *spec = environment_network(w->wanted, name);
	AUTO_CLOSE int lock = -1;
	int r;

	if (spec && spec->subnet.at.is_set)
		return take_spec_subnet(&w->record, n, spec, err);
	if (n->subnet.prefix)
		return 0;
	r = env_store_choose_subnet(w->paths, &w->record, count_members(w->wanted, name),
				    &n->subnet, &lock, err);
	return r < 0 ? r : env_store_note(w->paths, &w->record, RECORD_NETWORK, name, err);
}

/* Who has which address of a network, read from the records once. */
struct leases {
	const char *network; /* lent from the spec */
	struct lease_list list;
};

struct preparing {
	struct world *w;
	struct leases *networks;
	size_t count;
};

static void preparing_release(struct preparing *p)
{
	for (size_t i = 0; i < p->count; i++)
		lease_list_release(&p->networks[i].list);
	free(p->networks);
}

static int leases_of(struct preparing *p, const char *network, struct lease_list **ret,
		     struct error *err)
{
	const struct network_record *n = env_record_network(&p->w->record, network);
	struct leases *l;
	int r = 0;

	for (size_t i = 0; i < p->count; i++) {
		if (strcmp(p->networks[i].network, network) == 0) {
			*ret = &p->networks[i].list;
			return 0;
		}
	}
	p->networks = xreallocarray(p->networks, p->count + 1, sizeof(*p->networks));
	l = &p->networks[p->count++];
	*l = (struct leases){ .network = network, .list = LEASE_LIST_INIT };
	for (size_t i = 0; r == 0 && i < p->w->record.container_count; i++) {
		const struct container_record *c = &p->w->record.containers[i];
		const struct address_record *place = container_record_address(c, network);

		if (place)
			r = lease_claim(&l->list, &n->subnet, c->name, place->address, err);
	}
	*ret = &l->list;
	return r;
}

static int prepare_address(struct preparing *p, const struct spec_container *c,
			   const struct spec_attachment *at, struct error *err)
{
	const struct network_record *n = env_record_network(&p->w->record, at->o.name);
	struct container_record *record = env_record_add_container(&p->w->record, c->o.name);
	struct lease_list *leases = NULL;
	struct in_addr address = { 0 };
	int r = leases_of(p, at->o.name, &leases, err);

	if (r == 0 && at->address.at.is_set && !address_parse(at->address.text, &address))
		return error_at(err, at->address.at.pos, E_INVALID, "'%s' is no IPv4 address",
				at->address.text);
	if (r == 0 && at->address.at.is_set) {
		lease_drop(leases, c->o.name);
		r = lease_claim(leases, &n->subnet, c->o.name, address, err);
	} else if (r == 0) {
		r = lease_take(leases, &n->subnet, c->o.name, &address, err);
	}
	if (r < 0)
		return error_wrap(err, "container '%s', network '%s'", c->o.name, at->o.name);
	container_record_set_address(record, at->o.name, address);
	return 0;
}

static int prepare_container(struct preparing *p, const char *name, struct error *err)
{
	const struct spec_container *c = environment_container(p->w->wanted, name);
	int r = 0;

	for (size_t i = 0; c && r == 0 && i < c->networks.count; i++)
		r = prepare_network(p->w, c->networks.items[i].o.name, err);
	for (size_t i = 0; c && r == 0 && i < c->networks.count; i++)
		r = prepare_address(p, c, &c->networks.items[i], err);
	return r;
}

static bool names_address(const struct spec_container *c)
{
	for (size_t i = 0; c && i < c->networks.count; i++)
		if (c->networks.items[i].address.at.is_set)
			return true;
	return false;
}

/* Addresses that the spec names are claimed first, so that none of them is given away. */
int apply_prepare(struct world *w, const struct plan *plan, struct error *err)
{
	CLEANUP(preparing_release) struct preparing p = { .w = w };
	int r = 0;

	for (size_t i = 0; r == 0 && i < plan->count; i++)
		if (plan->actions[i].object == OBJECT_NETWORK &&
		    plan->actions[i].kind != ACTION_DESTROY)
			r = prepare_network(w, plan->actions[i].name, err);
	for (int named = 1; named >= 0; named--) {
		for (size_t i = 0; r == 0 && i < plan->count; i++) {
			const struct action *a = &plan->actions[i];

			if (a->object == OBJECT_CONTAINER && a->kind != ACTION_DESTROY &&
			    names_address(environment_container(w->wanted, a->name)) ==
				    (named == 1))
				r = prepare_container(&p, a->name, err);
		}
	}
	return r < 0 ? r : env_store_write(w->paths, &w->record, err);
}
