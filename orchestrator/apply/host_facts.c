/* SPDX-License-Identifier: MIT */
/* Facts about this host. */
#include "orchestrator/apply/host_facts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "orchestrator/state/env_store.h"
#include "runtime/network/switch_client.h"
#include "runtime/oci/platform.h"
#include "spec/fields/units.h"

enum { LOW_PORT_FILE_MAX = 64, PLATFORM_TEXT_SIZE = 64 };

static const char *fact_env(void *arg, const char *name)
{
	(void)arg;
	return getenv(name);
}

static enum spec_path_kind fact_path(void *arg, const char *path)
{
	const struct host_facts *f = arg;
	enum spec_path_kind kind;
	struct stat st;

	if (git_files_kind(f->git, path, &kind))
		return kind;
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode)   ? SPEC_PATH_DIR
		       : S_ISREG(st.st_mode) ? SPEC_PATH_FILE
					     : SPEC_PATH_OTHER;
	if (errno == ELOOP)
		return SPEC_PATH_LOOP;
	return errno == EACCES || errno == EPERM ? SPEC_PATH_DENIED : SPEC_PATH_MISSING;
}

static char *fact_real_path(void *arg, const char *path)
{
	const struct host_facts *f = arg;
	enum spec_path_kind kind;
	char *real = realpath(path, NULL);

	return !real && git_files_kind(f->git, path, &kind) ? xstrdup(path) : real;
}

static int fact_text(void *arg, const char *path, size_t max, struct buffer *out, struct error *err)
{
	const struct host_facts *f = arg;

	return git_files_read(f->git, path, max, out, err);
}

static int fact_include(void *arg, const char *url, const char *pinned, char **ret_path,
			char **ret_commit, struct error *err)
{
	const struct host_facts *f = arg;

	if (!f->git)
		return error_set(err, E_INVALID, "specs from git are not read here");
	return git_files_include(f->git, f->file ? f->file : "-", url, pinned, ret_path, ret_commit,
				 err);
}

/* A port that an interrupted run may already have published for a container it was making. */
static bool is_being_made(const struct container_record *c, struct in_addr address, unsigned port,
			  bool udp)
{
	AUTO_JSON spec = c->stage == STAGE_MAKING ? container_record_spec(c) : NULL;
	const struct json *ports = json_member_array(spec, "ports");

	for (size_t i = 0; i < json_count(ports); i++) {
		const struct json *p = json_item(ports, i);
		struct in_addr at;

		if (address_parse(json_str(p, "address", "127.0.0.1"), &at) &&
		    at.s_addr == address.s_addr && json_u64(p, "host", 0) == port &&
		    (strcmp(json_str(p, "protocol", "tcp"), "udp") == 0) == udp)
			return true;
	}
	return false;
}

static bool is_own_port(const struct env_record *own, struct in_addr address, unsigned port,
			bool udp)
{
	for (size_t i = 0; own && i < own->container_count; i++) {
		const struct container_record *c = &own->containers[i];

		if (is_being_made(c, address, port, udp))
			return true;
		for (size_t n = 0; n < c->port_count; n++)
			if (c->ports[n].host_port == port && c->ports[n].udp == udp &&
			    c->ports[n].host_address.s_addr == address.s_addr)
				return true;
	}
	return false;
}

/* A live change that was interrupted may have bound a port that no record holds yet: it is our own
 * switch's. */
static bool is_own_switch(const struct host_facts *f, const char *holder)
{
	for (size_t i = 0; f->own && i < f->own->network_count; i++) {
		AUTO_FREE char *run_dir = env_store_run_dir(f->paths, f->own->networks[i].run_id);
		pid_t pid = switch_observe(run_dir);
		AUTO_FREE char *mark = xasprintf("(pid %d)", (int)pid);

		if (pid > 0 && strstr(holder, mark))
			return true;
	}
	return false;
}

static char *fact_port_holder(void *arg, const char *address, unsigned port, bool is_udp)
{
	const struct host_facts *f = arg;
	AUTO_FREE char *holder = NULL;
	struct in_addr addr;

	if (!address_parse(address, &addr) || is_own_port(f->own, addr, port, is_udp) ||
	    host_port_is_free(addr, (uint16_t)port, is_udp))
		return NULL;
	holder = host_port_holder(addr, (uint16_t)port, is_udp);
	if (!holder)
		return xstrdup("another program");
	return is_own_switch(f, holder) ? NULL : TAKE_PTR(holder);
}

static bool may_bind_low_ports(void)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (geteuid() == 0)
		return true;
	if (file_read("/proc/sys/net/ipv4/ip_unprivileged_port_start", LOW_PORT_FILE_MAX, &text,
		      &err) < 0) {
		error_ignore(&err, "look at the first unprivileged port");
		return false;
	}
	return strtoul(buffer_str(&text), NULL, 10) <= 1;
}

