/* SPDX-License-Identifier: MIT */
/* Pictures of an environment. */
#include "spec/print/graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

/* Containers in columns: each stands behind all it waits for. */
struct layout {
	const struct spec_container **order; /* by column, then name */
	size_t *column, *row;                /* by index in order */
	size_t count, columns, rows;
	size_t mounts; /* lines a box has for them */
};

static size_t depth_of(const struct environment *env, size_t index, size_t *depth)
{
	/* Dependencies have no circle: validation saw to that. */
	if (depth[index])
		return depth[index];
	const struct spec_container *c = &env->containers.items[index];
	size_t deepest = 0;
	for (size_t i = 0; i < c->depends_on.count; i++) {
		const struct spec_container *to =
			environment_container(env, c->depends_on.items[i].o.name);
		size_t d = to ? depth_of(env, (size_t)(to - env->containers.items), depth) : 0;
		deepest = d > deepest ? d : deepest;
	}
	return depth[index] = deepest + 1;
}

static void layout_release(struct layout *l)
{
	free(l->order);
	free(l->column);
	free(l->row);
}

static void layout_make(const struct environment *env, struct layout *l)
{
	size_t total = env->containers.count;
	AUTO_FREE size_t *depth = xcalloc(total + 1, sizeof(*depth));
	*l = (struct layout){ .order = xcalloc(total + 1, sizeof(*l->order)),
			      .column = xcalloc(total + 1, sizeof(size_t)),
			      .row = xcalloc(total + 1, sizeof(size_t)) };
	for (size_t i = 0; i < total; i++) {
		size_t d = depth_of(env, i, depth);
		l->columns = d > l->columns ? d : l->columns;
	}
	AUTO_FREE size_t *rows = xcalloc(l->columns + 1, sizeof(*rows));
	for (size_t column = 1; column <= l->columns; column++) {
		for (size_t i = 0; i < total; i++) {
			if (depth[i] != column || !env->containers.items[i].is_active)
				continue;
			l->order[l->count] = &env->containers.items[i];
			l->column[l->count] = column - 1;
			l->row[l->count++] = rows[column]++;
			l->rows = rows[column] > l->rows ? rows[column] : l->rows;
			size_t mounts = env->containers.items[i].mounts.count;
			l->mounts = mounts > l->mounts ? mounts : l->mounts;
		}
	}
}

static void add_safe(struct buffer *out, const char *text)
{
	text_escape(out, text, strlen(text), false);
}

/* What is below the folder of the file is shown from there. */
static char *source_text(const struct environment *env, const struct spec_mount *m)
{
	const char *source = m->source.at.is_set ? m->source.text : "";
	size_t size = env->dir ? strlen(env->dir) : 0;
	if (size < 2 || strncmp(source, env->dir, size) != 0 ||
	    (source[size] && source[size] != '/'))
		return xstrdup(source);
	return xasprintf(".%s", source + size);
}

/* "data -> /var/lib/db (rw)"; owned, not yet safe to print */
static char *mount_text(const struct environment *env, const struct spec_mount *m)
{
	AUTO_FREE char *source = source_text(env, m);
	return xasprintf("%s%s%s (%s)", source, *source ? " -> " : "", m->target.text,
			 spec_access_name((enum spec_access)m->access.value));
}

/* --- text --- */

