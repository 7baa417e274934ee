/* SPDX-License-Identifier: MIT */
/* A VM's state: into a template, and out of one. */
/*
 * DOC: Theory of Operation
 *
 * QEMU's migration stream with x-ignore-shared holds the devices and processors and leaves the
 * memory out, which is a file. The stream comes and goes through a descriptor; a regular file never
 * makes QEMU wait. Its end is an event. Until then no further command is sent: QEMU takes a
 * device_add while the state still comes, which then overwrites what the slot knows of it.
 *
 * The memory is copied by a thread, while QEMU loads and is given its devices: it does not look at
 * the memory before the state comes.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest/digest.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/trace.h"
#include "runtime/machine/keeper_vm_internal.h"
#include "runtime/machine/memory_copy.h"
#include "runtime/machine/qmp_devices.h"
#include "runtime/machine/template.h"

#define STATE_NAME "state"

static void set_capabilities(struct vm *vm, const char *doing)
{
	static const char *const names[] = { "x-ignore-shared", "events" };
	struct json *o = json_new_object();
	struct json *list = json_new_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct json *c = json_new_object();
		json_set_string(c, "capability", names[i]);
		json_set_bool(c, "state", true);
		json_add(list, c);
	}
	json_set(o, "capabilities", list);
	vm_step(vm, NULL, doing, "the template", "migrate-set-capabilities", o, -1, NULL);
}

/* @fd is taken. */
static void pass_state(struct vm *vm, const char *doing, const char *command, int fd)
{
	struct json *o = json_new_object();

	vm_step(vm, NULL, doing, "the template", "getfd", qmp_getfd(STATE_NAME), fd, NULL);
	json_set_string(o, "uri", "fd:" STATE_NAME);
	vm_step(vm, NULL, doing, "the template", command, o, -1, NULL);
}

static int copy_fd(int fd, struct error *err)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? error_sys(err, "copy a descriptor") : copy;
}

struct copying {
	pthread_t thread;
	bool is_started;
	int from, to; /* the first is owned */
	int done;     /* owned: readable when it has ended */
	uint64_t bytes, begin_us, end_us;
	bool has_failed;
	struct error err;
};

static void *copy(void *arg)
{
	struct copying *c = arg;
	const uint64_t one = 1;

	c->has_failed = memory_copy(c->from, c->to, c->bytes, &c->err) < 0;
	c->end_us = trace_now();
	/* It cannot be full. */
	if (write(c->done, &one, sizeof(one)) < 0)
		abort();
	return NULL;
}

void vm_copying_end(struct vm *vm)
{
	struct copying *c = vm->copying;

	if (!c)
		return;
	if (c->is_started)
		(void)pthread_join(c->thread, NULL);
	if (c->done >= 0) {
		loop_unwatch(vm->loop, c->done);
		(void)close(c->done);
	}
	cleanup_close(&c->from);
	error_clear(&c->err);
	free(c);
	vm->copying = NULL;
}

static void on_copied(void *arg, uint32_t events)
{
	struct vm *vm = arg;
	struct copying *c = vm->copying;
	AUTO_FREE char *why = c->has_failed ? xstrdup(error_message(&c->err)) : NULL;

	(void)events;
	trace_note("memory", "copy the memory", c->begin_us, c->end_us);
	vm_copying_end(vm);
	/* Whatever it is, a boot does without it. */
	if (why)
		vm_tell_end(vm, E_INTEGRITY, why);
	else
		qmp_resume(vm->qmp, "wait for the memory");
}

int vm_copy_memory(struct vm *vm, const struct template *template, struct error *err)
{
	struct copying *c = xcalloc(1, sizeof(*c));

	*c = (struct copying){ .from = copy_fd(template->memory_fd, err),
			       .to = vm->qemu.memory_fd,
			       .done = -1,
			       .bytes = template->memory_bytes,
			       .begin_us = trace_now(),
			       .err = ERROR_INIT };
	vm->copying = c;
	if (c->from < 0)
		return -(int)err->code;
	c->done = eventfd(0, EFD_CLOEXEC);
	if (c->done < 0)
		return error_sys(err, "make an eventfd");
	int r = pthread_create(&c->thread, NULL, copy, c);
	if (r != 0) {
		errno = r;
		return error_sys(err, "start a thread");
	}
	c->is_started = true;
	loop_watch(vm->loop, c->done, EPOLLIN, on_copied, vm);
	return 0;
}

int vm_restore(struct vm *vm, const struct template *template, struct error *err)
{
	static const char doing[] = "start from";
	int fd = copy_fd(template->state_fd, err);

	if (fd < 0)
		return fd;
	set_capabilities(vm, doing);
	qmp_pause(vm->qmp);
	pass_state(vm, doing, "migrate-incoming", fd);
	qmp_pause(vm->qmp);
	return 0;
}

void vm_save(struct vm *vm, int fd, void (*done)(void *arg), void *arg)
{
	static const char doing[] = "save";
	AUTO_ERROR err = ERROR_INIT;
	int copy = copy_fd(fd, &err);

	if (copy < 0) {
		vm_tell_end(vm, err.code, error_message(&err));
		return;
	}
	vm->has_migrated = false; /* its own state came from another one */
	vm->saved = done;
	vm->saved_arg = arg;
	vm_step(vm, NULL, doing, "the template", "stop", NULL, -1, NULL);
	set_capabilities(vm, doing);
	pass_state(vm, doing, "migrate", copy);
}

int vm_ask_hello(struct vm *vm, struct buffer *out, struct error *err)
{
	struct msg_sync m = { 0 };

	random_bytes(&m.nonce, sizeof(m.nonce));
	m.nonce |= 1;
	frame_add_marker(out);
	if (msg_sync_add(out, MSG_SYNC, STREAM_NONE, &m, err) < 0)
		return -(int)err->code;
	vm_send(vm, out);
	return 0;
}

int vm_memory_fd(const struct vm *vm)
{
	return vm->qemu.memory_fd;
}

void vm_migrated(struct vm *vm, const char *status)
{
	if (str_equal(status, "failed") && !vm->has_migrated)
		vm_tell_end(vm, E_INTEGRITY, "QEMU cannot read or write the template's state");
	if (!str_equal(status, "completed") || vm->has_migrated)
		return;
	vm->has_migrated = true;
	if (vm->saved)
		vm->saved(vm->saved_arg);
	else
		qmp_resume(vm->qmp, "load the state");
}
