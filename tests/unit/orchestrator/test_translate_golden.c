/* SPDX-License-Identifier: MIT */
/* From spec to machine against tests/golden/translate/: what the keeper is told for the container
 * "app" of each spec. */
/*
 * Sections: @IMAGE (the image's config as JSON), @SPEC, @EXPECT.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "orchestrator/apply/translate.h"
#include "spec/spec.h"
#include "tests/unit/golden.h"
#include "tests/unit/test.h"

static const char *const section_names[] = { "@IMAGE", "@SPEC", "@EXPECT", NULL };
enum section { IMAGE, SPEC };

struct golden {
	struct golden_case c;
	struct environment *env;
	struct env_record record;
	struct image image;
};

static void load_spec(struct golden *g)
{
	struct spec_options o = SPEC_OPTIONS_INIT;
	AUTO_DIAGNOSTICS diags = DIAGNOSTICS_INIT;
	AUTO_BUFFER shown = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	assert_non_null(g->c.sections[SPEC]);
	/* Whatever agent the one has who runs the tests. */
	assert_int_equal(setenv("SSH_AUTH_SOCK", "/run/user/1000/agent.sock", 1), 0);
	o.text = g->c.sections[SPEC];
	o.text_size = strlen(o.text);
	o.text_name = "env.yaml";
	o.text_dir = "/home/a/shop";
	o.keeps_later_keys = true;
	if (spec_load(&o, &g->env, &diags, &err) < 0) {
		diagnostics_print(&diags, false, &shown);
		fail_msg("%s: %s\n%s", g->c.path, error_message(&err), buffer_str(&shown));
	}
}

static void load_image(struct golden *g)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_JSON v = NULL;

	g->image.disk = xstrdup("/data/disks/image.ext4");
	if (!g->c.sections[IMAGE])
		return;
	assert_ok(err, json_parse(g->c.sections[IMAGE], strlen(g->c.sections[IMAGE]),
				  GOLDEN_FILE_MAX, "image", &v, &err));
	(void)json_strings(v, "Entrypoint", &g->image.config.entrypoint);
	(void)json_strings(v, "Cmd", &g->image.config.cmd);
	(void)json_strings(v, "Env", &g->image.config.env);
	g->image.config.stop_signal = xstrdup_null(json_str(v, "StopSignal", NULL));
	g->image.config.user = xstrdup_null(json_str(v, "User", NULL));
	g->image.config.working_dir = xstrdup_null(json_str(v, "WorkingDir", NULL));
}

/* 10.77.<network>.0/24 by the network's place, .<10 + container> by the container's. */
static void make_record(struct golden *g)
{
	AUTO_ERROR err = ERROR_INIT;

	for (size_t n = 0; n < g->env->networks.count; n++) {
		AUTO_FREE char *text = xasprintf("10.77.%zu.0/24", n);
		struct network_record *r =
			env_record_add_network(&g->record, g->env->networks.items[n].o.name);

		assert_ok(err, subnet_parse(text, &r->subnet, &err));
		memcpy(r->run_id, "net0", 5);
		r->run_id[3] = (char)('0' + (char)n);
	}
	for (size_t i = 0; i < g->env->containers.count; i++) {
		const struct spec_container *c = &g->env->containers.items[i];
		struct container_record *r = env_record_add_container(&g->record, c->o.name);

		for (size_t n = 0; n < c->networks.count; n++) {
			const struct network_record *network =
				env_record_network(&g->record, c->networks.items[n].o.name);

			container_record_set_address(
				r, network->name,
				subnet_address(&network->subnet, (uint32_t)(10 + i)));
		}
	}
}

static void add_list(struct buffer *out, const char *what, const struct strlist *l)
{
	AUTO_FREE char *text = strlist_join(l, " | ");

	if (l->count)
		buffer_printf(out, "%s %s\n", what, text);
}

static void add_text(struct buffer *out, const char *what, const char *text)
{
	if (text && *text)
		buffer_printf(out, "%s %s\n", what, text);
}

