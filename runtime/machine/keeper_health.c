/* SPDX-License-Identifier: MIT */
/* Probes: when they are due, what they saw, and what follows. */
/*
 * DOC: Theory of Operation
 *
 *	STARTING --- a probe is good ---> HEALTHY
 *	   |                              |   ^
 *	   +--- retries in a row fail ----+   | a probe is good
 *	                                  v   |
 *	                               UNHEALTHY
 *
 * Until it was healthy once, failures within the start period do not count, and the start interval
 * is kept. There is one timer: to the next probe, or to the end of the one under way. A probe by
 * exec is an ordinary process of the container; the agent does those of ports.
 */
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "runtime/host/event_log.h"
#include "runtime/machine/keeper_internal.h"
#include "runtime/machine/keeper_words.h"

enum { FIRST_PROBE_MS = 100, REPLY_MARGIN_MS = 2000, HEALTH_TEXT_MAX = 512 };

static void on_due(void *arg);
static void on_late(void *arg);

static bool in_start_period(const struct health *h)
{
	return h->state == HEALTH_STARTING && clock_ms() < h->began_ms + h->config->start_period_ms;
}

static void wait_for(struct health *h, uint64_t ms, loop_fn fn)
{
	loop_cancel(h->keeper->loop, h->timer);
	h->timer = loop_after(h->keeper->loop, ms, fn, h);
}

static void set_state(struct health *h, enum process_health_state state)
{
	struct json *event;

	if (h->state == state)
		return;
	h->state = state;
	event = event_new("health", h->keeper->config.machine.name);
	if (h->name)
		json_set_string(event, "process", h->name);
	json_set_string(event, "health", process_health_name(state));
	event_log_add(h->keeper->config.machine.events, event);
	supervise_changed(h->keeper);
}

/* A probe is over. */
static void judge(struct health *h, bool is_healthy, const char *text)
{
	free(h->text);
	h->text = xstrndup(text, HEALTH_TEXT_MAX);
	if (is_healthy) {
		h->failures = 0;
		set_state(h, HEALTH_HEALTHY);
	} else if (!in_start_period(h)) {
		h->failures++;
	}
	wait_for(h, in_start_period(h) ? h->config->start_interval_ms : h->config->interval_ms,
		 on_due);
	if (is_healthy || h->failures < h->config->retries || h->state == HEALTH_UNHEALTHY)
		return;
	set_state(h, HEALTH_UNHEALTHY);
	if (h->config->restarts && h->on_unhealthy)
		h->on_unhealthy(h->arg);
}

static void on_output(void *arg, enum log_stream stream, const void *data, size_t size)
{
	struct health *h = arg;

	(void)stream;
	words_add(&h->output, data, size);
}

static char *exec_text(const struct health *h, const char *how)
{
	AUTO_FREE char *words = words_tell(&h->output);

	return words ? xasprintf("%s: %s", how, words) : xstrdup(how);
}

static void on_exited(void *arg, const struct msg_exited *exited)
{
	struct health *h = arg;
	AUTO_FREE char *how = xasprintf("exit code %u", exited->code & 0xff);
	AUTO_FREE char *text = exec_text(h, how);

	h->relay = NULL;
	judge(h, exited->code == 0, text);
}

static void on_refused(void *arg, const char *text)
{
	struct health *h = arg;

	h->relay = NULL;
	judge(h, false, text);
}

/* Whatever is under way is no longer waited for. */
static void abandon(struct health *h)
{
	struct keeper *k = h->keeper;
	struct msg_signal m = { SIGKILL };
	AUTO_ERROR err = ERROR_INIT;

	h->request = 0;
	if (!h->relay)
		return;
	h->relay->owner = NULL;
	if (msg_signal_add(&k->guest_out, MSG_SIGNAL, h->relay->stream.id, &m, &err) < 0)
		error_ignore(&err, "kill a probe");
	message_add_empty(&k->guest_out, MSG_CANCEL, h->relay->stream.id);
	h->relay = NULL;
}

