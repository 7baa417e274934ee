/* SPDX-License-Identifier: MIT */
/* Attaching devices to a VM and taking them away again, before its guest runs and while it does. */
/*
 * DOC: Theory of Operation
 *
 * A device is what the guest sees (device_add on a root port of its own) and what serves it on the
 * host: a node over a disk file, a socket to a switch, a connection to a file server. It is plugged
 * by a few QMP commands that are queued at once; the reply to the last one tells how it went, since
 * QEMU refuses all that follows a failure.
 *
 * It is unplugged in two parts. device_del only asks the guest, whose kernel lets the device go
 * when its driver has; QEMU says so by DEVICE_DELETED. Then what served it is removed the other way
 * round, the file server is ended, and the root port can be used again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/machine/keeper_vm_internal.h"
#include "runtime/machine/qmp_devices.h"

/* What a guest under load may take to let a device go. */
enum { UNPLUG_MS = 20 * 1000, ID_MAX = 32 };

/* As large as any disk: a guest that has seen it finds whatever takes its place. */
#define PLACEHOLDER_BYTES (16LL << 40)

/* Of no address: ours hold the IPv4 address. */
const uint8_t vm_seat_mac[6] = { 0x02, 0xc7, 0, 0, 0, 0 };

enum device_state { DEVICE_PLUGGING, DEVICE_PLUGGED, DEVICE_LEAVING };

struct vm_device {
	struct vm *vm;
	enum vm_device_kind kind;
	enum device_state state;
	char *name, *shown; /* owned; in the configuration, and for people */
	char id[ID_MAX];    /* of what serves it; the device's own is this and "-dev" */
	unsigned number;    /* of its descriptor set; a disk's */
	unsigned port;
	struct machine_nic nic; /* a NIC's; strings owned */
	int nic_fd, watch;      /* a NIC's; -1 = none */
	struct process server;  /* a share's */
	char *failure;          /* owned; of the first command that failed */
	struct loop_timer *timer;
	vm_done_fn done; /* of what is under way */
	void *arg;
	struct vm_device *next;
};

/* A command under way. */
struct vm_step {
	struct vm *vm;
	struct vm_device *device; /* NULL = none */
	vm_step_fn done;
	char *doing; /* owned */
	struct vm_step *next;
};

static void step_free(struct vm_step *s)
{
	struct vm_step **at = &s->vm->steps;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	free(s->doing);
	free(s);
}

static void on_step_done(void *arg, const struct json *ret, const char *failure)
{
	struct vm_step *s = arg;
	struct vm *vm = s->vm;
	struct vm_device *d = s->device;
	vm_step_fn done = s->done;
	AUTO_FREE char *said = failure ? text_escaped(failure) : NULL;
	AUTO_FREE char *what = said ? xasprintf("%s: QEMU says: %s", s->doing, said) : NULL;

	(void)ret;
	step_free(s);
	if (what && !(d && d->done)) {
		vm_tell_end(vm, E_SYSTEM, what);
		return;
	}
	if (d && what && !d->failure)
		d->failure = TAKE_PTR(what);
	if (d && done)
		done(d, d->failure);
}

void vm_step(struct vm *vm, struct vm_device *d, const char *doing, const char *name,
	     const char *command, struct json *arguments, int fd, vm_step_fn done)
{
	struct vm_step *s = xcalloc(1, sizeof(*s));

	*s = (struct vm_step){ .vm = vm,
			       .device = d,
			       .done = done,
			       .doing = xasprintf("%s '%s'", doing, name),
			       .next = vm->steps };
	vm->steps = s;
	qmp_execute(vm->qmp, command, arguments, fd, on_step_done, s);
}

static const char *attach_words(enum vm_device_kind kind)
{
	static const char *const words[] = { [VM_DISK] = "attach the disk",
					     [VM_NIC] = "attach the NIC",
					     [VM_SHARE] = "attach the share" };
	return words[kind];
}

static void device_free(struct vm_device *d)
{
	struct vm_device **at = &d->vm->devices;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	loop_cancel(d->vm->loop, d->timer);
	if (d->watch >= 0)
		(void)inotify_rm_watch(d->vm->inotify_fd, d->watch);
	cleanup_close(&d->nic_fd);
	if (d->server.pid != 0) {
		loop_unwatch(d->vm->loop, d->server.pidfd);
		process_end(&d->server, 0);
	}
	free(d->nic.id);
	free(d->nic.port_dir);
	free(d->name);
	free(d->shown);
	free(d->failure);
	free(d);
}

