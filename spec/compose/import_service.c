/* SPDX-License-Identifier: MIT */
/* One service of a Compose file as a container: every key it can have has a row. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "spec/compose/import.h"
#include "spec/compose/import_internal.h"

enum how {
	SAME,     /* same name, same value */
	AS,       /* another name, same value */
	MADE,     /* by a function */
	NEEDLESS, /* it is so anyway: nothing to say */
	LOST,     /* no way to carry it over */
};

struct rule {
	const char *key;
	enum how how;
	const char *to; /* our key; with LOST why not */
	void (*make)(struct import *im, const struct node *key, struct node *value,
		     struct node *container);
};

/* The map behind a key of the container, made if it is not there. */
struct node *section(struct import *im, struct node *container, const struct node *like,
		     const char *key)
{
	struct node *n = node_get(container, key);
	if (!n) {
		n = new_map(im, like);
		put(im, container, key, n);
	}
	return n;
}

static void make_command(struct import *im, const struct node *key, struct node *value,
			 struct node *container)
{
	struct node *words = words_of(im, value);
	/* An empty one means the image's own, except for the entry point. */
	if (words && (words->count || str_equal(key->text, "entrypoint")))
		put(im, container, key->text, words);
}

static void make_env(struct import *im, const struct node *key, struct node *value,
		     struct node *container)
{
	struct node *env = pairs_of(im, value, '=');
	for (size_t i = 0; i < env->count; i++) {
		struct node_entry *e = &env->entries[i];
		const struct node *theirs =
			value->kind == NODE_MAPPING ? value->entries[i].value : value->items[i];
		bool is_passed =
			value->kind == NODE_MAPPING ? !text_of(theirs) : !strchr(theirs->text, '=');
		if (!is_passed)
			continue;
		/* A name alone passes the host's variable on. */
		const char *var = import_use_var(im, e->key, e->key->text);
		e->value = new_text(im, key, arena_printf(im->arena, "${%s}", var));
	}
	if (env->count)
		put(im, container, "env", env);
}

static void make_pairs(struct import *im, const struct node *key, struct node *value,
		       struct node *container)
{
	bool is_hosts = str_equal(key->text, "extra_hosts");
	bool has_equals = value->kind == NODE_SEQUENCE && value->count &&
			  text_of(value->items[0]) && strchr(value->items[0]->text, '=');
	struct node *pairs = pairs_of(im, value, is_hosts && !has_equals ? ':' : '=');
	if (pairs->count)
		put(im, container, is_hosts ? "hosts" : key->text, pairs);
}

static void make_env_file(struct import *im, const struct node *key, struct node *value,
			  struct node *container)
{
	/* format: raw is how files are read here in any case. */
	static const char *const known[] = { "path", "required", "format", NULL };
	struct node *list = list_of(im, value), *out = new_list(im, value);
	for (size_t i = 0; i < list->count; i++) {
		struct node *item = list->items[i], *path = node_get(item, "path");
		if (path && !is_true(node_get(item, "required")) && node_get(item, "required"))
			changed(im, key, "of a file that may be missing: here it must be there");
		add_item(im, out, path ? path : item);
		lost_rest(im, item, known, "a file of variables has a path");
	}
	changed(im, key, "is taken as it is here: nothing in it is expanded");
	put(im, container, "env_file", out);
}

static void make_memory(struct import *im, const struct node *key, struct node *value,
			struct node *container)
{
	import_memory(im, key, value, container);
}

static void make_cpus(struct import *im, const struct node *key, struct node *value,
		      struct node *container)
{
	import_cpus(im, key, value, container);
}

static void make_pids(struct import *im, const struct node *key, struct node *value,
		      struct node *container)
{
	/* -1 is no limit, as it is without the key. */
	if (text_of(value) && value->text[0] != '-')
		put(im, section(im, container, key, "resources"), "pids", value);
}

static void make_capabilities(struct import *im, const struct node *key, struct node *value,
			      struct node *container)
{
	put(im, section(im, container, key, "capabilities"), key->text + 4, list_of(im, value));
}

static void make_privileged(struct import *im, const struct node *key, struct node *value,
			    struct node *container)
{
	if (!is_true(value))
		return;
	struct node *all = new_list(im, value);
	add_item(im, all, new_text(im, value, "ALL"));
	struct node *capabilities = section(im, container, key, "capabilities");
	struct node_entry *add = node_find(capabilities, "add");
	if (add)
		add->value = all;
	else
		put(im, capabilities, "add", all);
	if (!node_get(container, "seccomp"))
		put_text(im, container, "seccomp", value, "unconfined");
	if (!node_get(container, "system_paths"))
		put_text(im, container, "system_paths", value, "visible");
	changed(im, key, "is all of this inside its own machine, nothing of the host's");
}

