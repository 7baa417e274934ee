/* SPDX-License-Identifier: MIT */
/* ${NAME}, ${NAME:-word} and friends. */
#include "spec/tree/interpolate.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/text.h"

enum { TOTAL_MAX = 64 << 20 };

/* One text being expanded. */
struct run {
	struct decode *d;
	struct vars *vars;
	const struct node *node; /* it comes from */
	const char *text;        /* all of it */
	unsigned depth;
	bool is_private, has_failed;
	const struct var_use *uses;
};

static void expand(struct run *r, const char **at, bool is_word, bool is_active,
		   struct buffer *out);
static void resolve(struct run *r, struct var *v, struct source_pos pos);

/* The place of an offset in a text, as far as it can be told from the node. */
static struct source_pos place_in(const struct run *r, const char *at)
{
	const struct node *n = r->node;
	struct source_pos pos = n->pos;
	size_t points = 0, before = 0;
	for (const char *p = r->text; *p; p++) {
		bool is_start = ((unsigned char)*p & 0xc0) != 0x80;
		points += is_start;
		before += is_start && p < at;
	}
	bool is_quoted = n->style == STYLE_SINGLE || n->style == STYLE_DOUBLE;
	if (r->text == n->text && (n->style == STYLE_PLAIN || is_quoted) &&
	    points + (is_quoted ? 2 : 0) == n->width)
		pos.column += (unsigned)before + is_quoted;
	return pos;
}

static struct diagnostic *say(struct run *r, const char *code, const char *from, const char *to,
			      const char *message)
{
	r->has_failed = true;
	unsigned width = (unsigned)(to > from ? to - from : 1);
	struct source_pos pos = place_in(r, from);
	if (pos.column == r->node->pos.column && from != r->text)
		width = r->node->width;
	return report(r->d->diags, code, pos, width, "%s", message);
}