void vm_free_devices(struct vm *vm)
{
	while (vm->devices)
		device_free(vm->devices);
	while (vm->steps)
		step_free(vm->steps);
}

static bool port_is_used(const struct vm *vm, unsigned port)
{
	for (const struct vm_device *d = vm->devices; d; d = d->next)
		if (d->port == port)
			return true;
	return false;
}

unsigned vm_free_ports(const struct vm *vm)
{
	unsigned count = 0;

	for (unsigned i = 0; i < vm->root_ports; i++)
		count += !port_is_used(vm, i);
	return count;
}

static struct vm_device *find_device(const struct vm *vm, enum vm_device_kind kind,
				     const char *name)
{
	struct vm_device *d = vm->devices;

	while (d && (d->kind != kind || !str_equal(d->name, name)))
		d = d->next;
	return d;
}

bool vm_has_device(const struct vm *vm, enum vm_device_kind kind, const char *name)
{
	return find_device(vm, kind, name) != NULL;
}

static struct vm_device *device_new(struct vm *vm, enum vm_device_kind kind, const char *name,
				    const char *shown, struct error *err)
{
	struct vm_device *d;
	unsigned port = 0;

	while (port < vm->root_ports && port_is_used(vm, port))
		port++;
	if (port == vm->root_ports) {
		(void)error_set(err, E_UNAVAILABLE,
				"the machine has no port left for '%s'; it has to be started anew",
				shown);
		return NULL;
	}
	d = xcalloc(1, sizeof(*d));
	*d = (struct vm_device){ .vm = vm,
				 .kind = kind,
				 .name = xstrdup(name),
				 .shown = xstrdup(shown),
				 .number = ++vm->next_id,
				 .port = port,
				 .nic_fd = -1,
				 .watch = -1,
				 .server = PROCESS_INIT,
				 .next = vm->devices };
	(void)snprintf(d->id, sizeof(d->id), "dev%u", d->number);
	vm->devices = d;
	return d;
}

static void port_name(const struct vm_device *d, char out[static 16])
{
	(void)snprintf(out, 16, "rp%u", d->port);
}

static void tell_done(struct vm_device *d, enum error_code code, const char *failure)
{
	vm_done_fn done = d->done;
	void *arg = d->arg;
	AUTO_ERROR err = ERROR_INIT;

	d->done = NULL;
	if (failure)
		(void)error_set(&err, code, "%s", failure);
	if (done)
		done(arg, failure ? &err : NULL);
}

/* What served a device is removed; ends in device_gone(). */
static void remove_backend(struct vm_device *d, vm_step_fn done)
{
	struct json *o = json_new_object();

	if (d->kind == VM_DISK) {
		json_set_string(o, "node-name", d->id);
		vm_step(d->vm, d, "detach the disk", d->shown, "blockdev-del", o, -1, NULL);
		o = json_new_object();
		json_set_int(o, "fdset-id", d->number);
		vm_step(d->vm, d, "close the disk", d->shown, "remove-fd", o, -1, done);
		return;
	}
	json_set_string(o, "id", d->id);
	vm_step(d->vm, d, "detach", d->shown, d->kind == VM_NIC ? "netdev_del" : "chardev-remove",
		o, -1, done);
}

static void device_gone(struct vm_device *d, const char *failure)
{
	AUTO_FREE char *copy = xstrdup_null(failure);
	vm_done_fn done = d->done;
	void *arg = d->arg;
	AUTO_ERROR err = ERROR_INIT;

	device_free(d);
	if (copy)
		(void)error_set(&err, E_SYSTEM, "%s", copy);
	if (done)
		done(arg, copy ? &err : NULL);
}

static void on_plugged(struct vm_device *d, const char *failure)
{
	if (!failure) {
		d->state = DEVICE_PLUGGED;
		tell_done(d, E_SYSTEM, NULL);
		return;
	}
	/* As far as it came; what was never there fails to go, which says nothing new. */
	d->state = DEVICE_LEAVING;
	remove_backend(d, device_gone);
}

/* The last command of plugging. */
static void add_device(struct vm_device *d, struct json *arguments)
{
	vm_step(d->vm, d, attach_words(d->kind), d->shown, "device_add", arguments, -1, on_plugged);
}

