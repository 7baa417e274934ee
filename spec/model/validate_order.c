/* SPDX-License-Identifier: MIT */
/* Rules about what refers to what: names, dependencies, cycles. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/text.h"
#include "spec/model/model.h"

static void report_unknown_name(struct decode *d, struct source_pos pos, const char *what,
				const char *name, const void *list, const struct object_type *type,
				const char *section)
{
	struct diagnostic *e = report(d->diags, "E501", pos, (unsigned)strlen(name),
				      "there is no %s \"%s\"", what, shown(d, name));
	const char *near = suggest_name(list, type, name);
	if (near)
		report_hint(e, "did you mean \"%s\"?", near);
	report_help(e, "declare it in %s:", section);
}

void validate_references(struct decode *d, const struct environment *env)
{
	for (size_t i = 0; i < env->containers.count; i++) {
		const struct spec_container *c = &env->containers.items[i];
		for (size_t j = 0; j < c->networks.count; j++) {
			const struct spec_attachment *a = &c->networks.items[j];
			if (!environment_network(env, a->o.name))
				report_unknown_name(d, a->o.at.pos, "network", a->o.name,
						    &env->networks, &network_type, "networks");
		}
		for (size_t j = 0; j < c->secrets.count; j++) {
			const struct spec_text *t = &c->secrets.items[j].secret;
			if (t->at.is_set && !environment_secret(env, t->text))
				report_unknown_name(d, t->at.pos, "secret", t->text, &env->secrets,
						    &secret_type, "secrets");
		}
		for (size_t j = 0; j < c->files.count; j++) {
			const struct spec_text *t = &c->files.items[j].file;
			if (t->at.is_set && !environment_file(env, t->text))
				report_unknown_name(d, t->at.pos, "file", t->text, &env->files,
						    &file_type, "files");
		}
	}
}

/* --- dependencies, of containers and of processes alike --- */

struct graph_node {
	const struct spec_object *o;
	const struct spec_dependencies *deps;
	size_t missing; /* dependencies not yet taken away */
	size_t seen;    /* when the walk along a cycle was here */
};

struct graph {
	struct graph_node *nodes; /* sorted by name */
	size_t count;
};

static struct graph_node *graph_find(const struct graph *g, const char *name)
{
	size_t low = 0, high = g->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, g->nodes[middle].o->name);
		if (order == 0)
			return &g->nodes[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Take away what depends on nothing, again and again; what stays is in or before a cycle. */
static size_t take_away_free(struct graph *g)
{
	size_t edges = 0, left = g->count;
	for (size_t i = 0; i < g->count; i++)
		edges += g->nodes[i].deps->count;
	/* Who waits for a node, as one array of all edges sorted by the node they lead to. */
	AUTO_FREE size_t *first = xcalloc(g->count + 2, sizeof(*first));
	AUTO_FREE size_t *users = xcalloc(edges + 1, sizeof(*users));
	AUTO_FREE size_t *queue = xcalloc(g->count + 1, sizeof(*queue));
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < g->count; i++) {
			for (size_t j = 0; j < g->nodes[i].deps->count; j++) {
				struct graph_node *to =
					graph_find(g, g->nodes[i].deps->items[j].o.name);
				if (!to)
					continue;
				size_t index = (size_t)(to - g->nodes);
				if (pass == 0) {
					first[index + 1]++;
					g->nodes[i].missing++;
				} else {
					users[first[index]++] = i;
				}
			}
		}
		for (size_t i = 0; pass == 0 && i < g->count; i++)
			first[i + 1] += first[i];
	}
	size_t head = 0, tail = 0;
	for (size_t i = 0; i < g->count; i++)
		if (!g->nodes[i].missing)
			queue[tail++] = i;
	for (; head < tail; head++, left--) {
		size_t from = queue[head] ? first[queue[head] - 1] : 0;
		for (size_t j = from; j < first[queue[head]]; j++)
			if (--g->nodes[users[j]].missing == 0)
				queue[tail++] = users[j];
	}
	return left;
}

/* A dependency of a node that is left, too. */
static const struct spec_dependency *left_dependency(const struct graph *g,
						     const struct graph_node *n)
{
	for (size_t i = 0; i < n->deps->count; i++) {
		const struct graph_node *to = graph_find(g, n->deps->items[i].o.name);
		if (to && to->missing)
			return &n->deps->items[i];
	}
	return NULL;
}

