/* SPDX-License-Identifier: MIT */
/* Starting QEMU. */
#include "runtime/machine/keeper_qemu.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/trace.h"
#include "runtime/machine/jail.h"
#include "runtime/machine/keeper_vm.h"

enum { FD_QMP = 3, FD_AGENT = 4, FD_CONSOLE = 5, FILES_MAX = 8, CPUINFO_MAX = 16 << 20 };

/* Root ports cannot be added to a running machine, and each costs its kernel's start some time
 * (docs/decisions/). `ctrz run` needs none. */
enum { SPARE_ROOT_PORTS = 4, TEMPLATE_PORTS = 8 };

/* What QEMU reads when it starts an x86 machine, and where distributions keep it. */
struct wanted_file {
	const char *target;
	const char *candidates[3];
	bool is_library, only_tcg, optional;
};

static const struct wanted_file wanted_files[] = {
	{ VM_FIRMWARE_DIR "/bios-256k.bin",
	  { "/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/bios-256k.bin",
	    "/usr/share/seavgabios/bios-256k.bin" },
	  .optional = false },
	{ VM_FIRMWARE_DIR "/pvh.bin",
	  { "/usr/share/qemu/pvh.bin", "/usr/share/qemu/firmware/pvh.bin", NULL },
	  .optional = false },
	{ VM_FIRMWARE_DIR "/kvmvapic.bin",
	  { "/usr/share/qemu/kvmvapic.bin", "/usr/share/qemu/firmware/kvmvapic.bin", NULL },
	  .optional = true },
	/* Where the accelerator is no module it is part of the program. */
	{ VM_MODULE_DIR "/accel-tcg-x86_64.so",
	  { "/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
	    "/usr/lib64/qemu/accel-tcg-x86_64.so", "/usr/lib/qemu/accel-tcg-x86_64.so" },
	  .is_library = true,
	  .only_tcg = true,
	  .optional = true },
};

static int list_files(const struct keeper_config *c, struct jail_file *files, size_t *ret_count,
		      struct error *err)
{
	size_t n = 0;

	files[n++] = (struct jail_file){ c->machine.kernel, VM_KERNEL, false };
	files[n++] = (struct jail_file){ c->machine.initrd, VM_INITRD, false };
	for (size_t i = 0; i < ARRAY_SIZE(wanted_files); i++) {
		const struct wanted_file *w = &wanted_files[i];
		const char *found = NULL;
		if (w->only_tcg && c->kvm)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(w->candidates) && !found; k++)
			if (w->candidates[k] && file_exists(w->candidates[k]))
				found = w->candidates[k];
		if (!found && !w->optional)
			return error_set(err, E_NOT_FOUND,
					 "QEMU's file '%s' is missing. Run: apt-get install "
					 "qemu-system-x86 qemu-system-data seabios",
					 path_basename(w->target));
		if (found)
			files[n++] = (struct jail_file){ found, w->target, w->is_library };
	}
	*ret_count = n;
	return 0;
}

static int socket_pair(int *ret_ours, int *ret_theirs, struct error *err)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return error_sys(err, "create a socket pair");
	*ret_ours = fds[0];
	*ret_theirs = fds[1];
	return fd_set_nonblock(fds[0], true, err);
}

/* The descriptors QEMU inherits; ours are in @q. */
struct inherited {
	int qmp, agent, console, lock;
};

static void close_inherited(struct inherited *i)
{
	int *all[] = { &i->qmp, &i->agent, &i->console, &i->lock };
	for (size_t k = 0; k < ARRAY_SIZE(all); k++)
		cleanup_close(all[k]);
}

static int open_fds(const struct keeper_config *c, struct qemu_process *q, struct inherited *in,
		    struct error *err)
{
	AUTO_FREE char *lock = path_join(c->machine.run_dir, VM_LOCK_NAME);
	int pipe_fds[2];

