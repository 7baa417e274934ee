/* SPDX-License-Identifier: MIT */
/* Rules about networks, addresses and published ports. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"
#include "spec/model/model.h"

struct subnet {
	uint32_t base, mask;
	unsigned bits;
};

static bool get_subnet(const struct spec_network *n, struct subnet *ret)
{
	if (!n->subnet.at.is_set || !spec_subnet_parse(n->subnet.text, &ret->base, &ret->bits) ||
	    ret->bits < 8 || ret->bits > 29)
		return false;
	ret->mask = UINT32_MAX << (32 - ret->bits);
	return true;
}

struct ranked {
	struct subnet s;
	const struct spec_network *n;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (x->s.base != y->s.base)
		return x->s.base < y->s.base ? -1 : 1;
	return x->s.bits < y->s.bits ? -1 : x->s.bits > y->s.bits;
}

static void validate_overlaps(struct decode *d, const struct environment *env)
{
	AUTO_FREE struct ranked *list = xcalloc(env->networks.count + 1, sizeof(*list));
	size_t count = 0;
	for (size_t i = 0; i < env->networks.count; i++) {
		const struct spec_network *n = &env->networks.items[i];
		if (!get_subnet(n, &list[count].s))
			continue;
		list[count].n = n;
		AUTO_FREE char *holder =
			d->host->subnet_holder
				? d->host->subnet_holder(d->host->arg, list[count].s.base,
							 list[count].s.bits)
				: NULL;
		if (holder)
			report_help(report(d->diags, "E506", AT(n->subnet.at),
					   "subnet %s is taken on this host by %s", n->subnet.text,
					   holder),
				    "choose another, or leave it out: ctrz chooses a free one");
		count++;
	}
	qsort(list, count, sizeof(*list), compare_ranked);
	for (size_t i = 1; i < count; i++) {
		const struct ranked *a = &list[i - 1], *b = &list[i];
		if ((b->s.base & a->s.mask) != a->s.base)
			continue;
		struct diagnostic *e = report(d->diags, "E506", AT(b->n->subnet.at),
					      "subnet %s overlaps that of network \"%s\"",
					      b->n->subnet.text, a->n->o.name);
		report_other(e, a->n->subnet.at.pos, "the first one");
		report_help(e, "choose another, or leave it out: ctrz chooses a free one");
	}
}

static const char *why_not_address(const struct subnet *s, uint32_t a)
{
	if ((a & s->mask) != s->base)
		return "is not in the subnet";
	uint32_t host = a & ~s->mask;
	if (host == 0)
		return "is the network's own";
	if (host == ~s->mask)
		return "is the broadcast address";
	if (host == 1)
		return "is the gateway's";
	return host == 2 ? "is the name server's" : NULL;
}

static void validate_attachment(struct decode *d, const struct environment *env, struct map *taken,
				const struct spec_attachment *at)
{
	struct in_addr parsed;
	const struct spec_network *n = environment_network(env, at->o.name);
	if (!at->address.at.is_set || !n || inet_pton(AF_INET, at->address.text, &parsed) != 1)
		return;
	struct subnet s;
	if (!get_subnet(n, &s)) {
		if (!n->subnet.at.is_set)
			report_help(report(d->diags, "E507", AT(at->address.at),
					   "a fixed address needs a network with a subnet"),
				    "write networks: { %s: { subnet: 10.77.0.0/24 } }", at->o.name);
		return;
	}
	const char *why = why_not_address(&s, ntohl(parsed.s_addr));
	if (why) {
		report_help(report(d->diags, "E507", AT(at->address.at), "address %s %s",
				   at->address.text, why),
			    "network \"%s\" is %s; its first two addresses are the gateway's and "
			    "the name server's",
			    at->o.name, n->subnet.text);
		return;
	}
	AUTO_FREE char *key = xasprintf("%s %s", at->o.name, at->address.text);
	const struct spec_attachment *first = map_get(taken, key);
	if (first)
		report_other(report(d->diags, "E507", AT(at->address.at),
				    "address %s is given twice", at->address.text),
			     first->address.at.pos, "the first one");
	else
		map_set(taken, key, (void *)(uintptr_t)at);
}

void validate_networks(struct decode *d, const struct environment *env)
{
	validate_overlaps(d, env);
	struct map taken = MAP_INIT;
	for (size_t i = 0; i < env->containers.count; i++) {
		const struct spec_container *c = &env->containers.items[i];
		for (size_t j = 0; j < c->networks.count; j++)
			validate_attachment(d, env, &taken, &c->networks.items[j]);
	}
	map_release(&taken, NULL);
}

/* --- ports --- */

/* The ports published so far: by "tcp 8080" the first of each address. */
struct published {
	struct published *next;
	const struct spec_port *p;
	const struct spec_container *c;
};

static bool is_any(const char *address)
{
	return str_equal(address, "0.0.0.0");
}