static void report_cycle(struct decode *d, struct graph *g)
{
	struct graph_node *at = g->nodes;
	while (!at->missing)
		at++;
	/* Along what is left until a node comes a second time: from there on it is the cycle. */
	for (size_t step = 1; !at->seen; step++) {
		at->seen = step;
		const struct spec_dependency *next = left_dependency(g, at);
		if (!next)
			return;
		at = graph_find(g, next->o.name);
	}
	AUTO_BUFFER path = BUFFER_INIT;
	const struct graph_node *start = at;
	const struct spec_dependency *first = left_dependency(g, at), *dep = first;
	do {
		buffer_printf(&path, "%s (line %u) \xe2\x86\x92 ", at->o->name, dep->o.at.pos.line);
		at = graph_find(g, dep->o.name);
		dep = left_dependency(g, at);
	} while (at != start && path.size < 1000);
	buffer_add_str(&path, at == start ? start->o->name : "...");
	struct diagnostic *e = report(d->diags, "E502", AT(first->o.at),
				      "dependencies go round in a circle: %s", buffer_str(&path));
	report_help(e, "take one of them away");
}

static void validate_cycles(struct decode *d, struct graph *g)
{
	if (take_away_free(g))
		report_cycle(d, g);
}

static bool is_task(const struct spec_container *c)
{
	for (size_t i = 0; i < c->processes.count; i++)
		if (c->processes.items[i].kind.value != SPEC_PROCESS_TASK)
			return false;
	return c->processes.count || c->restart.policy.value != SPEC_RESTART_ALWAYS;
}

static void report_no_health(struct decode *d, const struct spec_dependency *dep, const char *what)
{
	struct diagnostic *e =
		report(d->diags, "E503", AT(dep->condition.at),
		       "%s \"%s\" has no probe that could make it healthy", what, dep->o.name);
	report_help(e, "give it health:, or wait for started");
}

static void validate_container_dep(struct decode *d, const struct environment *env,
				   const struct spec_container *c,
				   const struct spec_dependency *dep)
{
	const struct spec_container *to = environment_container(env, dep->o.name);
	if (!to) {
		report_unknown_name(d, dep->o.at.pos, "container", dep->o.name, &env->containers,
				    &container_type, "containers");
		return;
	}
	if (c->is_active && !to->is_active)
		report_help(report(d->diags, "E505", AT(dep->o.at),
				   "container \"%s\" is only there with profile \"%s\"",
				   dep->o.name,
				   to->profiles.count ? to->profiles.items[0].text : ""),
			    "ask for it: --profile %s",
			    to->profiles.count ? to->profiles.items[0].text : "");
	if (dep->condition.value == SPEC_CONDITION_HEALTHY && !container_has_health(to))
		report_no_health(d, dep, "container");
	if (dep->condition.value == SPEC_CONDITION_DONE && !is_task(to))
		report_help(report(d->diags, "E504", AT(dep->condition.at),
				   "container \"%s\" never is done", dep->o.name),
			    "done is for tasks: what exits with 0 and is not restarted");
}

static void validate_process_dep(struct decode *d, const struct spec_container *c,
				 const struct spec_dependency *dep)
{
	const struct spec_process *to = container_process(c, dep->o.name);
	if (!to) {
		report_unknown_name(d, dep->o.at.pos, "process", dep->o.name, &c->processes,
				    &process_type, "processes");
		return;
	}
	if (dep->condition.value == SPEC_CONDITION_HEALTHY && !to->health.o.at.is_set)
		report_no_health(d, dep, "process");
	if (dep->condition.value == SPEC_CONDITION_DONE && to->kind.value != SPEC_PROCESS_TASK)
		report_help(report(d->diags, "E504", AT(dep->condition.at),
				   "process \"%s\" is no task", dep->o.name),
			    "give it kind: task, or wait for exited");
}

static void validate_processes(struct decode *d, const struct spec_container *c)
{
	if (!c->processes.count)
		return;
	AUTO_FREE struct graph_node *nodes = xcalloc(c->processes.count, sizeof(*nodes));
	struct graph g = { nodes, c->processes.count };
	for (size_t i = 0; i < g.count; i++) {
		const struct spec_process *p = &c->processes.items[i];
		nodes[i] = (struct graph_node){ .o = &p->o, .deps = &p->depends_on };
		for (size_t j = 0; j < p->depends_on.count; j++)
			validate_process_dep(d, c, &p->depends_on.items[j]);
	}
	validate_cycles(d, &g);
}

void validate_dependencies(struct decode *d, const struct environment *env)
{
	if (!env->containers.count)
		return;
	AUTO_FREE struct graph_node *nodes = xcalloc(env->containers.count, sizeof(*nodes));
	struct graph g = { nodes, env->containers.count };
	for (size_t i = 0; i < g.count; i++) {
		const struct spec_container *c = &env->containers.items[i];
		nodes[i] = (struct graph_node){ .o = &c->o, .deps = &c->depends_on };
		for (size_t j = 0; j < c->depends_on.count; j++)
			validate_container_dep(d, env, c, &c->depends_on.items[j]);
		validate_processes(d, c);
	}
	validate_cycles(d, &g);
}
