/* SPDX-License-Identifier: MIT */
/* A plan in words. */
#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/plan/plan_internal.h"

enum { VALUE_WIDTH = 48, DIGEST_WIDTH = 20, CELLS = 5 };

static const struct {
	const char *name;    /* in JSON, progress and the journal */
	const char *summary; /* "1 to create" */
	const char *ascii, *unicode, *color;
} kinds[] = {
	[ACTION_PULL] = { "pull", "to pull", "<=", "<=", "\033[36m" },
	[ACTION_CREATE] = { "create", "to create", "+", "+", "\033[32m" },
	[ACTION_START] = { "start", "to start", ">", "▶", "\033[32m" },
	[ACTION_RECORD] = { "record", "recorded", "=", "=", "\033[2m" },
	[ACTION_UPDATE] = { "update", "live", "~", "~", "\033[33m" },
	[ACTION_PROCESS] = { "process", "process", "^", "↻", "\033[33m" },
	[ACTION_REBOOT] = { "reboot", "reboot", "*", "⟳", "\033[33m" },
	[ACTION_REPLACE] = { "replace", "replace", "-/+", "-/+", "\033[31m" },
	[ACTION_STOP] = { "stop", "to stop", "o", "■", "\033[33m" },
	[ACTION_DESTROY] = { "destroy", "destroy", "-", "-", "\033[31m" },
};
static_assert(ARRAY_SIZE(kinds) == ACTION_KINDS, "every action has its words");

static const char *const object_names[] = {
	[OBJECT_IMAGE] = "image",   [OBJECT_SECRET] = "secret",       [OBJECT_NETWORK] = "network",
	[OBJECT_VOLUME] = "volume", [OBJECT_CONTAINER] = "container",
};
static_assert(ARRAY_SIZE(object_names) == OBJECT_KINDS, "every object has a name");

static const char *const class_notes[] = {
	[PLAN_CLASS_NONE] = "recorded only",         [PLAN_CLASS_LIVE] = "live, no restart",
	[PLAN_CLASS_PROCESS] = "restarts processes", /* process_note() says which */
	[PLAN_CLASS_VM] = "reboots VM, data kept",   [PLAN_CLASS_RECREATE] = "new root file system",
	[PLAN_CLASS_DATA] = "data is lost",
};
static_assert(ARRAY_SIZE(class_notes) == PLAN_CLASSES, "every class has a note");

static const char *const class_names[] = {
	[PLAN_CLASS_NONE] = "none",         [PLAN_CLASS_LIVE] = "live",
	[PLAN_CLASS_PROCESS] = "process",   [PLAN_CLASS_VM] = "vm",
	[PLAN_CLASS_RECREATE] = "recreate", [PLAN_CLASS_DATA] = "data",
};
static_assert(ARRAY_SIZE(class_names) == PLAN_CLASSES, "every class has a name");

const char *action_kind_name(enum action_kind kind)
{
	return kinds[kind].name;
}

const char *object_kind_name(enum object_kind kind)
{
	return object_names[kind];
}

const char *action_symbol(enum action_kind kind, bool unicode)
{
	return unicode ? kinds[kind].unicode : kinds[kind].ascii;
}

/* One printed line: symbol, then cells that are aligned over all lines. */
struct line {
	enum action_kind kind;
	bool is_drift;
	char *cells[CELLS]; /* object, field, value, place, note; NULL = empty */
};

struct lines {
	struct line *items;
	size_t count, room;
};

static struct line *add_line(struct lines *l, const struct action *a, enum action_kind kind)
{
	struct line *line;

	GROW_ARRAY(l->items, l->count, l->room);
	line = &l->items[l->count++];
	*line = (struct line){ .kind = kind };
	if (a->object == OBJECT_CONTAINER) {
		line->cells[0] = text_escaped(a->name);
	} else if (a->object == OBJECT_IMAGE) {
		line->cells[0] = xstrdup(object_names[a->object]);
	} else {
		AUTO_FREE char *name = text_escaped(a->name);

		line->cells[0] = xasprintf("%s %s", object_names[a->object], name);
	}
	return line;
}

static size_t columns_of(const char *s)
{
	size_t count = 0;

	for (; s && *s; s++)
		count += ((unsigned char)*s & 0xc0) != 0x80;
	return count;
}

