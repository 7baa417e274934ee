/* SPDX-License-Identifier: MIT */
/* From a description of a bare VM to QEMU's argument list. */
#include "runtime/machine/qemu_command.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"

/* Nothing that a container does not need: each device costs the guest's kernel a probe. */
#define MACHINE_OPTIONS                                                 \
	"q35,smbus=off,sata=off,usb=off,vmport=off,i8042=off,hpet=off," \
	"memory-backend=ram"

/* A guest that dies before it could say hello leaves its last words on the serial port: panics
 * only, so that a good start does not pay for it. panic=-1 ends the VM at once (QEMU runs with
 * -no-reboot). Where memory may come above 4 GiB the kernel would set 64 MiB aside for devices that
 * cannot reach it; there are none. */
#define KERNEL_ARGS                                                                           \
	"console=ttyS0 quiet loglevel=1 panic=-1 cryptomgr.notests rcupdate.rcu_expedited=1 " \
	"random.trust_cpu=on cgroup_no_v1=all pci=noaer pcie_aspm=off swiotlb=noforce"

/* Under emulation the timer checks measure only the host's load, and speculation stays within
 * translated code: there is nothing for the guest's kernel to mitigate. String instructions, which
 * are the quick way to move bytes on a real processor, are emulated step by step: loops over whole
 * words are several times as fast, and the kernel takes those when it is told of nothing better. */
#define KERNEL_ARGS_TCG " tsc=reliable no_timer_check noreplace-smp clearcpuid=rep_good"

#define CPU_TCG "max,-erms,-fsrm"

/* Linux keeps its own data out of memory that came later, and finds three times as much of that as
 * of the other safe (memory_hotplug.auto_movable_ratio). A processor that may come costs a guest
 * 244 KiB of memory. */
enum { RESERVE_FACTOR = 4 };

/* What Linux takes memory in, and what it does where there is much; what a device has beyond whole
 * blocks is lost. */
#define MEMORY_BLOCK (128ULL << 20)
#define LARGE_MEMORY_BLOCK (2ULL << 30)
#define LARGE_MEMORY (64ULL << 30)
/* Processors without more than 39 bits of address are still sold. */
#define RESERVE_MAX (256ULL << 30)

static int check_text(const char *what, const char *s, const char *extra, struct error *err)
{
	for (const char *p = s; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			     (*p >= '0' && *p <= '9');
		if (!plain && !strchr(extra, *p)) {
			AUTO_FREE char *shown = text_escaped(s);
			return error_set(err, E_INVALID, "%s '%s' cannot be given to QEMU", what,
					 shown);
		}
	}
	if (!*s)
		return error_set(err, E_INVALID, "%s is empty", what);
	return 0;
}

static int check_path(const char *what, const char *path, struct error *err)
{
	for (const char *p = path; *p; p++)
		if ((unsigned char)*p < ' ' || *p == ',')
			return error_set(err, E_INVALID,
					 "%s has a comma or a control character in its path", what);
	if (path[0] != '/')
		return error_set(err, E_INVALID, "%s needs an absolute path", what);
	return 0;
}

static int check_kernel_args(const char *args, struct error *err)
{
	if (!args)
		return 0;
	if (strlen(args) > QEMU_MAX_KERNEL_ARGS)
		return error_set(err, E_INVALID, "kernel arguments are over %d bytes",
				 QEMU_MAX_KERNEL_ARGS);
	for (const char *p = args; *p; p++)
		if (*p < ' ' || *p > '~')
			return error_set(err, E_INVALID,
					 "kernel arguments may hold printable ASCII only");
	return 0;
}

struct qemu_reserve qemu_reserve(unsigned cpus, uint64_t memory_bytes, unsigned host_cpus,
				 uint64_t host_bytes)
{
	const uint64_t block = memory_bytes < LARGE_MEMORY ? MEMORY_BLOCK : LARGE_MEMORY_BLOCK;
	uint64_t most = host_bytes < RESERVE_MAX ? host_bytes : RESERVE_MAX;
	uint64_t left = most > memory_bytes ? (most - memory_bytes) / block * block : 0;
	uint64_t more = (RESERVE_FACTOR - 1) * memory_bytes;
	unsigned max_cpus = RESERVE_FACTOR * cpus;

	more = (more + block - 1) / block * block;
	if (max_cpus > host_cpus)
		max_cpus = host_cpus;
	if (max_cpus > QEMU_MAX_CPUS)
		max_cpus = QEMU_MAX_CPUS;
	return (struct qemu_reserve){ .max_cpus = max_cpus > cpus ? max_cpus : cpus,
				      .more_bytes = more < left ? more : left };
}