static void text_container(const struct environment *env, const struct spec_container *c,
			   struct buffer *out)
{
	buffer_printf(out, "  %s  ", c->o.name);
	add_safe(out, c->image.text);
	buffer_add_char(out, '\n');
	for (size_t i = 0; i < c->depends_on.count; i++) {
		const struct spec_dependency *d = &c->depends_on.items[i];
		buffer_printf(out, "    after     %s (%s)\n", d->o.name,
			      spec_condition_name((enum spec_condition)d->condition.value));
	}
	for (size_t i = 0; i < c->networks.count; i++)
		buffer_printf(out, "    network   %s%s%s\n", c->networks.items[i].o.name,
			      c->networks.items[i].address.at.is_set ? " as " : "",
			      c->networks.items[i].address.at.is_set
				      ? c->networks.items[i].address.text
				      : "");
	for (size_t i = 0; i < c->ports.count; i++) {
		const struct spec_port *p = &c->ports.items[i];
		AUTO_FREE char *host =
			p->host.value ? xasprintf("%d", (int)p->host.value) : xstrdup("auto");
		buffer_printf(out, "    port      %s:%s -> %d/%s\n", p->address.text, host,
			      (int)p->container.value,
			      spec_protocol_name((enum spec_protocol)p->protocol.value));
	}
	for (size_t i = 0; i < c->mounts.count; i++) {
		const struct spec_mount *m = &c->mounts.items[i];
		AUTO_FREE char *line = mount_text(env, m);
		buffer_printf(out, "    %-9s ",
			      spec_mount_type_name((enum spec_mount_type)m->type.value));
		add_safe(out, line);
		buffer_add_char(out, '\n');
	}
	for (size_t i = 0; i < c->processes.count; i++)
		buffer_printf(out, "    process   %s\n", c->processes.items[i].o.name);
}

void graph_text(const struct environment *env, struct buffer *out)
{
	struct layout l;
	layout_make(env, &l);
	buffer_printf(out, "%s\n", env->name.text);
	for (size_t i = 0; i < l.count; i++)
		text_container(env, l.order[i], out);
	for (size_t i = 0; i < env->networks.count; i++) {
		const struct spec_network *n = &env->networks.items[i];
		buffer_printf(out, "  network %s%s%s  egress %s\n", n->o.name,
			      n->subnet.at.is_set ? "  " : "",
			      n->subnet.at.is_set ? n->subnet.text : "",
			      spec_egress_name((enum spec_egress)n->egress.mode.value));
	}
	layout_release(&l);
}

/* --- Graphviz --- */

static void dot_text(struct buffer *out, const char *text)
{
	AUTO_FREE char *safe = text_escaped(text);
	buffer_add_char(out, '"');
	for (const char *s = safe; *s; s++) {
		if (*s == '"' || *s == '\\')
			buffer_add_char(out, '\\');
		buffer_add_char(out, *s);
	}
	buffer_add_char(out, '"');
}

/* Names of different kinds stay apart by what stands before them. */
static void dot_name(struct buffer *out, const char *kind, const char *name)
{
	AUTO_FREE char *full = xasprintf("%s %s", kind, name);
	dot_text(out, full);
}

static void dot_edge(struct buffer *out, const char *kind, const char *name, const char *to_kind,
		     const char *to, const char *style, const char *label)
{
	buffer_add_str(out, "\t");
	dot_name(out, kind, name);
	buffer_add_str(out, " -> ");
	dot_name(out, to_kind, to);
	buffer_printf(out, " [style=%s, label=", style);
	dot_text(out, label);
	buffer_add_str(out, "];\n");
}

static void dot_node(struct buffer *out, const char *kind, const char *name, const char *shape)
{
	buffer_add_str(out, "\t");
	dot_name(out, kind, name);
	buffer_printf(out, " [shape=%s, label=", shape);
	dot_text(out, name);
	buffer_add_str(out, "];\n");
}

static void dot_container(const struct environment *env, const struct spec_container *c,
			  struct buffer *out)
{
	dot_node(out, "container", c->o.name, "box");
	for (size_t i = 0; i < c->depends_on.count; i++)
		dot_edge(out, "container", c->o.name, "container", c->depends_on.items[i].o.name,
			 "solid",
			 spec_condition_name(
				 (enum spec_condition)c->depends_on.items[i].condition.value));
	for (size_t i = 0; i < c->networks.count; i++)
		dot_edge(out, "container", c->o.name, "network", c->networks.items[i].o.name,
			 "dotted", "");
	for (size_t i = 0; i < c->mounts.count; i++) {
		const struct spec_mount *m = &c->mounts.items[i];
		const char *kind = spec_mount_type_name((enum spec_mount_type)m->type.value);
		if (!m->source.at.is_set)
			continue;
		AUTO_FREE char *source = source_text(env, m);
		dot_node(out, kind, source,
			 m->type.value == SPEC_MOUNT_VOLUME ? "cylinder" : "folder");
		dot_edge(out, "container", c->o.name, kind, source, "dashed",
			 spec_access_name((enum spec_access)m->access.value));
	}
}

