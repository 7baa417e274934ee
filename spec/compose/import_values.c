/* SPDX-License-Identifier: MIT */
/* Values of Compose services that have a form of their own: ports, volumes, probes, dependencies.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "spec/compose/import_internal.h"
#include "spec/model/model.h"

struct node *import_ports(struct import *im, struct node *n)
{
	/* mode: there is one host only, so both modes are the same. */
	static const char *const known[] = { "target", "published", "host_ip",      "protocol",
					     "name",   "mode",      "app_protocol", NULL };
	struct node *list = list_of(im, n), *out = new_list(im, n);
	for (size_t i = 0; i < list->count; i++) {
		struct node *item = list->items[i];
		const char *text = text_of(item);
		if (text) {
			add_item(im, out, node_new_scalar(im->arena, item, text));
			const char *first = strchr(text, ':'), *last = strrchr(text, ':');
			if (!im->said_loopback && first == last) {
				changed(im, item,
					"is published on 127.0.0.1 only; 0.0.0.0:HOST:CONTAINER "
					"is for everybody");
				im->said_loopback = true;
			}
			continue;
		}
		struct node *port = new_map(im, item), *host = node_get(item, "published");
		if (text_of(host) && *host->text)
			put_text(im, port, "host", host, host->text);
		put(im, port, "container", node_get(item, "target"));
		put(im, port, "protocol", node_get(item, "protocol"));
		put(im, port, "address", node_get(item, "host_ip"));
		put(im, port, "name", node_get(item, "name"));
		const char *scheme = text_of(node_get(item, "app_protocol"));
		if (scheme && (str_equal(scheme, "http") || str_equal(scheme, "https")))
			put_text(im, port, "open", item, scheme);
		lost_rest(im, item, known, "ports have nothing like it");
		add_item(im, out, port);
	}
	return out;
}

/* --- volumes --- */

static bool is_host_path(const char *s)
{
	return strchr("./~", s[0]) != NULL;
}

static void use_volume(struct import *im, const struct node *like, const char *name)
{
	if (node_get(im->volumes, name))
		return;
	struct node *volume = new_map(im, like);
	put_text(im, volume, "size", like, "8GiB");
	put(im, im->volumes, name, volume);
}

/* A path as ours: in front of a relative one stands "./". */
static const char *our_path(struct import *im, const char *path)
{
	bool is_plain = path[0] == '.' && path[1] && path[1] != '/' && path[1] != '.';
	return is_plain ? arena_printf(im->arena, "./%s", path) : path;
}

/* The short form: whether it is a folder or a file is seen when the file is read. */
static struct node *host_mount(struct import *im, const struct node *item, const char *source,
			       const char *target, bool is_ro)
{
	return new_text(im, item,
			arena_printf(im->arena, "%s:%s:%s", source, target, is_ro ? "ro" : "rw"));
}

/* What the language never shares is better left out here than refused later. */
static bool is_forbidden(struct import *im, const struct node *at, const char *source)
{
	const char *why = source[0] == '/' ? host_path_forbidden(source, NULL) : NULL;
	if (!why)
		return false;
	AUTO_FREE char *text = xasprintf("%s is never shared, %s", source, why);
	lost(im, at, text);
	return true;
}

static struct node *short_mount(struct import *im, struct node *item)
{
	char *source = arena_strdup(im->arena, item->text), *target = strchr(source, ':');
	/* Not the colon of ${NAME:-x}. */
	while (target && memchr(source, '{', (size_t)(target - source)) &&
	       !memchr(source, '}', (size_t)(target - source)))
		target = strchr(target + 1, ':');
	struct node *mount = new_map(im, item);
	if (!target) {
		AUTO_FREE char *raw = xasprintf("%s-%u", im->service, im->volumes->count);
		struct node *name = node_new_scalar(im->arena, item, arena_strdup(im->arena, raw));
		const char *volume = our_name(im, name);
		put_text(im, mount, "type", item, "volume");
		put_text(im, mount, "source", item, volume);
		put_text(im, mount, "target", item, source);
		put_text(im, mount, "access", item, "rw");
		use_volume(im, item, volume);
		changed(im, item, "has no name: a volume with one is declared");
		return mount;
	}
	*target++ = 0;
	if (is_forbidden(im, item, source))
		return NULL;
	char *mode = strchr(target, ':');
	if (mode)
		*mode++ = 0;
	bool is_ro = mode && (str_equal(mode, "ro") || str_starts(mode, "ro,"));
	if (mode && !str_equal(mode, "ro") && !str_equal(mode, "rw"))
		lost(im, item, "options other than ro and rw mean nothing in a machine of its own");
	if (is_host_path(source) || source[0] == '$')
		return host_mount(im, item, our_path(im, source), target, is_ro);
	struct node *name = node_new_scalar(im->arena, item, source);
	const char *volume = our_name(im, name);
	put_text(im, mount, "type", item, "volume");
	use_volume(im, item, volume);
	put_text(im, mount, "source", item, volume);
	put_text(im, mount, "target", item, target);
	put_text(im, mount, "access", item, is_ro ? "ro" : "rw");
	return mount;
}

