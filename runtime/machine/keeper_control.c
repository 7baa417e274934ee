/* SPDX-License-Identifier: MIT */
/* Orders to what runs: signals, standing still and going on, what time it is. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "runtime/host/event_log.h"
#include "runtime/machine/keeper_internal.h"

/* A guest's clock follows the host's but not what is corrected in it. */
enum { TIME_AGAIN_S = 600 };

int client_kill(struct client *c, const struct frame *f, struct error *err)
{
	struct msg_kill_process m = { 0 };
	struct msg_kill kill = { 0 };
	AUTO_ERROR why = ERROR_INIT;
	uint32_t request;
	int r = 0;

	if (msg_kill_process_unpack(f->payload, f->size, &m, err) < 0)
		return -(int)err->code;
	kill.signal = m.signal;
	request = client_begin_request(c, f->stream);
	if (request && supervise_targets(c->keeper, m.process, &kill, &why) < 0) {
		c->request = 0;
		message_add_error(&c->out, f->stream, why.code, error_message(&why));
	} else if (request) {
		r = msg_kill_add(&c->keeper->guest_out, MSG_KILL, request, &kill, err);
	}
	msg_kill_release(&kill);
	msg_kill_process_release(&m);
	return r;
}

static void set_paused(struct keeper *k, bool is_paused)
{
	struct json *event = event_new("machine", k->config.machine.name);

	k->status.is_paused = is_paused;
	json_set_string(event, "status", is_paused ? "paused" : "unpaused");
	event_log_add(k->config.machine.events, event);
	keeper_status_write(k);
}

int client_pause(struct client *c, const struct frame *f, struct error *err)
{
	struct keeper *k = c->keeper;
	struct msg_freeze m = { 0 };

	if (msg_freeze_unpack(f->payload, f->size, &m, err) < 0)
		return -(int)err->code;
	if (k->status.phase == MACHINE_RUNNING && m.is_frozen == k->status.is_paused) {
		message_add_error(&c->out, f->stream, E_CONFLICT,
				  m.is_frozen ? "the container is paused already"
					      : "the container is not paused");
		return 0;
	}
	if (m.is_frozen && k->change) {
		message_add_error(&c->out, f->stream, E_CONFLICT, "the machine is being changed");
		return 0;
	}
	uint32_t request = client_begin_request(c, f->stream);
	if (!request)
		return 0;
	k->freeze_request = request;
	k->freezes = m.is_frozen;
	return msg_freeze_add(&k->guest_out, MSG_FREEZE, request, &m, err);
}

void keeper_freeze_answer(struct keeper *k, const struct frame *f)
{
	if (!k->freeze_request || k->freeze_request != f->stream)
		return;
	k->freeze_request = 0;
	if (f->type == MSG_DONE && k->status.is_paused != k->freezes)
		set_paused(k, k->freezes);
}

void keeper_thaw(struct keeper *k)
{
	struct msg_freeze m = { .is_frozen = false };
	AUTO_ERROR err = ERROR_INIT;

	k->freeze_request = 0;
	if (!k->status.is_paused)
		return;
	if (msg_freeze_add(&k->guest_out, MSG_FREEZE, REQUEST_THAW, &m, &err) < 0)
		error_ignore(&err, "let the container go on");
	set_paused(k, false);
}

static void send_time(struct keeper *k)
{
	struct msg_time m = { .unix_time_ns = clock_unix_ms() * 1000000 };
	AUTO_ERROR err = ERROR_INIT;

	if (!k->vm || !k->has_hello || k->vm_is_over)
		return;
	if (msg_time_add(&k->guest_out, MSG_TIME, REQUEST_TIME, &m, &err) < 0)
		error_ignore(&err, "tell the guest the time");
	keeper_flush(k);
}

static int arm_clock(int fd)
{
	struct itimerspec at = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &at.it_value);
	at.it_value.tv_sec += TIME_AGAIN_S;
	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL);
}

/* The time has come, or the clock jumped: it was set, or the host has slept. */
static void on_clock(void *arg, uint32_t events)
{
	struct keeper *k = arg;
	uint64_t expired;

	(void)events;
	ssize_t n = read(k->clock_fd, &expired, sizeof(expired));
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0)
		log_info("the host's clock was set, or it has slept: the guest is told the time");
	if (arm_clock(k->clock_fd) < 0)
		loop_unwatch(k->loop, k->clock_fd);
	send_time(k);
}

int keeper_watch_clock(struct keeper *k, struct error *err)
{
	k->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (k->clock_fd < 0 || arm_clock(k->clock_fd) < 0)
		return error_sys(err, "watch the host's clock");
	loop_watch(k->loop, k->clock_fd, EPOLLIN, on_clock, k);
	return 0;
}

void keeper_unwatch_clock(struct keeper *k)
{
	if (k->clock_fd < 0)
		return;
	loop_unwatch(k->loop, k->clock_fd);
	(void)close(k->clock_fd);
	k->clock_fd = -1;
}