void graph_dot(const struct environment *env, struct buffer *out)
{
	struct layout l;
	layout_make(env, &l);
	buffer_add_str(out, "digraph ");
	dot_text(out, env->name.text);
	buffer_add_str(out, " {\n\trankdir=LR;\n");
	for (size_t i = 0; i < env->networks.count; i++)
		dot_node(out, "network", env->networks.items[i].o.name, "ellipse");
	for (size_t i = 0; i < l.count; i++)
		dot_container(env, l.order[i], out);
	buffer_add_str(out, "}\n");
	layout_release(&l);
}

/* --- SVG --- */

enum {
	BOX_WIDTH = 220,
	BOX_HEIGHT = 64,
	GAP_X = 80,
	GAP_Y = 28,
	MARGIN = 24,
	HEAD = 40,
	DOT = 12,
	LEGEND = 22,
	LABEL_MAX = 32,
	MOUNTS_MAX = 4, /* lines of mounts in a box; the last one counts the rest */
	MOUNT_HEIGHT = 14
};

static void svg_text(struct buffer *out, size_t x, size_t y, const char *style, const char *text)
{
	AUTO_FREE char *safe = text_escaped(text);
	buffer_printf(out, "<text x=\"%zu\" y=\"%zu\" %s>", x, y, style);
	size_t points = 0;
	for (const char *s = safe; *s; s++) {
		points += ((unsigned char)*s & 0xc0) != 0x80;
		if (points > LABEL_MAX) {
			buffer_add_str(out, "...");
			break;
		}
		if (*s == '<')
			buffer_add_str(out, "&lt;");
		else if (*s == '>')
			buffer_add_str(out, "&gt;");
		else if (*s == '&')
			buffer_add_str(out, "&amp;");
		else
			buffer_add_char(out, *s);
	}
	buffer_add_str(out, "</text>\n");
}

static size_t box_x(const struct layout *l, size_t i)
{
	return MARGIN + l->column[i] * (BOX_WIDTH + GAP_X);
}

static size_t box_height(const struct layout *l)
{
	return BOX_HEIGHT + (l->mounts < MOUNTS_MAX ? l->mounts : MOUNTS_MAX) * MOUNT_HEIGHT;
}

static size_t box_y(const struct layout *l, size_t i)
{
	return MARGIN + HEAD + l->row[i] * (box_height(l) + GAP_Y);
}

static const char *color(size_t index)
{
	static const char *const colors[] = { "#2a6fdb", "#c2571a", "#2c8a4b", "#8a3ffc",
					      "#b01e5a", "#007d79", "#6f6f6f", "#a2191f" };
	return colors[index % ARRAY_SIZE(colors)];
}

static void svg_mounts(const struct environment *env, const struct spec_container *c, size_t x,
		       size_t y, struct buffer *out)
{
	static const char style[] = "font-size=\"11\" fill=\"#555\"";
	size_t shown = c->mounts.count > MOUNTS_MAX ? MOUNTS_MAX - 1 : c->mounts.count;
	for (size_t i = 0; i < shown; i++) {
		AUTO_FREE char *line = mount_text(env, &c->mounts.items[i]);
		svg_text(out, x, y + i * MOUNT_HEIGHT, style, line);
	}
	if (shown == c->mounts.count)
		return;
	AUTO_FREE char *rest = xasprintf("and %zu more mounts", c->mounts.count - shown);
	svg_text(out, x, y + shown * MOUNT_HEIGHT, style, rest);
}

