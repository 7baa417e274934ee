/* SPDX-License-Identifier: MIT */
/* Short forms: scalars and lists brought into the long form of the field tables. */
#include "spec/fields/short_forms.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/text.h"
#include "spec/fields/decode.h"

enum { RANGE_MAX = 1024 };

static struct node *wrap(struct decode *d, struct node *value, const char *key)
{
	struct node *map = node_new_collection(d->arena, value, NODE_MAPPING, 1);
	node_add(map, node_new_scalar(d->arena, value, key), value);
	return map;
}

static bool has_text(const struct node *n)
{
	return n->kind == NODE_SCALAR && n->type != SCALAR_NULL;
}

static struct node *wrap_scalar(struct decode *d, struct node *value, const char *key,
				const char *what)
{
	if (has_text(value))
		return wrap(d, value, key);
	expected(d, value, what);
	return NULL;
}

static struct node *wrap_command(struct decode *d, struct node *value, const char *key)
{
	if (value->kind == NODE_SEQUENCE)
		return wrap(d, value, key);
	return wrap_scalar(d, value, key, "a map or a command");
}

struct node *expand_egress(struct decode *d, struct node *value)
{
	if (value->kind == NODE_SEQUENCE) {
		struct node *map = node_new_collection(d->arena, value, NODE_MAPPING, 2);
		node_add_text(d->arena, map, value, "mode", "list");
		node_add(map, node_new_scalar(d->arena, value, "to"), value);
		return map;
	}
	return wrap_scalar(d, value, "mode", "full, env, none or a list of host[:port] and CIDR");
}

struct node *expand_dependency(struct decode *d, struct node *value)
{
	return wrap_scalar(d, value, "condition", "a condition: started, healthy, done or exited");
}

struct node *expand_port_number(struct decode *d, struct node *value)
{
	return wrap_scalar(d, value, "port", "a map or a port");
}

struct node *expand_health(struct decode *d, struct node *value)
{
	return wrap_command(d, value, "exec");
}

struct node *expand_restart(struct decode *d, struct node *value)
{
	if (value->kind == NODE_SCALAR && value->type == SCALAR_BOOL) {
		struct diagnostic *e = expected(d, value, "no, on-failure or always");
		if (value->text[0] == 'f' || value->text[0] == 'F')
			report_hint(e, "write no");
		return NULL;
	}
	if (has_text(value) && str_equal(value->text, "unless-stopped")) {
		struct diagnostic *e = report(d->diags, "E107", value->pos, value->width,
					      "\"unless-stopped\" is no value of restart");
		report_hint(e, "write always");
		report_help(e, "what ctrz stop stopped stays stopped in any case");
		return NULL;
	}
	const char *colon = has_text(value) ? strchr(value->text, ':') : NULL;
	if (colon && str_starts(value->text, "on-failure:")) {
		struct diagnostic *e =
			report(d->diags, "E107", value->pos, value->width,
			       "\"%s\" is no value of restart", shown(d, value->text));
		report_hint(e, "{ policy: on-failure, max: %s }", shown(d, colon + 1));
		return NULL;
	}
	return wrap_scalar(d, value, "policy", "no, on-failure or always");
}

struct node *expand_watch(struct decode *d, struct node *value)
{
	return wrap_scalar(d, value, "path", "a map or a path");
}

struct node *expand_process(struct decode *d, struct node *value)
{
	return wrap_command(d, value, "command");
}

struct node *expand_hook(struct decode *d, struct node *value)
{
	return wrap_command(d, value, "run");
}

struct node *expand_reference(struct decode *d, struct node *value)
{
	return wrap_scalar(d, value, "name", "a map or a name");
}

struct node *expand_mirror(struct decode *d, struct node *value)
{
	return wrap_scalar(d, value, "host", "a map or a host");
}

