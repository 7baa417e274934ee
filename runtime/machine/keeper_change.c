/* SPDX-License-Identifier: MIT */
/* Bringing a running machine to another configuration. */
/*
 * DOC: Theory of Operation
 *
 * The configuration it has and the one it is to have are compared: devices by name and content,
 * mounts by target and content. What differs becomes a list of operations, each asked of the guest
 * or of QEMU, one after the other: unmount, take devices away, attach devices, set NICs up, mount,
 * write files, names and limits. A device or mount that changes goes and comes again. A mount below
 * one that goes or comes has to do so too.
 *
 * An operation whose result is there already has been done by a change that did not end: it is
 * passed over. The first that fails ends the change; the machine goes on as far as it came, says
 * so, and has the old configuration for its next start, before which it is not changed again.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "runtime/machine/keeper_internal.h"

/* What a guest under load may take to answer; it waits for a device for 10 s itself. */
enum { ANSWER_MS = 30 * 1000 };

struct mount {
	char *target;             /* lent */
	enum msg_type attach;     /* MSG_ATTACH_DISK, _SHARE or _TMPFS */
	const char *device;       /* lent; the serial or tag; NULL = none */
	enum vm_device_kind kind; /* of the device */
	struct buffer message;    /* the attach's payload */
	bool is_kept;
};

struct mounts {
	struct mount *items;
	size_t count;
};

enum operation_kind {
	OPERATION_ASK, /* a request to the guest */
	OPERATION_UNPLUG,
	OPERATION_PLUG_DISK,
	OPERATION_PLUG_NIC,
	OPERATION_PLUG_SHARE,
	OPERATION_RESIZE,
	OPERATION_MEMORY,
	OPERATION_CPUS,
};

struct operation {
	enum operation_kind kind;
	enum msg_type type;    /* OPERATION_ASK */
	struct buffer message; /* its payload */
	enum vm_device_kind device;
	const char *name;  /* lent; OPERATION_UNPLUG, _RESIZE */
	const void *wants; /* lent; OPERATION_PLUG_*: the machine_disk, _nic or _share */
	uint64_t bytes;    /* OPERATION_RESIZE, _MEMORY */
	unsigned cpus;     /* OPERATION_CPUS */
};

struct change {
	struct keeper *keeper;
	struct client *client; /* who waits for it; NULL = gone */
	uint32_t client_request;
	bool has_config;
	bool has_other_files;        /* what runs has read others: it starts again */
	struct keeper_config config; /* what the machine is to be */
	struct operation *operations;
	size_t count, room, at;
	uint32_t request; /* the guest was asked; 0 = no */
	struct loop_timer *timer;
	struct buffer text; /* owns the names of a resize */
};

static void change_free(struct change *c)
{
	if (c->has_config)
		keeper_config_release(&c->config);
	for (size_t i = 0; i < c->count; i++)
		buffer_release(&c->operations[i].message);
	free(c->operations);
	loop_cancel(c->keeper->loop, c->timer);
	buffer_release(&c->text);
	c->keeper->change = NULL;
	free(c);
}

void keeper_change_drop(struct keeper *k, enum error_code code, const char *why)
{
	struct change *c = k->change;

	if (!c)
		return;
	/* The first operation that is under way may have left nothing behind, or may not. */
	k->is_half_changed = c->has_config;
	if (c->client)
		message_add_error(&c->client->out, c->client_request, code, why);
	change_free(c);
}

void keeper_change_leave(struct keeper *k, const struct client *client)
{
	if (k->change && k->change->client == client)
		k->change->client = NULL;
}

static struct operation *add(struct change *c, enum operation_kind kind)
{
	GROW_ARRAY(c->operations, c->count, c->room);
	c->operations[c->count] = (struct operation){ .kind = kind };
	return &c->operations[c->count++];
}

static struct operation *add_ask(struct change *c, enum msg_type type)
{
	struct operation *o = add(c, OPERATION_ASK);

