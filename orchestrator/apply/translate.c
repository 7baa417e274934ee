/* SPDX-License-Identifier: MIT */
/* Disks, NICs, shares, names and resources of a machine from the spec. */
#include "orchestrator/apply/translate.h"

#include <string.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/file.h"

static uint64_t number_or(const struct spec_number *n, uint64_t fallback)
{
	return n->at.is_set && n->value > 0 ? (uint64_t)n->value : fallback;
}

uint64_t translate_disk_bytes(const struct spec_container *c)
{
	return number_or(&c->resources.disk, DISK_DEFAULT_BYTES);
}

static void add_disks(const struct translate_input *in, struct machine_config *c)
{
	c->disks = xcalloc(2, sizeof(*c->disks));
	c->disk_count = 2;
	c->disks[0] = (struct machine_disk){ .serial = xstrdup(DISK_SERIAL_IMAGE),
					     .path = xstrdup(in->image->disk),
					     .read_only = true };
	c->disks[1] = (struct machine_disk){ .serial = xstrdup(DISK_SERIAL_UPPER),
					     .path = path_join(in->state_dir, UPPER_DISK_NAME) };
	c->setup.disks = xcalloc(2, sizeof(*c->setup.disks));
	c->setup.disk_count = 2;
	c->setup.disks[0] = (struct setup_disk){ .serial = xstrdup(DISK_SERIAL_IMAGE),
						 .role = DISK_LOWER,
						 .read_only = true };
	c->setup.disks[1] =
		(struct setup_disk){ .serial = xstrdup(DISK_SERIAL_UPPER), .role = DISK_UPPER };
}

static char *text_of_address(struct in_addr address)
{
	char text[ADDRESS_TEXT_SIZE];

	address_text(address, text);
	return xstrdup(text);
}

static bool leads_out(const struct translate_input *in, const char *network)
{
	const struct spec_network *n = environment_network(in->env, network);

	return !n || n->egress.mode.value == SPEC_EGRESS_FULL ||
	       n->egress.mode.value == SPEC_EGRESS_LIST;
}

/* Interfaces keep their numbers while networks come and go; what is chosen by their order stays so
 * too. Return: the index of the network with the lowest interface from @from on, or -1 */
static int next_network(const struct spec_container *c, const struct container_record *record,
			unsigned from)
{
	int found = -1;
	unsigned best = 0;

	for (size_t i = 0; i < c->networks.count; i++) {
		const struct address_record *place =
			container_record_address(record, c->networks.items[i].o.name);

		if (!place || place->interface < from || (found >= 0 && place->interface >= best))
			continue;
		found = (int)i;
		best = place->interface;
	}
	return found;
}

static int add_nic(const struct translate_input *in, size_t index, bool *has_gateway,
		   struct machine_config *c, struct error *err)
{
	const struct spec_attachment *at = &in->container->networks.items[index];
	const struct network_record *network = env_record_network(in->record, at->o.name);
	const struct container_record *self =
		env_record_container(in->record, in->container->o.name);
	const struct address_record *place = container_record_address(self, at->o.name);
	struct machine_nic *nic = &c->nics[c->nic_count];
	struct setup_nic *setup = &c->setup.nics[c->setup.nic_count];

	if (!network || !network->subnet.prefix || !place)
		return error_at(err, at->o.at.pos, E_INTERNAL,
				"container '%s' has no address on network '%s'",
				in->container->o.name, at->o.name);
	*nic = (struct machine_nic){ .id = xasprintf("n-%s", network->run_id),
				     .port_dir = xstrdup(in->port_dirs[index]),
				     .mtu = NETWORK_MTU };
	mac_from_address(place->address, nic->mac);
	*setup = (struct setup_nic){ .name = xasprintf("eth%u", place->interface),
				     .mtu = NETWORK_MTU,
				     .address = text_of_address(place->address),
				     .prefix = network->subnet.prefix };
	memcpy(setup->mac, nic->mac, sizeof(setup->mac));
	if (!*has_gateway && leads_out(in, at->o.name)) {
		setup->gateway = text_of_address(subnet_gateway(&network->subnet));
		*has_gateway = true;
	}
	c->nic_count++;
	c->setup.nic_count++;
	return 0;
}