struct node *expand_ulimit(struct decode *d, struct node *value)
{
	if (!has_text(value)) {
		expected(d, value, "a number or { soft: N, hard: N }");
		return NULL;
	}
	struct node *map = node_new_collection(d->arena, value, NODE_MAPPING, 2);
	node_add(map, node_new_scalar(d->arena, value, "soft"), value);
	node_add(map, node_new_scalar(d->arena, value, "hard"), value);
	return map;
}

/* --- mounts --- */

static bool is_path(const char *s)
{
	return s[0] == '/' || s[0] == '~' || str_equal(s, ".") || str_equal(s, "..") ||
	       str_starts(s, "./") || str_starts(s, "../");
}

static const char *bad_mount(struct decode *d, const struct node *value, const char *target,
			     const char *mode)
{
	if (!target || !*target) {
		struct diagnostic *e = report(d->diags, "E103", value->pos, value->width,
					      "a mount needs a source and a target");
		report_help(e, "write SRC:DST, SRC:DST:ro or SRC:DST:rw");
		return "";
	}
	if (mode && !str_equal(mode, "ro") && !str_equal(mode, "rw")) {
		struct diagnostic *e = report(d->diags, "E107", value->pos, value->width,
					      "\"%s\" is no access of a mount", shown(d, mode));
		report_help(e,
			    "the third part is ro or rw; other options have keys of their own in "
			    "the long form");
		return "";
	}
	return NULL;
}

struct node *expand_mount(struct decode *d, struct node *value)
{
	if (!has_text(value)) {
		expected(d, value, "a map or SRC:DST[:ro|rw]");
		return NULL;
	}
	char *source = arena_strdup(d->arena, value->text), *target, *mode = NULL;
	target = strchr(source, ':');
	if (target)
		*target++ = 0;
	if (target && (mode = strchr(target, ':')))
		*mode++ = 0;
	if (bad_mount(d, value, *source ? target : NULL, mode))
		return NULL;
	struct node *map = node_new_collection(d->arena, value, NODE_MAPPING, 4);
	map->is_private = value->is_private;
	if (!is_path(source)) {
		node_add_text(d->arena, map, value, "type", "volume");
	} else if (d->host->path) {
		const char *full = host_path(d, value->pos, source);
		if (d->host->path(d->host->arg, full) == SPEC_PATH_FILE)
			node_add_text(d->arena, map, value, "type", "file");
	}
	node_add_text(d->arena, map, value, "source", source);
	node_add_text(d->arena, map, value, "target", target);
	if (mode)
		node_add_text(d->arena, map, value, "access", mode);
	return map;
}

/* --- sockets --- */

struct node *expand_socket(struct decode *d, struct node *value)
{
	char *host = has_text(value) ? arena_strdup(d->arena, value->text) : NULL;
	char *target = host ? strchr(host, ':') : NULL;
	bool is_agent = host && strcmp(host, SPEC_SSH_AGENT) == 0;

	if (!is_agent && (!target || target == host || !target[1])) {
		expected(d, value, "a map, HOST:TARGET or " SPEC_SSH_AGENT);
		return NULL;
	}
	if (target)
		*target++ = 0;
	struct node *map = node_new_collection(d->arena, value, NODE_MAPPING, 2);
	map->is_private = value->is_private;
	node_add_text(d->arena, map, value, "host", host);
	node_add_text(d->arena, map, value, "target",
		      target ? target : "/run/" SPEC_SSH_AGENT ".sock");
	return map;
}

/* --- ports --- */

static struct diagnostic *bad_port(struct decode *d, const struct node *n, const char *why)
{
	struct diagnostic *e =
		n->kind == NODE_SCALAR
			? report(d->diags, "E111", n->pos, n->width, "\"%s\" is no port: %s",
				 shown(d, n->text), why)
			: report(d->diags, "E111", n->pos, n->width, "%s is no port", why);
	report_help(e, "a port is [IP:][HOST:]CONTAINER[/udp], as \"8080:80\"");
	return e;
}

