/* SPDX-License-Identifier: MIT */
/* Memory and processors that come while a machine runs. */
/*
 * DOC: Theory of Operation
 *
 * Every machine has a virtio-mem device with a reserve of memory, of which it was given nothing,
 * and more slots for processors than it has processors (qemu_reserve()).
 *
 * Memory: QEMU is told how much of the reserve the guest is to have, and the guest's driver takes
 * or gives it in blocks. It is asked for how far that is, since its event of a change comes once a
 * second only; that event still tells of what a guest gives back later.
 *
 * Processors are devices. They are never unplugged: the guest switches off what it is not to use.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "runtime/machine/keeper_vm_internal.h"
#include "runtime/machine/qmp_devices.h"

enum {
	TAKE_MS = 30 * 1000, /* what a guest under load may need */
	GIVE_MS = 10 * 1000, /* its driver goes on trying afterwards */
	LOOK_MS = 20,
	ID_MAX = 16,
};

/* What is under way. */
struct vm_sizing {
	struct vm *vm;
	uint64_t more_bytes; /* wanted of the reserve */
	bool grows;
	uint64_t deadline_ms;
	struct loop_timer *timer;
	unsigned cpus, awaited; /* wanted in all; answers that are to come */
	struct error failure;
	vm_done_fn done;
	void *arg;
};

void vm_size_init(struct vm *vm)
{
	const struct machine_config *m = &vm->config->machine;
	const struct qemu_reserve r = qemu_reserve_of(m);
	uint64_t bytes = qemu_memory_bytes(m);

	vm->size = (struct vm_size){ .cpus = m->cpus,
				     .max_cpus = r.max_cpus,
				     .start_bytes = bytes,
				     .wanted_bytes = bytes,
				     .memory_bytes = bytes,
				     .max_bytes = bytes + r.more_bytes };
}

struct vm_size vm_size(const struct vm *vm)
{
	return vm->size;
}

uint64_t vm_memory_for(const struct vm *vm, uint64_t bytes)
{
	uint64_t start = vm->size.start_bytes, more = bytes > start ? bytes - start : 0;

	return start + (more + QEMU_MEMORY_STEP - 1) / QEMU_MEMORY_STEP * QEMU_MEMORY_STEP;
}

void vm_memory_changed(struct vm *vm, uint64_t more_bytes)
{
	vm->size.memory_bytes = vm->size.start_bytes + more_bytes;
}

void vm_sizing_end(struct vm *vm)
{
	struct vm_sizing *s = vm->sizing;

	if (!s)
		return;
	loop_cancel(vm->loop, s->timer);
	error_clear(&s->failure);
	free(s);
	vm->sizing = NULL;
}

static struct vm_sizing *begin(struct vm *vm, vm_done_fn done, void *arg)
{
	struct vm_sizing *s = xcalloc(1, sizeof(*s));

	vm_sizing_end(vm);
	*s = (struct vm_sizing){ .vm = vm, .failure = ERROR_INIT, .done = done, .arg = arg };
	vm->sizing = s;
	return s;
}

static void end(struct vm_sizing *s)
{
	struct vm *vm = s->vm;
	vm_done_fn done = s->done;
	void *arg = s->arg;
	AUTO_ERROR failure = ERROR_INIT;
	bool has_failed = error_is_set(&s->failure);

	if (has_failed)
		(void)error_move(&failure, &s->failure);
	vm_sizing_end(vm);
	done(arg, has_failed ? &failure : NULL);
}

static void note_failure(struct vm_sizing *s, const char *doing, const char *said)
{
	AUTO_FREE char *shown = text_escaped(said);

	if (!error_is_set(&s->failure))
		(void)error_set(&s->failure, E_UNAVAILABLE, "%s: QEMU says: %s", doing, shown);
}

/* --- memory --- */

static void look(void *arg);

static void on_late(struct vm_sizing *s)
{
	const struct vm_size *size = &s->vm->size;
	AUTO_FREE char *has = text_size(size->memory_bytes);
	AUTO_FREE char *wanted = text_size(size->wanted_bytes);

	if (s->grows)
		(void)error_set(&s->failure, E_TIMEOUT, "the guest has taken %s of memory, not %s",
				has, wanted);
	end(s);
}