	if (socket_pair(&q->qmp_fd, &in->qmp, err) < 0 ||
	    socket_pair(&q->agent_fd, &in->agent, err) < 0 ||
	    socket_pair(&q->console_fd, &in->console, err) < 0)
		return -(int)err->code;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_sys(err, "create a pipe");
	q->stderr_fd = pipe_fds[0];
	q->stderr_write_fd = pipe_fds[1];
	if (fd_set_nonblock(q->stderr_fd, true, err) < 0)
		return -(int)err->code;
	in->lock = open(lock, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (in->lock < 0 || flock(in->lock, LOCK_EX | LOCK_NB) < 0)
		return error_sys(err, "lock '%s'", lock);
	return 0;
}

unsigned qemu_root_ports(const struct machine_config *c, bool is_warm)
{
	size_t devices = c->disk_count + c->nic_count + c->share_count;
	size_t ports = devices + (c->attached ? 0 : SPARE_ROOT_PORTS);

	if (is_warm)
		ports = (ports + TEMPLATE_PORTS - 1) / TEMPLATE_PORTS * TEMPLATE_PORTS;
	return (unsigned)(ports > QEMU_MAX_ROOT_PORTS ? QEMU_MAX_ROOT_PORTS : ports);
}

struct qemu_seats qemu_seats(const struct machine_config *c)
{
	struct qemu_seats s = { 0 };

	for (size_t i = c->disk_count; i-- > 0;)
		*(c->disks[i].read_only ? &s.lower : &s.upper) = &c->disks[i];
	if (c->nic_count > 0)
		s.nic = &c->nics[0];
	return s;
}

uint64_t qemu_memory_bytes(const struct machine_config *c)
{
	return (c->memory_bytes + (1 << 20) - 1) >> 20 << 20;
}

struct qemu_reserve qemu_reserve_of(const struct machine_config *c)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
	uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;

	return qemu_reserve(c->cpus, qemu_memory_bytes(c), cpus > 0 ? (unsigned)cpus : 0, bytes);
}

static struct qemu_command describe(const struct keeper_config *c, bool is_warm, bool incoming)
{
	const struct machine_config *m = &c->machine;
	const struct qemu_reserve reserve = qemu_reserve_of(m);

	return (struct qemu_command){
		.program = VM_QEMU,
		.name = m->name,
		.firmware_dir = VM_FIRMWARE_DIR,
		.kernel = VM_KERNEL,
		.initrd = VM_INITRD,
		.memory = JAIL_MEMORY,
		.more = JAIL_MORE_MEMORY,
		.kernel_args = m->kernel_args,
		.kvm = c->kvm,
		.incoming = incoming,
		.cpus = m->cpus,
		.max_cpus = reserve.max_cpus,
		.memory_bytes = m->memory_bytes,
		.more_bytes = reserve.more_bytes,
		.root_ports = qemu_root_ports(m, is_warm),
		.qmp_fd = FD_QMP,
		.agent_fd = FD_AGENT,
		.console_fd = FD_CONSOLE,
	};
}