static void print_process(const struct msg_spawn *m, struct buffer *out)
{
	add_list(out, "argv", &m->argv);
	add_list(out, "env", &m->env);
	add_text(out, "user", m->user);
	add_text(out, "working_dir", m->working_dir);
	if (m->tty || m->stdin_open)
		buffer_printf(out, "terminal %d stdin %d\n", m->tty, m->stdin_open);
	for (size_t i = 0; i < m->rlimit_count; i++)
		buffer_printf(out, "rlimit %u %lld %lld\n", m->rlimits[i].resource,
			      (long long)m->rlimits[i].soft, (long long)m->rlimits[i].hard);
	if (m->set_capabilities)
		buffer_printf(out, "capabilities %llx ambient %llx\n",
			      (unsigned long long)m->capabilities, (unsigned long long)m->ambient);
	add_list(out, "groups", &m->groups);
	if (m->no_new_privileges)
		buffer_printf(out, "no new privileges\n");
	if (!m->is_filtered)
		buffer_printf(out, "no filter\n");
}

static const char *flags_text(uint32_t flags)
{
	static const char *const texts[] = {
		"",     " noexec",     " suid",     " noexec suid",
		" dev", " noexec dev", " suid dev", " noexec suid dev"
	};
	return texts[flags & 7];
}

static void print_devices(const struct machine_config *c, struct buffer *out)
{
	for (size_t i = 0; i < c->disk_count; i++)
		buffer_printf(out, "disk %s %s%s role %d\n", c->disks[i].serial, c->disks[i].path,
			      c->disks[i].read_only ? " ro" : "", (int)c->setup.disks[i].role);
	for (size_t i = 0; i < c->setup.disk_count; i++)
		if (c->setup.disks[i].role == DISK_VOLUME)
			buffer_printf(
				out, "volume %s at %s%s%s%s%s\n", c->setup.disks[i].serial,
				c->setup.disks[i].target, *c->setup.disks[i].subpath ? " of " : "",
				c->setup.disks[i].subpath, c->setup.disks[i].read_only ? " ro" : "",
				flags_text(c->setup.disks[i].flags));
	for (size_t i = 0; i < c->nic_count; i++) {
		const struct setup_nic *n = &c->setup.nics[i];
		char mac[MAC_TEXT_SIZE];

		mac_text(c->nics[i].mac, mac);
		buffer_printf(out, "nic %s %s %s mtu %u: %s %s/%u%s%s\n", c->nics[i].id,
			      c->nics[i].port_dir, mac, c->nics[i].mtu, n->name, n->address,
			      n->prefix, n->gateway ? " via " : "", n->gateway ? n->gateway : "");
	}
	for (size_t i = 0; i < c->setup.share_count; i++) {
		const struct setup_share *at = &c->setup.shares[i];
		const struct machine_share *s = c->shares;

		while (strcmp(s->tag, at->tag) != 0)
			s++;
		buffer_printf(out, "share %s %s%s%s at %s%s%s%s\n", s->tag, s->source,
			      s->read_only ? " ro" : "", s->git_writable ? " git" : "", at->target,
			      at->file_name[0] ? " file " : "", at->file_name,
			      flags_text(at->flags));
	}
	for (size_t i = 0; i < c->setup.tmpfs_count; i++)
		buffer_printf(out, "tmpfs %s %llu\n", c->setup.tmpfs[i].target,
			      (unsigned long long)c->setup.tmpfs[i].size_bytes);
}

static void print_sockets(const struct machine_config *c, struct buffer *out)
{
	for (size_t i = 0; i < c->socket_count; i++)
		buffer_printf(out, "socket %s %s %s\n", c->sockets[i].host_path,
			      c->sockets[i].is_out ? "<-" : "->", c->sockets[i].target);
	for (size_t i = 0; i < c->setup.socket_count; i++)
		buffer_printf(out, "guest socket %s %o\n", c->setup.sockets[i].target,
			      c->setup.sockets[i].mode);
}

