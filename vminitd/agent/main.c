/* SPDX-License-Identifier: MIT */
/* vminitd: process 1 of the virtual machine. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "vminitd/agent/agent.h"
#include "vminitd/agent/boot.h"
#include "vminitd/agent/cgroup.h"
#include "vminitd/agent/console.h"
#include "vminitd/agent/control.h"
#include "vminitd/agent/device.h"
#include "vminitd/agent/phases.h"
#include "vminitd/agent/syscalls.h"
#include "vminitd/agent/sysfile.h"

#define PORT_NAME "ctrz.0"

enum { FLUSH_MS = 1000, PORT_MS = 5000, REAP_MS = 3000, OPEN_FILES_MAX = 65536 };

static void on_port_frame(void *arg, const struct frame *f)
{
	agent_frame(arg, f);
}

static void on_port_connected(void *arg)
{
	agent_hello(arg, 0);
}

static void on_port_disconnected(void *arg)
{
	struct agent *a = arg;

	processes_orphan(&a->processes);
	probes_forget(&a->probes);
	control_thaw(a);
}

static void on_port_writable(void *arg)
{
	struct agent *a = arg;

	processes_resume(&a->processes);
}

static void try_port(struct agent *a)
{
	AUTO_ERROR err = ERROR_INIT;
	int r = a->port.fd >= 0 ? 0 : port_open(&a->port, PORT_NAME, &err);

	if (r < 0 && r != -E_NOT_FOUND)
		console_say("%s", error_message(&err));
}

static void on_port_missing(void *arg)
{
	struct agent *a = arg;

	if (a->port.fd < 0)
		console_say("there is no virtio-serial port " PORT_NAME "; still waiting for it");
}

static void on_device_event(void *arg, uint32_t events)
{
	struct agent *a = arg;

	(void)events;
	device_events_drain(a->events_fd);
	try_port(a);
	agent_retry(a);
}

static void on_child(void *arg, int sig)
{
	struct agent *a = arg;

	(void)sig;
	processes_reap(&a->processes);
	agent_check_shutdown(a);
	port_flush(&a->port);
}

/* Kill all that runs here; one that hangs in the kernel (a dead file server) is not waited for. */
static void kill_all(struct agent *a)
{
	uint64_t end = clock_ms() + REAP_MS, now;
	sigset_t child;
	pid_t pid;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	cgroup_kill();
	(void)kill(-1, SIGKILL);
	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 && (now = clock_ms()) < end) {
		struct timespec left = { .tv_sec = (time_t)((end - now) / 1000),
					 .tv_nsec = (long)((end - now) % 1000) * 1000000 };
		if (pid == 0)
			(void)sigtimedwait(&child, NULL, &left);
	}
	if (pid >= 0)
		agent_log(a, MSG_LOG_WARN, "a process hangs in the kernel; going on without it");
}

static void finish(struct agent *a)
{
	kill_all(a);
	unsigned stuck = root_unmount(&a->container.root);
	if (stuck > 0) {
		agent_log(a, MSG_LOG_WARN, "%u file systems could not be unmounted", stuck);
		sync();
	}
	message_add_empty(port_out(&a->port), MSG_SHUTDOWN_DONE, STREAM_NONE);
	port_drain(&a->port, FLUSH_MS);
	console_power_off();
}

static void on_grace(void *arg)
{
	struct agent *a = arg;

	a->grace = NULL;
	finish(a);
}

void agent_check_shutdown(struct agent *a)
{
	if (a->shutting_down && !processes_main_pid(&a->processes)) {
		/* The last output and the exit code go before the end. */
		port_drain(&a->port, FLUSH_MS);
		finish(a);
	}
}

void agent_shut_down(struct agent *a, const struct msg_shutdown *m)
{
	if (a->shutting_down)
		return;
	AUTO_ERROR err = ERROR_INIT;
	a->shutting_down = true;
	control_thaw(a);
	/* What stands still would take no signal. */
	if (cgroup_freeze(false, &err) < 0)
		error_ignore(&err, "thaw the container");
	if (m->signal == 0 || m->signal >= NSIG || m->grace_ms == 0 ||
	    processes_signal_main(&a->processes, (int)m->signal) < 0) {
		finish(a);
		return;
	}
	a->grace = loop_after(a->loop, m->grace_ms, on_grace, a);
}

static void prepare(struct agent *a)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_CLOSE int initramfs = boot_mount(&err);

	console_open();
	if (initramfs < 0)
		console_panic("boot: %s", error_message(&err));
	/* Else the kernel drops all but ten lines in five seconds, and the last words may be the
	 * eleventh. */
	if (sysfile_write("/proc/sys/kernel/printk_devkmsg", "on", &err) < 0)
		error_ignore(&err, "speak without a limit");
	a->events_fd = device_events(&err);
	if (a->events_fd < 0)
		console_panic("boot: %s", error_message(&err));
	/* Before the driver: else memory that comes stays unused, or is mixed with the kernel's own
	 * and never goes again. */
	if (sysfile_write("/sys/devices/system/memory/auto_online_blocks", "online_movable", &err) <
	    0)
		error_ignore(&err, "a kernel whose memory stays as it is");
	boot_load_modules(initramfs);
	/* Four for every process it looks after. */
	if (sys_set_limit(RLIMIT_NOFILE, OPEN_FILES_MAX, OPEN_FILES_MAX) < 0)
		console_say("raise the limit of open files: %s", strerror(errno));
	if (sysfile_write("/proc/self/oom_score_adj", "-1000", &err) < 0 ||
	    container_prepare(&a->container, &err) < 0)
		console_panic("boot: %s", error_message(&err));
	/* Not a secret: it tells one boot from another. */
	if (getrandom(&a->nonce, sizeof(a->nonce), GRND_INSECURE) != (ssize_t)sizeof(a->nonce))
		a->nonce = 1;
}

int main(void)
{
	struct agent a = { .events_fd = -1 };
	struct port_handler handler = { .frame = on_port_frame,
					.connected = on_port_connected,
					.disconnected = on_port_disconnected,
					.writable = on_port_writable,
					.arg = &a };

	if (getpid() != 1) {
		(void)fputs("vminitd is process 1 of a virtual machine; it does nothing here\n",
			    stderr);
		return EXIT_FAILURE;
	}
	phases_booted();
	(void)umask(022);
	(void)signal(SIGPIPE, SIG_IGN);
	console_catch_crashes();
	container_init(&a.container);
	prepare(&a);
	a.loop = loop_new();
	port_init(&a.port, a.loop, &handler);
	processes_init(&a.processes, a.loop, &a.port, &a.container);
	probes_init(&a.probes, a.loop, &a.port);
	sockets_init(&a.sockets, a.loop, &a.port, &a.processes, &a.container);
	loop_on_signal(a.loop, SIGCHLD, on_child, &a);
	loop_watch(a.loop, a.events_fd, EPOLLIN, on_device_event, &a);
	trim_start(&a.trim, a.loop);
	try_port(&a);
	(void)loop_after(a.loop, PORT_MS, on_port_missing, &a);
	(void)loop_run(a.loop);
	console_panic("the event loop ended");
}
