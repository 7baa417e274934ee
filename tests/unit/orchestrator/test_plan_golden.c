/* SPDX-License-Identifier: MIT */
/* The planner against tests/golden/plan/: each file holds a spec, what was applied and seen, and
 * the plan to expect. */
/*
 * Sections: @APPLIED (the spec that was applied; none = nothing was), @OBSERVED (facts, one a line,
 * see set_fact()),
 * @SELECT (containers named by the user), @SPEC, @EXPECT.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/map.h"
#include "orchestrator/plan/from_spec.h"
#include "orchestrator/plan/plan.h"
#include "tests/unit/golden.h"
#include "tests/unit/orchestrator/plan_coverage.h"
#include "tests/unit/test.h"

enum { NOW_MS = 1000000000, WORDS_MAX = 8 };

static const char *const section_names[] = { "@APPLIED", "@OBSERVED", "@SELECT",
					     "@SPEC",    "@EXPECT",   NULL };
enum section { APPLIED, OBSERVED, SELECT, SPEC };

struct golden {
	struct golden_case c;
	struct environment *env, *applied;
	struct observed seen;
	struct desired desired;
	struct map images;        /* reference -> struct image_fact */
	struct strlist secrets;   /* that are kept */
	struct strlist differing; /* "web secrets token" */
	struct strlist selected;
	char *kernel;
	bool down, down_volumes;
};

static struct environment *load(const struct golden *g, const char *text, const char *name)
{
	struct spec_options o = SPEC_OPTIONS_INIT;
	struct environment *env = NULL;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER shown = BUFFER_INIT;

	o.text = text;
	o.text_size = strlen(text);
	o.text_name = name;
	o.text_dir = "/home/a/shop";
	o.keeps_later_keys = true;
	if (spec_load(&o, &env, &diags, &err) < 0) {
		diagnostics_print(&diags, false, &shown);
		fail_msg("%s: %s\n%s", g->c.path, error_message(&err), buffer_str(&shown));
	}
	return env;
}

/* Everything that was applied runs, unless a fact says otherwise. */
static void see_applied(struct golden *g)
{
	struct observed *o = &g->seen;

	*o = (struct observed){ .environment = xstrdup("shop"),
				.source = xstrdup("/home/a/shop/env.yaml"),
				.serial = 3,
				.now_unix_ms = NOW_MS };
	if (!g->applied)
		return;
	o->networks = xcalloc(g->applied->networks.count + 1, sizeof(*o->networks));
	o->containers = xcalloc(g->applied->containers.count + 1, sizeof(*o->containers));
	for (size_t i = 0; i < g->applied->networks.count; i++)
		o->networks[o->network_count++] = (struct observed_network){
			.name = xstrdup(g->applied->networks.items[i].o.name),
			.applied = true,
			.running = true
		};
	for (size_t i = 0; i < g->applied->containers.count; i++)
		o->containers[o->container_count++] = (struct observed_container){
			.name = xstrdup(g->applied->containers.items[i].o.name),
			.stage = SEEN_MADE,
			.phase = SEEN_RUNNING,
			.exit_code = -1,
			.max_memory_bytes =
				(uint64_t)g->applied->containers.items[i].resources.memory.value,
			.max_cpus = (unsigned)g->applied->containers.items[i].resources.cpus.value,
		};
	o->volumes = xcalloc(g->applied->volumes.count + 1, sizeof(*o->volumes));
	for (size_t i = 0; i < g->applied->volumes.count; i++) {
		const struct spec_volume *v = &g->applied->volumes.items[i];

		o->volumes[o->volume_count++] =
			(struct observed_volume){ .name = xstrdup(v->o.name),
						  .there = true,
						  .size_bytes = (uint64_t)v->size.value,
						  .protect = v->protect.value };
	}
	observed_add_spec(o, g->applied);
}

static uint64_t seconds_ago(const char *text)
{
	return NOW_MS - strtoull(text, NULL, 10) * 1000;
}

