/* SPDX-License-Identifier: MIT */
/* The record of an environment as JSON; a reader takes every version up to its own. In version 1
 * the spec of a container was an object; it is its text now, and left out of a whole record. */
#include "orchestrator/state/env_record.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

enum { STATE_VERSION = 2, NAME_MAX_BYTES = 63 };

static const char *const stage_names[] = {
	[STAGE_NONE] = "none",
	[STAGE_MAKING] = "making",
	[STAGE_MADE] = "made",
};
static_assert(ARRAY_SIZE(stage_names) == STAGE_COUNT, "every stage has a name");

static void set_address(struct json *o, const char *key, struct in_addr address)
{
	char text[ADDRESS_TEXT_SIZE];

	address_text(address, text);
	json_set_string(o, key, text);
}

static void set_optional(struct json *o, const char *key, const char *value)
{
	if (value)
		json_set_string(o, key, value);
}

static struct json *network_json(const struct network_record *n)
{
	struct json *o = json_new_object();

	json_set_string(o, "run_id", n->run_id);
	if (n->subnet.prefix) {
		AUTO_FREE char *text = subnet_text(&n->subnet);

		json_set_string(o, "subnet", text);
	}
	if (n->spec)
		json_set(o, "spec", json_ref(n->spec));
	return o;
}

static struct json *volume_json(const struct volume_record *v)
{
	struct json *o = json_new_object();

	json_set_int(o, "size_bytes", (int64_t)v->size_bytes);
	json_set_bool(o, "protect", v->protect);
	json_set_int(o, "made_unix_ms", (int64_t)v->made_unix_ms);
	return o;
}

static struct json *addresses_json(const struct container_record *c)
{
	struct json *o = json_new_object();

	for (size_t i = 0; i < c->address_count; i++)
		set_address(o, c->addresses[i].network, c->addresses[i].address);
	return o;
}

/* Mostly they are in order, which is what a reader takes them for. */
static void set_interfaces(struct json *container, const struct container_record *c)
{
	struct json *o = json_new_object();
	bool is_in_order = true;

	for (size_t i = 0; i < c->address_count; i++) {
		json_set_int(o, c->addresses[i].network, c->addresses[i].interface);
		is_in_order = is_in_order && c->addresses[i].interface == i;
	}
	if (is_in_order)
		json_free(o);
	else
		json_set(container, "interfaces", o);
}

static struct json *ports_json(const struct container_record *c)
{
	struct json *list = json_new_array();

	for (size_t i = 0; i < c->port_count; i++) {
		const struct port_record *p = &c->ports[i];
		struct json *o = json_new_object();

		set_address(o, "address", p->host_address);
		json_set_int(o, "host", p->host_port);
		json_set_int(o, "container", p->guest_port);
		if (p->udp)
			json_set_string(o, "protocol", "udp");
		json_add(list, o);
	}
	return list;
}

static struct json *container_json(const struct container_record *c, bool with_spec)
{
	struct json *o = json_new_object();

	json_set_string(o, "run_id", c->run_id);
	json_set_string(o, "stage", stage_names[c->stage]);
	if (c->stopped)
		json_set_bool(o, "stopped", true);
	set_optional(o, "image", c->image);
	set_optional(o, "image_digest", c->image_digest);
	set_optional(o, "image_disk", c->image_disk);
	set_optional(o, "kernel", c->kernel);
	set_optional(o, "stop_signal", c->stop_signal);
	if (c->made_unix_ms)
		json_set_int(o, "made_unix_ms", (int64_t)c->made_unix_ms);
	json_set(o, "addresses", addresses_json(c));
	set_interfaces(o, c);
	if (c->port_count)
		json_set(o, "ports", ports_json(c));
	if (c->memory_bytes)
		json_set_int(o, "memory_bytes", (int64_t)c->memory_bytes);
	if (with_spec)
		set_optional(o, "spec", c->spec);
	if (c->contents)
		json_set(o, "contents", json_ref(c->contents));
	return o;
}

struct json *env_record_to_json(const struct env_record *r)
{
	struct json *o = json_new_object();
	struct json *networks = json_new_object();
	struct json *containers = json_new_object();
	struct json *volumes = json_new_object();

	json_set_int(o, "version", STATE_VERSION);
	json_set_string(o, "id", r->id);
	json_set_string(o, "name", r->name);
	json_set_string(o, "file", r->file);
	if (spec_source_is_git(&r->source))
		json_set(o, "source", spec_source_to_json(&r->source));
	json_set_int(o, "device", (int64_t)r->device);
	json_set_int(o, "inode", (int64_t)r->inode);
	json_set_int(o, "serial", (int64_t)r->serial);
	json_set_int(o, "run", (int64_t)r->run);
	json_set_bool(o, "whole", r->is_whole);
	json_set_int(o, "created_unix_ms", (int64_t)r->created_unix_ms);
	json_set_int(o, "changed_unix_ms", (int64_t)r->changed_unix_ms);
	set_optional(o, "changed_by", r->changed_by);
	for (size_t i = 0; i < r->network_count; i++)
		json_set(networks, r->networks[i].name, network_json(&r->networks[i]));
	for (size_t i = 0; i < r->volume_count; i++)
		json_set(volumes, r->volumes[i].name, volume_json(&r->volumes[i]));
	for (size_t i = 0; i < r->container_count; i++)
		json_set(containers, r->containers[i].name,
			 container_json(&r->containers[i], !r->is_whole));
	json_set(o, "networks", networks);
	json_set(o, "volumes", volumes);
	json_set(o, "containers", containers);
	return o;
}