	o->type = type;
	return o;
}

/* --- mounts --- */

static void mounts_release(struct mounts *m)
{
	for (size_t i = 0; i < m->count; i++)
		buffer_release(&m->items[i].message);
	free(m->items);
}

static int by_target(const void *a, const void *b)
{
	return strcmp(((const struct mount *)a)->target, ((const struct mount *)b)->target);
}

/* All mounts of a configuration, what lies below another behind it. */
static int list_mounts(const struct msg_setup *s, struct mounts *ret, struct error *err)
{
	int r = 0;

	ret->items = xcalloc(s->disk_count + s->share_count + s->tmpfs_count + s->socket_count + 1,
			     sizeof(*ret->items));
	for (size_t i = 0; r == 0 && i < s->disk_count; i++) {
		struct mount *m = &ret->items[ret->count];
		if (s->disks[i].role != DISK_VOLUME)
			continue;
		*m = (struct mount){ .target = s->disks[i].target,
				     .attach = MSG_ATTACH_DISK,
				     .device = s->disks[i].serial,
				     .kind = VM_DISK };
		ret->count++;
		r = setup_disk_pack(&s->disks[i], &m->message, err);
	}
	for (size_t i = 0; r == 0 && i < s->share_count; i++) {
		struct mount *m = &ret->items[ret->count++];
		*m = (struct mount){ .target = s->shares[i].target,
				     .attach = MSG_ATTACH_SHARE,
				     .device = s->shares[i].tag,
				     .kind = VM_SHARE };
		r = setup_share_pack(&s->shares[i], &m->message, err);
	}
	for (size_t i = 0; r == 0 && i < s->tmpfs_count; i++) {
		struct mount *m = &ret->items[ret->count++];
		*m = (struct mount){ .target = s->tmpfs[i].target, .attach = MSG_ATTACH_TMPFS };
		r = setup_tmpfs_pack(&s->tmpfs[i], &m->message, err);
	}
	for (size_t i = 0; r == 0 && i < s->socket_count; i++) {
		struct mount *m = &ret->items[ret->count++];
		*m = (struct mount){ .target = s->sockets[i].target, .attach = MSG_ATTACH_SOCKET };
		r = setup_socket_pack(&s->sockets[i], &m->message, err);
	}
	qsort(ret->items, ret->count, sizeof(*ret->items), by_target);
	return r;
}