static void set_container(struct golden *g, char **words, size_t count)
{
	static const char *const phases[] = { "absent",   "starting",   "running",
					      "stopping", "restarting", "exited" };
	struct observed_container *c = NULL;

	for (size_t i = 0; i < g->seen.container_count; i++)
		if (strcmp(g->seen.containers[i].name, words[1]) == 0)
			c = &g->seen.containers[i];
	if (!c)
		fail_msg("%s: no applied container '%s'", g->c.path, words[1]);
	for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
		if (strcmp(phases[i], words[2]) == 0) {
			c->phase = (enum observed_phase)i;
			c->exit_code = count > 3 ? atoi(words[3]) : -1;
			c->exited_unix_ms = count > 4 ? seconds_ago(words[4]) : 0;
			return;
		}
	if (strcmp(words[2], "stopped") == 0) {
		c->stopped = true;
		c->phase = SEEN_EXITED;
		c->exit_code = 143;
	} else if (strcmp(words[2], "half-made") == 0) {
		c->stage = SEEN_HALF_MADE;
	} else if (strcmp(words[2], "not-made") == 0) {
		c->stage = SEEN_NOT_MADE;
		c->phase = SEEN_ABSENT;
	} else if (strcmp(words[2], "out-of-memory") == 0) {
		c->oom_killed = true;
	} else if (strcmp(words[2], "digest") == 0) {
		c->image_digest = xstrdup(words[3]);
	} else if (strcmp(words[2], "ports") == 0) {
		c->knows_ports = true;
		c->free_ports = (size_t)strtoull(words[3], NULL, 10);
	} else if (strcmp(words[2], "half-changed") == 0) {
		c->is_half_changed = true;
	} else if (strcmp(words[2], "memory") == 0) {
		c->max_memory_bytes = strtoull(words[3], NULL, 10) << 20;
	} else if (strcmp(words[2], "cpus") == 0) {
		c->max_cpus = (unsigned)strtoul(words[3], NULL, 10);
	} else if (strcmp(words[2], "kernel") == 0) {
		c->kernel = xstrdup(words[3]);
	} else if (strcmp(words[2], "trouble") == 0) {
		c->trouble = xstrdup(words[3]);
	} else if (strcmp(words[2], "process-trouble") == 0) {
		c->trouble = xasprintf("process 'app' ended (%s)", words[3]);
		c->trouble_is_process = true;
	} else if (strcmp(words[2], "error") == 0) {
		c->error = xstrdup(words[3]);
	} else {
		fail_msg("%s: unknown state '%s'", g->c.path, words[2]);
	}
}

static void set_network(struct golden *g, char **words)
{
	for (size_t i = 0; i < g->seen.network_count; i++) {
		struct observed_network *n = &g->seen.networks[i];

		if (strcmp(n->name, words[1]) != 0)
			continue;
		n->running = false;
		n->applied = strcmp(words[2], "gone") == 0;
		return;
	}
	fail_msg("%s: no applied network '%s'", g->c.path, words[1]);
}

/* "image REFERENCE DIGEST", or with what is to be got for it, "image REFERENCE DIGEST BYTES" */
static void set_image(struct golden *g, char **words, size_t count)
{
	struct image_fact *fact = xcalloc(1, sizeof(*fact));

	*fact = (struct image_fact){ .digest = xstrdup(words[2]), .is_here = count == 3 };
	fact->download_known = count > 3;
	fact->download_bytes = count > 3 ? strtoull(words[3], NULL, 10) : 0;
	(void)map_set(&g->images, words[1], fact);
}

static void fact_free(void *p)
{
	struct image_fact *f = p;

	free(f->digest);
	free(f);
}

static void set_volume(struct golden *g, char **words)
{
	for (size_t i = 0; i < g->seen.volume_count; i++)
		if (strcmp(g->seen.volumes[i].name, words[1]) == 0)
			g->seen.volumes[i].there = strcmp(words[2], "gone") != 0;
}

/* "container NAME exited CODE SECONDS", "network NAME gone", "image REFERENCE DIGEST", "kernel
 * NAME", ... */