/* A record of version 1 says it in the spec alone. */
static uint64_t memory_of(const struct container_record *c)
{
	AUTO_JSON spec = c->memory_bytes ? NULL : container_record_spec(c);
	const struct json *resources = json_member_object(spec, "resources");
	int64_t bytes = 0;

	if (units_size(json_str(resources, "memory", ""), &bytes) || bytes < 0)
		return c->memory_bytes;
	return (uint64_t)bytes;
}

/* Memory that the environment's own machines hold is there for it. */
static uint64_t own_memory(const struct env_record *own)
{
	uint64_t sum = 0;

	for (size_t i = 0; own && i < own->container_count; i++) {
		const struct container_record *c = &own->containers[i];

		if (c->stage != STAGE_NONE && !c->stopped)
			sum += memory_of(c);
	}
	return sum;
}

static char *fact_image_problem(void *arg, const char *image)
{
	const struct host_facts *f = arg;
	struct image_offer offer = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (image_store_ask(f->images, image, &offer, &err) < 0)
		return xstrdup(error_message(&err));
	image_offer_release(&offer);
	return NULL;
}

const char *host_platform(void)
{
	static char text[PLATFORM_TEXT_SIZE];
	AUTO_PLATFORM p = PLATFORM_INIT;
	AUTO_FREE char *owned = NULL;

	if (!text[0]) {
		platform_host(&p);
		owned = platform_text(&p);
		(void)snprintf(text, sizeof(text), "%s", owned);
	}
	return text;
}

void host_facts_init(const struct host_facts *facts, struct spec_host *ret)
{
	struct memory_facts memory;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t available;

	memory_facts_read(&memory);
	available = memory.available_bytes + own_memory(facts->own);
	*ret = (struct spec_host){
		.arg = (void *)(uintptr_t)facts,
		.env = fact_env,
		.path = fact_path,
		.real_path = fact_real_path,
		.text = fact_text,
		.include = fact_include,
		.port_holder = fact_port_holder,
		.image_problem = facts->images ? fact_image_problem : NULL,
		.may_bind_low_ports = may_bind_low_ports(),
		.memory_total = memory.total_bytes,
		.memory_available = available < memory.total_bytes ? available : memory.total_bytes,
		.cpus = cpus > 0 ? (unsigned)cpus : 0,
		.home = getenv("HOME"),
		.platform = host_platform(),
		.state = facts->paths ? facts->paths->state : NULL,
	};
}

/* The runtime's structs have writable strings; they are lent here and never written. */
static char *lend(const struct spec_text *t)
{
	return (char *)(uintptr_t)t->text;
}

static void add_registry(struct host_config *c, const struct config_registry *r)
{
	struct registry_config *to = &c->registries[c->registry_count++];

	*to = (struct registry_config){
		.host = (char *)(uintptr_t)r->o.name,
		.mirrors = xcalloc(r->mirrors.count + 1, sizeof(*to->mirrors)),
		.ca_file = lend(&r->ca),
		.cert_file = lend(&r->cert),
		.key_file = lend(&r->key),
		.insecure = r->insecure.value,
		.auth_host = lend(&r->auth_host),
	};
	for (size_t i = 0; i < r->mirrors.count; i++)
		to->mirrors[to->mirror_count++] = (struct registry_mirror){
			.host = lend(&r->mirrors.items[i].host),
			.insecure = r->mirrors.items[i].insecure.value,
		};
}

int host_config_load(const struct host_paths *paths, struct host_config *ret,
		     struct diagnostics *diags, struct error *err)
{
	AUTO_FREE char *path = path_join(paths->config, "config.yaml");
	struct host_config c = { 0 };
	int r = config_load(path, &c.config, diags, err);

	if (r < 0)
		return r;
	c.registries = xcalloc(c.config->registries.count + 1, sizeof(*c.registries));
	for (size_t i = 0; i < c.config->registries.count; i++)
		add_registry(&c, &c.config->registries.items[i]);
	*ret = c;
	return 0;
}

void host_config_release(struct host_config *c)
{
	for (size_t i = 0; i < c->registry_count; i++)
		free(c->registries[i].mirrors);
	free(c->registries);
	config_free(c->config);
	*c = (struct host_config){ 0 };
}

static struct image_store_options options_of(const struct host_paths *paths,
					     const struct host_config *config)
{
	return (struct image_store_options){
		.paths = paths,
		.registries = config->registries,
		.registry_count = config->registry_count,
		.max_downloads = (unsigned)config->config->images.downloads.value,
		.stall_seconds = (unsigned)(config->config->images.stall.value / 1000),
	};
}

int host_images_open(const struct host_paths *paths, const struct host_config *config,
		     image_progress_fn progress, void *arg, struct image_store **ret,
		     struct error *err)
{
	struct image_store_options o = options_of(paths, config);

	o.progress = progress;
	o.progress_arg = arg;
	return image_store_open(&o, ret, err);
}

int host_images_read(const struct host_paths *paths, const struct host_config *config,
		     const char *platform, struct image_store **ret, struct error *err)
{
	struct image_store_options o = options_of(paths, config);

	o.reads_only = true;
	o.platform = platform;
	return image_store_open(&o, ret, err);
}
