/* SPDX-License-Identifier: MIT */
/* Bringing one VM up and noticing its end. */
/*
 * DOC: Theory of Operation
 *
 * QEMU is started first and with -S: while it loads the kernel, the file servers start. Then the
 * devices are attached over QMP, one command after the other, exactly as to a running guest later;
 * the last command is cont. Files and sockets go to QEMU as descriptors, so that it needs no path
 * of its own.
 *
 * Devices of a running guest come and go the same way (keeper_plug.c). Some are plugged before the
 * state of a template comes, in place of the placeholders it was saved with.
 *
 * QEMU, each file server and the QMP connection are watched. Whatever ends first is the reason that
 * is told, with what the guest's kernel or QEMU said last.
 */
#include "runtime/machine/keeper_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/machine/keeper_vm_internal.h"
#include "runtime/machine/keeper_words.h"
#include "runtime/machine/template.h"

enum { LOGGED_MAX = 256 * 1024 };

void vm_tell_end(struct vm *vm, enum error_code code, const char *what)
{
	if (vm->has_ended)
		return;
	vm->has_ended = true;
	AUTO_FREE char *words = vm_last_words(vm);
	AUTO_FREE char *why = words ? xasprintf("%s: %s", what, words) : xstrdup(what);
	vm->events.ended(vm->arg, code, why);
}

/* What is there already; a guest that goes on talking is not waited for. */
static void read_words(struct vm *vm, int fd, struct buffer *words)
{
	enum { CHUNKS = 64 };
	char chunk[4096];
	ssize_t n;

	for (int i = 0; fd >= 0 && i < CHUNKS && (n = read(fd, chunk, sizeof(chunk))) > 0; i++) {
		words_add(words, chunk, (size_t)n);
		if (words == &vm->console && vm->events.console)
			vm->events.console(vm->arg, chunk, (size_t)n);
	}
}

char *vm_last_words(struct vm *vm)
{
	read_words(vm, vm->qemu.console_fd, &vm->console);
	read_words(vm, vm->qemu.stderr_fd, &vm->errors);
	char *said = words_tell(&vm->console);
	return said ? said : words_tell(&vm->errors);
}