static void print_config(const struct machine_config *c, struct buffer *out)
{
	if (c->supervise.stop_signal != SIGTERM)
		buffer_printf(out, "stop signal %u\n", c->supervise.stop_signal);
	buffer_printf(out, "machine %s cpus %u memory %llu restart %d\n", c->name, c->cpus,
		      (unsigned long long)c->memory_bytes, (int)c->restart);
	add_text(out, "kernel_args", c->kernel_args);
	if (c->setup.read_only_root)
		buffer_add_str(out, "read-only root\n");
	if (c->setup.limits.pids)
		buffer_printf(out, "pids %llu\n", (unsigned long long)c->setup.limits.pids);
	print_devices(c, out);
	print_sockets(c, out);
	add_text(out, "hostname", c->setup.hostname);
	add_list(out, "dns", &c->setup.names.dns_servers);
	for (size_t i = 0; i < c->setup.names.host_count; i++)
		add_list(out, c->setup.names.hosts[i].address, &c->setup.names.hosts[i].names);
	for (size_t i = 0; i < c->setup.sysctl_count; i++)
		buffer_printf(out, "sysctl %s=%s\n", c->setup.sysctls[i].name,
			      c->setup.sysctls[i].value);
	if (!c->setup.init)
		buffer_printf(out, "no init\n");
	if (c->setup.shows_system_paths)
		buffer_printf(out, "shows system paths\n");
	if (c->setup.limits.shm_bytes)
		buffer_printf(out, "shm %llu\n", (unsigned long long)c->setup.limits.shm_bytes);
	if (c->is_filtered && c->capabilities != CAPABILITIES_DEFAULT)
		buffer_printf(out, "filter for %llx\n", (unsigned long long)c->capabilities);
	print_process(&c->main, out);
}

static void print_ports(const struct golden *g, const struct spec_container *c, struct buffer *out)
{
	const struct container_record *record = env_record_container(&g->record, c->o.name);

	for (size_t n = 0; n < c->networks.count; n++) {
		struct switch_port p;
		AUTO_ERROR err = ERROR_INIT;

		assert_ok(err, translate_port(c, record, n, &p, &err));
		add_list(out, "aliases", &p.aliases);
		for (size_t i = 0; i < p.publish_count; i++) {
			char address[ADDRESS_TEXT_SIZE];

			address_text(p.publish[i].host_addr, address);
			buffer_printf(out, "publish on network %zu: %s:%u -> %u%s\n", n, address,
				      p.publish[i].host_port, p.publish[i].guest_port,
				      p.publish[i].udp ? "/udp" : "");
		}
		switch_port_release(&p);
	}
}

static void make_text(const struct golden *g, struct buffer *out)
{
	const struct spec_container *c = environment_container(g->env, "app");
	char first[] = "/run/ports/0", second[] = "/run/ports/1";
	char *dirs[] = { first, second };
	char vmlinux[] = "/kernels/vmlinux", initrd[] = "/kernels/initrd";
	struct kernel kernel = { .vmlinux = vmlinux, .initrd = initrd };
	struct translate_input in = { .env = g->env,
				      .container = c,
				      .record = &g->record,
				      .image = &g->image,
				      .kernel = &kernel,
				      .run_dir = "/run/app",
				      .state_dir = "/state/app",
				      .volumes_dir = "/volumes/x",
				      .port_dirs = dirs };
	struct machine_config config;
	AUTO_ERROR err = ERROR_INIT;

	if (translate_container(&in, &config, &err) < 0) {
		buffer_printf(out, "error at line %u: %s\n", err.pos.line, error_message(&err));
		return;
	}
	print_config(&config, out);
	print_ports(g, c, out);
	machine_config_release(&config);
}

static bool check_case(const char *path)
{
	struct golden g = { 0 };
	AUTO_BUFFER made = BUFFER_INIT;
	bool same;

	golden_case_read(path, section_names, &g.c);
	load_spec(&g);
	load_image(&g);
	make_record(&g);
	make_text(&g, &made);
	same = golden_case_same(&g.c, section_names, &made);
	environment_free(g.env);
	env_record_release(&g.record);
	image_release(&g.image);
	golden_case_release(&g.c);
	return same;
}

TEST(translations_are_as_expected)
{
	golden_each(TEST_SOURCE_DIR "/golden/translate", ".test", 15, check_case);
}
