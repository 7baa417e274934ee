/* SPDX-License-Identifier: MIT */
/* A VM's state: into a template, and out of one. */
/*
 * DOC: Theory of Operation
 *
 * QEMU's migration stream with x-ignore-shared holds the devices and processors and leaves the
 * memory out, which is a file. The stream comes and goes through a descriptor; a regular file never
 * makes QEMU wait. Its end is an event. Until then no further command is sent: QEMU takes a
 * device_add while the state still comes, which then overwrites what the slot knows of it.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
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

int vm_restore(struct vm *vm, const struct template *template, struct error *err)
{
	static const char doing[] = "start from";
	int fd = copy_fd(template->state_fd, err);

	if (fd < 0)
		return fd;
	set_capabilities(vm, doing);
	pass_state(vm, doing, "migrate-incoming", fd);
	qmp_pause(vm->qmp);
	TRACE("copy the memory");
	/* QEMU loads meanwhile; it does not look at the memory before the state comes. */
	if (memory_copy(template->memory_fd, vm->qemu.memory_fd, template->memory_bytes, err) < 0) {
		err->code = E_INTEGRITY; /* whatever it is, a boot does without it */
		return -(int)err->code;
	}
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
	vm->saved = done;
	vm->saved_arg = arg;
	vm_step(vm, NULL, doing, "the template", "stop", NULL, -1, NULL);
	set_capabilities(vm, doing);
	pass_state(vm, doing, "migrate", copy);
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
		qmp_resume(vm->qmp);
}
