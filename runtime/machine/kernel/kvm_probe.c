/* SPDX-License-Identifier: MIT */
/*
 * DOC: Theory of Operation
 *
 * /dev/kvm that opens proves little: on some hosts (nested virtualisation above all) a virtual
 * machine can be created and runs small programs, but a Linux kernel never gets anywhere, or QEMU
 * dies on a register it cannot set. So the probe is the real thing: the kernel that guests will
 * run, on the CPU model that they get, up to its first process. That process is the few
 * instructions below; they write to QEMU's debug-exit device, which ends QEMU with a status that
 * nothing else produces. Everything is in memory and descriptors, so a probe leaves nothing behind.
 */
#include "runtime/machine/kernel/kvm_probe.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/text.h"
#include "runtime/archive/cpio.h"

/* The device ends QEMU with (value << 1) | 1. */
enum { PROBE_EXIT_STATUS = (0x2a << 1) | 1, PROBE_OUTPUT_MAX = 1 << 16 };

extern const unsigned char probe_init_start[];
extern const uint64_t probe_init_size;

/* A whole ELF executable: iopl(3); outb(0x2a, 0xf4); then pause() for ever. */
__asm__(".pushsection .rodata.probe_init, \"a\"\n"
	".globl probe_init_start\n"
	"probe_init_start:\n"
	"	.byte	0x7f, 'E', 'L', 'F', 2, 1, 1, 0\n"
	"	.quad	0\n"
	"	.short	2, 62\n"
	"	.long	1\n"
	"	.quad	0x400078, 64, 0\n"
	"	.long	0\n"
	"	.short	64, 56, 1, 0, 0, 0\n"
	"	.long	1, 5\n"
	"	.quad	0, 0x400000, 0x400000\n"
	"	.quad	probe_init_end - probe_init_start, probe_init_end - probe_init_start\n"
	"	.quad	0x1000\n"
	"	movl	$3, %edi\n"
	"	movl	$172, %eax\n"
	"	syscall\n"
	"	movb	$0x2a, %al\n"
	"	movw	$0xf4, %dx\n"
	"	outb	%al, %dx\n"
	"1:	movl	$34, %eax\n"
	"	syscall\n"
	"	jmp	1b\n"
	"probe_init_end:\n"
	"	.balign	8\n"
	".globl probe_init_size\n"
	"probe_init_size:\n"
	"	.quad	probe_init_end - probe_init_start\n"
	".popsection\n");

static int write_initramfs(int fd, struct error *err)
{
	AUTO_BUFFER image = BUFFER_INIT;
	CLEANUP(cpio_free_p) struct cpio *c = cpio_new(&image);
	int r = cpio_add_file(c, "init", 0500, probe_init_start, probe_init_size, err);
	if (r == 0)
		r = cpio_finish(c, err);
	return r < 0 ? r : fd_write_full(fd, image.data, image.size, err);
}

/* A QEMU that aborts must not leave a core file behind. */
static int forbid_core(void *arg)
{
	(void)arg;
	return setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}

static int spawn(const struct kvm_probe *p, int initramfs, int output, struct process *ret,
		 struct error *err)
{
	const char *const argv[] = { p->qemu,
				     "-nodefaults",
				     "-no-user-config",
				     "-no-reboot",
				     "-display",
				     "none",
				     "-sandbox",
				     "on,obsolete=deny,elevateprivileges=deny,spawn=deny",
				     "-machine",
				     "q35,smbus=off,sata=off,usb=off,vmport=off,hpet=off",
				     "-accel",
				     p->accel,
				     "-cpu",
				     strcmp(p->accel, "kvm") == 0 ? "host" : "max",
				     "-m",
				     "256M",
				     "-device",
				     "isa-debug-exit,iobase=0xf4,iosize=4",
				     "-kernel",
				     p->kernel,
				     "-initrd",
				     "/proc/self/fd/3",
				     "-append",
				     "quiet loglevel=0 panic=-1 cryptomgr.notests rdinit=/init",
				     NULL };
	struct process_options o = PROCESS_OPTIONS_INIT;
	o.argv = argv;
	o.stdout_fd = output;
	o.stderr_fd = output;
	o.fds[0] = initramfs;
	o.fd_count = 1;
	o.die_with_parent = true;
	o.before_exec = forbid_core;
	return process_spawn(&o, ret, err);
}

/* The first line QEMU wrote that is no warning, escaped; owned, "" if there is none. */
static char *first_complaint(int output)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	if (lseek(output, 0, SEEK_SET) < 0 ||
	    fd_read_all(output, &text, PROBE_OUTPUT_MAX, &err) < 0)
		return xstrdup("");
	char *rest = NULL, *all = text.data ? text.data : (char[1]){ 0 };
	for (char *line = strtok_r(all, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (!strstr(line, "warning:"))
			return text_escaped(line);
	return xstrdup("");
}

static char *describe_end(int status, int output)
{
	AUTO_FREE char *said = first_complaint(output);
	return xasprintf("under KVM QEMU ends with status %d before the guest's first process%s%s",
			 status, *said ? ": " : "", said);
}

bool kvm_probe_run(const struct kvm_probe *p, char **ret_reason)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_CLOSE int initramfs = memfd_create("probe-initramfs", MFD_CLOEXEC);
	AUTO_CLOSE int output = memfd_create("probe-output", MFD_CLOEXEC);
	struct process qemu = PROCESS_INIT;
	uint64_t start = clock_ms();
	int status = 0, r = 0;
	if (initramfs < 0 || output < 0)
		r = error_sys(&err, "create a file in memory");
	if (r == 0)
		r = write_initramfs(initramfs, &err);
	if (r == 0)
		r = spawn(p, initramfs, output, &qemu, &err);
	if (r == 0)
		r = process_wait(&qemu, p->deadline_ms, &status, &err);
	process_end(&qemu, 0);
	if (r == -E_TIMEOUT)
		*ret_reason =
			xasprintf("under KVM a guest does not reach its first process within %d ms",
				  p->deadline_ms);
	else if (r < 0)
		*ret_reason = xasprintf("cannot probe KVM: %s", error_message(&err));
	else if (status != PROBE_EXIT_STATUS)
		*ret_reason = describe_end(status, output);
	else
		*ret_reason = xasprintf("a probe guest ran under KVM, %u ms from start to end",
					(unsigned)(clock_ms() - start));
	return r == 0 && status == PROBE_EXIT_STATUS;
}