static struct node *long_mount(struct import *im, struct node *item)
{
	static const char *const known[] = { "type",  "source", "target", "read_only", "bind",
					     "tmpfs", "volume", "image",  NULL };
	const char *type = text_of(node_get(item, "type"));
	struct node *mount = new_map(im, item), *source = node_get(item, "source");
	struct node *target = node_get(item, "target");
	bool is_bind = !type || str_equal(type, "bind");
	if (!is_bind)
		put_text(im, mount, "type", item, type);
	if (type && str_equal(type, "volume") && text_of(source)) {
		const char *name = our_name(im, source);
		put_text(im, mount, "source", item, name);
		use_volume(im, item, name);
	} else if (text_of(source)) {
		if (is_bind && is_forbidden(im, item, source->text))
			return NULL;
		put_text(im, mount, "source", item, our_path(im, source->text));
	}
	put(im, mount, "target", target);
	if (!type || !str_equal(type, "tmpfs"))
		put_text(im, mount, "access", item,
			 is_true(node_get(item, "read_only")) ? "ro" : "rw");
	struct node *bind = node_get(item, "bind"), *tmpfs = node_get(item, "tmpfs");
	static const char *const known_bind[] = { "create_host_path", NULL };
	static const char *const known_tmpfs[] = { "size", NULL };
	static const char *const known_volume[] = { "subpath", "nocopy", NULL };
	static const char *const known_image[] = { "subpath", NULL };
	if (is_true(node_get(bind, "create_host_path")))
		put_text(im, mount, "create", item, "dir");
	struct node_entry *size = node_find(tmpfs, "size");
	if (size && text_of(size->value) && our_size(im, size->value->text))
		put_text(im, mount, "size", item, our_size(im, size->value->text));
	else if (size)
		lost(im, size->key, "its value is no size");
	put(im, mount, "subpath", node_get(node_get(item, "volume"), "subpath"));
	put(im, mount, "subpath", node_get(node_get(item, "image"), "subpath"));
	struct node_entry *nocopy = node_find(node_get(item, "volume"), "nocopy");
	if (nocopy && !is_true(nocopy->value))
		lost(im, nocopy->key, "a volume begins empty here");
	lost_rest(im, bind, known_bind, "it means nothing in a machine of its own");
	lost_rest(im, tmpfs, known_tmpfs, "a tmpfs has a size");
	lost_rest(im, node_get(item, "volume"), known_volume, "a volume is a disk");
	lost_rest(im, node_get(item, "image"), known_image, "an image has a subpath");
	lost_rest(im, item, known, "mounts have nothing like it");
	if (is_bind && text_of(source) && text_of(target) && !node_find(mount, "create"))
		return host_mount(im, item, our_path(im, source->text), target->text,
				  is_true(node_get(item, "read_only")));
	return mount;
}

struct node *import_mounts(struct import *im, struct node *n)
{
	struct node *out = new_list(im, n);
	for (size_t i = 0; n->kind == NODE_SEQUENCE && i < n->count; i++) {
		struct node *item = n->items[i];
		if (text_of(item))
			add_item(im, out, short_mount(im, item));
		else if (item->kind == NODE_MAPPING)
			add_item(im, out, long_mount(im, item));
	}
	return out;
}

/* --- probes and order --- */