static bool same_bytes(const struct buffer *a, const struct buffer *b)
{
	return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static const struct machine_disk *find_disk(const struct machine_config *m, const char *serial)
{
	for (size_t i = 0; i < m->disk_count; i++)
		if (str_equal(m->disks[i].serial, serial))
			return &m->disks[i];
	return NULL;
}

static const struct machine_nic *find_nic(const struct machine_config *m, const char *id)
{
	for (size_t i = 0; i < m->nic_count; i++)
		if (str_equal(m->nics[i].id, id))
			return &m->nics[i];
	return NULL;
}

static const struct machine_share *find_share(const struct machine_config *m, const char *tag)
{
	for (size_t i = 0; i < m->share_count; i++)
		if (str_equal(m->shares[i].tag, tag))
			return &m->shares[i];
	return NULL;
}

static bool same_disk(const struct machine_disk *a, const struct machine_disk *b)
{
	return a && b && str_equal(a->path, b->path) && a->read_only == b->read_only;
}

static bool same_nic(const struct machine_nic *a, const struct machine_nic *b)
{
	return a && b && str_equal(a->port_dir, b->port_dir) && a->mtu == b->mtu &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

static bool same_share(const struct machine_share *a, const struct machine_share *b)
{
	return a && b && str_equal(a->source, b->source) && a->read_only == b->read_only &&
	       a->git_writable == b->git_writable;
}

static bool device_stays(const struct mount *m, const struct machine_config *is,
			 const struct machine_config *wanted)
{
	if (!m->device)
		return true;
	if (m->kind == VM_DISK)
		return same_disk(find_disk(is, m->device), find_disk(wanted, m->device));
	return same_share(find_share(is, m->device), find_share(wanted, m->device));
}

static bool is_below(const char *target, const char *folder)
{
	size_t size = strlen(folder);

	return strncmp(target, folder, size) == 0 &&
	       (target[size] == '/' || (target[size] && size > 0 && folder[size - 1] == '/'));
}

static bool is_moved(const char *target, const struct mounts *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (!m->items[i].is_kept && is_below(target, m->items[i].target))
			return true;
	return false;
}

static void match_mounts(struct mounts *was, struct mounts *is, const struct machine_config *old,
			 const struct machine_config *wanted)
{
	for (size_t i = 0; i < was->count; i++) {
		struct mount *a = &was->items[i];
		struct mount *b = bsearch(a, is->items, is->count, sizeof(*a), by_target);

		if (b && a->attach == b->attach && same_bytes(&a->message, &b->message) &&
		    device_stays(a, old, wanted))
			a->is_kept = b->is_kept = true;
	}
	/* They are sorted: whatever lies above a mount is decided before it. */
	for (size_t i = 0; i < was->count; i++) {
		struct mount *a = &was->items[i];
		struct mount *b = bsearch(a, is->items, is->count, sizeof(*a), by_target);

		if (a->is_kept && b && (is_moved(a->target, was) || is_moved(a->target, is)))
			a->is_kept = b->is_kept = false;
	}
}

static int add_detaches(struct change *c, const struct mounts *was, struct error *err)
{
	int r = 0;

	for (size_t i = was->count; r == 0 && i-- > 0;) {
		struct msg_detach m = { .target = was->items[i].target };

		if (!was->items[i].is_kept)
			r = msg_detach_pack(&m, &add_ask(c, MSG_DETACH)->message, err);
	}
	return r;
}

static void add_attaches(struct change *c, struct mounts *is)
{
	for (size_t i = 0; i < is->count; i++) {
		struct operation *o;

		if (is->items[i].is_kept)
			continue;
		o = add_ask(c, is->items[i].attach);
		o->message = is->items[i].message;
		is->items[i].message = BUFFER_INIT;
	}
}

/* --- devices --- */

static void add_unplug(struct change *c, enum vm_device_kind kind, const char *name)
{
	struct operation *o = add(c, OPERATION_UNPLUG);

	o->device = kind;
	o->name = name;
}

static void add_plug(struct change *c, enum operation_kind kind, const void *wants)
{
	add(c, kind)->wants = wants;
}

static const struct setup_nic *setup_of(const struct machine_config *m, const uint8_t mac[6])
{
	for (size_t i = 0; i < m->setup.nic_count; i++)
		if (memcmp(m->setup.nics[i].mac, mac, sizeof(m->setup.nics[i].mac)) == 0)
			return &m->setup.nics[i];
	return NULL;
}

static int add_unplugs(struct change *c, const struct machine_config *old, struct error *err)
{
	const struct machine_config *wanted = &c->config.machine;
	int r = 0;

	for (size_t i = 0; i < old->disk_count; i++)
		if (!same_disk(&old->disks[i], find_disk(wanted, old->disks[i].serial)))
			add_unplug(c, VM_DISK, old->disks[i].serial);
	for (size_t i = 0; i < old->share_count; i++)
		if (!same_share(&old->shares[i], find_share(wanted, old->shares[i].tag)))
			add_unplug(c, VM_SHARE, old->shares[i].tag);
	for (size_t i = 0; r == 0 && i < old->nic_count; i++) {
		const struct machine_nic *n = &old->nics[i];
		const struct setup_nic *s = setup_of(old, n->mac);

		if (same_nic(n, find_nic(wanted, n->id)))
			continue;
		if (s)
			r = setup_nic_pack(s, &add_ask(c, MSG_DETACH_NIC)->message, err);
		add_unplug(c, VM_NIC, n->id);
	}
	return r;
}

static void add_plugs(struct change *c, const struct machine_config *old)
{
	const struct machine_config *wanted = &c->config.machine;

	for (size_t i = 0; i < wanted->disk_count; i++)
		if (!same_disk(&wanted->disks[i], find_disk(old, wanted->disks[i].serial)))
			add_plug(c, OPERATION_PLUG_DISK, &wanted->disks[i]);
	for (size_t i = 0; i < wanted->share_count; i++)
		if (!same_share(&wanted->shares[i], find_share(old, wanted->shares[i].tag)))
			add_plug(c, OPERATION_PLUG_SHARE, &wanted->shares[i]);
	for (size_t i = 0; i < wanted->nic_count; i++)
		if (!same_nic(&wanted->nics[i], find_nic(old, wanted->nics[i].id)))
			add_plug(c, OPERATION_PLUG_NIC, &wanted->nics[i]);
}

/* A NIC that is there and is to be set up otherwise is set up again. */
static int add_nic_setups(struct change *c, const struct machine_config *old, struct error *err)
{
	const struct msg_setup *s = &c->config.machine.setup;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->nic_count; i++) {
		const struct setup_nic *was = setup_of(old, s->nics[i].mac);
		AUTO_BUFFER before = BUFFER_INIT;
		AUTO_BUFFER after = BUFFER_INIT;

		r = setup_nic_pack(&s->nics[i], &after, err);
		if (r == 0 && was)
			r = setup_nic_pack(was, &before, err);
		if (r == 0 && !same_bytes(&before, &after)) {
			struct operation *o = add_ask(c, MSG_ATTACH_NIC);
			o->message = after;
			after = BUFFER_INIT;
		}
	}
	return r;
}

/* More comes before the container may use it, and less goes when it may no longer. The limit is
 * exact, and all there is below what the machine was started with and between two steps. */
static int add_limits(struct change *c, const struct machine_config *old, struct error *err)
{
	const struct machine_config *m = &c->config.machine;
	const struct vm_size size = vm_size(c->keeper->vm);
	const uint64_t memory = vm_memory_for(c->keeper->vm, m->memory_bytes);
	const uint64_t most = memory > size.memory_bytes ? memory : size.memory_bytes;
	struct msg_limits limits = m->setup.limits;

	if (memory > size.max_bytes || m->cpus > size.max_cpus)
		return error_set(err, E_UNAVAILABLE,
				 "the machine was started with less room for memory or processors");
	if (m->memory_bytes == old->memory_bytes && m->cpus == old->cpus &&
	    limits.pids == old->setup.limits.pids &&
	    limits.shm_bytes == old->setup.limits.shm_bytes)
		return 0;
	if (m->cpus > size.cpus)
		add(c, OPERATION_CPUS)->cpus = m->cpus;
	if (memory > size.wanted_bytes)
		add(c, OPERATION_MEMORY)->bytes = memory;
	if (m->memory_bytes < most)
		limits.memory_bytes = m->memory_bytes;
	limits.cpus = m->cpus;
	if (msg_limits_pack(&limits, &add_ask(c, MSG_LIMITS)->message, err) < 0)
		return -(int)err->code;
	if (memory < size.wanted_bytes)
		add(c, OPERATION_MEMORY)->bytes = memory;
	return 0;
}

static int add_names(struct change *c, const struct machine_config *old, bool forced,
		     struct error *err)
{
	AUTO_BUFFER before = BUFFER_INIT;
	AUTO_BUFFER after = BUFFER_INIT;
	int r = msg_names_pack(&old->setup.names, &before, err);

	if (r == 0)
		r = msg_names_pack(&c->config.machine.setup.names, &after, err);
	if (r < 0 || (!forced && same_bytes(&before, &after)))
		return r;
	struct operation *o = add_ask(c, MSG_NAMES);
	o->message = after;
	after = BUFFER_INIT;
	return 0;
}

/* --- files --- */

/* How many pieces from @at on are one file. */
static size_t piece_count(const struct machine_config *m, size_t at)
{
	size_t count = 1;

	while (at + count < m->file_count && m->files[at + count].append &&
	       str_equal(m->files[at + count].path, m->files[at].path))
		count++;
	return count;
}

static bool same_content(const struct machine_config *a, size_t i, const struct machine_config *b,
			 size_t n, size_t count)
{
	for (size_t p = 0; p < count; p++) {
		const struct msg_write_file *x = &a->files[i + p], *y = &b->files[n + p];

		if (x->content_size != y->content_size ||
		    (x->content_size && memcmp(x->content, y->content, x->content_size) != 0))
			return false;
	}
	return true;
}

static bool same_place(const struct msg_write_file *a, const struct msg_write_file *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
	       str_equal(a->owner, b->owner) && str_equal(a->link_at, b->link_at);
}

/* Those that are others now, or lie there otherwise. One that is no longer wanted stays. */
static int add_files(struct change *c, const struct machine_config *old, struct error *err)
{
	const struct machine_config *m = &c->config.machine;
	size_t count;
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->file_count; i += count) {
		size_t was = 0;
		bool is_same;

		count = piece_count(m, i);
		while (was < old->file_count && !str_equal(old->files[was].path, m->files[i].path))
			was++;
		is_same = was < old->file_count && piece_count(old, was) == count &&
			  same_content(m, i, old, was, count);
		c->has_other_files = c->has_other_files || (was < old->file_count && !is_same);
		if (is_same && same_place(&m->files[i], &old->files[was]))
			continue;
		for (size_t p = 0; r == 0 && p < count; p++)
			r = msg_write_file_pack(&m->files[i + p],
						&add_ask(c, MSG_WRITE_FILE)->message, err);
	}
	return r;
}

