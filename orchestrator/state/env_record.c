/* SPDX-License-Identifier: MIT */
/* The record of an environment in memory: finding, adding and dropping its parts. */
#include "orchestrator/state/env_record.h"

#include <string.h>

#include "base/alloc.h"
#include "base/digest/digest.h"

void random_id(char *out, size_t size)
{
	static const char alphabet[] = "abcdefghjkmnpqrstuvwxyz023456789";

	random_bytes(out, size);
	for (size_t i = 0; i + 1 < size; i++)
		out[i] = alphabet[(unsigned char)out[i] % (sizeof(alphabet) - 1)];
	out[size - 1] = '\0';
}

static void network_record_release(struct network_record *n)
{
	free(n->name);
	json_free(n->spec);
	*n = (struct network_record){ 0 };
}

void env_record_reset_container(struct container_record *c)
{
	free(c->image);
	free(c->image_digest);
	free(c->image_disk);
	free(c->kernel);
	free(c->stop_signal);
	free(c->spec);
	json_free(c->contents);
	container_record_reset_ports(c);
	c->image = c->image_digest = c->image_disk = c->kernel = c->stop_signal = NULL;
	c->spec = NULL;
	c->contents = NULL;
	c->memory_bytes = 0;
	c->stage = STAGE_NONE;
	c->stopped = false;
	c->made_unix_ms = 0;
}

struct json *container_record_spec(const struct container_record *c)
{
	AUTO_ERROR err = ERROR_INIT;
	struct json *spec = NULL;

	if (c->spec && json_parse(c->spec, strlen(c->spec), SIZE_MAX, c->name, &spec, &err) < 0)
		error_ignore(&err, "read the applied spec of a container");
	return spec;
}

void container_record_clear(struct container_record *c)
{
	env_record_reset_container(c);
	for (size_t i = 0; i < c->address_count; i++)
		free(c->addresses[i].network);
	free(c->addresses);
	*c = (struct container_record){ .name = c->name };
}

static void container_record_release(struct container_record *c)
{
	container_record_clear(c);
	free(c->name);
	*c = (struct container_record){ 0 };
}

void env_record_release(struct env_record *r)
{
	for (size_t i = 0; i < r->network_count; i++)
		network_record_release(&r->networks[i]);
	for (size_t i = 0; i < r->container_count; i++)
		container_record_release(&r->containers[i]);
	for (size_t i = 0; i < r->volume_count; i++)
		free(r->volumes[i].name);
	free(r->networks);
	free(r->volumes);
	free(r->containers);
	free(r->name);
	free(r->file);
	spec_source_release(&r->source);
	free(r->changed_by);
	*r = (struct env_record){ 0 };
}

struct container_record *env_record_container(const struct env_record *r, const char *name)
{
	for (size_t i = 0; i < r->container_count; i++)
		if (strcmp(r->containers[i].name, name) == 0)
			return &r->containers[i];
	return NULL;
}

struct container_record *env_record_add_container(struct env_record *r, const char *name)
{
	struct container_record *c = env_record_container(r, name);

	if (c)
		return c;
	c = env_record_append_container(r, name);
	random_id(c->run_id, sizeof(c->run_id));
	return c;
}

struct container_record *env_record_append_container(struct env_record *r, const char *name)
{
	size_t count = r->container_count++;

	/* There is room for the next power of two. */
	if ((count & (count - 1)) == 0)
		r->containers =
			xreallocarray(r->containers, count ? count * 2 : 1, sizeof(*r->containers));
	r->containers[count] = (struct container_record){ .name = xstrdup(name) };
	return &r->containers[count];
}

void env_record_drop_container(struct env_record *r, const char *name)
{
	struct container_record *c = env_record_container(r, name);
	size_t index;

	if (!c)
		return;
	index = (size_t)(c - r->containers);
	container_record_release(c);
	memmove(c, c + 1, (--r->container_count - index) * sizeof(*c));
}

struct network_record *env_record_network(const struct env_record *r, const char *name)
{
	for (size_t i = 0; i < r->network_count; i++)
		if (strcmp(r->networks[i].name, name) == 0)
			return &r->networks[i];
	return NULL;
}

struct network_record *env_record_add_network(struct env_record *r, const char *name)
{
	struct network_record *n = env_record_network(r, name);

	if (n)
		return n;
	r->networks = xreallocarray(r->networks, r->network_count + 1, sizeof(*n));
	n = &r->networks[r->network_count++];
	*n = (struct network_record){ .name = xstrdup(name) };
	random_id(n->run_id, sizeof(n->run_id));
	return n;
}

void env_record_drop_network(struct env_record *r, const char *name)
{
	struct network_record *n = env_record_network(r, name);
	size_t index;

	if (!n)
		return;
	index = (size_t)(n - r->networks);
	network_record_release(n);
	memmove(n, n + 1, (--r->network_count - index) * sizeof(*n));
}

struct volume_record *env_record_volume(const struct env_record *r, const char *name)
{
	for (size_t i = 0; i < r->volume_count; i++)
		if (strcmp(r->volumes[i].name, name) == 0)
			return &r->volumes[i];
	return NULL;
}

struct volume_record *env_record_add_volume(struct env_record *r, const char *name)
{
	struct volume_record *v = env_record_volume(r, name);

	if (v)
		return v;
	r->volumes = xreallocarray(r->volumes, r->volume_count + 1, sizeof(*v));
	v = &r->volumes[r->volume_count++];
	*v = (struct volume_record){ .name = xstrdup(name) };
	return v;
}

void env_record_drop_volume(struct env_record *r, const char *name)
{
	struct volume_record *v = env_record_volume(r, name);
	size_t index;

	if (!v)
		return;
	index = (size_t)(v - r->volumes);
	free(v->name);
	memmove(v, v + 1, (--r->volume_count - index) * sizeof(*v));
}

struct address_record *container_record_address(const struct container_record *c,
						const char *network)
{
	for (size_t i = 0; i < c->address_count; i++)
		if (strcmp(c->addresses[i].network, network) == 0)
			return &c->addresses[i];
	return NULL;
}

static unsigned free_interface(const struct container_record *c)
{
	unsigned number = 0;

	for (size_t i = 0; i < c->address_count; i++)
		if (c->addresses[i].interface == number) {
			number++;
			i = (size_t)-1;
		}
	return number;
}

void container_record_set_address(struct container_record *c, const char *network,
				  struct in_addr address)
{
	struct address_record *a = container_record_address(c, network);

	if (!a) {
		unsigned interface = free_interface(c);

		c->addresses = xreallocarray(c->addresses, c->address_count + 1, sizeof(*a));
		a = &c->addresses[c->address_count++];
		*a = (struct address_record){ .network = xstrdup(network), .interface = interface };
	}
	a->address = address;
}

void container_record_drop_address(struct container_record *c, const char *network)
{
	struct address_record *a = container_record_address(c, network);
	size_t index;

	if (!a)
		return;
	index = (size_t)(a - c->addresses);
	free(a->network);
	memmove(a, a + 1, (--c->address_count - index) * sizeof(*a));
}

void container_record_reset_ports(struct container_record *c)
{
	free(c->ports);
	c->ports = NULL;
	c->port_count = 0;
}

bool env_record_is_up(const struct env_record *r)
{
	for (size_t i = 0; i < r->container_count; i++)
		if (r->containers[i].stage != STAGE_NONE)
			return true;
	for (size_t i = 0; i < r->network_count; i++)
		if (r->networks[i].spec)
			return true;
	return false;
}