static void on_late(void *arg)
{
	struct health *h = arg;
	AUTO_FREE char *how = xasprintf("it took longer than %u ms", h->config->probe.timeout_ms);
	AUTO_FREE char *text = exec_text(h, how);

	h->timer = NULL;
	abandon(h);
	if (h->keeper->status.is_paused)
		wait_for(h, h->config->interval_ms, on_due);
	else
		judge(h, false, text);
	keeper_flush(h->keeper);
}

static int probe_by_exec(struct health *h, struct error *err)
{
	static const struct relay_owner owner = { .refused = on_refused,
						  .output = on_output,
						  .exited = on_exited };
	struct keeper *k = h->keeper;
	uint32_t id = k->next_stream++;
	int r = msg_spawn_add(&k->guest_out, MSG_SPAWN, id, &h->config->exec, err);

	if (r < 0)
		return r;
	h->relay = relay_new(k, id, NULL);
	h->relay->owner = &owner;
	h->relay->owner_arg = h;
	return 0;
}

static void on_due(void *arg)
{
	struct health *h = arg;
	struct keeper *k = h->keeper;
	uint64_t timeout_ms = h->config->probe.timeout_ms;
	AUTO_ERROR err = ERROR_INIT;
	int r;

	h->timer = NULL;
	/* What stands still is neither healthy nor not. */
	if (k->status.is_paused) {
		wait_for(h, h->config->interval_ms, on_due);
		return;
	}
	buffer_clear(&h->output);
	if (h->config->probe.kind == PROBE_EXEC) {
		r = probe_by_exec(h, &err);
	} else {
		h->request = keeper_next_request(k);
		timeout_ms += REPLY_MARGIN_MS;
		r = msg_probe_add(&k->guest_out, MSG_PROBE, h->request, &h->config->probe, &err);
	}
	if (r < 0) {
		h->request = 0;
		judge(h, false, error_message(&err));
	} else {
		wait_for(h, timeout_ms, on_late);
	}
	keeper_flush(k);
}

void health_begin(struct health *h)
{
	health_end(h);
	if (h->config->probe.kind == PROBE_NONE) {
		h->state = HEALTH_NONE;
		return;
	}
	h->began_ms = clock_ms();
	h->failures = 0;
	free(h->text);
	h->text = NULL;
	h->state = HEALTH_STARTING;
	wait_for(h, FIRST_PROBE_MS, on_due);
	h->next = h->keeper->probes;
	h->keeper->probes = h;
}

void health_end(struct health *h)
{
	struct health **at = &h->keeper->probes;

	while (*at && *at != h)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = h->next;
	h->state = HEALTH_STARTING; /* until another probe has passed */
	abandon(h);
	loop_cancel(h->keeper->loop, h->timer);
	h->timer = NULL;
}

void health_release(struct health *h)
{
	if (h->keeper)
		health_end(h);
	buffer_release(&h->output);
	free(h->text);
	h->text = NULL;
}

bool health_answer(struct keeper *k, const struct frame *f)
{
	struct health *h = k->probes;
	struct msg_probed m = { 0 };
	struct msg_error e = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	while (h && (h->request == 0 || h->request != f->stream))
		h = h->next;
	if (!h)
		return false;
	h->request = 0;
	if (f->type == MSG_ERROR && msg_error_unpack(f->payload, f->size, &e, &err) == 0) {
		judge(h, false, e.text);
		msg_error_release(&e);
	} else if (f->type == MSG_PROBED && msg_probed_unpack(f->payload, f->size, &m, &err) == 0) {
		judge(h, m.is_healthy, m.text);
		msg_probed_release(&m);
	} else {
		judge(h, false, "the guest's agent did not answer as it should");
	}
	return true;
}

bool health_equal(const struct process_health *a, const struct process_health *b)
{
	AUTO_BUFFER x = BUFFER_INIT;
	AUTO_BUFFER y = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (process_health_pack(a, &x, &err) < 0 || process_health_pack(b, &y, &err) < 0)
		return false;
	return x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
}