/* Other capabilities need room for other system calls. */
static int add_filter(struct change *c, const struct machine_config *old, struct error *err)
{
	const struct machine_config *m = &c->config.machine;

	if (!m->is_filtered || (old->is_filtered && m->capabilities == old->capabilities))
		return 0;
	return keeper_pack_filter(m, &add_ask(c, MSG_FILTER)->message, err);
}

static bool asks_about_nics(const struct change *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->operations[i].type == MSG_ATTACH_NIC ||
		    c->operations[i].type == MSG_DETACH_NIC)
			return true;
	return false;
}

static int plan(struct change *c, struct error *err)
{
	const struct machine_config *old = &c->keeper->config.machine;
	CLEANUP(mounts_release) struct mounts was = { 0 };
	CLEANUP(mounts_release) struct mounts is = { 0 };
	int r = list_mounts(&old->setup, &was, err);

	if (r == 0)
		r = list_mounts(&c->config.machine.setup, &is, err);
	if (r < 0)
		return r;
	match_mounts(&was, &is, old, &c->config.machine);
	r = add_detaches(c, &was, err);
	if (r == 0)
		r = add_unplugs(c, old, err);
	if (r < 0)
		return r;
	add_plugs(c, old);
	r = add_nic_setups(c, old, err);
	if (r < 0)
		return r;
	add_attaches(c, &is);
	r = add_files(c, old, err);
	if (r < 0)
		return r;
	r = add_names(c, old, asks_about_nics(c), err);
	if (r == 0)
		r = add_filter(c, old, err);
	return r == 0 ? add_limits(c, old, err) : r;
}