/* Options are NAME:VALUE, or NAME=VALUE; of some the value can be left out. */
static void make_security(struct import *im, const struct node *key, struct node *value,
			  struct node *container)
{
	static const struct {
		const char *option, *value, *ours, *our_value;
	} known[] = {
		{ "no-new-privileges", "", "no_new_privileges", "true" },
		{ "no-new-privileges", "true", "no_new_privileges", "true" },
		{ "no-new-privileges", "false", NULL, NULL },
		{ "seccomp", "unconfined", "seccomp", "unconfined" },
		{ "seccomp", "builtin", NULL, NULL },
		{ "systempaths", "unconfined", "system_paths", "visible" },
	};
	struct node *list = list_of(im, value);
	for (size_t i = 0; i < list->count; i++) {
		const char *text = text_of(list->items[i]);
		size_t size = text ? strcspn(text, ":=") : 0, k = 0;
		const char *of = text && text[size] ? text + size + 1 : "";
		while (k < ARRAY_SIZE(known) && (!text || strlen(known[k].option) != size ||
						 strncmp(known[k].option, text, size) != 0 ||
						 !str_equal(known[k].value, of)))
			k++;
		if (k == ARRAY_SIZE(known))
			lost(im, key,
			     "options but no-new-privileges, seccomp and systempaths: its machine "
			     "confines it");
		else if (known[k].ours && !node_get(container, known[k].ours))
			put_text(im, container, known[k].ours, value, known[k].our_value);
	}
}

static void make_shm(struct import *im, const struct node *key, struct node *value,
		     struct node *container)
{
	const char *size = text_of(value) ? our_size(im, value->text) : NULL;
	if (!size)
		lost(im, key, "its value is no size");
	else
		put_text(im, section(im, container, key, "resources"), "shm", value, size);
}

static void make_groups(struct import *im, const struct node *key, struct node *value,
			struct node *container)
{
	(void)key;
	put(im, container, "groups", list_of(im, value));
}

static void make_restart(struct import *im, const struct node *key, struct node *value,
			 struct node *container)
{
	const char *text = text_of(value);
	if (!text)
		return;
	if (str_equal(text, "unless-stopped")) {
		changed(im, key,
			"unless-stopped is always here: what was stopped by ctrz stays so");
		put_text(im, container, "restart", value, "always");
	} else if (str_starts(text, "on-failure:")) {
		struct node *restart = new_map(im, value);
		put_text(im, restart, "policy", value, "on-failure");
		put_text(im, restart, "max", value, text + 11);
		put(im, container, "restart", restart);
	} else {
		put(im, container, "restart",
		    str_equal(text, "false") ? new_text(im, value, "no") : value);
	}
}

static void make_pull(struct import *im, const struct node *key, struct node *value,
		      struct node *container)
{
	const char *text = text_of(value);
	if (!text)
		return;
	if (str_equal(text, "always") || str_equal(text, "never") || str_equal(text, "missing"))
		put(im, container, "pull", value);
	else if (str_equal(text, "if_not_present"))
		put_text(im, container, "pull", value, "missing");
	else
		lost(im, key, "images are pulled if missing, always or never");
}

static void make_stop(struct import *im, const struct node *key, struct node *value,
		      struct node *container)
{
	put(im, section(im, container, key, "stop"),
	    str_equal(key->text, "stop_signal") ? "signal" : "grace", value);
}

static void make_list(struct import *im, const struct node *key, struct node *value,
		      struct node *container)
{
	put(im, container, key->text, list_of(im, value));
}

static void make_tmpfs(struct import *im, const struct node *key, struct node *value,
		       struct node *container)
{
	struct node *list = list_of(im, value), *mounts = node_get(container, "mounts");
	if (!mounts) {
		mounts = new_list(im, value);
		put(im, container, "mounts", mounts);
	}
	for (size_t i = 0; i < list->count; i++) {
		const char *text = text_of(list->items[i]);
		if (!text)
			continue;
		const char *options = strchr(text, ':');
		struct node *mount = new_map(im, value);
		put_text(im, mount, "type", value, "tmpfs");
		put_text(im, mount, "target", value,
			 arena_strndup(im->arena, text, strcspn(text, ":")));
		if (options)
			lost(im, key, "its options; size: is a key of the mount");
		add_item(im, mounts, mount);
	}
}