/* Escaped, and cut in the middle of nowhere with a mark where it is too long. */
static char *value_text(const char *text, const struct plan_style *style)
{
	char *escaped = text_escaped(text ? text : "(none)");
	size_t limit = style->width ? (size_t)style->width : VALUE_WIDTH;
	size_t seen = 0, at = 0;
	char *cut;

	if (str_starts(escaped, "sha256:"))
		limit = DIGEST_WIDTH;

	if (columns_of(escaped) <= limit)
		return escaped;
	while (escaped[at]) {
		bool begins = ((unsigned char)escaped[at] & 0xc0) != 0x80;

		if (begins && seen + 1 >= limit)
			break;
		seen += begins;
		at++;
	}
	cut = xasprintf("%.*s%s", (int)at, escaped, style->unicode ? "…" : "~");
	free(escaped);
	return cut;
}

static char *place_text(struct source_pos pos)
{
	AUTO_FREE char *file = NULL;
	const char *base;

	if (!pos.line || !pos.file)
		return NULL;
	base = strrchr(pos.file, '/');
	file = text_escaped(base ? base + 1 : pos.file);
	return xasprintf("%s:%u", file, pos.line);
}

static char *change_value(const struct plan_change *c, const struct plan_style *style)
{
	AUTO_FREE char *old_text = value_text(c->old_text, style);
	AUTO_FREE char *new_text = value_text(c->new_text, style);

	if (!c->old_text)
		return xasprintf("+ %s", new_text);
	if (!c->new_text)
		return xasprintf("- %s", old_text);
	if (strcmp(old_text, new_text) == 0)
		return TAKE_PTR(new_text);
	return xasprintf("%s -> %s", old_text, new_text);
}

/* Which processes a change starts again: the one it is about, or all of the container. */
static char *process_note(const struct action *a, const struct plan_change *c)
{
	static const char prefix[] = "processes.";
	const char *name, *verb;
	size_t length;

	if (!str_starts(c->field, prefix))
		return a->process_count > 1
			       ? xasprintf("restarts all %zu processes", a->process_count)
			       : xstrdup("restarts the process");
	name = c->field + strlen(prefix);
	length = strcspn(name, ".");
	verb = name[length] || (c->old_text && c->new_text) ? "restarts"
	       : c->new_text                                ? "starts"
							    : "stops";
	return xasprintf("%s process %.*s", verb, (int)length, name);
}

/* What a change costs, given what happens to the whole object anyway; owned. */
static char *change_note(const struct action *a, const struct plan_change *c)
{
	if (a->kind == ACTION_START)
		return xstrdup("with the start");
	if (a->kind >= ACTION_PROCESS && kind_of_class(c->class) < a->kind)
		return xstrdup(a->kind == ACTION_REPLACE ? "with the replacement"
							 : "with the restart");
	if (a->object == OBJECT_NETWORK && c->class != PLAN_CLASS_NONE)
		return xstrdup("restarts the network, containers keep running");
	if (a->object == OBJECT_VOLUME && c->class == PLAN_CLASS_DATA)
		return xstrdup("makes the disk anew: ALL ITS DATA IS LOST");
	return c->class == PLAN_CLASS_PROCESS ? process_note(a, c) : xstrdup(class_notes[c->class]);
}

static void change_lines(struct lines *l, const struct action *a, const struct plan_style *style)
{
	for (size_t i = 0; i < a->change_count; i++) {
		const struct plan_change *c = &a->changes[i];
		struct line *line =
			add_line(l, a, a->kind == ACTION_START ? a->kind : kind_of_class(c->class));

		line->cells[1] = text_escaped(c->field);
		line->cells[2] = change_value(c, style);
		line->cells[3] = place_text(c->pos);
		line->cells[4] = change_note(a, c);
	}
}

static void drift_line(struct lines *l, const struct action *a)
{
	AUTO_FREE char *seen = a->drift ? text_escaped(a->drift) : NULL;
	struct line *line;

	if (!seen)
		return;
	line = add_line(l, a, a->kind);
	line->is_drift = true;
	line->cells[1] = xstrdup("drift");
	line->cells[2] = xasprintf("%s -> %s", seen, kinds[a->kind].name);
}