/* --- one after the other --- */

/* Processes, probes, hooks, policies, limits of the log: what changed takes effect now. */
static void take_up_processes(struct keeper *k, struct machine_config *wanted, bool all_again)
{
	supervise_configure(k, &wanted->main, &wanted->supervise);
	if (all_again)
		supervise_restart(k, "");
	wanted->main = k->config.machine.main;
	k->config.machine.main = (struct msg_spawn){ 0 };
}

static void finish(struct change *c)
{
	struct keeper *k = c->keeper;
	AUTO_ERROR err = ERROR_INIT;

	if (c->has_config) {
		take_up_processes(k, &c->config.machine, c->has_other_files);
		buffer_clear(&k->filter); /* made anew for the next boot */
		struct keeper_config was = k->config;

		k->config.machine = c->config.machine;
		c->config.machine = was.machine;
		k->status.memory_bytes = k->config.machine.memory_bytes;
		if (forwards_configure(k, &err) < 0) {
			keeper_change_drop(k, err.code, error_message(&err));
			return;
		}
	}
	if (c->client)
		message_add_empty(&c->client->out, MSG_DONE, c->client_request);
	change_free(c);
}

static void next(struct change *c);

static void on_late(void *arg)
{
	struct change *c = arg;
	struct keeper *k = c->keeper;

	c->timer = NULL;
	keeper_change_drop(k, E_TIMEOUT, "the guest does not answer");
	keeper_flush(k);
}