struct node *import_health(struct import *im, struct node *n)
{
	static const char *const known[] = { "test",    "interval",     "timeout",        "retries",
					     "disable", "start_period", "start_interval", NULL };
	struct node *test = node_get(n, "test"), *out = new_map(im, n);
	if (is_true(node_get(n, "disable")))
		return out;
	if (text_of(test)) {
		put(im, out, "exec", test);
	} else if (test && test->kind == NODE_SEQUENCE && test->count) {
		const char *first = text_of(test->items[0]);
		if (first && str_equal(first, "NONE"))
			return out;
		struct node *command = new_list(im, test);
		for (size_t i = 1; i < test->count; i++)
			add_item(im, command, test->items[i]);
		if (first && str_equal(first, "CMD-SHELL") && command->count == 1)
			put(im, out, "exec", command->items[0]);
		else if (command->count)
			put(im, out, "exec", command);
	}
	if (!out->count)
		return out;
	for (const char *const *k = known + 1; *k; k++) {
		struct node_entry *e = node_find(n, *k);
		if (!e || str_equal(*k, "disable"))
			continue;
		if (str_equal(*k, "retries") && text_of(e->value) && str_equal(e->value->text, "0"))
			lost(im, e->key, "0 has no meaning here; it is 3");
		else
			put(im, out, *k, e->value);
	}
	lost_rest(im, n, known, "probes have nothing like it");
	return out;
}

static const char *our_condition(const char *theirs)
{
	if (theirs && str_equal(theirs, "service_healthy"))
		return "healthy";
	return theirs && str_equal(theirs, "service_completed_successfully") ? "done" : "started";
}

struct node *import_depends(struct import *im, struct node *n)
{
	static const char *const known[] = { "condition", "restart", "required", NULL };
	struct node *out = new_map(im, n);
	for (size_t i = 0; n->kind == NODE_SEQUENCE && i < n->count; i++)
		if (text_of(n->items[i]))
			put_text(im, out, our_name(im, n->items[i]), n->items[i], "started");
	for (size_t i = 0; n->kind == NODE_MAPPING && i < n->count; i++) {
		struct node *key = n->entries[i].key, *value = n->entries[i].value;
		struct node *dep = new_map(im, key);
		put_text(im, dep, "condition", key,
			 our_condition(text_of(node_get(value, "condition"))));
		put(im, dep, "restart", node_get(value, "restart"));
		struct node_entry *required = node_find(value, "required");
		if (required && !is_true(required->value))
			changed(im, required->key,
				"false means nothing here: what is waited for must be there");
		lost_rest(im, value, known, "dependencies have nothing like it");
		put(im, out, our_name(im, key), dep);
	}
	return out;
}

struct node *import_attachments(struct import *im, struct node *n)
{
	static const char *const known[] = { "aliases", "ipv4_address", NULL };
	struct node *out = new_map(im, n);
	for (size_t i = 0; n->kind == NODE_SEQUENCE && i < n->count; i++)
		if (text_of(n->items[i]))
			put(im, out, our_name(im, n->items[i]), new_map(im, n->items[i]));
	for (size_t i = 0; n->kind == NODE_MAPPING && i < n->count; i++) {
		struct node *key = n->entries[i].key, *value = n->entries[i].value;
		struct node *at = new_map(im, key);
		put(im, at, "aliases", node_get(value, "aliases"));
		put(im, at, "address", node_get(value, "ipv4_address"));
		lost_rest(im, value, known, "a network is joined with aliases and an address");
		put(im, out, our_name(im, key), at);
	}
	return out;
}

static struct node *references(struct import *im, struct node *n, bool is_secret)
{
	static const char *const known[] = { "source", "target", "mode", "uid", "gid", NULL };
	struct node *out = new_list(im, n);
	for (size_t i = 0; n->kind == NODE_SEQUENCE && i < n->count; i++) {
		struct node *item = n->items[i], *ref = new_map(im, item);
		struct node *name = text_of(item) ? item : node_get(item, "source");
		const char *target = text_of(node_get(item, "target"));
		if (!text_of(name))
			continue;
		put_text(im, ref, "name", item, name->text);
		if (target)
			put_text(im, ref, "target", item,
				 target[0] == '/'
					 ? target
					 : arena_printf(im->arena, "/run/secrets/%s", target));
		else if (!is_secret)
			put_text(im, ref, "target", item,
				 arena_printf(im->arena, "/%s", name->text));
		const char *mode = text_of(node_get(item, "mode"));
		if (mode)
			put(im, ref, "mode",
			    node_new_scalar(im->arena, item,
					    strlen(mode) > 4 ? mode + strlen(mode) - 4 : mode));
		const char *uid = text_of(node_get(item, "uid"));
		const char *gid = text_of(node_get(item, "gid"));
		if (uid || gid)
			put_text(im, ref, "owner", item,
				 arena_printf(im->arena, "%s%s%s", uid ? uid : "0", gid ? ":" : "",
					      gid ? gid : ""));
		lost_rest(im, item, known, "files and secrets have nothing like it");
		add_item(im, out, ref);
	}
	return out;
}

