/* SPDX-License-Identifier: MIT */
/* Rules over the finished model: containers, processes, objects that belong to one. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "spec/fields/image_name.h"
#include "spec/model/model.h"
#include "spec/spec_version.h"

const char *suggest_name(const void *list_at, const struct object_type *type, const char *name)
{
	struct object_list list;
	memcpy(&list, list_at, sizeof(list));
	AUTO_FREE const char **names = xcalloc(list.count + 1, sizeof(*names));
	for (size_t i = 0; i < list.count; i++)
		names[i] = list_item(&list, type, i)->name;
	return text_suggest(name, names, list.count);
}

/* --- image --- */

static void validate_image(struct decode *d, const struct spec_options *o,
			   const struct spec_container *c)
{
	struct image_name name;
	const char *code;
	size_t at;
	const char *text = c->image.text;
	if (!c->image.at.is_set || image_name_parse(text, &name, &code, &at))
		return;
	/* What was made on this machine has no registry that could change it. */
	bool is_local = str_starts(text, "localhost/");
	if (!name.digest && !is_local && (!name.tag || str_equal(text + name.tag, "latest"))) {
		struct diagnostic *e = report(d->diags, "W302", AT(c->image.at),
					      "image \"%s\" has no fixed version", shown(d, text));
		report_help(e,
			    "name a tag other than latest, or a digest, so that all get the same");
	}
	if (o->is_strict && !name.host)
		report_help(report(d->diags, "W306", AT(c->image.at),
				   "image \"%s\" names no registry", shown(d, text)),
			    "it is read as docker.io/%s%s", strchr(text, '/') ? "" : "library/",
			    text);
}

/* --- one of several --- */

static void exactly_one(struct decode *d, const struct spec_value *at, const char *what,
			unsigned given, const char *choices)
{
	struct source_pos pos = at->pos;
	if (given == 1 || at->is_broken)
		return;
	if (given == 0)
		report(d->diags, "E113", pos, 1, "%s needs one of %s", what, choices);
	else
		report_help(
			report(d->diags, "E115", pos, 1, "%s takes only one of %s", what, choices),
			"keep one of them");
}

static void validate_health(struct decode *d, const struct spec_health *h, const char *what)
{
	if (!h->o.at.is_set)
		return;
	unsigned given = 0u + h->exec.at.is_set + h->http.o.at.is_set + h->tcp.o.at.is_set +
			 h->log_line.at.is_set + h->notify.at.is_set;
	exactly_one(d, &h->o.at, what, given, "exec, http, tcp, log_line, notify");
	if (h->timeout.at.pos.line && h->interval.at.is_set && h->timeout.at.is_set &&
	    h->timeout.value >= h->interval.value)
		report_help(report(d->diags, "W607", AT(h->timeout.at),
				   "the timeout is not shorter than the interval"),
			    "the next probe starts only after this one; make the interval longer");
}

static void validate_watches(struct decode *d, const struct spec_watches *w)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct spec_watch *x = &w->items[i];
		if (x->action.value == SPEC_WATCH_SIGNAL && !x->signal.at.is_set)
			report(d->diags, "E113", AT(x->o.at), "action signal needs a signal:");
		if (x->action.value == SPEC_WATCH_EXEC && !x->exec.at.is_set)
			report(d->diags, "E113", AT(x->o.at), "action exec needs exec:");
	}
}

static void validate_container(struct decode *d, const struct spec_options *o,
			       const struct spec_container *c)
{
	validate_image(d, o, c);
	if (c->command.at.is_set && c->processes.count) {
		struct diagnostic *e =
			report(d->diags, "E601", AT(c->processes.at),
			       "container \"%s\" has both command and processes", c->o.name);
		report_other(e, c->command.at.pos, "the command");
		report_help(e, "make the command one of the processes, or remove it");
	}
	if (c->init.at.is_set && !c->init.value &&
	    (c->processes.count || c->hooks.create.o.at.is_set || c->hooks.start.o.at.is_set))
		report_help(report(d->diags, "E115", AT(c->init.at),
				   "container \"%s\" has no init, and processes or hooks that need "
				   "one",
				   c->o.name),
			    "without init the one command is process 1, before which nothing can "
			    "run");
	AUTO_FREE char *what = xasprintf("the probe of container \"%s\"", c->o.name);
	validate_health(d, &c->health, what);
	validate_watches(d, &c->watch);
	for (size_t i = 0; i < c->processes.count; i++) {
		const struct spec_process *p = &c->processes.items[i];
		AUTO_FREE char *whose = xasprintf("the probe of process \"%s\"", p->o.name);
		validate_health(d, &p->health, whose);
		validate_watches(d, &p->watch);
		if (p->kind.value == SPEC_PROCESS_TASK &&
		    p->restart.policy.value == SPEC_RESTART_ALWAYS)
			report_help(report(d->diags, "E116", AT(p->restart.policy.at),
					   "a task that is always restarted never ends"),
				    "write on-failure, or kind: service");
	}
}