static void action_lines(struct lines *l, const struct action *a, const struct plan_style *style)
{
	change_lines(l, a, style);
	if (!a->drift && !a->change_count) {
		struct line *line = add_line(l, a, a->kind);

		line->cells[1] = xstrdup(kinds[a->kind].name);
		line->cells[2] = a->object == OBJECT_IMAGE ? value_text(a->name, style)
				 : a->what                 ? value_text(a->what, style)
							   : NULL;
		line->cells[3] = place_text(a->pos);
		line->cells[4] = a->reason ? text_escaped(a->reason) : NULL;
	} else if (a->reason) {
		struct line *line = add_line(l, a, a->kind);

		line->cells[1] = xstrdup(kinds[a->kind].name);
		line->cells[4] = text_escaped(a->reason);
	}
}

static void print_line(const struct line *line, const size_t *widths,
		       const struct plan_style *style, struct buffer *out)
{
	const char *symbol = line->is_drift ? (style->unicode ? "≠" : "#")
					    : action_symbol(line->kind, style->unicode);
	size_t last = 0;

	for (size_t c = 0; c < CELLS; c++)
		if (line->cells[c] && *line->cells[c])
			last = c;
	if (style->color)
		buffer_add_str(out, line->is_drift ? "\033[35m" : kinds[line->kind].color);
	buffer_printf(out, "%*s%s", (int)(3 - columns_of(symbol)), "", symbol);
	if (style->color)
		buffer_add_str(out, "\033[0m");
	for (size_t c = 0; c <= last; c++) {
		const char *cell = line->cells[c] ? line->cells[c] : "";

		buffer_printf(out, "%s%s", c ? "  " : " ", cell);
		if (c < last)
			buffer_printf(out, "%*s", (int)(widths[c] - columns_of(cell)), "");
	}
	buffer_add_char(out, '\n');
}

static void print_lines(struct lines *l, const struct plan_style *style, struct buffer *out)
{
	size_t widths[CELLS] = { 0 };

	for (size_t i = 0; i < l->count; i++)
		for (size_t c = 0; c < CELLS; c++) {
			size_t width = columns_of(l->items[i].cells[c]);

			widths[c] = width > widths[c] ? width : widths[c];
		}
	for (size_t i = 0; i < l->count; i++) {
		print_line(&l->items[i], widths, style, out);
		for (size_t c = 0; c < CELLS; c++)
			free(l->items[i].cells[c]);
	}
	free(l->items);
}

char *plan_summary(const struct plan *p)
{
	size_t counts[ACTION_KINDS] = { 0 };
	struct buffer b = BUFFER_INIT;
	const char *separator = "Plan: ";

	if (!p->count)
		return xstrdup("No changes.");
	for (size_t i = 0; i < p->count; i++)
		counts[p->actions[i].kind]++;
	for (size_t k = 0; k < ACTION_KINDS; k++) {
		if (!counts[k])
			continue;
		buffer_printf(&b, "%s%zu %s", separator, counts[k], kinds[k].summary);
		separator = ", ";
	}
	buffer_add_char(&b, '.');
	return buffer_steal(&b);
}

static void print_memory(const struct plan *p, struct buffer *out)
{
	AUTO_FREE char *wanted = text_size(p->memory_bytes);
	AUTO_FREE char *total = text_size(p->host_memory_bytes);

	if (p->host_memory_bytes && p->memory_bytes)
		buffer_printf(out, " Memory %s of the host's %s.", wanted, total);
}

static void print_download(const struct plan *p, struct buffer *out)
{
	AUTO_FREE char *size = text_size(p->download_bytes);

	if (p->download_bytes)
		buffer_printf(out, " Needs %s of download.", size);
	if (p->unsized_downloads)
		buffer_printf(out, " Needs %zu image%s of unknown size.", p->unsized_downloads,
			      p->unsized_downloads == 1 ? "" : "s");
}

/* What differs because the file asks for it, or because something happened. */
static void print_section(const struct plan *p, const struct plan_style *style, bool drift,
			  struct buffer *out)
{
	struct lines lines = { 0 };

	for (size_t i = 0; i < p->count; i++) {
		if (drift)
			drift_line(&lines, &p->actions[i]);
		else
			action_lines(&lines, &p->actions[i], style);
	}
	if (drift && lines.count)
		buffer_add_str(out, "Drift, what is there is not what was applied:\n");
	print_lines(&lines, style, out);
}