/* An id becomes a folder name: nothing but what random_id() makes may pass. */
static int read_id(const struct json *o, const char *key, const char *what, char *out, size_t size,
		   struct error *err)
{
	const char *text = NULL;
	int r = json_get_string(o, key, what, &text, err);

	if (r < 0)
		return r;
	if (strlen(text) != size - 1 ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789") != size - 1)
		return error_set(err, E_INVALID, "%s: \"%s\" is no id", what, key);
	memcpy(out, text, size);
	return 0;
}

/* Container and network names become folder names too. */
static bool name_is_plain(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= NAME_MAX_BYTES && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* What members are read into. */
struct reading {
	struct env_record *r;
	const char *what; /* names the file */
	bool is_first;    /* nothing was in the record before */
};

static int read_network(const struct reading *to, const char *name, const struct json *o,
			struct error *err)
{
	struct network_record *n = env_record_add_network(to->r, name);
	const char *what = to->what;
	const char *subnet = json_str(o, "subnet", NULL);
	struct json *spec = json_member_object(o, "spec");

	json_free(n->spec);
	*n = (struct network_record){ .name = n->name };
	if (subnet && subnet_parse(subnet, &n->subnet, err) < 0)
		return error_wrap(err, "%s: network '%s'", what, name);
	n->spec = spec ? json_ref(spec) : NULL;
	return read_id(o, "run_id", what, n->run_id, sizeof(n->run_id), err);
}

static int read_volume(const struct reading *to, const char *name, const struct json *o,
		       struct error *err)
{
	struct volume_record *v = env_record_add_volume(to->r, name);

	(void)err;
	v->size_bytes = json_u64(o, "size_bytes", 0);
	v->protect = json_bool(o, "protect", false);
	v->made_unix_ms = json_u64(o, "made_unix_ms", 0);
	return 0;
}

static int read_addresses(struct container_record *c, const struct json *o, const char *what,
			  struct error *err)
{
	struct json *addresses = json_member_object(o, "addresses");
	struct json *interfaces = json_member_object(o, "interfaces");

	for (void *i = addresses ? json_iter(addresses) : NULL; i;
	     i = json_iter_next(addresses, i)) {
		const char *text = json_string_value_of(json_iter_value(i));
		struct in_addr address;

		if (!text || !address_parse(text, &address))
			return error_set(err, E_INVALID, "%s: container '%s' has a broken address",
					 what, c->name);
		container_record_set_address(c, json_iter_key(i), address);
	}
	for (size_t i = 0; interfaces && i < c->address_count; i++)
		c->addresses[i].interface = (unsigned)json_u64(interfaces, c->addresses[i].network,
							       c->addresses[i].interface);
	return 0;
}

static int read_ports(struct container_record *c, const struct json *o, const char *what,
		      struct error *err)
{
	struct json *ports = json_member_array(o, "ports");
	size_t count = ports ? json_count(ports) : 0;

	c->ports = xcalloc(count + 1, sizeof(*c->ports));
	for (size_t i = 0; i < count; i++) {
		const struct json *p = json_item(ports, i);
		const char *protocol = json_str(p, "protocol", "tcp");
		uint64_t host = json_u64(p, "host", 0), guest = json_u64(p, "container", 0);

		if (!address_parse(json_str(p, "address", ""), &c->ports[i].host_address) ||
		    host > UINT16_MAX || guest > UINT16_MAX)
			return error_set(err, E_INVALID, "%s: container '%s' has a broken port",
					 what, c->name);
		c->ports[i].host_port = (uint16_t)host;
		c->ports[i].guest_port = (uint16_t)guest;
		c->ports[i].udp = strcmp(protocol, "udp") == 0;
		c->port_count++;
	}
	return 0;
}

static enum container_stage stage_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(stage_names); i++)
		if (strcmp(name, stage_names[i]) == 0)
			return (enum container_stage)i;
	return STAGE_MAKING;
}

static int read_container(const struct reading *to, const char *name, const struct json *o,
			  struct error *err)
{
	/* A name is in an object once. */
	struct container_record *c = to->is_first ? env_record_append_container(to->r, name)
						  : env_record_add_container(to->r, name);
	const char *what = to->what;
	const struct json *spec = json_member_object(o, "spec");
	struct json *contents = json_member_object(o, "contents");
	int ret;

