/* SPDX-License-Identifier: MIT */
/* One boot of a VM: QEMU in its jail, the file servers of its shares, and the devices attached over
 * QMP. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_VM_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/loop.h"
#include "runtime/machine/keeper_config.h"

struct template;
struct vm;

/* No callback is made from within vm_start(), vm_send() or vm_free(), and none may call vm_free().
 */
struct vm_events {
	/* Bytes from the agent: hostile input. */
	void (*agent)(void *arg, const void *data, size_t size);
	/* QEMU or a file server is gone, or an attach failed; @why is lent and safe for a terminal.
	 * Comes once; the VM is of no more use. */
	void (*ended)(void *arg, enum error_code code, const char *why);
	/* Bytes of the kernel's console: hostile too; may be NULL. */
	void (*console)(void *arg, const void *data, size_t size);
};

enum vm_origin {
	VM_BOOT,     /* a machine of its own */
	VM_TEMPLATE, /* a machine that is to become a template: with placeholders for its seats */
	VM_PREPARE,  /* from a template, and to become another one: its NIC is a placeholder */
	VM_RESTORE,  /* from a template */
};

/**
 * vm_start() - start QEMU and the file servers; the guest runs as soon as its devices are attached
 * @config: lent for the life of the VM
 * @template: with the last two: what it starts from; lent for the call
 *
 * Return: 0 and *ret, -E_CONFLICT if another machine uses one of the disks, ...
 */
int vm_start(struct loop *loop, const struct keeper_config *config, enum vm_origin origin,
	     const struct template *template, const struct vm_events *events, void *arg,
	     struct vm **ret, struct error *err) MUST_CHECK;
/** vm_free() - kill and reap everything; NULL is fine */
void vm_free(struct vm *vm);
/** vm_send() - write what fits of @out to the agent, the rest when it reads; what was taken is
 * removed. Frames may be appended to @out between calls */
void vm_send(struct vm *vm, struct buffer *out);
pid_t vm_qemu_pid(const struct vm *vm);
/* How large a VM is. */
struct vm_size {
	unsigned cpus, max_cpus; /* it has; it can be given */
	uint64_t start_bytes;    /* of memory, it was started with */
	uint64_t wanted_bytes;   /* it was told to have; not what the guest has taken yet */
	uint64_t memory_bytes;   /* what the guest has */
	uint64_t max_bytes;
};

/** vm_size() - what is so now */
struct vm_size vm_size(const struct vm *vm);

/** vm_seat_mac - what the NIC of a restored guest has until it gets its own */
extern const uint8_t vm_seat_mac[6];

enum vm_device_kind { VM_DISK, VM_NIC, VM_SHARE };

/* How a change to a running VM ended; @failure is NULL if it is done, else lent. Never called from
 * within the function that began it, and not at all once vm_free() was called. */
typedef void (*vm_done_fn)(void *arg, const struct error *failure);

/**
 * vm_plug_disk() - attach a disk; likewise vm_plug_nic(), vm_plug_share()
 * @done: NULL before the guest runs: a failure ends the VM then
 *
 * Return: 0, and @done follows; -E_UNAVAILABLE if no port is left, -E_CONFLICT, ...; nothing is
 * attached then
 */
int vm_plug_disk(struct vm *vm, const struct machine_disk *disk, vm_done_fn done, void *arg,
		 struct error *err) MUST_CHECK;
int vm_plug_nic(struct vm *vm, const struct machine_nic *nic, vm_done_fn done, void *arg,
		struct error *err) MUST_CHECK;
int vm_plug_share(struct vm *vm, const struct machine_share *share, vm_done_fn done, void *arg,
		  struct error *err) MUST_CHECK;
/** vm_has_device() - by a disk's serial, a NIC's id or a share's tag */
bool vm_has_device(const struct vm *vm, enum vm_device_kind kind, const char *name);
/** vm_unplug() - take a device from the guest and end what served it. Return: 0, and @done follows;
 * -E_NOT_FOUND, -E_CONFLICT if it is on its way already */
int vm_unplug(struct vm *vm, enum vm_device_kind kind, const char *name, vm_done_fn done, void *arg,
	      struct error *err) MUST_CHECK;
/** vm_resize_disk() - tell the guest that a disk's file has grown to @bytes */
int vm_resize_disk(struct vm *vm, const char *serial, uint64_t bytes, vm_done_fn done, void *arg,
		   struct error *err) MUST_CHECK;
/** vm_memory_for() - how much it has to have for a container that is to have @bytes: memory comes
 * in steps. It may be more than there is */
uint64_t vm_memory_for(const struct vm *vm, uint64_t bytes);
/**
 * vm_resize_memory() - give the guest memory, or take some that it was given while it runs
 * @bytes: in all; of vm_memory_for()
 *
 * More is awaited: -E_TIMEOUT is told if the guest does not take it. Less is asked for, and awaited
 * for a while only: what a guest cannot do without stays its own, and vm_size() says so.
 */
void vm_resize_memory(struct vm *vm, uint64_t bytes, vm_done_fn done, void *arg);
/** vm_plug_cpus() - processors until it has @count, at most max_cpus; the guest's kernel still has
 * to be told to use them */
void vm_plug_cpus(struct vm *vm, unsigned count, vm_done_fn done, void *arg);
/** vm_free_ports() - how many devices can still be plugged */
unsigned vm_free_ports(const struct vm *vm);
/**
 * vm_save() - stop the guest and write its state, without its memory, to @fd
 * @fd: of a regular file; lent
 * @done: called when it is written; a failure ends the VM
 *
 * It is not to run again. Its memory is vm_memory_fd().
 */
void vm_save(struct vm *vm, int fd, void (*done)(void *arg), void *arg);
/** vm_ask_hello() - an agent that is restored has spoken before: send it, behind @out, to speak
 * again */
int vm_ask_hello(struct vm *vm, struct buffer *out, struct error *err) MUST_CHECK;
/** vm_memory_fd() - lent */
int vm_memory_fd(const struct vm *vm);
/** vm_last_words() - owned; what the guest's kernel or QEMU said, or NULL */
char *vm_last_words(struct vm *vm);

/* Where the jail keeps what QEMU reads. */
#define VM_QEMU "/bin/qemu-system-x86_64"
#define VM_FIRMWARE_DIR "/firmware"
#define VM_MODULE_DIR "/lib/qemu"
#define VM_KERNEL "/boot/vmlinux"
#define VM_INITRD "/boot/initrd"

#endif