void plan_print(const struct plan *p, const struct plan_style *style, struct buffer *out)
{
	AUTO_FREE char *summary = plan_summary(p);
	AUTO_FREE char *environment = text_escaped(p->environment);
	AUTO_FREE char *source = text_escaped(p->source);

	buffer_printf(out, "%s  %s", environment, source);
	if (p->serial)
		buffer_printf(out, "   state serial %llu", (unsigned long long)p->serial);
	buffer_add_char(out, '\n');
	if (p->resumes)
		buffer_printf(out, "  resuming: %s\n", p->resumes);
	print_section(p, style, false, out);
	print_section(p, style, true, out);
	buffer_add_str(out, summary);
	if (p->count) {
		print_download(p, out);
		print_memory(p, out);
	}
	buffer_add_char(out, '\n');
}

static void set_pos(struct json *o, struct source_pos pos)
{
	if (!pos.line || !pos.file)
		return;
	json_set_string(o, "file", pos.file);
	json_set_int(o, "line", pos.line);
}

static struct json *change_json(const struct plan_change *c)
{
	struct json *o = json_new_object();

	json_set_string(o, "field", c->field);
	json_set_string(o, "class", class_names[c->class]);
	json_set(o, "old", json_new_string(c->old_text));
	json_set(o, "new", json_new_string(c->new_text));
	set_pos(o, c->pos);
	return o;
}

static struct json *action_json(const struct plan *p, const struct action *a)
{
	struct json *o = json_new_object();
	struct json *changes = json_new_array();
	struct json *after = json_new_array();

	json_set_string(o, "action", kinds[a->kind].name);
	json_set_string(o, "object", object_names[a->object]);
	json_set_string(o, "name", a->name);
	set_pos(o, a->pos);
	if (a->what)
		json_set_string(o, "value", a->what);
	if (a->reason)
		json_set_string(o, "reason", a->reason);
	if (a->drift)
		json_set_string(o, "drift", a->drift);
	for (size_t i = 0; i < a->change_count; i++)
		json_add(changes, change_json(&a->changes[i]));
	for (size_t i = 0; i < a->after_count; i++) {
		const struct action *need = &p->actions[a->after[i]];
		AUTO_FREE char *name = xasprintf("%s %s", object_names[need->object], need->name);

		json_add(after, json_new_string(name));
	}
	json_set(o, "changes", changes);
	json_set(o, "after", after);
	return o;
}

char *plan_steps(const struct plan *p)
{
	struct buffer b = BUFFER_INIT;

	for (size_t i = 0; i < p->count; i++) {
		const struct action *a = &p->actions[i];

		buffer_printf(&b, "%s %s %s\n", kinds[a->kind].name, object_names[a->object],
			      a->name);
		for (size_t n = 0; n < a->change_count; n++) {
			const struct plan_change *c = &a->changes[n];

			buffer_printf(&b, "\t%s %s\n\t\t%s\n\t\t%s\n", c->field,
				      class_names[c->class], c->old_text ? c->old_text : "",
				      c->new_text ? c->new_text : "");
		}
	}
	return buffer_steal(&b);
}

static struct json *drift_json(const struct plan *p)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < p->count; i++) {
		const struct action *a = &p->actions[i];
		struct json *o;

		if (!a->drift)
			continue;
		o = json_new_object();
		json_set_string(o, "object", object_names[a->object]);
		json_set_string(o, "name", a->name);
		json_set_string(o, "seen", a->drift);
		json_set_string(o, "action", kinds[a->kind].name);
		json_add(list, o);
	}
	return list;
}

struct json *plan_to_json(const struct plan *p)
{
	struct json *o = json_new_object();
	struct json *actions = json_new_array();
	AUTO_FREE char *summary = plan_summary(p);

	json_set_string(o, "environment", p->environment);
	json_set_string(o, "source", p->source);
	json_set_int(o, "serial", (int64_t)p->serial);
	json_set_bool(o, "changes", p->count > 0);
	if (p->resumes)
		json_set_string(o, "resumes", p->resumes);
	for (size_t i = 0; i < p->count; i++)
		json_add(actions, action_json(p, &p->actions[i]));
	json_set(o, "actions", actions);
	json_set(o, "drift", drift_json(p));
	json_set_int(o, "download_bytes", (int64_t)p->download_bytes);
	json_set_int(o, "downloads_of_unknown_size", (int64_t)p->unsized_downloads);
	json_set_int(o, "memory_bytes", (int64_t)p->memory_bytes);
	json_set_int(o, "host_memory_bytes", (int64_t)p->host_memory_bytes);
	json_set_int(o, "unchanged", (int64_t)p->unchanged);
	json_set_string(o, "summary", summary);
	return o;
}