static void svg_box(const struct environment *env, const struct layout *l, size_t i,
		    struct buffer *out)
{
	const struct spec_container *c = l->order[i];
	size_t x = box_x(l, i), y = box_y(l, i);
	buffer_printf(out,
		      "<rect x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\" rx=\"6\" fill=\"#fff\" "
		      "stroke=\"#333\"/>\n",
		      x, y, BOX_WIDTH, (int)box_height(l));
	svg_text(out, x + 10, y + 22, "font-weight=\"bold\"", c->o.name);
	svg_text(out, x + 10, y + 40, "font-size=\"11\" fill=\"#555\"", c->image.text);
	svg_mounts(env, c, x + 10, y + 40 + MOUNT_HEIGHT, out);
	for (size_t n = 0; n < c->networks.count; n++) {
		const struct spec_network *net =
			environment_network(env, c->networks.items[n].o.name);
		size_t index = net ? (size_t)(net - env->networks.items) : 0;
		buffer_printf(out, "<circle cx=\"%zu\" cy=\"%zu\" r=\"%d\" fill=\"%s\"/>\n",
			      x + 16 + n * (DOT + 4), y + box_height(l) - 10, DOT / 2 - 1,
			      color(index));
	}
}

static void svg_edges(const struct layout *l, size_t i, struct buffer *out)
{
	const struct spec_container *c = l->order[i];
	for (size_t n = 0; n < c->depends_on.count; n++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(l->order[j]->o.name, c->depends_on.items[n].o.name) != 0)
				continue;
			buffer_printf(out,
				      "<line x1=\"%zu\" y1=\"%zu\" x2=\"%zu\" y2=\"%zu\" "
				      "stroke=\"#333\" marker-end=\"url(#a)\"/>\n",
				      box_x(l, i), box_y(l, i) + box_height(l) / 2,
				      box_x(l, j) + BOX_WIDTH + 4, box_y(l, j) + box_height(l) / 2);
		}
	}
}

void graph_svg(const struct environment *env, struct buffer *out)
{
	struct layout l;
	layout_make(env, &l);
	size_t width = 2 * MARGIN + l.columns * (BOX_WIDTH + GAP_X);
	size_t below = MARGIN + HEAD + l.rows * (box_height(&l) + GAP_Y);
	size_t height = below + env->networks.count * LEGEND + MARGIN;
	buffer_printf(out,
		      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" height=\"%zu\" "
		      "font-family=\"sans-serif\" font-size=\"14\">\n"
		      "<defs><marker id=\"a\" markerWidth=\"8\" markerHeight=\"8\" refX=\"7\" "
		      "refY=\"4\" orient=\"auto\"><path d=\"M0,0 L8,4 L0,8 z\"/></marker></defs>\n"
		      "<rect width=\"100%%\" height=\"100%%\" fill=\"#f7f7f7\"/>\n",
		      width, height);
	svg_text(out, MARGIN, MARGIN + 10, "font-size=\"18\"", env->name.text);
	for (size_t i = 0; i < l.count; i++)
		svg_edges(&l, i, out);
	for (size_t i = 0; i < l.count; i++)
		svg_box(env, &l, i, out);
	for (size_t i = 0; i < env->networks.count; i++) {
		const struct spec_network *n = &env->networks.items[i];
		size_t y = below + i * LEGEND + LEGEND / 2;
		buffer_printf(out, "<circle cx=\"%d\" cy=\"%zu\" r=\"%d\" fill=\"%s\"/>\n",
			      MARGIN + DOT / 2, y - 5, DOT / 2 - 1, color(i));
		AUTO_FREE char *label =
			xasprintf("%s%s%s", n->o.name, n->subnet.at.is_set ? " " : "",
				  n->subnet.at.is_set ? n->subnet.text : "");
		svg_text(out, MARGIN + DOT + 8, y, "font-size=\"12\"", label);
	}
	buffer_add_str(out, "</svg>\n");
	layout_release(&l);
}
