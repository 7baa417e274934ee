/* SPDX-License-Identifier: MIT */
/* One process of a container: started, watched, restarted by its policy, ended. */
/*
 * DOC: Theory of Operation
 *
 *	WAITING ---> STARTING ---> RUNNING ---> DONE, EXITED, FAILED
 *	                ^             |  \
 *	                +-- BACKOFF <-+   +--> STOPPING ---> as above, or STARTING again
 *
 * supervise_step() decides when a waiting one starts; everything else happens here. There is one
 * timer: of the back-off, or of the grace that ends in SIGKILL.
 */
#include <signal.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "runtime/host/event_log.h"
#include "runtime/machine/keeper_internal.h"

enum { BACKOFF_MAX_MS = 60 * 1000, BACKOFF_DEFAULT_MS = 1000, STEADY_MS = 10 * 1000 };

bool member_is_alive(const struct member *m)
{
	return m->relay != NULL;
}

static void set_phase(struct member *m, enum process_phase phase)
{
	struct json *event;

	if (m->phase == phase)
		return;
	m->phase = phase;
	event = event_new("process", m->keeper->config.machine.name);
	json_set_string(event, "process", m->config.name);
	json_set_string(event, "status", process_phase_name(phase));
	if (m->exit_code >= 0 && phase >= PROCESS_BACKOFF)
		json_set_int(event, "exit_code", m->exit_code);
	event_log_add(m->keeper->config.machine.events, event);
	supervise_changed(m->keeper);
}

static void cancel_timer(struct member *m)
{
	loop_cancel(m->keeper->loop, m->timer);
	m->timer = NULL;
}

static void set_text(struct member *m, char *text)
{
	free(m->text);
	m->text = text;
}

static void on_unhealthy(void *arg)
{
	struct member *m = arg;

	m->restarts++;
	member_restart(m);
}

struct member *member_new(struct keeper *k, struct process_config *config)
{
	struct member *m = xcalloc(1, sizeof(*m));

	*m = (struct member){ .keeper = k, .config = *config, .exit_code = -1 };
	*config = (struct process_config){ 0 };
	m->config.spawn.is_main = false;
	m->health = (struct health){ .keeper = k,
				     .config = &m->config.health,
				     .name = m->config.name,
				     .on_unhealthy = on_unhealthy,
				     .arg = m };
	return m;
}

void member_free(struct member *m)
{
	if (m->relay)
		m->relay->owner = NULL;
	cancel_timer(m);
	health_release(&m->health);
	log_lines_release(&m->lines);
	process_config_release(&m->config);
	free(m->text);
	free(m);
}

static void on_backoff(void *arg)
{
	struct member *m = arg;

	m->timer = NULL;
	m->restarts++;
	member_start(m);
	keeper_flush(m->keeper);
}

static bool may_restart(const struct member *m)
{
	if (m->config.restart_max && m->failures >= m->config.restart_max)
		return false;
	if (m->config.is_task && m->exit_code == 0)
		return false;
	return m->config.restart == PROCESS_RESTART_ALWAYS ||
	       (m->config.restart == PROCESS_RESTART_ON_FAILURE && m->exit_code != 0);
}

static void back_off(struct member *m)
{
	uint64_t delay = m->config.backoff_ms ? m->config.backoff_ms : BACKOFF_DEFAULT_MS;
	uint64_t most = delay > BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS;

	for (unsigned i = 0; i < m->failures && delay < most; i++)
		delay *= 2;
	m->failures++;
	cancel_timer(m);
	m->timer = loop_after(m->keeper->loop, delay < most ? delay : most, on_backoff, m);
	set_phase(m, PROCESS_BACKOFF);
}

/* It has ended: what now? */
static void settle(struct member *m, bool was_asked)
{
	if (m->start_again && !m->is_unwanted && !m->keeper->supervisor.is_stopping) {
		m->start_again = false;
		m->failures = 0;
		member_start(m);
	} else if (!was_asked && may_restart(m)) {
		back_off(m);
	} else if (m->config.is_task) {
		set_phase(m, m->exit_code == 0 ? PROCESS_DONE : PROCESS_FAILED);
	} else {
		set_phase(m, PROCESS_EXITED);
	}
}