/* Return: what was read, or 0 */
static size_t take_words(struct vm *vm, int fd, struct buffer *words, char *chunk, size_t size)
{
	ssize_t n = read(fd, chunk, size);

	if (n > 0)
		words_add(words, chunk, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		loop_unwatch(vm->loop, fd);
	return n > 0 ? (size_t)n : 0;
}

static void on_console(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	char chunk[4096];
	(void)events;
	size_t n = take_words(vm, vm->qemu.console_fd, &vm->console, chunk, sizeof(chunk));
	if (n > 0 && vm->events.console)
		vm->events.console(vm->arg, chunk, n);
}

static void on_stderr(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	char chunk[4096];
	(void)events;
	size_t n = take_words(vm, vm->qemu.stderr_fd, &vm->errors, chunk, sizeof(chunk));
	/* A guest can make QEMU and the file servers complain as often as it likes. */
	vm->logged_bytes += n;
	if (n == 0 || vm->logged_bytes > LOGGED_MAX)
		return;
	AUTO_BUFFER shown = BUFFER_INIT;
	text_escape(&shown, chunk, n - (chunk[n - 1] == '\n'), true);
	log_info("%s", buffer_str(&shown));
}

static void on_qemu_exit(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	siginfo_t info = { 0 };
	char what[80] = "the virtual machine switched itself off";

	(void)events;
	loop_unwatch(vm->loop, vm->qemu.process.pidfd);
	/* Only looked at: vm_free() reaps it. */
	if (waitid(P_PIDFD, (id_t)vm->qemu.process.pidfd, &info, WEXITED | WNOWAIT | WNOHANG) < 0)
		info.si_code = 0;
	if (info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED)
		(void)snprintf(what, sizeof(what), "QEMU was killed by signal %d", info.si_status);
	else if (info.si_code == CLD_EXITED && info.si_status != 0)
		(void)snprintf(what, sizeof(what), "QEMU ended with status %d", info.si_status);
	vm_tell_end(vm, E_UNAVAILABLE, what);
}

static void on_qmp_event(void *arg, const char *event, const struct json *data)
{
	log_debug("QEMU event %s %s", event, json_str(data, "reason", ""));
	if (str_equal(event, "DEVICE_DELETED"))
		vm_device_deleted(arg, json_str(data, "device", ""));
	else if (str_equal(event, "MIGRATION"))
		vm_migrated(arg, json_str(data, "status", ""));
	else if (str_equal(event, "MEMORY_DEVICE_SIZE_CHANGE"))
		vm_memory_changed(arg, json_u64(data, "size", 0));
}

/* QEMU closes it when it ends; the process tells why. */
static void on_qmp_closed(void *arg, const char *why)
{
	if (why)
		vm_tell_end(arg, E_INTERNAL, why);
}

/* A switch that starts anew makes its sockets again; ours still point at the old ones. */
static void on_switch_news(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	char news[4096];

	(void)events;
	while (read(vm->inotify_fd, news, sizeof(news)) > 0)
		;
	vm_reconnect_nics(vm);
}

static void on_agent(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	char chunk[64 * 1024];

	if ((events & EPOLLOUT) && vm->waiting)
		vm_send(vm, vm->waiting);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	ssize_t n = recv(vm->qemu.agent_fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	if (n > 0)
		vm->events.agent(vm->arg, chunk, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		loop_unwatch(vm->loop, vm->qemu.agent_fd);
}

static void watch_agent(struct vm *vm, struct buffer *waiting)
{
	vm->waiting = waiting;
	loop_watch(vm->loop, vm->qemu.agent_fd, EPOLLIN | (waiting ? EPOLLOUT : 0), on_agent, vm);
}

void vm_send(struct vm *vm, struct buffer *out)
{
	while (out->size > 0) {
		ssize_t n =
			send(vm->qemu.agent_fd, out->data, out->size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (!vm->waiting)
				watch_agent(vm, out);
			return;
		}
		if (n < 0) {
			buffer_clear(out); /* QEMU is gone; its exit is told elsewhere */
			break;
		}
		buffer_drop(out, (size_t)n);
	}
	if (vm->waiting)
		watch_agent(vm, NULL);
}

/* A template has the devices that most machines have; before its state comes, QEMU is given those
 * of this machine in their places. */
static int attach_seated(struct vm *vm, enum vm_origin origin, struct error *err)
{
	const struct qemu_seats s = qemu_seats(&vm->config->machine);
	const struct machine_disk *const disks[] = { s.lower, s.upper };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(disks); i++)
		if (disks[i])
			r = origin == VM_TEMPLATE ? vm_plug_empty_disk(vm, disks[i], err)
						  : vm_plug_disk(vm, disks[i], NULL, NULL, err);
	if (r == 0 && s.nic)
		r = origin == VM_RESTORE ? vm_plug_seated_nic(vm, s.nic, err)
					 : vm_plug_empty_nic(vm, s.nic, err);
	return r;
}

/* Queue what brings the state in, and what the guest is to know before it runs. */
static int restore(struct vm *vm, const struct template *template, struct error *err)
{
	const struct machine_disk *upper = qemu_seats(&vm->config->machine).upper;

	if (vm_restore(vm, template, err) < 0)
		return -(int)err->code;
	/* With its image, it has seen a disk of that size. */
	return upper && template->kind == TEMPLATE_MACHINE ? vm_tell_disk_size(vm, upper, err) : 0;
}

/* All but those that are there. */
static int attach_all(struct vm *vm, struct error *err)
{
	const struct machine_config *m = &vm->config->machine;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->disk_count; i++)
		if (!vm_has_device(vm, VM_DISK, m->disks[i].serial))
			r = vm_plug_disk(vm, &m->disks[i], NULL, NULL, err);
	for (size_t i = 0; r == 0 && i < m->nic_count; i++)
		if (!vm_has_device(vm, VM_NIC, m->nics[i].id))
			r = vm_plug_nic(vm, &m->nics[i], NULL, NULL, err);
	for (size_t i = 0; r == 0 && i < m->share_count; i++)
		r = vm_plug_share(vm, &m->shares[i], NULL, NULL, err);
	return r;
}

static int start(struct vm *vm, enum vm_origin origin, const struct template *template,
		 struct error *err)
{
	vm->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (vm->inotify_fd < 0)
		return error_sys(err, "watch for switches");
	bool is_restored = origin == VM_RESTORE || origin == VM_PREPARE;
	if (qemu_process_start(vm->config, origin != VM_BOOT, is_restored, &vm->qemu, err) < 0)
		return -(int)err->code;
	loop_watch(vm->loop, vm->inotify_fd, EPOLLIN, on_switch_news, vm);
	loop_watch(vm->loop, vm->qemu.process.pidfd, EPOLLIN, on_qemu_exit, vm);
	loop_watch(vm->loop, vm->qemu.console_fd, EPOLLIN, on_console, vm);
	loop_watch(vm->loop, vm->qemu.stderr_fd, EPOLLIN, on_stderr, vm);
	watch_agent(vm, NULL);
	if (is_restored && vm_copy_memory(vm, template, err) < 0)
		return -(int)err->code;
	vm->qmp = qmp_new(vm->loop, take_fd(&vm->qemu.qmp_fd), on_qmp_event, on_qmp_closed, vm);
	if (origin != VM_BOOT && attach_seated(vm, origin, err) < 0)
		return -(int)err->code;
	if (is_restored && restore(vm, template, err) < 0)
		return -(int)err->code;
	if ((origin == VM_BOOT || origin == VM_RESTORE) && attach_all(vm, err) < 0)
		return -(int)err->code;
	vm_step(vm, NULL, "start", "the guest", "cont", NULL, -1, NULL);
	return 0;
}

int vm_start(struct loop *loop, const struct keeper_config *config, enum vm_origin origin,
	     const struct template *template, const struct vm_events *events, void *arg,
	     struct vm **ret, struct error *err)
{
	struct vm *vm = xcalloc(1, sizeof(*vm));

	*vm = (struct vm){ .loop = loop,
			   .config = config,
			   .events = *events,
			   .arg = arg,
			   .qemu = QEMU_PROCESS_INIT,
			   .root_ports = qemu_root_ports(&config->machine, origin != VM_BOOT),
			   .inotify_fd = -1 };
	vm_size_init(vm);
	if (start(vm, origin, template, err) < 0) {
		vm_free(vm);
		return -(int)err->code;
	}
	*ret = vm;
	return 0;
}

static void unwatch_all(struct vm *vm)
{
	const struct qemu_process *q = &vm->qemu;
	const int fds[] = { q->process.pidfd, q->console_fd, q->stderr_fd, q->agent_fd,
			    vm->inotify_fd };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			loop_unwatch(vm->loop, fds[i]);
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	unwatch_all(vm);
	vm_copying_end(vm);
	qmp_free(vm->qmp);
	vm_sizing_end(vm);
	qemu_process_end(&vm->qemu);
	vm_free_devices(vm);
	cleanup_close(&vm->inotify_fd);
	buffer_release(&vm->console);
	buffer_release(&vm->errors);
	free(vm);
}

pid_t vm_qemu_pid(const struct vm *vm)
{
	return vm->qemu.process.pid;
}