static int check_places(const struct translate_input *in, const struct container_record *self,
			struct error *err)
{
	for (size_t i = 0; i < in->container->networks.count; i++) {
		const struct spec_attachment *at = &in->container->networks.items[i];

		if (!self || !container_record_address(self, at->o.name))
			return error_at(err, at->o.at.pos, E_INTERNAL,
					"container '%s' has no address on network '%s'",
					in->container->o.name, at->o.name);
	}
	return 0;
}

static int add_nics(const struct translate_input *in, struct machine_config *c, struct error *err)
{
	const struct container_record *self =
		env_record_container(in->record, in->container->o.name);
	size_t count = in->container->networks.count;
	bool has_gateway = false;
	int r = check_places(in, self, err);

	c->nics = xcalloc(count + 1, sizeof(*c->nics));
	c->setup.nics = xcalloc(count + 1, sizeof(*c->setup.nics));
	for (int i = r == 0 ? next_network(in->container, self, 0) : -1; r == 0 && i >= 0;) {
		const char *name = in->container->networks.items[i].o.name;

		r = add_nic(in, (size_t)i, &has_gateway, c, err);
		i = next_network(in->container, self,
				 container_record_address(self, name)->interface + 1);
	}
	return r;
}

static struct setup_host *add_host(struct msg_names *names, char *address)
{
	struct setup_host *h;

	names->hosts = xreallocarray(names->hosts, names->host_count + 1, sizeof(*names->hosts));
	h = &names->hosts[names->host_count++];
	*h = (struct setup_host){ .address = address };
	return h;
}

/* The name server of the first network knows only that one: peers on the others are listed in
 * hosts. */
static void add_peers(const struct translate_input *in, const char *network,
		      struct msg_names *names)
{
	for (size_t i = 0; i < in->env->containers.count; i++) {
		const struct spec_container *peer = &in->env->containers.items[i];
		const struct container_record *record =
			env_record_container(in->record, peer->o.name);
		const struct address_record *place =
			record ? container_record_address(record, network) : NULL;

		if (peer == in->container || !peer->is_active || !place)
			continue;
		for (size_t n = 0; n < peer->networks.count; n++) {
			const struct spec_attachment *at = &peer->networks.items[n];
			struct setup_host *h;

			if (strcmp(at->o.name, network) != 0)
				continue;
			h = add_host(names, text_of_address(place->address));
			strlist_add(&h->names, peer->o.name);
			for (size_t a = 0; a < at->aliases.count; a++)
				strlist_add(&h->names, at->aliases.items[a].text);
			strlist_printf(&h->names, "%s.%s", peer->o.name, in->env->name.text);
		}
	}
}

/* The network whose name server is asked: the first that leads out, else the first. */
static size_t naming_network(const struct translate_input *in)
{
	const struct spec_container *c = in->container;
	const struct container_record *self = env_record_container(in->record, c->o.name);
	int first = self ? next_network(c, self, 0) : -1;

	for (int i = first; i >= 0;) {
		const char *name = c->networks.items[i].o.name;

		if (leads_out(in, name))
			return (size_t)i;
		i = next_network(c, self, container_record_address(self, name)->interface + 1);
	}
	return first < 0 ? 0 : (size_t)first;
}

static void add_names(const struct translate_input *in, struct msg_names *names)
{
	const struct spec_container *c = in->container;
	size_t asked = naming_network(in);
	const struct network_record *network =
		c->networks.count ? env_record_network(in->record, c->networks.items[asked].o.name)
				  : NULL;

	for (size_t i = 0; i < c->dns.count; i++)
		strlist_add(&names->dns_servers, c->dns.items[i].text);
	if (!c->dns.count && network)
		strlist_take(&names->dns_servers, text_of_address(subnet_dns(&network->subnet)));
	for (size_t i = 0; i < c->hosts.count; i++)
		strlist_add(&add_host(names, xstrdup(c->hosts.items[i].value.text))->names,
			    c->hosts.items[i].key);
	for (size_t i = 0; i < c->networks.count; i++)
		if (c->dns.count || i != asked)
			add_peers(in, c->networks.items[i].o.name, names);
}

