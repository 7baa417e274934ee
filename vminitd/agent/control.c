/* SPDX-License-Identifier: MIT */
/* Figures, processes, signals, the freezer, disks that stand still, the kernel's log. */
#include "vminitd/agent/control.h"

#include <string.h>
#include <sys/klog.h>

#include "base/alloc.h"
#include "vminitd/agent/cgroup.h"
#include "vminitd/agent/stats.h"
#include "vminitd/agent/top.h"

static void answer_failed(struct agent *a, const struct frame *f, struct error *err)
{
	agent_answer(a, f->stream, -(int)err->code, err);
}

static void on_stats(struct agent *a, const struct frame *f)
{
	struct msg_stats m;
	AUTO_ERROR err = ERROR_INIT;

	stats_read(&a->container.root, &m);
	if (msg_stats_add(port_out(&a->port), MSG_STATS_REPLY, f->stream, &m, &err) < 0)
		answer_failed(a, f, &err);
}

static void on_top(struct agent *a, const struct frame *f)
{
	struct msg_top m;
	AUTO_ERROR err = ERROR_INIT;

	top_read(&m);
	if (msg_top_add(port_out(&a->port), MSG_TOP_REPLY, f->stream, &m, &err) < 0)
		answer_failed(a, f, &err);
	msg_top_release(&m);
}

static void on_kernel_log(struct agent *a, const struct frame *f)
{
	enum { READ_ALL = 3 };
	char *text = xmalloc(KERNEL_LOG_MAX);
	AUTO_ERROR err = ERROR_INIT;
	/* The last of it, if it is more. */
	int size = klogctl(READ_ALL, text, KERNEL_LOG_MAX);
	struct msg_kernel_log m = { (uint8_t *)text, size > 0 ? (size_t)size : 0 };

	if (size < 0)
		agent_answer(a, f->stream, error_sys(&err, "read the kernel's log"), &err);
	else if (msg_kernel_log_add(port_out(&a->port), MSG_KERNEL_LOG_REPLY, f->stream, &m, &err) <
		 0)
		answer_failed(a, f, &err);
	free(text);
}

static int on_kill(struct agent *a, const struct frame *f, struct error *err)
{
	struct msg_kill m = { 0 };
	int r = msg_kill_unpack(f->payload, f->size, &m, err);

	if (r == 0)
		r = processes_kill(&a->processes, &m, err);
	msg_kill_release(&m);
	return r;
}

static int on_freeze(struct agent *a, const struct frame *f, struct error *err)
{
	struct msg_freeze m = { 0 };
	int r = msg_freeze_unpack(f->payload, f->size, &m, err);

	if (r == 0 && !a->container.is_set_up)
		r = error_set(err, E_UNAVAILABLE, "the container is not set up");
	return r < 0 ? r : cgroup_freeze(m.is_frozen, err);
}

void control_thaw(struct agent *a)
{
	if (!a->thaw_timer)
		return;
	loop_cancel(a->loop, a->thaw_timer);
	a->thaw_timer = NULL;
	root_thaw(&a->container.root);
}

static void on_thaw_timer(void *arg)
{
	struct agent *a = arg;

	a->thaw_timer = NULL;
	root_thaw(&a->container.root);
	agent_log(a, MSG_LOG_WARN, "the disks were frozen for too long; they are thawed");
}

static int on_disks(struct agent *a, const struct frame *f, struct error *err)
{
	struct msg_disks m = { 0 };
	int r = msg_disks_unpack(f->payload, f->size, &m, err);

	if (r < 0)
		return r;
	if (!a->container.is_set_up)
		return error_set(err, E_UNAVAILABLE, "the container is not set up");
	if (m.action == DISKS_THAW) {
		if (!a->thaw_timer)
			return error_set(err, E_CONFLICT, "the disks are not frozen");
		control_thaw(a);
		return 0;
	}
	if (a->thaw_timer)
		return error_set(err, E_CONFLICT, "the disks are frozen");
	r = m.action == DISKS_FREEZE ? root_freeze(&a->container.root, err)
				     : root_sync(&a->container.root, err);
	if (r == 0 && m.action == DISKS_FREEZE)
		a->thaw_timer = loop_after(a->loop, FREEZE_MAX_MS, on_thaw_timer, a);
	return r;
}

/* What writes to a disk would wait for the thaw, and this is the process that brings it. */
static bool writes_to_disks(unsigned type)
{
	static const enum msg_type types[] = {
		MSG_SETUP,      MSG_ATTACH_DISK, MSG_ATTACH_SHARE, MSG_ATTACH_TMPFS,
		MSG_ATTACH_NIC, MSG_GROW_DISK,   MSG_DETACH,       MSG_ATTACH_SOCKET,
		MSG_NAMES,      MSG_LIMITS,      MSG_WRITE_FILE,   MSG_TRIM
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((unsigned)types[i] == type)
			return true;
	return false;
}

bool control_request(struct agent *a, const struct frame *f)
{
	AUTO_ERROR err = ERROR_INIT;

	if (f->type == MSG_STATS)
		on_stats(a, f);
	else if (f->type == MSG_TOP)
		on_top(a, f);
	else if (f->type == MSG_KERNEL_LOG)
		on_kernel_log(a, f);
	else if (f->type == MSG_KILL)
		agent_answer(a, f->stream, on_kill(a, f, &err), &err);
	else if (f->type == MSG_FREEZE)
		agent_answer(a, f->stream, on_freeze(a, f, &err), &err);
	else if (f->type == MSG_DISKS)
		agent_answer(a, f->stream, on_disks(a, f, &err), &err);
	else if (a->thaw_timer && writes_to_disks(f->type))
		agent_answer(a, f->stream, error_set(&err, E_CONFLICT, "the disks are frozen"),
			     &err);
	else
		return false;
	port_flush(&a->port);
	return true;
}