static int ask(struct change *c, const struct operation *o)
{
	struct keeper *k = c->keeper;

	c->request = k->next_request++;
	if (k->next_request == 0)
		k->next_request = REQUEST_FIRST_FREE;
	c->timer = loop_after(k->loop, ANSWER_MS, on_late, c);
	frame_add(&k->guest_out, (uint16_t)o->type, 0, c->request, o->message.data,
		  o->message.size);
	return 0;
}

static void on_device_done(void *arg, const struct error *failure)
{
	struct change *c = arg;
	struct keeper *k = c->keeper;

	if (failure)
		keeper_change_drop(k, failure->code, error_message(failure));
	else
		next(c);
	keeper_flush(k);
}

/* Return: 0 if an answer follows, 1 if it is as wanted already, -code */
static int run(struct change *c, const struct operation *o, struct error *err)
{
	struct vm *vm = c->keeper->vm;
	const struct machine_disk *disk = o->wants;
	const struct machine_nic *nic = o->wants;
	const struct machine_share *share = o->wants;

	switch (o->kind) {
	case OPERATION_ASK:
		return ask(c, o);
	case OPERATION_UNPLUG:
		if (!vm_has_device(vm, o->device, o->name))
			return 1;
		return vm_unplug(vm, o->device, o->name, on_device_done, c, err);
	case OPERATION_PLUG_DISK:
		if (vm_has_device(vm, VM_DISK, disk->serial))
			return 1;
		return vm_plug_disk(vm, disk, on_device_done, c, err);
	case OPERATION_PLUG_NIC:
		if (vm_has_device(vm, VM_NIC, nic->id))
			return 1;
		return vm_plug_nic(vm, nic, on_device_done, c, err);
	case OPERATION_PLUG_SHARE:
		if (vm_has_device(vm, VM_SHARE, share->tag))
			return 1;
		return vm_plug_share(vm, share, on_device_done, c, err);
	case OPERATION_RESIZE:
		return vm_resize_disk(vm, o->name, o->bytes, on_device_done, c, err);
	case OPERATION_MEMORY:
		vm_resize_memory(vm, o->bytes, on_device_done, c);
		return 0;
	case OPERATION_CPUS:
		vm_plug_cpus(vm, o->cpus, on_device_done, c);
		return 0;
	}
	return 1;
}

/* The change is gone when there is nothing left to do, or it failed. */
static void next(struct change *c)
{
	AUTO_ERROR err = ERROR_INIT;
	int r = 1;

	while (r == 1 && c->at < c->count)
		r = run(c, &c->operations[c->at++], &err);
	if (r < 0)
		keeper_change_drop(c->keeper, err.code, error_message(&err));
	else if (r == 1)
		finish(c);
}