static void make_logging(struct import *im, const struct node *key, struct node *value,
			 struct node *container)
{
	static const char *const known[] = { "max-size", "max-file", NULL };
	static const char *const known_log[] = { "driver", "options", NULL };
	struct node *options = node_get(value, "options"), *logging = new_map(im, value);
	const char *size = text_of(node_get(options, "max-size"));
	const char *files = text_of(node_get(options, "max-file"));
	if (size && our_size(im, size))
		put_text(im, logging, "max_size", value, our_size(im, size));
	else if (size)
		lost(im, node_find(options, "max-size")->key, "its value is no size");
	if (files)
		put_text(im, logging, "files", value, files);
	lost_rest(im, options, known, "logs are files of this host");
	lost_rest(im, value, known_log, "logging has a driver and options");
	const char *driver = text_of(node_get(value, "driver"));
	if (driver && !str_equal(driver, "json-file") && !str_equal(driver, "local"))
		lost(im, key, "logs are files of this host, with no driver");
	if (logging->count)
		put(im, container, "logging", logging);
}

static void make_network_mode(struct import *im, const struct node *key, struct node *value,
			      struct node *container)
{
	const char *text = text_of(value);
	if (str_equal(text, "none"))
		put(im, container, "networks", new_map(im, value));
	else if (text && !str_equal(text, "bridge") && !str_equal(text, "default"))
		lost(im, key, "every container has a network of its own");
}

static void make_scale(struct import *im, const struct node *key, struct node *value,
		       struct node *container)
{
	(void)container;
	const char *text = text_of(value);
	if (text && !str_equal(text, "1"))
		lost(im, key, "ctrz starts one of each; write another container");
}

static struct node *our_limit(struct import *im, struct node *n)
{
	const char *text = text_of(n);
	return text && str_equal(text, "-1") ? new_text(im, n, "unlimited") : n;
}

static void make_ulimits(struct import *im, const struct node *key, struct node *value,
			 struct node *container)
{
	struct node *out = new_map(im, value);
	for (size_t i = 0; value->kind == NODE_MAPPING && i < value->count; i++) {
		struct node *limit = value->entries[i].value;
		for (size_t j = 0; limit->kind == NODE_MAPPING && j < limit->count; j++)
			limit->entries[j].value = our_limit(im, limit->entries[j].value);
		limit = our_limit(im, limit);
		put(im, out, value->entries[i].key->text, limit);
	}
	put(im, container, key->text, out);
}

static struct node *import_watch(struct import *im, struct node *item)
{
	static const char *const known[] = { "path", "action", "ignore", "exec", NULL };
	static const char *const known_exec[] = { "command", NULL };
	struct node_entry *action = node_find(item, "action");
	const char *text = action ? text_of(action->value) : NULL;
	struct node *watch = new_map(im, item), *exec = node_get(item, "exec");
	bool is_exec = text && strstr(text, "exec");
	if (!text || strstr(text, "rebuild") || (!is_exec && !strstr(text, "restart"))) {
		lost(im, action ? action->key : item,
		     text && strstr(text, "rebuild")
			     ? "ctrz builds no images yet"
			     : "mount the folder: changes are seen at once");
		return NULL;
	}
	if (str_starts(text, "sync"))
		changed(im, action->key, "copies nothing here: mount the folder");
	put(im, watch, "path", node_get(item, "path"));
	put_text(im, watch, "action", item, is_exec ? "exec" : "restart");
	put(im, watch, "exec", node_get(exec, "command"));
	put(im, watch, "ignore", node_get(item, "ignore"));
	lost_rest(im, item, known, "what is mounted needs no copy");
	lost_rest(im, exec, known_exec, "it runs as the container's user");
	return watch;
}

static void make_watch(struct import *im, const struct node *key, struct node *value,
		       struct node *container)
{
	(void)key;
	static const char *const known[] = { "watch", NULL };
	struct node *list = node_get(value, "watch"), *out = new_list(im, value);
	for (size_t i = 0; list && list->kind == NODE_SEQUENCE && i < list->count; i++)
		add_item(im, out, import_watch(im, list->items[i]));
	lost_rest(im, value, known, "there is watch: only");
	if (out->count)
		put(im, container, "watch", out);
}