static void set_fact(struct golden *g, char *line)
{
	char *words[WORDS_MAX] = { NULL };
	size_t count = 0;
	char *rest = NULL;

	for (char *word = strtok_r(line, " ", &rest); word && count < WORDS_MAX;
	     word = strtok_r(NULL, " ", &rest))
		words[count++] = word;
	if (!count || words[0][0] == '#')
		return;
	if (strcmp(words[0], "container") == 0 && count > 2) {
		set_container(g, words, count);
	} else if (strcmp(words[0], "network") == 0 && count > 2) {
		set_network(g, words);
	} else if (strcmp(words[0], "volume") == 0 && count > 2) {
		set_volume(g, words);
	} else if (strcmp(words[0], "image") == 0 && count > 2) {
		set_image(g, words, count);
	} else if (strcmp(words[0], "secret") == 0 && count > 1) {
		strlist_add(&g->secrets, words[1]);
	} else if (strcmp(words[0], "differs") == 0 && count > 3) {
		strlist_printf(&g->differing, "%s %s %s", words[1], words[2], words[3]);
	} else if (strcmp(words[0], "kernel") == 0 && count > 1) {
		g->kernel = xstrdup(words[1]);
	} else if (strcmp(words[0], "down") == 0) {
		g->down = true;
		g->down_volumes = count > 1 && strcmp(words[1], "volumes") == 0;
	} else if (strcmp(words[0], "interrupted") == 0 && count > 4) {
		g->seen.interrupted_run = strtoull(words[1], NULL, 10);
		g->seen.interrupted_done = strtoull(words[2], NULL, 10);
		g->seen.interrupted_total = strtoull(words[3], NULL, 10);
		g->seen.interrupted_unix_ms = seconds_ago(words[4]);
	} else {
		fail_msg("%s: unknown fact '%s'", g->c.path, words[0]);
	}
}

static void set_facts(struct golden *g)
{
	char *rest = NULL;

	for (char *line = g->c.sections[OBSERVED] ? strtok_r(g->c.sections[OBSERVED], "\n", &rest)
						  : NULL;
	     line; line = strtok_r(NULL, "\n", &rest))
		set_fact(g, line);
	rest = NULL;
	for (char *word = g->c.sections[SELECT] ? strtok_r(g->c.sections[SELECT], " \n", &rest)
						: NULL;
	     word; word = strtok_r(NULL, " \n", &rest))
		strlist_add(&g->selected, word);
}

static const struct image_fact *image_fact(void *arg, const struct spec_container *c)
{
	const struct golden *g = arg;

	return map_get(&g->images, c->image.text);
}

static bool has_secret(void *arg, const char *name)
{
	const struct golden *g = arg;

	return strlist_has(&g->secrets, name);
}

static bool content_differs(void *arg, const char *container, const char *kind, const char *name)
{
	const struct golden *g = arg;
	AUTO_FREE char *line = xasprintf("%s %s %s", container, kind, name);

	return strlist_has(&g->differing, line);
}

static void add_order(const struct plan *p, struct buffer *out)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct action *a = &p->actions[i];

		for (size_t n = 0; n < a->after_count; n++) {
			const struct action *need = &p->actions[a->after[n]];

			buffer_printf(out, "%s %s after %s %s%s\n", action_kind_name(a->kind),
				      a->name, action_kind_name(need->kind), need->name,
				      a->early[n] ? " has started" : "");
		}
	}
}

static void make_text(struct golden *g, struct buffer *out)
{
	struct desired_facts facts = { .selected = &g->selected,
				       .kernel = g->kernel,
				       .image = image_fact,
				       .has_secret = has_secret,
				       .content_differs = content_differs,
				       .arg = g };
	struct plan_style style = { .unicode = true };
	AUTO_PLAN plan = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (g->down) {
		plan_make_down(&g->seen, g->down_volumes, &plan);
	} else if (desired_from_spec(g->env, g->applied, &facts, &g->desired, &err) < 0) {
		buffer_printf(out, "error: %s\n", error_message(&err));
		return;
	} else {
		plan_make(&g->desired, &g->seen, &plan);
	}
	plan_print(&plan, &style, out);
	coverage_note(&plan);
	add_order(&plan, out);
}

static void golden_release(struct golden *g)
{
	environment_free(g->env);
	environment_free(g->applied);
	observed_release(&g->seen);
	desired_release(&g->desired);
	map_release(&g->images, fact_free);
	strlist_release(&g->selected);
	strlist_release(&g->secrets);
	strlist_release(&g->differing);
	free(g->kernel);
	golden_case_release(&g->c);
}

static bool check_case(const char *path)
{
	struct golden g = { 0 };
	AUTO_BUFFER made = BUFFER_INIT;
	bool same;

	golden_case_read(path, section_names, &g.c);
	if (g.c.sections[APPLIED])
		g.applied = load(&g, g.c.sections[APPLIED], "env.yaml");
	see_applied(&g);
	set_facts(&g);
	if (g.c.sections[SPEC])
		g.env = load(&g, g.c.sections[SPEC], "env.yaml");
	make_text(&g, &made);
	same = golden_case_same(&g.c, section_names, &made);
	golden_release(&g);
	return same;
}

TEST(plans_are_as_expected)
{
	golden_each(TEST_SOURCE_DIR "/golden/plan", ".test", 80, check_case);
}
