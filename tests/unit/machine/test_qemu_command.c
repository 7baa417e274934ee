/* SPDX-License-Identifier: MIT */
/* QEMU's command lines and the QMP arguments, compared with the files of tests/golden/qemu_command.
 * CTRZ_GOLDEN_UPDATE=1 writes them anew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "runtime/machine/qemu_command.h"
#include "runtime/machine/qmp_devices.h"
#include "tests/unit/test.h"

static const struct qemu_command plain = {
	.program = "/bin/qemu-system-x86_64",
	.name = "web",
	.firmware_dir = "/firmware",
	.kernel = "/boot/vmlinux",
	.initrd = "/boot/initrd",
	.memory = "/memory/ram",
	.cpus = 1,
	.memory_bytes = 256 << 20,
	.root_ports = 2,
	.qmp_fd = 3,
	.agent_fd = 4,
	.console_fd = 5,
};

static void compare(const char *name, const struct buffer *got)
{
	AUTO_FREE char *folder = path_join(TEST_SOURCE_DIR, "golden/qemu_command");
	AUTO_FREE char *path = path_join(folder, name);
	AUTO_BUFFER want = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (getenv("CTRZ_GOLDEN_UPDATE")) /* NOLINT(concurrency-mt-unsafe) */
		assert_ok(err, file_write_atomic(path, got->data, got->size, 0644, &err));
	assert_ok(err, file_read(path, 1 << 20, &want, &err));
	assert_string_equal(buffer_str(got), buffer_str(&want));
}

/* One argument a line; an option's value stands behind it. */
static void compare_command(const char *name, const struct qemu_command *c)
{
	AUTO_STRLIST argv = STRLIST_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	assert_ok(err, qemu_command_build(c, &argv, &err));
	for (size_t i = 0; i < argv.count; i++) {
		if (i > 0)
			buffer_add_char(&text, argv.items[i][0] == '-' ? '\n' : ' ');
		buffer_add_str(&text, argv.items[i]);
	}
	buffer_add_char(&text, '\n');
	compare(name, &text);
}

TEST(emulated_machine)
{
	compare_command("tcg.txt", &plain);
}

TEST(kvm_machine)
{
	struct qemu_command c = plain;

	c.kvm = true;
	c.cpus = 4;
	c.memory_bytes = (2048ULL << 20) + 1;
	c.root_ports = 9;
	c.kernel_args = "systemd.unified_cgroup_hierarchy=1 quiet";
	compare_command("kvm.txt", &c);
}

static void assert_refused(const struct qemu_command *c, const char *about)
{
	AUTO_STRLIST argv = STRLIST_INIT;
	AUTO_ERROR err = ERROR_INIT;

	assert_int_equal(qemu_command_build(c, &argv, &err), -E_INVALID);
	assert_non_null(strstr(error_message(&err), about));
	assert_int_equal(argv.count, 0);
}

TEST(machine_with_a_reserve)
{
	struct qemu_command c = plain;

	c.more = "/memory/more";
	c.max_cpus = 4;
	c.more_bytes = 768ULL << 20;
	compare_command("reserve.txt", &c);
	c.more = "more";
	assert_refused(&c, "absolute");
}

static void assert_reserve(unsigned cpus, uint64_t mib, unsigned host_cpus, uint64_t host_mib,
			   unsigned want_cpus, uint64_t want_mib)
{
	const struct qemu_reserve r = qemu_reserve(cpus, mib << 20, host_cpus, host_mib << 20);

	assert_int_equal(r.max_cpus, want_cpus);
	assert_int_equal(r.more_bytes >> 20, want_mib);
	assert_int_equal(r.more_bytes % QEMU_MEMORY_STEP, 0);
}

