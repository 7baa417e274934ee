/* SPDX-License-Identifier: MIT */
/* A VM as keeper_vm.c and keeper_plug.c see it; private to those two. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_VM_INTERNAL_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_VM_INTERNAL_H

#include "runtime/machine/keeper_devices.h"
#include "runtime/machine/keeper_qemu.h"
#include "runtime/machine/keeper_vm.h"
#include "runtime/machine/qmp.h"

struct vm_device;
struct vm_sizing;
struct vm_step;

struct vm {
	struct loop *loop;
	const struct keeper_config *config;
	struct vm_events events;
	void *arg;
	struct qemu_process qemu;
	struct qmp *qmp;
	struct vm_device *devices; /* owned; in no order */
	unsigned root_ports, next_id;
	struct vm_size size;
	struct vm_sizing *sizing; /* owned; NULL = it stays as it is */
	int inotify_fd;           /* tells of switches that start anew */
	struct vm_step *steps;
	struct copying *copying;  /* owned; of a template's memory; NULL = none */
	bool has_migrated;        /* its state has come, or was written */
	void (*saved)(void *arg); /* vm_save()'s */
	void *saved_arg;
	struct buffer console, errors; /* last words */
	size_t logged_bytes;           /* of the latter, in keeper.log */
	struct buffer *waiting;        /* vm_send()'s, while the agent does not read */
	bool has_ended;
};

/* keeper_vm.c */

/** vm_tell_end() - the VM is of no more use; the first call counts */
void vm_tell_end(struct vm *vm, enum error_code code, const char *what);

/* keeper_warm.c */

/** vm_copy_memory() - begin to fill the memory. @template is lent for the call; what is left of a
 * failure is vm_copying_end()'s */
int vm_copy_memory(struct vm *vm, const struct template *template, struct error *err) MUST_CHECK;
/** vm_restore() - after that: queue the commands that bring the state in; what is queued behind
 * them waits for that */
int vm_restore(struct vm *vm, const struct template *template, struct error *err) MUST_CHECK;
/** vm_copying_end() - wait for a copy that is under way; nothing of it is there any more */
void vm_copying_end(struct vm *vm);
/** vm_migrated() - QEMU says how the state comes or goes */
void vm_migrated(struct vm *vm, const char *status);

/* keeper_size.c */

/** vm_size_init() - of a VM that is about to start */
void vm_size_init(struct vm *vm);
/** vm_memory_changed() - QEMU says how much of the reserve the guest has */
void vm_memory_changed(struct vm *vm, uint64_t more_bytes);
/** vm_sizing_end() - QEMU is gone */
void vm_sizing_end(struct vm *vm);

/* keeper_plug.c */

typedef void (*vm_step_fn)(struct vm_device *d, const char *failure);

/** vm_step() - queue a QMP command; what fails is told in the words of the configuration: "doing
 * 'name'". @done may be NULL: a failure ends the VM then */
void vm_step(struct vm *vm, struct vm_device *d, const char *doing, const char *name,
	     const char *command, struct json *arguments, int fd, vm_step_fn done);
/** vm_plug_empty_disk() - a placeholder of @disk's kind; likewise vm_plug_empty_nic() */
int vm_plug_empty_disk(struct vm *vm, const struct machine_disk *disk,
		       struct error *err) MUST_CHECK;
int vm_plug_empty_nic(struct vm *vm, const struct machine_nic *nic, struct error *err) MUST_CHECK;
/** vm_tell_disk_size() - a restored guest knows its writable disk by the size of the placeholder.
 * Of one that is read-only QEMU cannot tell it */
int vm_tell_disk_size(struct vm *vm, const struct machine_disk *disk, struct error *err) MUST_CHECK;
/** vm_plug_seated_nic() - in the place of a template's NIC, whose MAC the device keeps */
int vm_plug_seated_nic(struct vm *vm, const struct machine_nic *nic, struct error *err) MUST_CHECK;
/** vm_device_deleted() - QEMU says that the guest let a device go */
void vm_device_deleted(struct vm *vm, const char *id);
/** vm_reconnect_nics() - a switch was started anew */
void vm_reconnect_nics(struct vm *vm);
/** vm_free_devices() - QEMU is gone: end what served its devices */
void vm_free_devices(struct vm *vm);

#endif