static void validate_twice(struct decode *d, struct map *published, const struct spec_container *c,
			   const struct spec_port *p)
{
	AUTO_FREE char *key = xasprintf("%d %d", p->protocol.value, (int)p->host.value);
	struct published *list = map_get(published, key);
	for (const struct published *x = list; x; x = x->next) {
		const char *a = x->p->address.text, *b = p->address.text;
		if (!is_any(a) && !is_any(b) && !str_equal(a, b))
			continue;
		struct diagnostic *e =
			report(d->diags, "E508", AT(p->host.at),
			       "port %d of the host is published twice", (int)p->host.value);
		report_other(e, x->p->host.at.pos, "container \"%s\"", x->c->o.name);
		report_help(e, "choose another, or write auto");
		return;
	}
	struct published *mine = arena_alloc(d->arena, sizeof(*mine));
	*mine = (struct published){ list, p, c };
	map_set(published, key, mine);
}

static void validate_free(struct decode *d, const struct spec_port *p)
{
	const struct spec_host *h = d->host;
	if (!h->port_holder)
		return;
	if (p->host.value < 1024 && !h->may_bind_low_ports) {
		report_help(report(d->diags, "E510", AT(p->host.at),
				   "port %d of the host is only for root", (int)p->host.value),
			    "use one from 1024 up, as %d", (int)p->host.value + 8000);
		return;
	}
	AUTO_FREE char *holder = h->port_holder(h->arg, p->address.text, (unsigned)p->host.value,
						p->protocol.value == SPEC_PROTOCOL_UDP);
	if (holder)
		report_help(report(d->diags, "E509", AT(p->host.at), "port %d of %s is taken by %s",
				   (int)p->host.value, p->address.text, holder),
			    "stop it, choose another port, or write host: auto");
}

void validate_ports(struct decode *d, const struct environment *env)
{
	struct map published = MAP_INIT;
	for (size_t i = 0; i < env->containers.count; i++) {
		const struct spec_container *c = &env->containers.items[i];
		if (c->ports.count && c->networks.at.is_set && !c->networks.count)
			report_help(report(d->diags, "E513", AT(c->ports.items[0].o.at),
					   "container \"%s\" is in no network: nothing can reach "
					   "its ports",
					   c->o.name),
				    "take \"networks: []\" or the ports away");
		for (size_t j = 0; c->is_active && j < c->ports.count; j++) {
			const struct spec_port *p = &c->ports.items[j];
			if (!p->host.at.is_set || !p->container.at.is_set || !p->address.at.is_set)
				continue;
			if (is_any(p->address.text))
				report_help(
					report(d->diags, "W511", AT(p->address.at),
					       "everybody in your networks can reach this port"),
					"leave the address out for 127.0.0.1");
			if (!p->host.value)
				continue;
			validate_twice(d, &published, c, p);
			validate_free(d, p);
		}
	}
	map_release(&published, NULL);
}

/* --- resources --- */

static void say_table(struct decode *d, const struct environment *env, struct diagnostic *e)
{
	enum { SHOWN_MAX = 10 };
	size_t count = 0;
	for (size_t i = 0; i < env->containers.count; i++) {
		const struct spec_container *c = &env->containers.items[i];
		if (!c->is_active || count++ >= SHOWN_MAX)
			continue;
		AUTO_FREE char *size = text_size((uint64_t)c->resources.memory.value);
		report_help(e, "%-20s %10s", c->o.name, size);
	}
	if (count > SHOWN_MAX)
		report_help(e, "and %zu more", count - SHOWN_MAX);
	AUTO_FREE char *available = text_size(d->host->memory_available);
	report_help(e, "%-20s %10s", "available", available);
}

static void validate_machine(struct decode *d, const struct spec_container *c)
{
	enum { MEMORY_MIN = 64 << 20 };
	const struct spec_resources *r = &c->resources;
	const struct spec_host *h = d->host;
	if (r->memory.at.is_set && r->memory.value < MEMORY_MIN)
		report_help(report(d->diags, "E605", AT(r->memory.at),
				   "a virtual machine needs at least 64 MiB"),
			    "its kernel takes about 40 MiB of them");
	if (h->cpus && r->cpus.at.is_set && r->cpus.value > (int64_t)h->cpus)
		report_help(report(d->diags, "E604", AT(r->cpus.at),
				   "the host has only %u processors", h->cpus),
			    "write cpus: %u or less", h->cpus);
	if (h->memory_total && r->memory.value > 0 && (uint64_t)r->memory.value > h->memory_total) {
		AUTO_FREE char *total = text_size(h->memory_total);
		report_help(report(d->diags, "E604", AT(r->memory.at),
				   "the host has only %s of memory", total),
			    "write less: a machine has its memory for itself");
	}
}

void validate_resources(struct decode *d, const struct environment *env)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < env->containers.count; i++) {
		const struct spec_container *c = &env->containers.items[i];
		validate_machine(d, c);
		if (c->is_active && c->resources.memory.value > 0)
			sum += (uint64_t)c->resources.memory.value;
	}
	if (!d->host->memory_available || sum <= d->host->memory_available)
		return;
	AUTO_FREE char *needed = text_size(sum);
	say_table(d, env,
		  report(d->diags, "E604", AT(env->containers.at),
			 "the containers need %s of memory together", needed));
}