static void make_value(struct import *im, const struct node *key, struct node *value,
		       struct node *container)
{
	static const struct {
		const char *key, *to;
		struct node *(*make)(struct import *im, struct node *n);
	} makers[] = {
		{ "ports", "ports", import_ports },
		{ "volumes", "mounts", import_mounts },
		{ "healthcheck", "health", import_health },
		{ "depends_on", "depends_on", import_depends },
		{ "networks", "networks", import_attachments },
		{ "configs", "files", import_file_references },
		{ "secrets", "secrets", import_secret_references },
	};
	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		if (strcmp(makers[i].key, key->text) != 0)
			continue;
		struct node *made = makers[i].make(im, value);
		if (made && made->count)
			put(im, container, makers[i].to, made);
	}
}

static void make_deploy(struct import *im, const struct node *key, struct node *value,
			struct node *container)
{
	(void)key;
	import_deploy(im, value, container);
}

#define OWN_MACHINE "every container is a machine of its own"
#define NO_BUILD "ctrz builds no images yet; build and push it, then write image:"

static const struct rule rules[] = {
	{ "image", SAME, NULL, NULL },
	{ "platform", SAME, NULL, NULL },
	{ "user", SAME, NULL, NULL },
	{ "working_dir", SAME, NULL, NULL },
	{ "hostname", SAME, NULL, NULL },
	{ "tty", SAME, NULL, NULL },
	{ "stdin_open", AS, "stdin", NULL },
	{ "read_only", SAME, NULL, NULL },
	{ "profiles", SAME, NULL, NULL },
	{ "command", MADE, NULL, make_command },
	{ "entrypoint", MADE, NULL, make_command },
	{ "environment", MADE, NULL, make_env },
	{ "env_file", MADE, NULL, make_env_file },
	{ "labels", MADE, NULL, make_pairs },
	{ "sysctls", MADE, NULL, make_pairs },
	{ "extra_hosts", MADE, NULL, make_pairs },
	{ "dns", MADE, NULL, make_list },
	{ "mem_limit", MADE, NULL, make_memory },
	{ "cpus", MADE, NULL, make_cpus },
	{ "cpu_count", MADE, NULL, make_cpus },
	{ "pids_limit", MADE, NULL, make_pids },
	{ "cap_add", MADE, NULL, make_capabilities },
	{ "cap_drop", MADE, NULL, make_capabilities },
	{ "privileged", MADE, NULL, make_privileged },
	{ "security_opt", MADE, NULL, make_security },
	{ "shm_size", MADE, NULL, make_shm },
	{ "group_add", MADE, NULL, make_groups },
	{ "restart", MADE, NULL, make_restart },
	{ "pull_refresh_after", LOST, "images are pulled if missing, always or never", NULL },
	{ "pull_policy", MADE, NULL, make_pull },
	{ "stop_signal", MADE, NULL, make_stop },
	{ "stop_grace_period", MADE, NULL, make_stop },
	{ "volumes", MADE, NULL, make_value },
	{ "tmpfs", MADE, NULL, make_tmpfs },
	{ "ports", MADE, NULL, make_value },
	{ "healthcheck", MADE, NULL, make_value },
	{ "depends_on", MADE, NULL, make_value },
	{ "networks", MADE, NULL, make_value },
	{ "configs", MADE, NULL, make_value },
	{ "secrets", MADE, NULL, make_value },
	{ "deploy", MADE, NULL, make_deploy },
	{ "logging", MADE, NULL, make_logging },
	{ "network_mode", MADE, NULL, make_network_mode },
	{ "scale", MADE, NULL, make_scale },
	{ "ulimits", MADE, NULL, make_ulimits },
	{ "develop", MADE, NULL, make_watch },
	{ "expose", NEEDLESS, NULL, NULL },
	{ "init", NEEDLESS, NULL, NULL },
	{ "attach", NEEDLESS, NULL, NULL },
	{ "container_name", LOST, "the name of a container is its key", NULL },
	{ "links", LOST, "containers of one network find each other by name", NULL },
	{ "external_links", LOST, "networks do not see each other", NULL },
	{ "build", LOST, NO_BUILD, NULL },
	{ "extends", LOST, "write what it takes over here, or use YAML anchors", NULL },
	{ "annotations", LOST, "write labels:", NULL },
	{ "blkio_config", LOST, OWN_MACHINE, NULL },
	{ "cgroup", LOST, OWN_MACHINE, NULL },
	{ "cgroup_parent", LOST, OWN_MACHINE, NULL },
	{ "cpu_percent", LOST, "write resources: { cpus: N }", NULL },
	{ "cpu_period", LOST, "write resources: { cpus: N }", NULL },
	{ "cpu_quota", LOST, "write resources: { cpus: N }", NULL },
	{ "cpu_rt_period", LOST, OWN_MACHINE, NULL },
	{ "cpu_rt_runtime", LOST, OWN_MACHINE, NULL },
	{ "cpu_shares", LOST, OWN_MACHINE, NULL },
	{ "cpuset", LOST, OWN_MACHINE, NULL },
	{ "credential_spec", LOST, "it is for Windows", NULL },
	{ "device_cgroup_rules", LOST, "devices of the host are not passed on", NULL },
	{ "devices", LOST, "devices of the host are not passed on", NULL },
	{ "dns_opt", LOST, "names are resolved by the network", NULL },
	{ "dns_search", LOST, "names are resolved by the network", NULL },
	{ "domainname", LOST, "write hostname: with the domain", NULL },
	{ "driver_opts", LOST, "networks have no drivers", NULL },
	{ "gpus", LOST, "devices of the host are not passed on", NULL },
	{ "ipc", LOST, OWN_MACHINE, NULL },
	{ "isolation", LOST, OWN_MACHINE, NULL },
	{ "label_file", LOST, "write labels:", NULL },
	{ "mac_address", LOST, "ctrz chooses it", NULL },
	{ "mem_reservation", LOST, "a machine has its memory for itself: resources.memory", NULL },
	{ "mem_swappiness", LOST, "machines have no swap", NULL },
	{ "memswap_limit", LOST, "machines have no swap", NULL },
	{ "models", LOST, "there is nothing like it here", NULL },
	{ "oom_kill_disable", LOST, OWN_MACHINE, NULL },
	{ "oom_score_adj", LOST, OWN_MACHINE, NULL },
	{ "pid", LOST, OWN_MACHINE, NULL },
	{ "post_start", LOST, "write hooks: { start: ... }, which runs before the processes",
	  NULL },
	{ "pre_start", LOST, "write hooks: { start: ... }", NULL },
	{ "pre_stop", LOST, "write hooks: { stop: ... }", NULL },
	{ "provider", LOST, "there is nothing like it here", NULL },
	{ "runtime", LOST, OWN_MACHINE, NULL },
	{ "storage_opt", LOST, "write resources: { disk: SIZE }", NULL },
	{ "use_api_socket", LOST, "there is no such socket", NULL },
	{ "userns_mode", LOST, OWN_MACHINE, NULL },
	{ "uts", LOST, OWN_MACHINE, NULL },
	{ "volumes_from", LOST, "write the mounts in both containers", NULL },
};