static void on_started(void *arg, uint32_t pid)
{
	struct member *m = arg;

	m->pid = pid;
	m->up_ms = clock_ms();
	m->started_unix_ms = clock_unix_ms();
	m->was_started = true;
	set_text(m, NULL);
	health_begin(&m->health);
	if (m->phase == PROCESS_STARTING)
		set_phase(m, PROCESS_RUNNING);
}

static void on_refused(void *arg, const char *text)
{
	struct member *m = arg;
	AUTO_FREE char *shown = text_escaped(text);

	m->relay = NULL;
	cancel_timer(m);
	set_text(m, xasprintf("start the command: %s", shown));
	if (m->start_again)
		settle(m, true);
	else
		set_phase(m, PROCESS_FAILED);
}

static void on_output(void *arg, enum log_stream stream, const void *data, size_t size)
{
	struct member *m = arg;

	keeper_log_write_as(&m->keeper->log, &m->lines, m->config.name, stream, data, size);
}

static void on_exited(void *arg, const struct msg_exited *exited)
{
	struct member *m = arg;
	bool was_asked = m->phase == PROCESS_STOPPING;

	m->relay = NULL;
	m->pid = 0;
	cancel_timer(m);
	health_end(&m->health);
	keeper_log_end_lines(&m->keeper->log, &m->lines, m->config.name);
	m->exit_code = (int)(exited->code & 0xff);
	set_text(m, exited->oom_killed ? xstrdup("out of memory") : NULL);
	if (clock_ms() >= m->up_ms + STEADY_MS)
		m->failures = 0;
	settle(m, was_asked);
}

void member_start(struct member *m)
{
	static const struct relay_owner owner = { .started = on_started,
						  .refused = on_refused,
						  .output = on_output,
						  .exited = on_exited };
	struct keeper *k = m->keeper;
	uint32_t id = k->next_stream++;
	AUTO_ERROR err = ERROR_INIT;

	cancel_timer(m);
	if (msg_spawn_add(&k->guest_out, MSG_SPAWN, id, &m->config.spawn, &err) < 0) {
		set_text(m, xstrdup(error_message(&err)));
		set_phase(m, PROCESS_FAILED);
		return;
	}
	m->relay = relay_new(k, id, NULL);
	m->relay->owner = &owner;
	m->relay->owner_arg = m;
	set_phase(m, PROCESS_STARTING);
}

void member_signal(struct member *m, uint32_t sig)
{
	struct msg_signal s = { sig };
	AUTO_ERROR err = ERROR_INIT;

	if (m->relay &&
	    msg_signal_add(&m->keeper->guest_out, MSG_SIGNAL, m->relay->stream.id, &s, &err) < 0)
		error_ignore(&err, "signal a process");
}

static void on_grace(void *arg)
{
	struct member *m = arg;

	m->timer = NULL;
	member_signal(m, SIGKILL);
	keeper_flush(m->keeper);
}

void member_stop(struct member *m)
{
	if (m->phase == PROCESS_STOPPING)
		return;
	cancel_timer(m);
	if (!m->relay) {
		if (m->phase == PROCESS_BACKOFF)
			set_phase(m, m->config.is_task ? PROCESS_FAILED : PROCESS_EXITED);
		return;
	}
	member_signal(m, m->config.stop_grace_ms ? m->config.stop_signal : SIGKILL);
	if (m->config.stop_grace_ms)
		m->timer = loop_after(m->keeper->loop, m->config.stop_grace_ms, on_grace, m);
	set_phase(m, PROCESS_STOPPING);
}

void member_restart(struct member *m)
{
	m->start_again = true;
	if (m->relay) {
		member_stop(m);
		return;
	}
	cancel_timer(m);
	m->start_again = false;
	m->failures = 0;
	m->was_started = false;
	set_phase(m, PROCESS_WAITING);
}

void member_reset(struct member *m)
{
	cancel_timer(m);
	health_end(&m->health);
	if (m->relay) {
		m->relay->owner = NULL;
		m->relay = NULL;
		m->exit_code = 128 + SIGKILL;
		m->phase = m->config.is_task ? PROCESS_FAILED : PROCESS_EXITED;
	}
	keeper_log_end_lines(&m->keeper->log, &m->lines, m->config.name);
	m->pid = 0;
	m->start_again = false;
}