/* What a change that did not end has done already is no failure. */
static bool is_done_already(const struct operation *o, enum error_code code)
{
	if (o->type == MSG_DETACH)
		return code == E_NOT_FOUND;
	return code == E_EXISTS && (o->type == MSG_ATTACH_DISK || o->type == MSG_ATTACH_SHARE ||
				    o->type == MSG_ATTACH_TMPFS || o->type == MSG_ATTACH_SOCKET);
}

bool keeper_change_answer(struct keeper *k, const struct frame *f)
{
	struct change *c = k->change;
	struct msg_error m = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (!c || !c->request || c->request != f->stream)
		return false;
	c->request = 0;
	loop_cancel(k->loop, c->timer);
	c->timer = NULL;
	if (f->type == MSG_ERROR && msg_error_unpack(f->payload, f->size, &m, &err) == 0) {
		AUTO_FREE char *said = text_escaped(m.text);
		bool passes = is_done_already(&c->operations[c->at - 1], m.code);
		enum error_code code =
			m.code >= E_INVALID && m.code <= E_INTERNAL ? m.code : E_SYSTEM;

		msg_error_release(&m);
		if (!passes) {
			keeper_change_drop(k, code, said);
			return true;
		}
	} else if (error_is_set(&err)) {
		keeper_change_drop(k, err.code, error_message(&err));
		return true;
	}
	next(c);
	return true;
}

static struct change *begin(struct client *client, uint32_t request, struct error *err)
{
	struct keeper *k = client->keeper;
	struct change *c;

	if (k->status.phase != MACHINE_RUNNING || !k->vm) {
		(void)error_set(err, E_NOT_FOUND, "the machine is not running");
		return NULL;
	}
	if (k->change) {
		(void)error_set(err, E_CONFLICT, "the machine is being changed already");
		return NULL;
	}
	if (k->is_half_changed) {
		(void)error_set(err, E_UNAVAILABLE, "an earlier change ended half way");
		return NULL;
	}
	c = xcalloc(1, sizeof(*c));
	*c = (struct change){ .keeper = k, .client = client, .client_request = request };
	k->change = c;
	return c;
}

static int check(const struct keeper_config *is, const struct keeper_config *wanted,
		 struct error *err)
{
	if (!str_equal(is->machine.run_dir, wanted->machine.run_dir) ||
	    !str_equal(is->machine.state_dir, wanted->machine.state_dir))
		return error_set(err, E_INVALID, "this is another machine");
	return keeper_config_check(&wanted->machine, err);
}

int keeper_change(struct client *client, uint32_t request, const void *packed, size_t size,
		  struct error *err)
{
	struct keeper *k = client->keeper;
	struct change *c = begin(client, request, err);
	int r;

	if (!c)
		return -(int)err->code;
	r = keeper_config_unpack(packed, size, &c->config, err);
	c->has_config = r == 0;
	if (r == 0)
		r = check(&k->config, &c->config, err);
	if (r == 0)
		r = plan(c, err);
	if (r < 0) {
		change_free(c);
		return r;
	}
	keeper_thaw(k);
	log_info("changing in place: %zu operations", c->count);
	next(c);
	return 0;
}

int keeper_grow(struct client *client, uint32_t request, const struct msg_grow *m,
		struct error *err)
{
	struct change *c = begin(client, request, err);
	struct setup_disk disk = { .serial = m->serial,
				   .role = DISK_VOLUME,
				   .size_bytes = m->size_bytes };
	struct operation *o;

	if (!c)
		return -(int)err->code;
	buffer_add_str(&c->text, m->serial);
	o = add(c, OPERATION_RESIZE);
	o->name = buffer_str(&c->text);
	o->bytes = m->size_bytes;
	if (setup_disk_pack(&disk, &add_ask(c, MSG_GROW_DISK)->message, err) < 0) {
		change_free(c);
		return -(int)err->code;
	}
	next(c);
	return 0;
}