static int check(const struct qemu_command *c, struct error *err)
{
	if (c->more_bytes > 0 && check_path("the memory to come", c->more, err) < 0)
		return -(int)err->code;
	if (c->cpus < 1 || c->cpus > QEMU_MAX_CPUS)
		return error_set(err, E_INVALID, "a machine has 1 to %d CPUs, not %u",
				 QEMU_MAX_CPUS, c->cpus);
	if (c->memory_bytes < QEMU_MIN_MEMORY || c->memory_bytes > QEMU_MAX_MEMORY)
		return error_set(err, E_INVALID,
				 "a machine has 64 MiB to 1 TiB of memory, not %" PRIu64 " bytes",
				 c->memory_bytes);
	if (c->root_ports > QEMU_MAX_ROOT_PORTS)
		return error_set(err, E_INVALID,
				 "a machine takes at most %d disks, NICs and shares in all, not %u",
				 QEMU_MAX_ROOT_PORTS, c->root_ports);
	if (check_text("the machine's name", c->name, "-_.", err) < 0 ||
	    check_path("QEMU", c->program, err) < 0 ||
	    check_path("the firmware folder", c->firmware_dir, err) < 0 ||
	    check_path("the kernel", c->kernel, err) < 0 ||
	    check_path("the initramfs", c->initrd, err) < 0 ||
	    check_path("the memory", c->memory, err) < 0)
		return -(int)err->code;
	return check_kernel_args(c->kernel_args, err);
}

char *qemu_kernel_args(const struct qemu_command *c)
{
	bool more = c->kernel_args && *c->kernel_args;
	return xasprintf("%s%s%s%s", KERNEL_ARGS, c->kvm ? "" : KERNEL_ARGS_TCG, more ? " " : "",
			 more ? c->kernel_args : "");
}

static void add(struct strlist *l, const char *option, const char *value)
{
	strlist_add(l, option);
	if (value)
		strlist_add(l, value);
}

static void add_machine(const struct qemu_command *c, struct strlist *l)
{
	uint64_t mib = (c->memory_bytes + (1 << 20) - 1) >> 20;

	strlist_add(l, c->program);
	add(l, "-name", NULL);
	strlist_printf(l, "guest=ctrz-%s", c->name);
	add(l, "-nodefaults", NULL);
	add(l, "-no-user-config", NULL);
	add(l, "-no-reboot", NULL);
	add(l, "-display", "none");
	add(l, "-S", NULL);
	add(l, "-sandbox",
	    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	add(l, "-L", c->firmware_dir);
	add(l, "-machine", MACHINE_OPTIONS);
	/* MiB of translated code; QEMU's own limit is an eighth of the host's memory. */
	add(l, "-accel", c->kvm ? "kvm" : "tcg,tb-size=256");
	add(l, "-cpu", c->kvm ? "host" : CPU_TCG);
	add(l, "-smp", NULL);
	if (c->max_cpus > c->cpus)
		strlist_printf(l, "%u,maxcpus=%u", c->cpus, c->max_cpus);
	else
		strlist_printf(l, "%u", c->cpus);
	add(l, "-m", NULL);
	if (c->more_bytes > 0)
		strlist_printf(l, "%" PRIu64 "M,maxmem=%" PRIu64 "M", mib,
			       mib + (c->more_bytes >> 20));
	else
		strlist_printf(l, "%" PRIu64 "M", mib);
	/* virtiofs needs RAM that another process can map; what is shared is not in a template's
	 * state. */
	add(l, "-object", NULL);
	strlist_printf(l, "memory-backend-file,id=ram,mem-path=%s,size=%" PRIu64 "M,share=on",
		       c->memory, mib);
	if (c->more_bytes == 0)
		return;
	add(l, "-object", NULL);
	strlist_printf(l,
		       "memory-backend-file,id=more-ram,mem-path=%s,size=%" PRIu64
		       "M,share=on,reserve=off",
		       c->more, c->more_bytes >> 20);
}

static void add_socket(struct strlist *l, const char *id, int fd)
{
	add(l, "-chardev", NULL);
	strlist_printf(l, "socket,id=%s,fd=%d", id, fd);
}

static void add_devices(const struct qemu_command *c, struct strlist *l)
{
	add_socket(l, "qmp", c->qmp_fd);
	add(l, "-mon", "chardev=qmp,mode=control");
	add_socket(l, "console", c->console_fd);
	add(l, "-device", "isa-serial,chardev=console");
	add_socket(l, "agent", c->agent_fd);
	add(l, "-device", "virtio-serial-pci,id=serial,disable-legacy=on,max_ports=2,addr=1");
	add(l, "-device", "virtserialport,bus=serial.0,nr=1,chardev=agent,name=" QEMU_AGENT_PORT);
	add(l, "-device", "virtio-rng-pci,disable-legacy=on,addr=2");
	add(l, "-device",
	    "virtio-balloon-pci,id=balloon,disable-legacy=on,free-page-reporting=on,addr=3");
	if (c->more_bytes > 0)
		add(l, "-device",
		    "virtio-mem-pci,id=" QEMU_MORE_MEMORY
		    ",memdev=more-ram,block-size=2M,requested-size=0,disable-legacy=on,addr=8");
	for (unsigned i = 0; i < c->root_ports; i++) {
		add(l, "-device", NULL);
		strlist_printf(l,
			       "pcie-root-port,id=rp%u,chassis=%u,port=%u,addr=%u.%u,"
			       "multifunction=on,io-reserve=0",
			       i, i + 1, i, 4 + i / 8, i % 8);
	}
}

int qemu_command_build(const struct qemu_command *c, struct strlist *ret, struct error *err)
{
	if (check(c, err) < 0)
		return -(int)err->code;
	AUTO_FREE char *args = qemu_kernel_args(c);
	add_machine(c, ret);
	add_devices(c, ret);
	add(ret, "-kernel", c->kernel);
	add(ret, "-initrd", c->initrd);
	add(ret, "-append", args);
	if (c->incoming)
		add(ret, "-incoming", "defer");
	return 0;
}