/* YAML 1.1 reads 22:22 as 22 * 60 + 22. */
static bool is_base_60(const struct node *n)
{
	if (n->style != STYLE_PLAIN || n->is_interpolated)
		return false;
	const char *s = n->text;
	size_t digits = strspn(s, "0123456789");
	if (!digits || s[0] == '0' || s[digits] != ':')
		return false;
	for (s += digits; *s == ':'; s += digits + 1) {
		digits = strspn(s + 1, "0123456789");
		if (digits == 0 || digits > 2 || (digits == 2 && s[1] > '5'))
			return false;
	}
	return *s == 0;
}

/* What the parts of a short form look like at all; NULL if they may be ports. */
static const char *port_problem(const char *text)
{
	if (strchr(text, '['))
		return "IPv6 is not there yet";
	const char *last = strrchr(text, ':'), *container = last ? last + 1 : text;
	if (!*container || container[strspn(container, "0123456789-")])
		return "the port of the container is not a number";
	if (!last)
		return NULL;
	const char *first = strchr(text, ':'), *middle = last;
	while (middle > text && middle[-1] != ':')
		middle--;
	size_t n = (size_t)(last - middle);
	bool is_auto = n == 4 && strncmp(middle, "auto", 4) == 0;
	if (!is_auto && strspn(middle, "0123456789-") < n)
		return "the port of the host is not a number";
	if (first != last && first + 1 != middle)
		return "there are too many colons";
	return NULL;
}

struct node *expand_port(struct decode *d, struct node *value)
{
	if (!has_text(value)) {
		expected(d, value, "a map or [IP:][HOST:]CONTAINER[/udp]");
		return NULL;
	}
	if (is_base_60(value)) {
		struct diagnostic *e =
			report(d->diags, "E111", value->pos, value->width,
			       "%s without quotes is one number to many YAML readers", value->text);
		report_hint(e, "write \"%s\"", value->text);
		return NULL;
	}
	struct node *map = node_new_collection(d->arena, value, NODE_MAPPING, 4);
	char *text = arena_strdup(d->arena, value->text), *slash = strchr(text, '/');
	if (slash) {
		*slash = 0;
		node_add_text(d->arena, map, value, "protocol", slash + 1);
	}
	const char *problem = port_problem(text);
	if (problem) {
		bad_port(d, value, problem);
		return NULL;
	}
	char *last = strrchr(text, ':');
	const char *container = last ? last + 1 : text;
	if (last) {
		*last = 0;
		char *first = strrchr(text, ':');
		const char *host = first ? first + 1 : text;
		if (first) {
			*first = 0;
			node_add_text(d->arena, map, value, "address", text);
		}
		if (*host || !first)
			node_add_text(d->arena, map, value, "host", host);
	}
	node_add_text(d->arena, map, value, "container", container);
	return map;
}

struct range {
	uint64_t first, last;
};

static bool parse_range(const char *text, struct range *ret)
{
	char copy[16];
	const char *dash = strchr(text, '-');
	size_t n = dash ? (size_t)(dash - text) : strlen(text);
	if (n >= sizeof(copy))
		return false;
	memcpy(copy, text, n);
	copy[n] = 0;
	if (!parse_u64(copy, 65535, &ret->first) || !ret->first)
		return false;
	ret->last = ret->first;
	return !dash || (parse_u64(dash + 1, 65535, &ret->last) && ret->last >= ret->first);
}

static struct node *one_port(struct decode *d, const struct node *map, uint64_t container,
			     uint64_t host)
{
	struct node *out = node_new_collection(d->arena, map, NODE_MAPPING, map->count);
	for (size_t i = 0; i < map->count; i++) {
		struct node *key = map->entries[i].key, *value = map->entries[i].value;
		uint64_t number = str_equal(key->text, "container")      ? container
				  : str_equal(key->text, "host") && host ? host
									 : 0;
		if (number)
			value = node_new_scalar(
				d->arena, value,
				arena_printf(d->arena, "%llu", (unsigned long long)number));
		node_add(out, key, value);
	}
	return out;
}