char *volume_serial(const char *volume)
{
	char hex[65];

	sha256_hex(volume, strlen(volume), hex);
	return xasprintf("v-%.16s", hex);
}

static uint32_t mount_flags(const struct spec_mount *m)
{
	uint32_t flags = m->noexec.value ? SETUP_NO_EXEC : 0;

	if (m->nosuid.at.is_set && !m->nosuid.value)
		flags |= SETUP_WITH_SUID;
	if (m->nodev.at.is_set && !m->nodev.value)
		flags |= SETUP_WITH_DEVICES;
	return flags;
}

/* A name that says all there is about a device: one that differs in anything is another device,
 * which a running machine can tell. */
static char *share_tag(const struct spec_mount *m)
{
	AUTO_FREE char *all = xasprintf("%d %d %d %s", m->type.value, m->access.value,
					m->git.at.is_set ? m->git.value : -1, m->source.text);
	char hex[65];

	sha256_hex(all, strlen(all), hex);
	return xasprintf("s-%.16s", hex);
}

static struct machine_disk *find_disk(struct machine_config *c, const char *serial)
{
	for (size_t i = 0; i < c->disk_count; i++)
		if (strcmp(c->disks[i].serial, serial) == 0)
			return &c->disks[i];
	return NULL;
}

/* One disk, however often it is mounted: writable if one of its mounts is. */
static void add_volume(const struct translate_input *in, const struct spec_mount *m,
		       struct machine_config *c)
{
	bool read_only = m->access.value == SPEC_ACCESS_RO;
	AUTO_FREE char *serial = volume_serial(m->source.text);
	struct machine_disk *disk = find_disk(c, serial);

	if (!disk) {
		c->disks = xreallocarray(c->disks, c->disk_count + 1, sizeof(*c->disks));
		disk = &c->disks[c->disk_count++];
		*disk = (struct machine_disk){ .serial = xstrdup(serial),
					       .path = xasprintf("%s/%s.ext4", in->volumes_dir,
								 m->source.text),
					       .read_only = true };
	}
	disk->read_only = disk->read_only && read_only;
	c->setup.disks =
		xreallocarray(c->setup.disks, c->setup.disk_count + 1, sizeof(*c->setup.disks));
	c->setup.disks[c->setup.disk_count++] = (struct setup_disk){
		.serial = xstrdup(serial),
		.role = DISK_VOLUME,
		.target = xstrdup(m->target.text),
		.subpath = xstrdup(m->subpath.text ? m->subpath.text : ""),
		.read_only = read_only,
		.flags = mount_flags(m),
	};
}

static void add_share(const struct spec_mount *m, struct machine_config *c)
{
	bool read_only = m->access.value == SPEC_ACCESS_RO;
	bool is_file = m->type.value == SPEC_MOUNT_FILE;
	char *tag = share_tag(m);

	c->setup.shares[c->setup.share_count++] = (struct setup_share){
		.tag = xstrdup(tag),
		.target = xstrdup(m->target.text),
		.file_name = xstrdup(is_file ? path_basename(m->source.text) : ""),
		.read_only = read_only,
		.flags = mount_flags(m),
	};
	for (size_t i = 0; i < c->share_count; i++) {
		if (strcmp(c->shares[i].tag, tag) == 0) { /* the same, at another target */
			free(tag);
			return;
		}
	}
	c->shares[c->share_count++] = (struct machine_share){
		.tag = tag,
		.source = xstrdup(m->source.text),
		.read_only = read_only,
		.git_writable = m->git.at.is_set && m->git.value == SPEC_GIT_RW,
	};
}

