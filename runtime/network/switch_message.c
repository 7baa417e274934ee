/* SPDX-License-Identifier: MIT */
/* Requests to the switch as JSON. */
#include "runtime/network/switch_message.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "runtime/network/address.h"

static const char *const egress_names[] = { "none", "env", "full" };

void switch_config_release(struct switch_config *c)
{
	free(c->name);
	free(c->run_dir);
	*c = (struct switch_config){ 0 };
}

void switch_port_release(struct switch_port *p)
{
	free(p->name);
	strlist_release(&p->aliases);
	free(p->publish);
	*p = (struct switch_port){ 0 };
}

static struct json *json_address(struct in_addr address)
{
	char text[ADDRESS_TEXT_SIZE];
	address_text(address, text);
	return json_new_string(text);
}

static int get_address(const struct json *o, const char *key, const char *what, struct in_addr *ret,
		       struct error *err)
{
	const char *text;
	int r = json_get_string(o, key, what, &text, err);
	if (r < 0)
		return r;
	if (!address_parse(text, ret))
		return error_set(err, E_INVALID, "%s: \"%s\" is no IPv4 address", what, key);
	return 0;
}

struct json *switch_config_json(const struct switch_config *c)
{
	struct json *v = json_new_object();
	json_set_string(v, "name", c->name);
	json_set_string(v, "run_dir", c->run_dir);
	json_set(v, "subnet", json_address(c->subnet));
	json_set_int(v, "prefix", c->prefix);
	json_set_string(v, "egress", egress_names[c->egress]);
	return v;
}

static int parse_egress(const char *text, enum switch_egress *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(egress_names); i++) {
		if (str_equal(text, egress_names[i])) {
			*ret = (enum switch_egress)i;
			return 0;
		}
	}
	return error_set(err, E_INVALID, "network: \"egress\" must be none, env or full");
}

static int parse_config(const struct json *v, struct switch_config *c, struct error *err)
{
	const char *name, *run_dir, *egress;
	uint64_t prefix;
	int r = json_get_string(v, "name", "network", &name, err);
	if (r < 0)
		return r;
	c->name = xstrdup(name);
	r = json_get_string(v, "run_dir", "network", &run_dir, err);
	if (r < 0)
		return r;
	c->run_dir = xstrdup(run_dir);
	if (run_dir[0] != '/')
		return error_set(err, E_INVALID, "network: \"run_dir\" must be absolute");
	r = get_address(v, "subnet", "network", &c->subnet, err);
	if (r < 0)
		return r;
	r = json_get_u64(v, "prefix", "network", &prefix, err);
	if (r < 0)
		return r;
	if (prefix < SUBNET_PREFIX_MIN || prefix > SUBNET_PREFIX_MAX)
		return error_set(err, E_INVALID, "network: the prefix must be /%d to /%d",
				 SUBNET_PREFIX_MIN, SUBNET_PREFIX_MAX);
	c->prefix = (unsigned)prefix;
	struct subnet s = { .base = c->subnet, .prefix = c->prefix };
	if ((c->subnet.s_addr & ~subnet_mask(&s).s_addr) != 0)
		return error_set(err, E_INVALID, "network: the subnet has host bits set");
	r = json_get_string(v, "egress", "network", &egress, err);
	return r < 0 ? r : parse_egress(egress, &c->egress, err);
}

int switch_config_parse(const struct json *v, struct switch_config *ret, struct error *err)
{
	struct switch_config c = { 0 };
	int r = parse_config(v, &c, err);
	if (r < 0) {
		switch_config_release(&c);
		return r;
	}
	*ret = c;
	return 0;
}

int switch_name_check(const char *name, struct error *err)
{
	AUTO_FREE char *shown = text_escaped(name);
	if (!*name || strlen(name) > SWITCH_NAME_MAX || name[0] == '.' || strchr(name, '/'))
		return error_set(err, E_INVALID, "'%s' cannot be the name of a container", shown);
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return error_set(err, E_INVALID, "'%s' cannot be the name of a container",
					 shown);
	return 0;
}