/* --- secrets and files --- */

static void secret_is_there(struct decode *d, const struct spec_secret *s)
{
	if (s->required.at.is_set && !s->required.value)
		return;
	const struct spec_host *h = d->host;
	if (s->env.at.is_set && h->env && !h->env(h->arg, s->env.text))
		report_help(report(d->diags, "E704", AT(s->env.at),
				   "secret \"%s\": the variable %s is not set", s->o.name,
				   s->env.text),
			    "set it, or write required: false%s%s",
			    s->description.at.is_set ? "; " : "",
			    s->description.at.is_set ? shown(d, s->description.text) : "");
	if (s->file.at.is_set && h->path && h->path(h->arg, s->file.text) != SPEC_PATH_FILE)
		report_help(report(d->diags, "E704", AT(s->file.at),
				   "secret \"%s\": there is no file %s", s->o.name, s->file.text),
			    "make it, or write required: false");
}

static void validate_objects(struct decode *d, const struct environment *env)
{
	for (size_t i = 0; i < env->secrets.count; i++) {
		const struct spec_secret *s = &env->secrets.items[i];
		bool asks = s->prompt.at.is_set && s->prompt.value;
		unsigned given =
			0u + s->env.at.is_set + s->file.at.is_set + s->generate.o.at.is_set + asks;
		AUTO_FREE char *what = xasprintf("secret \"%s\"", s->o.name);
		exactly_one(d, &s->o.at, what, given, "env, file, generate, prompt");
		secret_is_there(d, s);
	}
	for (size_t i = 0; i < env->files.count; i++) {
		const struct spec_file *f = &env->files.items[i];
		unsigned given = 0u + f->source.at.is_set + f->content.at.is_set;
		AUTO_FREE char *what = xasprintf("file \"%s\"", f->o.name);
		exactly_one(d, &f->o.at, what, given, "source, content");
		bool can_look = f->source.at.is_set && d->host->path;
		if (can_look && d->host->path(d->host->arg, f->source.text) != SPEC_PATH_FILE)
			report_help(report(d->diags, "E401", AT(f->source.at),
					   "there is no file %s", f->source.text),
				    "make it, or write the text itself: content: \"...\"");
	}
}

/* --- version --- */

static bool next_number(const char **s, unsigned long *ret)
{
	char *end;
	*ret = strtoul(*s, &end, 10);
	if (end == *s)
		return false;
	*s = *end == '.' ? end + 1 : end;
	return true;
}

static int compare_versions(const char *a, const char *b)
{
	for (;;) {
		unsigned long x, y;
		bool has_a = next_number(&a, &x), has_b = next_number(&b, &y);
		if (!has_a && !has_b)
			return 0;
		x = has_a ? x : 0;
		y = has_b ? y : 0;
		if (x != y)
			return x < y ? -1 : 1;
	}
}

static void validate_version(struct decode *d, const struct spec_text *t)
{
	if (!t->at.is_set || !strpbrk(t->text, "0123456789"))
		return;
	const char *number = t->text + strcspn(t->text, "0123456789");
	int order = compare_versions(CTRZ_VERSION, number);
	bool is_met = str_starts(t->text, ">=")   ? order >= 0
		      : str_starts(t->text, "<=") ? order <= 0
		      : t->text[0] == '>'         ? order > 0
		      : t->text[0] == '<'         ? order < 0
						  : order == 0;
	if (!is_met)
		report_help(report(d->diags, "E608", t->at.pos, (unsigned)strlen(t->text) + 2,
				   "this file needs ctrz %s, and this is ctrz %s", t->text,
				   CTRZ_VERSION),
			    "install a version of ctrz that fits, or change requires:");
}

/* --- images --- */

/* Each image is asked for once. */
static void validate_images(struct decode *d, const struct environment *env)
{
	if (!d->host->image_problem)
		return;
	AUTO_STRLIST asked = STRLIST_INIT;
	for (size_t i = 0; i < env->containers.count; i++) {
		const struct spec_container *c = &env->containers.items[i];
		if (!c->is_active || !c->image.at.is_set || strlist_has(&asked, c->image.text))
			continue;
		strlist_add(&asked, c->image.text);
		AUTO_FREE char *problem = d->host->image_problem(d->host->arg, c->image.text);
		if (problem)
			report(d->diags, "E304", AT(c->image.at), "%s", problem);
	}
}

void model_validate(struct decode *d, const struct spec_options *o, struct environment *env)
{
	if (o->is_canonical || d->skips_rules)
		return;
	validate_version(d, &env->requires);
	for (size_t i = 0; i < env->containers.count; i++)
		validate_container(d, o, &env->containers.items[i]);
	validate_images(d, env);
	validate_objects(d, env);
	validate_references(d, env);
	validate_mounts(d, env);
	validate_networks(d, env);
	validate_ports(d, env);
	validate_dependencies(d, env);
	validate_resources(d, env);
}