	container_record_clear(c);
	ret = read_id(o, "run_id", what, c->run_id, sizeof(c->run_id), err);
	c->stage = stage_of(json_str(o, "stage", "none"));
	c->stopped = json_bool(o, "stopped", false);
	c->image = xstrdup_null(json_str(o, "image", NULL));
	c->image_digest = xstrdup_null(json_str(o, "image_digest", NULL));
	c->image_disk = xstrdup_null(json_str(o, "image_disk", NULL));
	c->kernel = xstrdup_null(json_str(o, "kernel", NULL));
	c->stop_signal = xstrdup_null(json_str(o, "stop_signal", NULL));
	c->made_unix_ms = json_u64(o, "made_unix_ms", 0);
	c->spec = spec ? json_text(spec) : xstrdup_null(json_str(o, "spec", NULL));
	c->memory_bytes = json_u64(o, "memory_bytes", 0);
	c->contents = contents ? json_ref(contents) : NULL;
	if (ret == 0)
		ret = read_addresses(c, o, what, err);
	if (ret == 0)
		ret = read_ports(c, o, what, err);
	return ret;
}

typedef int (*member_fn)(const struct reading *to, const char *name, const struct json *o,
			 struct error *err);

struct part {
	const char *key;
	member_fn read;
	void (*drop)(struct env_record *r, const char *name);
};

static const struct part parts[] = {
	[RECORD_NETWORK] = { "networks", read_network, env_record_drop_network },
	[RECORD_VOLUME] = { "volumes", read_volume, env_record_drop_volume },
	[RECORD_CONTAINER] = { "containers", read_container, env_record_drop_container },
};
static_assert(ARRAY_SIZE(parts) == RECORD_PARTS, "every part can be read");

static int read_members(const struct reading *to, const struct json *v, const struct part *part,
			struct error *err)
{
	struct json *members = json_member_object(v, part->key);

	for (void *i = members ? json_iter(members) : NULL; i; i = json_iter_next(members, i)) {
		const char *name = json_iter_key(i);
		int ret;

		if (!name_is_plain(name))
			return error_set(err, E_INVALID, "%s: '%s' is no name in \"%s\"", to->what,
					 name, part->key);
		ret = 0;
		if (json_kind_of(json_iter_value(i)) == JSON_NULL_T)
			part->drop(to->r, name);
		else
			ret = part->read(to, name, json_iter_value(i), err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int read_parts(const struct reading *to, const struct json *v, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < RECORD_PARTS; i++)
		ret = read_members(to, v, &parts[i], err);
	return ret;
}

int env_record_take_note(struct env_record *r, const struct json *line, const char *what,
			 struct error *err)
{
	const struct reading to = { .r = r, .what = what };

	return read_parts(&to, line, err);
}

int env_record_take_new(struct env_record *r, const struct json *v, const char *what,
			struct error *err)
{
	const struct reading to = { .r = r, .what = what, .is_first = true };

	return read_parts(&to, v, err);
}

static struct json *part_json(const struct env_record *r, enum record_part part, const char *name)
{
	const struct container_record *c = env_record_container(r, name);
	const struct network_record *n = env_record_network(r, name);
	const struct volume_record *v = env_record_volume(r, name);

	if (part == RECORD_CONTAINER && c)
		return container_json(c, true);
	if (part == RECORD_NETWORK && n)
		return network_json(n);
	if (part == RECORD_VOLUME && v)
		return volume_json(v);
	return json_new_null();
}

void env_record_note(const struct env_record *r, enum record_part part, const char *name,
		     struct json *line)
{
	struct json *members = json_new_object();

	json_set(members, name, part_json(r, part, name));
	json_set(line, parts[part].key, members);
}

static int read_record(const struct json *v, const char *what, struct env_record *r,
		       struct error *err)
{
	uint64_t version = 0;
	const char *name = NULL, *file = NULL;
	int ret = json_get_u64(v, "version", what, &version, err);

	if (ret == 0 && version > STATE_VERSION)
		return error_set(err, E_CONFLICT,
				 "%s: written by a newer ctrz (format %llu; this one reads up to "
				 "%d)",
				 what, (unsigned long long)version, (int)STATE_VERSION);
	if (ret == 0)
		ret = read_id(v, "id", what, r->id, sizeof(r->id), err);
	if (ret == 0)
		ret = json_get_string(v, "name", what, &name, err);
	if (ret == 0)
		ret = json_get_string(v, "file", what, &file, err);
	if (ret < 0)
		return ret;
	r->name = xstrdup(name);
	r->file = xstrdup(file);
	r->device = json_u64(v, "device", 0);
	r->inode = json_u64(v, "inode", 0);
	r->serial = json_u64(v, "serial", 0);
	r->run = json_u64(v, "run", 0);
	r->is_whole = json_bool(v, "whole", false);
	r->created_unix_ms = json_u64(v, "created_unix_ms", 0);
	r->changed_unix_ms = json_u64(v, "changed_unix_ms", 0);
	r->changed_by = xstrdup_null(json_str(v, "changed_by", NULL));
	if (json_member(v, "source"))
		ret = spec_source_from_json(json_member(v, "source"), what, &r->source, err);
	return ret < 0 ? ret : env_record_take_new(r, v, what, err);
}

int env_record_from_json(const struct json *v, const char *what, struct env_record *ret,
			 struct error *err)
{
	struct env_record r = { 0 };
	int result = read_record(v, what, &r, err);

	if (result < 0)
		env_record_release(&r);
	else
		*ret = r;
	return result;
}