static size_t name_length(const char *s)
{
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
	size_t n = strspn(s, first);
	return n ? n + strspn(s + n,
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789")
		 : 0;
}

static void report_undeclared(struct run *r, const char *from, const char *to, const char *name)
{
	AUTO_FREE char *message = xasprintf("\"%s\" is not declared in vars:", name);
	struct diagnostic *e = say(r, "E202", from, to, message);
	size_t count = 0, total = r->vars->by_name.count;
	AUTO_FREE const char **names = xcalloc(total + 1, sizeof(*names));
	for (size_t i = 0; i < total; i++)
		names[count++] = r->vars->by_name.entries[i].key;
	const char *near = text_suggest(name, names, count);
	if (near)
		report_hint(e, "did you mean \"%s\"?", near);
	report_help(
		e,
		"declare it:  vars: { %s: { default: \"...\" } }   or, to read it from the host: "
		"{ env: %s }",
		name, name);
	report_help(e, "a ${ that is meant as text is written $${");
}

static void add(struct run *r, struct buffer *out, const char *text, size_t size)
{
	r->vars->total += size;
	if (out->size + size > INTERPOLATE_VALUE_MAX || r->vars->total > TOTAL_MAX) {
		if (!r->vars->is_flooded)
			report(r->d->diags, "E207", r->node->pos, r->node->width,
			       "the value grows beyond 1 MiB");
		r->vars->is_flooded = r->has_failed = true;
		return;
	}
	buffer_add(out, text, size);
}

/* The operator at @s: its length, 0 if there is none. */
static size_t operator_length(const char *s)
{
	if (*s == ':' && s[1] && strchr("-?+", s[1]))
		return 2;
	return *s && strchr("-?+", *s) ? 1 : 0;
}

static void report_unset(struct run *r, const struct var *v, const char *from, const char *to)
{
	AUTO_FREE char *message = xasprintf("\"%s\" has no value", v->name);
	struct diagnostic *e = say(r, "E201", from, to, message);
	if (v->env)
		report_help(e, "set %s in the environment, or give it a default: in vars", v->env);
	else
		report_help(e, "give it a default: in vars, or write ${%s:-value}", v->name);
}

static void note_use(struct run *r, struct var *v)
{
	struct var_use *use = arena_alloc(r->d->arena, sizeof(*use));
	v->is_used = true;
	*use = (struct var_use){ v, r->uses };
	r->uses = use;
}

/* Behind "${": name, operator, word, "}". */
static void expand_reference_at(struct run *r, const char *start, const char **at, bool is_active,
				struct buffer *out)
{
	const char *s = *at;
	size_t n = name_length(s);
	AUTO_FREE char *name = xstrndup(s, n);
	s += n;
	size_t op = operator_length(s);
	if (!n || (*s != '}' && !op)) {
		const char *end = s + strcspn(s, "}");
		AUTO_FREE char *message = *s ? xasprintf("this is no reference to a variable")
					     : xasprintf("\"${\" is never closed");
		struct diagnostic *e = say(r, "E203", start, *end ? end + 1 : end, message);
		report_help(e, "write ${NAME}, ${NAME:-value}, ${NAME:?message} or ${NAME:+value}");
		report_help(e, "a ${ that is meant as text is written $${");
		*at = end + (*end == '}');
		return;
	}
	bool has_colon = *s == ':';
	char kind = op ? s[op - 1] : 0;
	s += op;
	struct var *v = map_get(&r->vars->by_name, name);
	if (!v)
		report_undeclared(r, start, s, name);
	else
		note_use(r, v);
	if (v && is_active)
		resolve(r, v, place_in(r, start));
	bool has_value = v && v->value && (!has_colon || *v->value);
	bool takes_word = is_active && v && (kind == '+' ? has_value : kind ? !has_value : false);
	AUTO_BUFFER word = BUFFER_INIT;
	if (op)
		expand(r, &s, true, takes_word, &word);
	if (*s != '}') {
		report_help(say(r, "E203", start, s, "\"${\" is never closed"),
			    "as many } are needed as there are ${");
		*at = s;
		return;
	}
	*at = s + 1;
	if (!is_active || !v)
		return;
	if (kind == '?' && !has_value) {
		AUTO_FREE char *message =
			xasprintf("%s: %s", v->name, word.size ? buffer_str(&word) : "must be set");
		say(r, "E208", start, s + 1, message);
	} else if (takes_word) {
		add(r, out, buffer_str(&word), word.size);
	} else if (kind != '+' && v->value) {
		add(r, out, v->value, strlen(v->value));
		r->is_private = r->is_private || v->is_private;
	} else if (!kind && v->state != VAR_BUSY) {
		report_unset(r, v, start, s + 1);
	}
}

static void expand(struct run *r, const char **at, bool is_word, bool is_active, struct buffer *out)
{
	const char *s = *at;
	if (++r->depth > INTERPOLATE_DEPTH_MAX) {
		say(r, "E203", s, s, "${ } is nested more than 32 deep");
		*at = s + strlen(s);
		r->depth--;
		return;
	}
	while (*s && !(is_word && *s == '}')) {
		size_t plain = strcspn(s, is_word ? "$}" : "$");
		if (plain && is_active)
			add(r, out, s, plain);
		s += plain;
		if (*s != '$')
			continue;
		if (s[1] == '{') {
			const char *start = s;
			s += 2;
			expand_reference_at(r, start, &s, is_active, out);
			continue;
		}
		if (is_active)
			add(r, out, "$", 1);
		s += s[1] == '$' ? 2 : 1;
	}
	r->depth--;
	*at = s;
}

static void resolve(struct run *r, struct var *v, struct source_pos pos)
{
	struct decode *d = r->d;
	if (v->state == VAR_DONE)
		return;
	if (v->state == VAR_BUSY) {
		struct diagnostic *e = report(d->diags, "E206", pos, 1,
					      "the default of \"%s\" needs itself", v->name);
		report_other(e, v->key->pos, "it is declared here");
		r->has_failed = true;
		return;
	}
	v->state = VAR_BUSY;
	const char *env = v->env && d->host->env ? d->host->env(d->host->arg, v->env) : NULL;
	if (env) {
		v->value = arena_strdup(d->arena, env);
		v->is_private = true;
	} else if (v->fallback) {
		struct run inner = { .d = d,
				     .vars = r->vars,
				     .node = v->fallback,
				     .text = v->fallback->text,
				     .depth = r->depth };
		const char *at = inner.text;
		AUTO_BUFFER out = BUFFER_INIT;
		expand(&inner, &at, false, true, &out);
		/* What failed there was said there. */
		v->value = arena_strndup(d->arena, buffer_str(&out), out.size);
		v->is_private = inner.is_private;
		v->uses = inner.uses;
	}
	v->state = VAR_DONE;
}

static void interpolate_scalar(struct decode *d, struct vars *vars, struct node *n)
{
	if (!strchr(n->text, '$'))
		return;
	struct run r = { .d = d, .vars = vars, .node = n, .text = n->text };
	const char *at = n->text;
	AUTO_BUFFER out = BUFFER_INIT;
	expand(&r, &at, false, true, &out);
	bool has_reference = strstr(n->text, "${") != NULL;
	n->is_private = r.is_private;
	n->uses = r.uses;
	n->text = arena_strndup(d->arena, buffer_str(&out), out.size);
	n->type = SCALAR_TEXT;
	n->is_interpolated = has_reference;
	n->is_broken = r.has_failed;
	d->skips_rules = d->skips_rules || r.has_failed;
}

static void note_var(struct decode *d, struct var *v, struct source_pos pos)
{
	if (v->is_given)
		return;
	v->is_given = true;
	if (v->env && !map_has(&d->host_vars, v->env)) {
		struct spec_text *name = arena_alloc(d->arena, sizeof(*name));
		*name = (struct spec_text){ { .pos = pos, .is_set = true }, v->env };
		map_set(&d->host_vars, v->env, name);
	}
	for (const struct var_use *use = v->uses; use; use = use->next)
		note_var(d, use->var, pos);
}

void host_vars_note(struct decode *d, const struct node *n)
{
	for (const struct var_use *use = n->uses; use; use = use->next)
		note_var(d, use->var, n->pos);
}

static bool has_reference(const char *s)
{
	const char *at = strstr(s, "${");
	return at && (at == s || at[-1] != '$');
}

static void check_no_reference(struct decode *d, struct node *n, const char *what)
{
	if (n->kind == NODE_SEQUENCE) {
		for (size_t i = 0; i < n->count; i++)
			check_no_reference(d, n->items[i], what);
	} else if (n->kind == NODE_SCALAR && has_reference(n->text)) {
		struct diagnostic *e = report(d->diags, "E205", n->pos, n->width,
					      "${ } is not allowed in %s", what);
		report_help(e, "it is needed before variables are known");
		n->is_broken = true;
		d->skips_rules = true;
	}
}

static void walk(struct decode *d, struct vars *vars, struct node *n, bool is_top)
{
	if (n->is_done)
		return;
	n->is_done = true;
	if (n->kind == NODE_SCALAR) {
		interpolate_scalar(d, vars, n);
		return;
	}
	for (size_t i = 0; i < n->count; i++) {
		if (n->kind == NODE_SEQUENCE) {
			walk(d, vars, n->items[i], false);
			continue;
		}
		struct node *key = n->entries[i].key;
		check_no_reference(d, key, "a key");
		bool is_early =
			is_top && (str_equal(key->text, "name") || str_equal(key->text, "include"));
		if (is_early)
			check_no_reference(d, n->entries[i].value, key->text);
		else if (!is_top || !str_equal(key->text, "vars"))
			walk(d, vars, n->entries[i].value, false);
	}
}

void interpolate_file(struct decode *d, struct vars *vars, struct node *root)
{
	walk(d, vars, root, true);
}

void vars_read(struct decode *d, const struct node *node, struct vars *vars)
{
	if (!node || node->kind != NODE_MAPPING)
		return;
	for (size_t i = 0; i < node->count; i++) {
		const struct node *key = node->entries[i].key, *body = node->entries[i].value;
		const struct node *fallback = node_get(body, "default"),
				  *env = node_get(body, "env");
		struct var *v = arena_alloc(d->arena, sizeof(*v));
		v->name = key->text;
		v->key = key;
		if (fallback && fallback->kind == NODE_SCALAR && fallback->type != SCALAR_NULL)
			v->fallback = fallback;
		if (env && env->kind == NODE_SCALAR)
			v->env = env->text;
		map_set(&vars->by_name, key->text, v);
	}
}

void vars_release(struct vars *vars)
{
	map_release(&vars->by_name, NULL);
}

void vars_report_unused(struct decode *d, const struct vars *vars)
{
	for (size_t i = 0; i < vars->by_name.count; i++) {
		const struct var *v = vars->by_name.entries[i].value;
		if (!v->is_used)
			report(d->diags, "W207", v->key->pos, v->key->width,
			       "\"%s\" is declared and never used", v->name);
	}
}