static int add_mounts(const struct translate_input *in, struct machine_config *c, struct error *err)
{
	size_t count = in->container->mounts.count;

	c->shares = xcalloc(count + 1, sizeof(*c->shares));
	c->setup.shares = xcalloc(count + 1, sizeof(*c->setup.shares));
	c->setup.tmpfs = xcalloc(count + 2, sizeof(*c->setup.tmpfs)); /* one for secrets */
	for (size_t i = 0; i < count; i++) {
		const struct spec_mount *m = &in->container->mounts.items[i];

		switch ((enum spec_mount_type)m->type.value) {
		case SPEC_MOUNT_DIR:
		case SPEC_MOUNT_FILE:
			if (m->optional.value && !file_exists(m->source.text))
				continue;
			add_share(m, c);
			break;
		case SPEC_MOUNT_TMPFS:
			c->setup.tmpfs[c->setup.tmpfs_count++] = (struct setup_tmpfs){
				.target = xstrdup(m->target.text),
				.size_bytes = number_or(&m->size, 0),
				.read_only = m->access.value == SPEC_ACCESS_RO,
				.flags = mount_flags(m),
			};
			break;
		case SPEC_MOUNT_VOLUME:
			add_volume(in, m, c);
			break;
		case SPEC_MOUNT_IMAGE:
			return error_at(err, m->o.at.pos, E_INVALID,
					"mounts of type %s have no effect yet",
					spec_mount_type_name((enum spec_mount_type)m->type.value));
		}
	}
	return 0;
}

static void add_contents(const struct contents *from, struct machine_config *c)
{
	if (from->has_secret_files)
		c->setup.tmpfs[c->setup.tmpfs_count++] =
			(struct setup_tmpfs){ .target = xstrdup(SECRETS_DIR),
					      .size_bytes = SECRETS_ROOM_BYTES,
					      .mode = 0755 };
	c->files = xcalloc(from->file_count + 1, sizeof(*c->files));
	for (; c->file_count < from->file_count; c->file_count++)
		msg_write_file_copy(&c->files[c->file_count], &from->files[c->file_count]);
}

/* A secret takes the place of a variable of the same name. */
static void add_secret_env(const struct strlist *secrets, struct strlist *env)
{
	for (size_t i = 0; i < secrets->count; i++) {
		size_t name = (size_t)(strchr(secrets->items[i], '=') - secrets->items[i]) + 1;
		size_t at = 0;

		while (at < env->count && strncmp(env->items[at], secrets->items[i], name) != 0)
			at++;
		if (at < env->count) {
			free(env->items[at]);
			env->items[at] = xstrdup(secrets->items[i]);
		} else {
			strlist_add(env, secrets->items[i]);
		}
	}
}

static void add_sysctls(const struct spec_pairs *pairs, struct msg_setup *setup)
{
	setup->sysctls = xcalloc(pairs->count + 1, sizeof(*setup->sysctls));
	for (size_t i = 0; i < pairs->count; i++)
		setup->sysctls[setup->sysctl_count++] = (struct setup_sysctl){
			.name = xstrdup(pairs->items[i].key),
			.value = xstrdup(pairs->items[i].value.text ? pairs->items[i].value.text
								    : ""),
		};
}

static void add_log_limits(const struct spec_container *s, struct machine_config *c)
{
	c->log_max_bytes = number_or(&s->logging.max_size, 0);
	c->log_files = (unsigned)number_or(&s->logging.files, 0);
}

/* The main process, or several. */
static int add_processes(const struct translate_input *in, struct machine_config *c,
			 struct error *err)
{
	int r = 0;

	if (!in->container->processes.count)
		r = translate_main(in->container, in->image, &c->main, err);
	if (r == 0 && in->contents && c->main.argv.count)
		add_secret_env(&in->contents->secret_env, &c->main.env);
	return r < 0 ? r : translate_supervise(in, c, err);
}

/* Tests do not wait as long as people do for a guest that never answers. */
static uint64_t start_timeout_ms(void)
{
	const char *text = getenv("CTRZ_TEST_START_MS");
	uint64_t ms = 0;

	return text && parse_u64(text, UINT32_MAX, &ms) ? ms : 0;
}