/* The ports of one item; the item itself if there is no range in it. */
static void split_range(struct decode *d, struct node *item, struct node ***list, size_t *count,
			size_t *room)
{
	const struct node *c = node_get(item, "container"), *h = node_get(item, "host");
	bool has_range = (c && c->kind == NODE_SCALAR && strchr(c->text, '-')) ||
			 (h && h->kind == NODE_SCALAR && strchr(h->text, '-'));
	size_t ports = 1;
	struct range inside = { 0, 0 }, outside = { 0, 0 };
	if (has_range) {
		bool is_auto = !h || (h->kind == NODE_SCALAR && str_equal(h->text, "auto"));
		if (!c || c->kind != NODE_SCALAR || !parse_range(c->text, &inside) ||
		    (!is_auto && (h->kind != NODE_SCALAR || !parse_range(h->text, &outside)))) {
			bad_port(d, c ? c : item,
				 c ? "the range is not FIRST-LAST" : "a range of no ports");
			return;
		}
		ports = (size_t)(inside.last - inside.first + 1);
		if (!is_auto && outside.last - outside.first + 1 != ports) {
			bad_port(d, h, "both ranges must be equally long");
			return;
		}
		if (ports > RANGE_MAX) {
			bad_port(d, c, "the range has more than 1024 ports");
			return;
		}
	}
	if (*count + ports > *room) {
		*room = (*count + ports) * 2;
		struct node **more = arena_array(d->arena, *room, sizeof(**list));
		if (*count)
			memcpy(more, *list, *count * sizeof(*more));
		*list = more;
	}
	for (size_t i = 0; i < ports; i++)
		(*list)[(*count)++] = has_range ? one_port(d, item, inside.first + i,
							   outside.first ? outside.first + i : 0)
						: item;
}

static bool looks_like_pair(const struct node *n)
{
	return n->kind == NODE_MAPPING && n->count == 1 && n->entries[0].key->text[0] &&
	       strspn(n->entries[0].key->text, "0123456789.-") == strlen(n->entries[0].key->text);
}

struct node *reshape_ports(struct decode *d, const struct field *f, struct node *value)
{
	(void)f;
	if (looks_like_pair(value)) {
		bad_port(d, value, "a map of two numbers");
		return NULL;
	}
	if (value->kind != NODE_SEQUENCE)
		return value;
	struct node *out = node_new_collection(d->arena, value, NODE_SEQUENCE, 0);
	size_t room = 0, count = 0;
	for (size_t i = 0; i < value->count; i++) {
		struct node *item = value->items[i];
		if (looks_like_pair(item)) {
			const struct node *to = item->entries[0].value;
			struct diagnostic *e = bad_port(d, item, "a map of two numbers");
			if (to->kind == NODE_SCALAR)
				report_hint(e, "write \"%s:%s\"",
					    shown(d, item->entries[0].key->text),
					    shown(d, to->text));
			continue;
		}
		if (item->kind != NODE_MAPPING)
			item = expand_port(d, item);
		if (item)
			split_range(d, item, &out->items, &count, &room);
	}
	out->count = (uint32_t)count;
	return out;
}

struct node *reshape_names(struct decode *d, const struct field *f, struct node *value)
{
	if (value->kind != NODE_SEQUENCE)
		return value;
	struct node *map = node_new_collection(d->arena, value, NODE_MAPPING, value->count);
	struct map seen = MAP_INIT;
	for (size_t i = 0; i < value->count; i++) {
		struct node *name = value->items[i];
		if (!has_text(name)) {
			expected(d, name, "a name");
			continue;
		}
		struct node *first = map_get(&seen, name->text);
		if (first) {
			struct diagnostic *e = report(d->diags, "E002", name->pos, name->width,
						      "\"%s\" is given twice in %s",
						      shown(d, name->text), f->name);
			report_other(e, first->pos, "the first one");
			continue;
		}
		map_set(&seen, name->text, name);
		node_add(map, name, node_new_collection(d->arena, name, NODE_MAPPING, 0));
	}
	map_release(&seen, NULL);
	return map;
}