static void on_look(void *arg, const struct json *ret, const char *failure)
{
	struct vm_sizing *s = arg;

	if (failure) {
		note_failure(s, "look at the memory", failure);
		end(s);
		return;
	}
	uint64_t has = (uint64_t)json_int_value_of(ret, 0);
	vm_memory_changed(s->vm, has);
	if (s->grows ? has >= s->more_bytes : has <= s->more_bytes)
		end(s);
	else if (clock_ms() >= s->deadline_ms)
		on_late(s);
	else
		s->timer = loop_after(s->vm->loop, LOOK_MS, look, s);
}

static void look(void *arg)
{
	struct vm_sizing *s = arg;

	s->timer = NULL;
	qmp_execute(s->vm->qmp, "qom-get", qmp_memory_given(QEMU_MORE_MEMORY), -1, on_look, s);
}

static void on_told(void *arg, const struct json *ret, const char *failure)
{
	struct vm_sizing *s = arg;

	(void)ret;
	if (failure) {
		note_failure(s, "change the memory", failure);
		end(s);
		return;
	}
	look(s);
}

void vm_resize_memory(struct vm *vm, uint64_t bytes, vm_done_fn done, void *arg)
{
	struct vm_sizing *s = begin(vm, done, arg);

	s->more_bytes = bytes - vm->size.start_bytes;
	s->grows = bytes > vm->size.memory_bytes;
	s->deadline_ms = clock_ms() + (s->grows ? TAKE_MS : GIVE_MS);
	vm->size.wanted_bytes = bytes;
	qmp_execute(vm->qmp, "qom-set", qmp_memory_wanted(QEMU_MORE_MEMORY, s->more_bytes), -1,
		    on_told, s);
}

/* --- processors --- */

static void on_plugged(void *arg, const struct json *ret, const char *failure)
{
	struct vm_sizing *s = arg;

	(void)ret;
	if (failure)
		note_failure(s, "add a processor", failure);
	else
		s->vm->size.cpus++;
	if (--s->awaited == 0)
		end(s);
}

/* Where a slot is, so that the lowest is taken first. */
static uint64_t place_of(const struct json *slot)
{
	static const char *const places[] = { "socket-id", "die-id", "core-id", "thread-id" };
	const struct json *props = json_member_object(slot, "props");
	uint64_t place = 0;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		place = place << 16 | (json_u64(props, places[i], 0) & UINT16_MAX);
	return place;
}

/* The lowest free one that lies behind @after; NULL if there is none. */
static const struct json *next_slot(const struct json *slots, const struct json *after)
{
	const struct json *best = NULL;

	for (size_t i = 0; i < json_count(slots); i++) {
		const struct json *slot = json_item(slots, i);
		if (json_member(slot, "qom-path") || (after && place_of(slot) <= place_of(after)))
			continue;
		if (!best || place_of(slot) < place_of(best))
			best = slot;
	}
	return best;
}

static void on_slots(void *arg, const struct json *ret, const char *failure)
{
	struct vm_sizing *s = arg;
	struct vm *vm = s->vm;
	const struct json *slot = NULL;
	char id[ID_MAX];

	if (failure)
		note_failure(s, "look for processors", failure);
	for (unsigned i = vm->size.cpus; !failure && i < s->cpus; i++) {
		slot = next_slot(ret, slot);
		if (!slot) {
			note_failure(s, "add a processor", "there is no slot left");
			break;
		}
		(void)snprintf(id, sizeof(id), "cpu%u", i);
		s->awaited++;
		qmp_execute(vm->qmp, "device_add", qmp_cpu(id, slot), -1, on_plugged, s);
	}
	if (s->awaited == 0)
		end(s);
}

void vm_plug_cpus(struct vm *vm, unsigned count, vm_done_fn done, void *arg)
{
	struct vm_sizing *s = begin(vm, done, arg);

	s->cpus = count;
	qmp_execute(vm->qmp, "query-hotpluggable-cpus", NULL, -1, on_slots, s);
}