static void add_basics(const struct translate_input *in, struct machine_config *c)
{
	const struct spec_container *s = in->container;

	c->name = xstrdup(s->o.name);
	c->run_dir = xstrdup(in->run_dir);
	c->state_dir = xstrdup(in->state_dir);
	c->events = xstrdup_null(in->events);
	c->kernel = xstrdup(in->kernel->vmlinux);
	c->initrd = xstrdup(in->kernel->initrd);
	c->kernel_args = xstrdup_null(s->kernel.cmdline.text);
	c->cpus = (unsigned)number_or(&s->resources.cpus, CPUS_DEFAULT);
	c->memory_bytes = number_or(&s->resources.memory, MEMORY_DEFAULT_BYTES);
	c->start_timeout_ms = start_timeout_ms();
	add_log_limits(s, c);
	c->setup.hostname = xstrdup(s->hostname.text ? s->hostname.text : s->o.name);
	c->setup.read_only_root = s->read_only.value;
	c->setup.init = !s->init.at.is_set || s->init.value;
	c->setup.shows_system_paths = s->system_paths.value == SPEC_PATHS_VISIBLE;
	c->setup.limits.pids = number_or(&s->resources.pids, 0);
	c->setup.limits.shm_bytes = number_or(&s->resources.shm, 0);
	c->is_filtered = s->seccomp.value == SPEC_SECCOMP_DEFAULT;
	c->capabilities = translate_capabilities(&s->capabilities);
}

int translate_container(const struct translate_input *in, struct machine_config *ret,
			struct error *err)
{
	struct machine_config c = { 0 };
	int r;

	add_basics(in, &c);
	add_disks(in, &c);
	add_names(in, &c.setup.names);
	add_sysctls(&in->container->sysctls, &c.setup);
	r = add_nics(in, &c, err);
	if (r == 0)
		r = add_mounts(in, &c, err);
	if (r == 0)
		r = translate_sockets(in->container, &c, err);
	if (r == 0)
		r = add_processes(in, &c, err);
	if (r == 0 && in->contents)
		add_contents(in->contents, &c);
	if (r < 0)
		machine_config_release(&c);
	else
		*ret = c;
	return r;
}

void translate_network(const struct spec_network *n, const struct network_record *record,
		       const char *run_dir, struct switch_config *ret)
{
	*ret = (struct switch_config){
		.name = xstrdup(record->name),
		.run_dir = xstrdup(run_dir),
		.subnet = record->subnet.base,
		.prefix = record->subnet.prefix,
		.egress = EGRESS_FULL,
	};
	if (!n)
		return;
	switch ((enum spec_egress)n->egress.mode.value) {
	case SPEC_EGRESS_ENV:
		ret->egress = EGRESS_ENV;
		break;
	case SPEC_EGRESS_NONE:
		ret->egress = EGRESS_NONE;
		break;
	case SPEC_EGRESS_FULL:
	case SPEC_EGRESS_LIST:
		break;
	}
}

static int add_publish(const struct spec_port *p, struct switch_port *port, struct error *err)
{
	struct switch_publish *to = &port->publish[port->publish_count];
	const char *address = p->address.text ? p->address.text : "127.0.0.1";

	if (!address_parse(address, &to->host_addr))
		return error_at(err, p->o.at.pos, E_INVALID,
				"'%s' is no IPv4 address to publish a port on", address);
	to->host_port = (uint16_t)p->host.value;
	to->guest_port = (uint16_t)p->container.value;
	to->udp = p->protocol.value == SPEC_PROTOCOL_UDP;
	port->publish_count++;
	return 0;
}

int translate_port(const struct spec_container *c, const struct container_record *record,
		   size_t network_index, struct switch_port *ret, struct error *err)
{
	const struct spec_attachment *at = &c->networks.items[network_index];
	const struct address_record *place = container_record_address(record, at->o.name);
	struct switch_port port = { .name = xstrdup(c->o.name) };
	bool publishes = next_network(c, record, 0) == (int)network_index;
	int r = 0;

	if (!place)
		r = error_at(err, at->o.at.pos, E_INTERNAL,
			     "container '%s' has no address on network '%s'", c->o.name,
			     at->o.name);
	else
		port.address = place->address;
	mac_from_address(port.address, port.mac);
	for (size_t i = 0; i < at->aliases.count; i++)
		strlist_add(&port.aliases, at->aliases.items[i].text);
	port.publish = xcalloc(c->ports.count + 1, sizeof(*port.publish));
	for (size_t i = 0; r == 0 && publishes && i < c->ports.count; i++)
		r = add_publish(&c->ports.items[i], &port, err);
	if (r < 0)
		switch_port_release(&port);
	else
		*ret = port;
	return r;
}