struct node *import_file_references(struct import *im, struct node *n)
{
	return references(im, n, false);
}

struct node *import_secret_references(struct import *im, struct node *n)
{
	return references(im, n, true);
}

/* --- resources --- */

void import_memory(struct import *im, const struct node *key, struct node *value,
		   struct node *container)
{
	const char *size = text_of(value) ? our_size(im, value->text) : NULL;
	if (!size)
		lost(im, key, "its value is no size");
	else if (!node_get(section(im, container, key, "resources"), "memory"))
		put_text(im, section(im, container, key, "resources"), "memory", value, size);
}

void import_cpus(struct import *im, const struct node *key, struct node *value,
		 struct node *container)
{
	double cpus = text_of(value) ? strtod(value->text, NULL) : 0;
	if (!(cpus > 0) || cpus > 255) {
		lost(im, key, "its value is no number of processors");
		return;
	}
	int whole = (int)cpus;
	whole += (double)whole < cpus;
	if ((double)whole > cpus)
		changed(im, key, "is rounded up: a machine has whole processors");
	AUTO_FREE char *text = xasprintf("%d", whole);
	if (!node_get(section(im, container, key, "resources"), "cpus"))
		put_text(im, section(im, container, key, "resources"), "cpus", value, text);
}

/* --- deploy --- */

static void import_limits(struct import *im, struct node *limits, struct node *container)
{
	static const char *const known[] = { "cpus", "memory", "pids", NULL };
	if (!limits)
		return;
	struct node *resources = section(im, container, limits, "resources");
	struct node_entry *cpus = node_find(limits, "cpus"), *memory = node_find(limits, "memory");
	if (cpus)
		import_cpus(im, cpus->key, cpus->value, container);
	if (memory)
		import_memory(im, memory->key, memory->value, container);
	put(im, resources, "pids", node_get(limits, "pids"));
	lost_rest(im, limits, known, "a machine has cpus, memory and pids");
}

void import_deploy(struct import *im, struct node *deploy, struct node *container)
{
	static const char *const known[] = { "resources", "replicas", "restart_policy", NULL };
	static const char *const known_resources[] = { "limits", NULL };
	struct node *resources = node_get(deploy, "resources");
	import_limits(im, node_get(resources, "limits"), container);
	lost_rest(im, resources, known_resources, "a machine has its memory for itself");
	struct node_entry *replicas = node_find(deploy, "replicas");
	if (replicas && text_of(replicas->value) && !str_equal(replicas->value->text, "1"))
		lost(im, replicas->key, "ctrz starts one of each; write another container");
	struct node_entry *restart_policy = node_find(deploy, "restart_policy");
	struct node *policy = restart_policy ? restart_policy->value : NULL;
	if (policy && node_get(container, "restart"))
		lost(im, restart_policy->key, "the service has restart: beside it");
	const char *condition = text_of(node_get(policy, "condition"));
	if (policy && !node_get(container, "restart")) {
		struct node *restart = new_map(im, policy);
		put_text(im, restart, "policy", policy,
			 condition && str_equal(condition, "none")         ? "no"
			 : condition && str_equal(condition, "on-failure") ? "on-failure"
									   : "always");
		put(im, restart, "max", node_get(policy, "max_attempts"));
		put(im, container, "restart", restart);
		static const char *const known_policy[] = { "condition", "max_attempts", NULL };
		lost_rest(im, policy, known_policy, "restarts have policy, max and backoff");
	}
	lost_rest(im, deploy, known, "everything runs on this host");
}