/* @fd is taken. */
static int plug_disk(struct vm *vm, const struct machine_disk *disk, int fd, vm_done_fn done,
		     void *arg, struct error *err)
{
	const char *words = attach_words(VM_DISK);
	char port[16];
	struct vm_device *d = device_new(vm, VM_DISK, disk->serial, disk->path, err);

	if (!d) {
		(void)close(fd);
		return -(int)err->code;
	}
	d->done = done;
	d->arg = arg;
	port_name(d, port);
	vm_step(vm, d, words, d->shown, "add-fd", qmp_add_fd(d->number), fd, NULL);
	vm_step(vm, d, words, d->shown, "blockdev-add",
		qmp_blockdev(d->id, d->number, disk->read_only), -1, NULL);
	add_device(d, qmp_disk(d->id, port, disk->serial));
	return 0;
}

int vm_plug_disk(struct vm *vm, const struct machine_disk *disk, vm_done_fn done, void *arg,
		 struct error *err)
{
	int fd = disk_open(disk, err);

	return fd < 0 ? fd : plug_disk(vm, disk, fd, done, arg, err);
}

int vm_plug_empty_disk(struct vm *vm, const struct machine_disk *disk, struct error *err)
{
	AUTO_CLOSE int fd = memfd_create("placeholder", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, PLACEHOLDER_BYTES) < 0)
		return error_sys(err, "make a placeholder for a disk");
	/* QEMU takes a descriptor only if it is opened as the disk is used. */
	AUTO_FREE char *path = xasprintf("/proc/self/fd/%d", fd);
	int opened = open(path, (disk->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (opened < 0)
		return error_sys(err, "open a placeholder for a disk");
	return plug_disk(vm, disk, opened, NULL, NULL, err);
}

int vm_tell_disk_size(struct vm *vm, const struct machine_disk *disk, struct error *err)
{
	struct vm_device *d = find_device(vm, VM_DISK, disk->serial);
	struct stat st;

	if (stat(disk->path, &st) < 0)
		return error_sys(err, "look at '%s'", disk->path);
	if (d)
		vm_step(vm, d, "tell the size of the disk", d->shown, "block_resize",
			qmp_resize(d->id, (uint64_t)st.st_size), -1, NULL);
	return 0;
}

/* @fd is taken; the device keeps it and gives QEMU a copy. */
static int plug_nic(struct vm *vm, const struct machine_nic *nic, const uint8_t mac[6], int fd,
		    vm_done_fn done, void *arg, struct error *err)
{
	const char *words = attach_words(VM_NIC);
	char port[16];
	struct vm_device *d = device_new(vm, VM_NIC, nic->id, nic->id, err);

	if (!d) {
		(void)close(fd);
		return -(int)err->code;
	}
	d->nic = *nic;
	d->nic.id = xstrdup(nic->id);
	d->nic.port_dir = xstrdup(nic->port_dir);
	d->nic_fd = fd;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0) {
		int r = error_sys(err, "copy a descriptor");
		device_free(d);
		return r;
	}
	if (*nic->port_dir)
		d->watch =
			inotify_add_watch(vm->inotify_fd, nic->port_dir, IN_CREATE | IN_MOVED_TO);
	d->done = done;
	d->arg = arg;
	port_name(d, port);
	vm_step(vm, d, words, d->shown, "getfd", qmp_getfd(d->id), copy, NULL);
	vm_step(vm, d, words, d->shown, "netdev_add", qmp_netdev(d->id), -1, NULL);
	add_device(d, qmp_nic(d->id, port, mac, nic->mtu));
	return 0;
}

int vm_plug_nic(struct vm *vm, const struct machine_nic *nic, vm_done_fn done, void *arg,
		struct error *err)
{
	int fd = nic_open(nic, err);

	return fd < 0 ? fd : plug_nic(vm, nic, nic->mac, fd, done, arg, err);
}

int vm_plug_seated_nic(struct vm *vm, const struct machine_nic *nic, struct error *err)
{
	int fd = nic_open(nic, err);

	return fd < 0 ? fd : plug_nic(vm, nic, vm_seat_mac, fd, NULL, NULL, err);
}

int vm_plug_empty_nic(struct vm *vm, const struct machine_nic *nic, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, "make a placeholder for a NIC");
	(void)close(pair[1]);
	return plug_nic(vm, nic, vm_seat_mac, pair[0], NULL, NULL, err);
}

static void on_server_exit(void *arg, uint32_t events)
{
	struct vm_device *d = arg;
	AUTO_FREE char *what = xasprintf("the file server of '%s' ended", d->shown);

	(void)events;
	loop_unwatch(d->vm->loop, d->server.pidfd);
	/* It ends by itself when QEMU lets go of it. */
	if (d->state != DEVICE_LEAVING)
		vm_tell_end(d->vm, E_UNAVAILABLE, what);
}