static struct json *publish_json(const struct switch_publish *p)
{
	struct json *v = json_new_object();
	json_set(v, "host_addr", json_address(p->host_addr));
	json_set_int(v, "host_port", p->host_port);
	json_set_int(v, "guest_port", p->guest_port);
	json_set_bool(v, "udp", p->udp);
	return v;
}

struct json *switch_port_json(const struct switch_port *p)
{
	struct json *v = json_new_object(), *publish = json_new_array();
	char mac[MAC_TEXT_SIZE];
	mac_text(p->mac, mac);
	json_set_string(v, "name", p->name);
	json_set_strings(v, "aliases", &p->aliases);
	json_set_string(v, "mac", mac);
	json_set(v, "address", json_address(p->address));
	for (size_t i = 0; i < p->publish_count; i++)
		json_add(publish, publish_json(&p->publish[i]));
	json_set(v, "publish", publish);
	return v;
}

static int parse_publish(const struct json *v, struct switch_publish *ret, struct error *err)
{
	uint64_t host_port, guest_port;
	int r = get_address(v, "host_addr", "published port", &ret->host_addr, err);
	if (r < 0)
		return r;
	r = json_get_u64(v, "host_port", "published port", &host_port, err);
	if (r < 0)
		return r;
	r = json_get_u64(v, "guest_port", "published port", &guest_port, err);
	if (r < 0)
		return r;
	if (host_port > UINT16_MAX || guest_port == 0 || guest_port > UINT16_MAX)
		return error_set(err, E_INVALID, "published port: ports are 1 to 65535");
	ret->host_port = (uint16_t)host_port;
	ret->guest_port = (uint16_t)guest_port;
	ret->udp = json_bool(v, "udp", false);
	return 0;
}

static int parse_port(const struct json *v, struct switch_port *p, struct error *err)
{
	const char *name, *mac;
	int r = json_get_string(v, "name", "port", &name, err);
	if (r < 0)
		return r;
	r = switch_name_check(name, err);
	if (r < 0)
		return r;
	p->name = xstrdup(name);
	if (!json_strings(v, "aliases", &p->aliases) || p->aliases.count > SWITCH_ALIASES_MAX)
		return error_set(err, E_INVALID, "port '%s': aliases are at most %d names", name,
				 SWITCH_ALIASES_MAX);
	for (size_t i = 0; i < p->aliases.count; i++) {
		r = switch_name_check(p->aliases.items[i], err);
		if (r < 0)
			return error_wrap(err, "port '%s': alias", name);
	}
	r = json_get_string(v, "mac", "port", &mac, err);
	if (r < 0)
		return r;
	if (!mac_parse(mac, p->mac))
		return error_set(err, E_INVALID, "port '%s': \"mac\" is no unicast MAC address",
				 name);
	r = get_address(v, "address", "port", &p->address, err);
	if (r < 0)
		return r;
	const struct json *publish = json_member_array(v, "publish");
	size_t count = publish ? json_count(publish) : 0;
	if (count > SWITCH_PUBLISH_MAX)
		return error_set(err, E_INVALID, "port '%s': at most %d ports can be published",
				 name, SWITCH_PUBLISH_MAX);
	p->publish = xcalloc(count ? count : 1, sizeof(*p->publish));
	for (; p->publish_count < count; p->publish_count++) {
		r = parse_publish(json_item(publish, p->publish_count),
				  &p->publish[p->publish_count], err);
		if (r < 0)
			return error_wrap(err, "port '%s'", name);
	}
	return 0;
}

int switch_port_parse(const struct json *v, struct switch_port *ret, struct error *err)
{
	struct switch_port p = { 0 };
	int r = parse_port(v, &p, err);
	if (r < 0) {
		switch_port_release(&p);
		return r;
	}
	*ret = p;
	return 0;
}
