/* SPDX-License-Identifier: MIT */
/* A keeper's configuration: there and back, and broken on the way. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "runtime/machine/keeper_config.h"
#include "tests/unit/test.h"

static struct keeper_config example(void)
{
	struct keeper_config k = { .qemu = xstrdup("/usr/bin/qemu"),
				   .kvm = true,
				   .templates = xstrdup("/var/t") };
	struct machine_config *c = &k.machine;

	c->name = xstrdup("web");
	c->run_dir = xstrdup("/run/x");
	c->state_dir = xstrdup("/var/x");
	c->kernel = xstrdup("/k/vmlinux");
	c->initrd = xstrdup("/k/initrd");
	c->kernel_args = xstrdup("a=\"b\" \\c");
	c->cpus = 3;
	c->memory_bytes = 5ULL << 32;
	c->disks = xcalloc(1, sizeof(*c->disks));
	c->disks[c->disk_count++] = (struct machine_disk){ .serial = xstrdup("upper"),
							   .path = xstrdup("/d/up \n\"per") };
	c->nics = xcalloc(1, sizeof(*c->nics));
	c->nics[c->nic_count++] = (struct machine_nic){
		xstrdup("net0"), xstrdup("/n"), { 0x52, 0x54, 0xff, 0xfe, 0x80, 0x01 }, 65520
	};
	c->shares = xcalloc(1, sizeof(*c->shares));
	c->shares[c->share_count++] =
		(struct machine_share){ xstrdup("src"), xstrdup("/home/\xc3\xa9"), true, true };
	c->setup.hostname = xstrdup("web");
	strlist_add(&c->main.argv, "sleep");
	strlist_add(&c->main.env, "A=\xff\xfe");
	c->files = xcalloc(2, sizeof(*c->files));
	for (; c->file_count < 2; c->file_count++)
		c->files[c->file_count] =
			(struct msg_write_file){ .path = xstrdup("/run/secrets/a"),
						 .owner = xstrdup("www"),
						 .link_at = xstrdup(""),
						 .mode = 0400,
						 .append = c->file_count > 0,
						 .content = (uint8_t *)xstrdup("s3cret"),
						 .content_size = 6 };
	c->restart = RESTART_ON_FAILURE;
	c->attached = true;
	c->start_timeout_ms = 1234;
	c->log_max_bytes = 99;
	c->log_files = 7;
	return k;
}

static void assert_same(const struct machine_config *a, const struct machine_config *b)
{
	assert_string_equal(a->name, b->name);
	assert_string_equal(a->run_dir, b->run_dir);
	assert_string_equal(a->state_dir, b->state_dir);
	assert_string_equal(a->kernel, b->kernel);
	assert_string_equal(a->initrd, b->initrd);
	assert_string_equal(a->kernel_args, b->kernel_args);
	assert_int_equal(a->cpus, b->cpus);
	assert_int_equal(a->memory_bytes, b->memory_bytes);
	assert_int_equal(b->disk_count, 1);
	assert_string_equal(a->disks[0].path, b->disks[0].path);
	assert_int_equal(a->disks[0].read_only, b->disks[0].read_only);
	assert_int_equal(b->nic_count, 1);
	assert_memory_equal(a->nics[0].mac, b->nics[0].mac, 6);
	assert_int_equal(a->nics[0].mtu, b->nics[0].mtu);
	assert_int_equal(b->share_count, 1);
	assert_string_equal(a->shares[0].source, b->shares[0].source);
	assert_true(b->shares[0].read_only && b->shares[0].git_writable);
	assert_string_equal(a->setup.hostname, b->setup.hostname);
	assert_true(strlist_equal(&a->main.argv, &b->main.argv));
	assert_true(strlist_equal(&a->main.env, &b->main.env));
	assert_int_equal(b->file_count, 2);
	assert_string_equal(b->files[0].owner, "www");
	assert_true(!b->files[0].append && b->files[1].append);
	assert_int_equal(b->files[1].content_size, 6);
	assert_memory_equal(b->files[1].content, "s3cret", 6);
	assert_int_equal(a->restart, b->restart);
	assert_int_equal(a->attached, b->attached);
	assert_int_equal(a->start_timeout_ms, b->start_timeout_ms);
	assert_int_equal(a->log_max_bytes, b->log_max_bytes);
	assert_int_equal(a->log_files, b->log_files);
}

TEST(goes_there_and_back)
{
	struct keeper_config a = example(), b = { 0 };
	AUTO_BUFFER packed = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, keeper_config_pack(&a, &packed, &err));
	assert_ok(err, keeper_config_unpack(packed.data, packed.size, &b, &err));
	assert_string_equal(a.qemu, b.qemu);
	assert_string_equal(a.templates, b.templates);
	assert_true(b.kvm);
	assert_same(&a.machine, &b.machine);
	keeper_config_release(&a);
	keeper_config_release(&b);
}

TEST(refuses_every_piece_of_one)
{
	struct keeper_config a = example(), b = { 0 };
	AUTO_BUFFER packed = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, keeper_config_pack(&a, &packed, &err));
	for (size_t n = 0; n < packed.size; n++)
		assert_error(err, E_INTEGRITY, keeper_config_unpack(packed.data, n, &b, &err));
	buffer_add_char(&packed, 'x');
	assert_error(err, E_INTEGRITY, keeper_config_unpack(packed.data, packed.size, &b, &err));
	keeper_config_release(&a);
}

static void assert_bad(struct keeper_config *k, const char *about)
{
	AUTO_ERROR err = ERROR_INIT;

	assert_int_equal(keeper_config_check(&k->machine, &err), -E_INVALID);
	assert_non_null(strstr(error_message(&err), about));
	keeper_config_release(k);
}

static void replace(char **text, const char *with)
{
	free(*text);
	*text = xstrdup(with);
}

TEST(checks_what_qemu_bounds)
{
	struct keeper_config k = example();
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, keeper_config_check(&k.machine, &err));
	replace(&k.machine.disks[0].serial, "a-serial-of-21-letter");
	assert_bad(&k, "serial");
	k = example();
	replace(&k.machine.disks[0].path, "relative");
	assert_bad(&k, "absolute");
	k = example();
	replace(&k.machine.shares[0].tag, "a,b");
	assert_bad(&k, "tag");
	k = example();
	replace(&k.machine.name, "");
	assert_bad(&k, "name");
	k = example();
	strlist_release(&k.machine.main.argv);
	assert_bad(&k, "command");
	k = example();
	char path[200];
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	replace(&k.machine.run_dir, path);
	assert_bad(&k, "too long");
}