static const struct rule *find_rule(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (strcmp(rules[i].key, key) == 0)
			return &rules[i];
	return NULL;
}

static void import_key(struct import *im, const struct node *key, struct node *value,
		       struct node *container)
{
	const struct rule *r = find_rule(key->text);
	if (str_starts(key->text, "x-"))
		return;
	if (!r) {
		lost(im, key, "it is no key of a service");
		return;
	}
	bool is_nothing = value->kind == NODE_SCALAR && value->type == SCALAR_NULL;
	if (r->how == LOST)
		lost(im, key, r->to);
	else if (is_nothing || r->how == NEEDLESS)
		return;
	else if (r->how == MADE)
		r->make(im, key, value, container);
	else
		put(im, container, r->how == AS ? r->to : r->key, value);
}

struct node *import_service(struct import *im, struct node *service)
{
	struct node *container = new_map(im, service);
	if (service->kind != NODE_MAPPING)
		return container;
	if (!node_get(service, "image")) {
		/* A file that says what is missing is better than none. */
		AUTO_FREE char *image = xasprintf("localhost/%s:latest", im->service);
		put_text(im, container, "image", service, image);
		changed(im, service->count ? service->entries[0].key : service,
			"has no image beside it: localhost/NAME:latest is written, load one by "
			"that name");
	}
	/* In the order of the rules: the most telling keys first, whatever their order there. */
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		struct node_entry *e = node_find(service, rules[i].key);
		if (e)
			import_key(im, e->key, e->value, container);
	}
	for (size_t i = 0; i < service->count; i++)
		if (!find_rule(service->entries[i].key->text))
			import_key(im, service->entries[i].key, service->entries[i].value,
				   container);
	return container;
}

const char *compose_key_advice(const char *key)
{
	const struct rule *r = find_rule(key);
	return r && r->how == LOST ? r->to : NULL;
}

void compose_keys(struct strlist *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		strlist_add(out, rules[i].key);
}