static int identify_file(const char *path, const char *name, struct buffer *out, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_sys(err, "look at '%s'", path);
	buffer_printf(out, "%s %jd %jd.%09ld\n", name, (intmax_t)st.st_size,
		      (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return 0;
}

/* With KVM the guest sees this host's processor, and its kernel's idea of it. */
static int identify_processor(struct buffer *out, struct error *err)
{
	static const char *const names[] = { "model name", "microcode", "flags" };
	AUTO_BUFFER text = BUFFER_INIT;
	struct utsname host;

	if (uname(&host) < 0)
		return error_sys(err, "ask for the host's kernel");
	buffer_printf(out, "%s %s\n", host.release, host.version);
	if (file_read("/proc/cpuinfo", CPUINFO_MAX, &text, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *line = strstr(buffer_str(&text), names[i]);
		if (line)
			buffer_printf(out, "%.*s\n", (int)strcspn(line, "\n"), line);
	}
	return 0;
}

int qemu_identity(const struct keeper_config *c, struct buffer *out, struct error *err)
{
	struct qemu_command command = describe(c, true, false);
	AUTO_STRLIST argv = STRLIST_INIT;
	struct jail_file files[FILES_MAX];
	size_t file_count = 0;

	if (c->kvm && identify_processor(out, err) < 0)
		return -(int)err->code;
	command.name = "template";
	const struct qemu_seats seats = qemu_seats(&c->machine);
	buffer_printf(out, "seats:%s%s", seats.lower ? " read-only disk" : "",
		      seats.upper ? " disk" : "");
	if (seats.nic)
		buffer_printf(out, " NIC %" PRIu32, seats.nic->mtu);
	buffer_add_char(out, '\n');
	if (qemu_command_build(&command, &argv, err) < 0 ||
	    list_files(c, files, &file_count, err) < 0 ||
	    identify_file(c->qemu, VM_QEMU, out, err) < 0)
		return -(int)err->code;
	for (size_t i = 0; i < argv.count; i++)
		buffer_printf(out, "%s\n", argv.items[i]);
	for (size_t i = 0; i < file_count; i++)
		if (identify_file(files[i].source, files[i].target, out, err) < 0)
			return -(int)err->code;
	return 0;
}

/* Without it QEMU warns of a virtio-mem device. A template does not depend on it. */
#define HUGE_PAGE_SIZE "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"

static int spawn(const struct keeper_config *c, const struct qemu_command *command,
		 const struct inherited *in, struct qemu_process *q, struct error *err)
{
	const struct machine_config *m = &c->machine;
	static const char *const env[] = { "LD_LIBRARY_PATH=" JAIL_LIBRARY_DIR,
					   "QEMU_MODULE_DIR=" VM_MODULE_DIR, "LANG=C", NULL };
	AUTO_FREE char *root = path_join(m->run_dir, "root");
	AUTO_STRLIST argv = STRLIST_INIT;
	struct jail_file files[FILES_MAX];
	size_t file_count = 0;

	if (dir_make(root, 0700, err) < 0 || list_files(c, files, &file_count, err) < 0 ||
	    qemu_command_build(command, &argv, err) < 0)
		return -(int)err->code;
	if (file_exists(HUGE_PAGE_SIZE))
		files[file_count++] = (struct jail_file){ HUGE_PAGE_SIZE, HUGE_PAGE_SIZE, false };
	struct jail j = {
		.mount_point = root,
		.program = c->qemu,
		.argv = (const char *const *)argv.items,
		.env = env,
		.files = files,
		.file_count = file_count,
		.memory_bytes = qemu_memory_bytes(m),
		.more_bytes = command->more_bytes,
		.kvm = c->kvm,
		.stderr_fd = q->stderr_write_fd,
		.fds = { in->qmp, in->agent, in->console, in->lock },
		.fd_count = 4,
	};
	return jail_spawn(&j, &q->memory_fd, &q->process, err);
}

int qemu_process_start(const struct keeper_config *c, bool is_warm, bool incoming,
		       struct qemu_process *ret, struct error *err)
{
	TRACE("jail and exec");
	const struct qemu_command command = describe(c, is_warm, incoming);
	struct qemu_process q = QEMU_PROCESS_INIT;
	CLEANUP(close_inherited) struct inherited in = { -1, -1, -1, -1 };

	if (open_fds(c, &q, &in, err) < 0 || spawn(c, &command, &in, &q, err) < 0) {
		qemu_process_end(&q);
		return -(int)err->code;
	}
	*ret = q;
	return 0;
}

void qemu_process_end(struct qemu_process *q)
{
	int *all[] = { &q->qmp_fd,    &q->agent_fd,  &q->console_fd,
		       &q->memory_fd, &q->stderr_fd, &q->stderr_write_fd };

	process_end(&q->process, 0);
	for (size_t k = 0; k < ARRAY_SIZE(all); k++)
		cleanup_close(all[k]);
	*q = QEMU_PROCESS_INIT;
}
