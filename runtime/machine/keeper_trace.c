/* SPDX-License-Identifier: MIT */
/* A traced start: the guest's phases, on the host's time line. */
/*
 * DOC: Theory of Operation
 *
 * The guest's clock is another. It tells when it received our question and when it sent its answer;
 * we know when we sent the one and received the other. What lies between is the guest's time and
 * that of two ways: the difference of the clocks is taken such that both ways were equally long,
 * which is wrong by at most one of them, and puts everything the guest did between the two.
 */
#include <inttypes.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/trace.h"
#include "runtime/machine/keeper_internal.h"

int keeper_trace_begin(struct keeper *k, int fd, struct error *err)
{
	if (fd_set_cloexec(fd, true, err) < 0)
		return -(int)err->code;
	trace_to(fd);
	trace_as(k->config.machine.name, "keeper");
	k->trace_begin_us = trace_now();
	return 0;
}

void keeper_trace_ask(struct keeper *k)
{
	k->trace_asked_us = trace_now();
	if (k->trace_asked_us > 0)
		message_add_empty(&k->guest_out, MSG_TRACE, REQUEST_TRACE);
}

/* Only a start is traced, and only once. */
static void end_if_over(struct keeper *k)
{
	if (!k->was_up || k->trace_asked_us > 0)
		return;
	(void)close(trace_fd());
	trace_to(-1);
}

void keeper_trace_up(struct keeper *k)
{
	if (trace_fd() < 0)
		return;
	trace_note(NULL, "the guest sets up", k->trace_setup_us, trace_now());
	trace_note(NULL, "start", k->trace_begin_us, trace_now());
	end_if_over(k);
}

/* What the guest says is looked at, not believed: nothing of it lies outside of this boot. */
static void note_phase(const struct keeper *k, const struct traced_phase *p, int64_t offset_us,
		       uint64_t now_us)
{
	uint64_t begin = p->begin_us + (uint64_t)offset_us, end = p->end_us + (uint64_t)offset_us;

	if (begin < k->trace_begin_us || end < begin || end > now_us)
		log_debug("the guest tells a phase at a time that cannot be");
	else
		trace_note(p->is_process ? "process" : "guest", p->name, begin, end);
}

void keeper_traced(struct keeper *k, const struct frame *f)
{
	uint64_t now = trace_now(), asked = k->trace_asked_us;
	struct msg_traced m = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (asked == 0 || f->stream != REQUEST_TRACE) {
		log_debug("the guest tells phases that nobody asked for");
		return;
	}
	k->trace_asked_us = 0;
	if (msg_traced_unpack(f->payload, f->size, &m, &err) < 0) {
		error_ignore(&err, "read the guest's phases");
	} else if (m.sent_us - m.received_us > now - asked) {
		log_debug("the guest's clock runs otherwise");
	} else {
		int64_t offset = (int64_t)(asked + (now - asked - (m.sent_us - m.received_us)) / 2 -
					   m.received_us);
		for (size_t i = 0; i < m.phase_count; i++)
			note_phase(k, &m.phases[i], offset, now);
	}
	msg_traced_release(&m);
	end_if_over(k);
}