TEST(reserves)
{
	assert_reserve(1, 128, 8, 16 << 10, 4, 384);
	/* whole blocks of the guest's kernel */
	assert_reserve(2, 101, 8, 16 << 10, 8, 384);
	assert_reserve(1, 66 << 10, 8, 512 << 10, 4, 190 << 10);
	/* no more than the host has */
	assert_reserve(3, 8 << 10, 4, (16 << 10) - 1, 4, (8 << 10) - 128);
	assert_reserve(4, 8 << 10, 4, 8 << 10, 4, 0);
	assert_reserve(4, 16 << 10, 2, 8 << 10, 4, 0);
	assert_reserve(1, 512, 0, 0, 1, 0);
	/* nor than QEMU takes and any processor can address */
	assert_reserve(32, 200 << 10, 256, 2 << 20, QEMU_MAX_CPUS, 56 << 10);
	assert_reserve(1, 1 << 20, 2, 2 << 20, 2, 0);
}

TEST(machine_from_a_template)
{
	struct qemu_command c = plain;

	c.incoming = true;
	compare_command("warm.txt", &c);
}

static void add_json(struct buffer *text, const char *command, struct json *o)
{
	buffer_printf(text, "%s ", command);
	json_print(o, 0, false, text);
	buffer_add_char(text, '\n');
	json_free(o);
}

TEST(devices)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 0xab, 1, 2 };
	static const char slot[] = "{\"props\": {\"core-id\": 1, \"thread-id\": 0, \"node-id\": 0, "
				   "\"socket-id\": 0}, \"vcpus-count\": 1, "
				   "\"type\": \"max-x86_64-cpu\"}";
	AUTO_JSON free_slot = NULL;
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	add_json(&text, "add-fd", qmp_add_fd(1));
	add_json(&text, "blockdev-add", qmp_blockdev("disk0", 1, true));
	add_json(&text, "device_add", qmp_disk("disk0", "rp0", "lower0"));
	add_json(&text, "blockdev-add", qmp_blockdev("disk1", 2, false));
	add_json(&text, "device_add", qmp_disk("disk1", "rp1", "upper"));
	add_json(&text, "getfd", qmp_getfd("nic0"));
	add_json(&text, "netdev_add", qmp_netdev("nic0"));
	add_json(&text, "device_add", qmp_nic("nic0", "rp2", mac, 65520));
	add_json(&text, "getfd", qmp_getfd("share0"));
	add_json(&text, "chardev-add", qmp_chardev("share0"));
	add_json(&text, "device_add", qmp_share("share0", "rp3", "src"));
	add_json(&text, "qom-set", qmp_memory_wanted("more", 1 << 30));
	add_json(&text, "qom-get", qmp_memory_given("more"));
	assert_ok(err, json_parse(slot, strlen(slot), sizeof(slot), "a slot", &free_slot, &err));
	add_json(&text, "device_add", qmp_cpu("cpu1", free_slot));
	compare("devices.txt", &text);
}

TEST(refuses_what_qemu_would_read_otherwise)
{
	struct qemu_command c = plain;

	c.name = "a,b";
	assert_refused(&c, "'a,b'");
	c.name = "";
	assert_refused(&c, "empty");
	c = plain;
	c.kernel = "/boot/vm,linux";
	assert_refused(&c, "comma");
	c.kernel = "vmlinux";
	assert_refused(&c, "absolute");
	c = plain;
	c.kernel_args = "a\nb";
	assert_refused(&c, "printable");
	c = plain;
	c.cpus = 0;
	assert_refused(&c, "CPUs");
	c.cpus = QEMU_MAX_CPUS + 1;
	assert_refused(&c, "CPUs");
	c = plain;
	c.memory_bytes = QEMU_MIN_MEMORY - 1;
	assert_refused(&c, "memory");
	c.memory_bytes = QEMU_MAX_MEMORY + 1;
	assert_refused(&c, "memory");
	c = plain;
	c.root_ports = QEMU_MAX_ROOT_PORTS + 1;
	assert_refused(&c, "disks, NICs and shares");
}
