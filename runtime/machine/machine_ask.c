/* SPDX-License-Identifier: MIT */
/* Questions and orders to a running container. */
#include "runtime/machine/keeper_call.h"
#include "runtime/machine/machine.h"

#include "base/alloc.h"
#include "base/cleanup.h"

/* A disk takes as long as it takes. */
enum { ANSWER_MS = 10 * 1000, DISK_MS = 120 * 1000 };

static int order(const char *run_dir, const struct buffer *request, struct error *err)
{
	AUTO_BUFFER payload = BUFFER_INIT;
	struct frame f;

	return keeper_ask(run_dir, request, ANSWER_MS, MSG_DONE, &payload, &f, err);
}

int machine_trim(const char *run_dir, uint64_t *ret_bytes, struct error *err)
{
	AUTO_BUFFER request = BUFFER_INIT;
	AUTO_BUFFER payload = BUFFER_INIT;
	struct msg_trimmed m = { 0 };
	struct frame f;

	message_add_empty(&request, MSG_TRIM, 1);
	int r = keeper_ask(run_dir, &request, DISK_MS, MSG_TRIMMED, &payload, &f, err);
	if (r == 0)
		r = msg_trimmed_unpack(f.payload, f.size, &m, err);
	if (r == 0)
		*ret_bytes = m.bytes;
	return r;
}

int machine_disks(const char *run_dir, enum disks_action action, struct error *err)
{
	AUTO_BUFFER request = BUFFER_INIT;
	AUTO_BUFFER payload = BUFFER_INIT;
	struct msg_disks m = { action };
	struct frame f;
	int r = msg_disks_add(&request, MSG_DISKS, 1, &m, err);

	return r < 0 ? r : keeper_ask(run_dir, &request, DISK_MS, MSG_DONE, &payload, &f, err);
}

int machine_kill(const char *run_dir, int sig, const char *process, struct error *err)
{
	AUTO_BUFFER request = BUFFER_INIT;
	AUTO_FREE char *copy = xstrdup(process);
	struct msg_kill_process m = { (uint32_t)sig, copy };
	int r = msg_kill_process_add(&request, MSG_KILL_PROCESS, 1, &m, err);

	return r < 0 ? r : order(run_dir, &request, err);
}

int machine_pause(const char *run_dir, bool is_paused, struct error *err)
{
	AUTO_BUFFER request = BUFFER_INIT;
	struct msg_freeze m = { is_paused };
	int r = msg_freeze_add(&request, MSG_PAUSE, 1, &m, err);

	return r < 0 ? r : order(run_dir, &request, err);
}

/* A question without words. */
static int question(const char *run_dir, enum msg_type type, enum msg_type wanted,
		    struct buffer *payload, struct frame *ret, struct error *err)
{
	AUTO_BUFFER request = BUFFER_INIT;

	message_add_empty(&request, type, 1);
	return keeper_ask(run_dir, &request, ANSWER_MS, wanted, payload, ret, err);
}

int machine_stats(const char *run_dir, struct msg_stats *ret, struct error *err)
{
	AUTO_BUFFER payload = BUFFER_INIT;
	struct frame f;
	int r = question(run_dir, MSG_STATS, MSG_STATS_REPLY, &payload, &f, err);

	return r < 0 ? r : msg_stats_unpack(f.payload, f.size, ret, err);
}

int machine_top(const char *run_dir, struct msg_top *ret, struct error *err)
{
	AUTO_BUFFER payload = BUFFER_INIT;
	struct frame f;
	int r = question(run_dir, MSG_TOP, MSG_TOP_REPLY, &payload, &f, err);

	return r < 0 ? r : msg_top_unpack(f.payload, f.size, ret, err);
}

int machine_kernel_log(const char *run_dir, struct msg_kernel_log *ret, struct error *err)
{
	AUTO_BUFFER payload = BUFFER_INIT;
	struct frame f;
	int r = question(run_dir, MSG_KERNEL_LOG, MSG_KERNEL_LOG_REPLY, &payload, &f, err);

	return r < 0 ? r : msg_kernel_log_unpack(f.payload, f.size, ret, err);
}