int vm_plug_share(struct vm *vm, const struct machine_share *share, vm_done_fn done, void *arg,
		  struct error *err)
{
	const char *words = attach_words(VM_SHARE);
	char port[16];
	struct vm_device *d = device_new(vm, VM_SHARE, share->tag, share->source, err);

	if (!d)
		return -(int)err->code;
	int fd = share_open(share, vm->config->machine.run_dir, vm->qemu.stderr_write_fd,
			    &d->server, err);
	if (fd < 0) {
		device_free(d);
		return fd;
	}
	loop_watch(vm->loop, d->server.pidfd, EPOLLIN, on_server_exit, d);
	d->done = done;
	d->arg = arg;
	port_name(d, port);
	vm_step(vm, d, words, d->shown, "getfd", qmp_getfd(d->id), fd, NULL);
	vm_step(vm, d, words, d->shown, "chardev-add", qmp_chardev(d->id), -1, NULL);
	add_device(d, qmp_share(d->id, port, share->tag));
	return 0;
}

static void on_unplug_timeout(void *arg)
{
	struct vm_device *d = arg;
	AUTO_FREE char *what = xasprintf("the guest does not let '%s' go", d->shown);

	d->timer = NULL;
	/* If it does later, it goes unnoticed. */
	tell_done(d, E_TIMEOUT, what);
}

/* Only the guest's answer counts; QEMU refuses what was asked before. */
static void on_asked(struct vm_device *d, const char *failure)
{
	if (!failure)
		return;
	d->state = DEVICE_PLUGGED;
	loop_cancel(d->vm->loop, d->timer);
	d->timer = NULL;
	AUTO_FREE char *copy = d->failure;
	d->failure = NULL;
	tell_done(d, E_SYSTEM, copy);
}

int vm_unplug(struct vm *vm, enum vm_device_kind kind, const char *name, vm_done_fn done, void *arg,
	      struct error *err)
{
	struct vm_device *d = find_device(vm, kind, name);

	if (!d)
		return error_set(err, E_NOT_FOUND, "the machine has no device '%s'", name);
	if (d->state != DEVICE_PLUGGED || d->done)
		return error_set(err, E_CONFLICT, "'%s' is being attached or detached", d->shown);
	d->state = DEVICE_LEAVING;
	d->done = done;
	d->arg = arg;
	d->timer = loop_after(vm->loop, UNPLUG_MS, on_unplug_timeout, d);
	vm_step(vm, d, "detach", d->shown, "device_del", qmp_device_del(d->id), -1, on_asked);
	return 0;
}

static void on_deleted(struct vm_device *d)
{
	loop_cancel(d->vm->loop, d->timer);
	d->timer = NULL;
	remove_backend(d, device_gone);
}

void vm_device_deleted(struct vm *vm, const char *id)
{
	for (struct vm_device *d = vm->devices; d; d = d->next) {
		size_t size = strlen(d->id);

		if (d->state == DEVICE_LEAVING && d->done && strncmp(id, d->id, size) == 0 &&
		    str_equal(id + size, QMP_DEVICE_SUFFIX)) {
			on_deleted(d);
			return;
		}
	}
}

static void on_resized(struct vm_device *d, const char *failure)
{
	AUTO_FREE char *copy = d->failure;

	(void)failure;
	d->failure = NULL;
	tell_done(d, E_SYSTEM, copy);
}

int vm_resize_disk(struct vm *vm, const char *serial, uint64_t bytes, vm_done_fn done, void *arg,
		   struct error *err)
{
	struct vm_device *d = find_device(vm, VM_DISK, serial);

	if (!d)
		return error_set(err, E_NOT_FOUND, "the machine has no disk '%s'", serial);
	if (d->state != DEVICE_PLUGGED || d->done)
		return error_set(err, E_CONFLICT, "'%s' is being attached or detached", d->shown);
	d->done = done;
	d->arg = arg;
	vm_step(vm, d, "grow the disk", d->shown, "block_resize", qmp_resize(d->id, bytes), -1,
		on_resized);
	return 0;
}

void vm_reconnect_nics(struct vm *vm)
{
	for (struct vm_device *d = vm->devices; d; d = d->next) {
		AUTO_ERROR err = ERROR_INIT;

		if (d->kind == VM_NIC && nic_connect(d->nic_fd, &d->nic, &err) < 0)
			error_ignore(&err, "connect to a switch again");
	}
}
