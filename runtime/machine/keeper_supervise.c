/* SPDX-License-Identifier: MIT */
/* The container's processes together: their order, its hooks, whether it is ready, its end. */
/*
 * DOC: Theory of Operation
 *
 * Once the guest is set up the hooks run, create only until it has gone well once for a root file
 * system, which a file in the state folder remembers. Then processes start as what they need comes
 * true: supervise_step() looks after every event and is the only place that decides. It also
 * answers those who wait for the container to be ready, and ends the machine when there is no main
 * process and no other that runs or may run again.
 *
 * An orderly stop runs the stop hook, then ends each process when none is left that needs it, then
 * the machine.
 */
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/machine/keeper_internal.h"
#include "runtime/machine/keeper_words.h"

#define CREATED_NAME "created"

static bool has_main(const struct keeper *k)
{
	return k->config.machine.main.argv.count > 0;
}

static void on_unhealthy(void *arg)
{
	keeper_reboot(arg);
}

void supervise_init(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	struct member **end = &s->members;

	s->config = k->config.machine.supervise;
	k->config.machine.supervise = (struct msg_supervise){ 0 };
	for (size_t i = 0; i < s->config.process_count; i++) {
		*end = member_new(k, &s->config.processes[i]);
		end = &(*end)->next;
	}
	s->health = (struct health){
		.keeper = k, .config = &s->config.health, .on_unhealthy = on_unhealthy, .arg = k
	};
	watch_configure(k);
}

void supervise_release(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;

	watch_release(k);
	while (s->members) {
		struct member *next = s->members->next;

		member_free(s->members);
		s->members = next;
	}
	health_release(&s->health);
	buffer_release(&s->hook_output);
	log_lines_release(&s->hook_lines);
	msg_supervise_release(&s->config);
}

static bool is_hook(const struct process_hook *h)
{
	return h->spawn.argv.count > 0;
}

bool supervise_comes_first(const struct keeper *k)
{
	const struct supervisor *s = &k->supervisor;

	return !has_main(k) || is_hook(&s->config.create) || is_hook(&s->config.start);
}

void supervise_changed(struct keeper *k)
{
	if (k->was_up)
		keeper_status_write(k);
}

/* --- hooks --- */

static void next_hook(struct keeper *k);

static void end_hook(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;

	loop_cancel(k->loop, s->hook_timer);
	s->hook_timer = NULL;
	if (s->hook_relay)
		s->hook_relay->owner = NULL;
	s->hook_relay = NULL;
	keeper_log_end_lines(&k->log, &s->hook_lines, s->hook_name ? s->hook_name : "hook");
}

/* Of a hook that is not the last of all: what follows does not run. */
static void hook_failed(struct keeper *k, const char *how)
{
	struct supervisor *s = &k->supervisor;
	AUTO_FREE char *words = words_tell(&s->hook_output);
	AUTO_ERROR err = ERROR_INIT;

	end_hook(k);
	log_warn("hook %s: %s", s->hook_name, how);
	if (s->is_stopping) {
		next_hook(k);
		return;
	}
	(void)error_set(&err, E_CONFLICT, "hook '%s' failed: %s%s%s", s->hook_name, how,
			words ? "; it said last: " : "", words ? words : "");
	s->hook = NULL;
	k->stop_wanted = true; /* trying again would not help */
	keeper_fail(k, &err);
}

static void on_hook_output(void *arg, enum log_stream stream, const void *data, size_t size)
{
	struct keeper *k = arg;
	struct supervisor *s = &k->supervisor;

	words_add(&s->hook_output, data, size);
	keeper_log_write_as(&k->log, &s->hook_lines, s->hook_name, stream, data, size);
}

static void remember_creation(const struct keeper *k)
{
	AUTO_FREE char *path = path_join(k->config.machine.state_dir, CREATED_NAME);
	AUTO_ERROR err = ERROR_INIT;

	if (file_write_atomic(path, "", 0, 0600, &err) < 0)
		error_ignore(&err, "remember that the create hook has run");
}

static void on_hook_exited(void *arg, const struct msg_exited *exited)
{
	struct keeper *k = arg;
	struct supervisor *s = &k->supervisor;
	char how[32];

	s->hook_relay = NULL;
	if (exited->code != 0) {
		(void)snprintf(how, sizeof(how), "exit code %u", exited->code & 0xff);
		hook_failed(k, how);
		return;
	}
	end_hook(k);
	if (s->hook == &s->config.create)
		remember_creation(k);
	next_hook(k);
}

static void on_hook_refused(void *arg, const char *text)
{
	struct keeper *k = arg;
	AUTO_FREE char *shown = text_escaped(text);

	k->supervisor.hook_relay = NULL;
	hook_failed(k, shown);
}

static void on_hook_late(void *arg)
{
	struct keeper *k = arg;
	struct supervisor *s = &k->supervisor;
	struct msg_signal m = { SIGKILL };
	AUTO_ERROR err = ERROR_INIT;

	s->hook_timer = NULL;
	if (s->hook_relay &&
	    msg_signal_add(&k->guest_out, MSG_SIGNAL, s->hook_relay->stream.id, &m, &err) < 0)
		error_ignore(&err, "kill a hook");
	hook_failed(k, "it took longer than its timeout");
	keeper_flush(k);
}

static void run_hook(struct keeper *k, const struct process_hook *hook, const char *name)
{
	static const struct relay_owner owner = { .refused = on_hook_refused,
						  .output = on_hook_output,
						  .exited = on_hook_exited };
	struct supervisor *s = &k->supervisor;
	uint32_t id = k->next_stream++;
	AUTO_ERROR err = ERROR_INIT;

	s->hook = hook;
	s->hook_name = name;
	buffer_clear(&s->hook_output);
	if (msg_spawn_add(&k->guest_out, MSG_SPAWN, id, &hook->spawn, &err) < 0) {
		hook_failed(k, error_message(&err));
		return;
	}
	s->hook_relay = relay_new(k, id, NULL);
	s->hook_relay->owner = &owner;
	s->hook_relay->owner_arg = k;
	s->hook_timer = loop_after(k->loop, hook->timeout_ms, on_hook_late, k);
}

static bool was_created(const struct keeper *k)
{
	AUTO_FREE char *path = path_join(k->config.machine.state_dir, CREATED_NAME);

	return file_exists(path);
}

/* The one after s->hook, in the order create, start; after stop there is none. */
static void next_hook(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	const struct process_hook *done = s->hook;

	s->hook = NULL;
	if (s->is_stopping)
		return;
	if (!done && is_hook(&s->config.create) && !was_created(k)) {
		run_hook(k, &s->config.create, "hook:create");
	} else if (done != &s->config.start && is_hook(&s->config.start)) {
		run_hook(k, &s->config.start, "hook:start");
	} else {
		s->is_going = true;
		if (has_main(k))
			keeper_start_main(k);
		else
			health_begin(&s->health);
	}
}

void supervise_begin(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;

	for (struct member *m = s->members; m; m = m->next) {
		m->phase = PROCESS_WAITING;
		m->was_started = false;
		m->failures = 0;
	}
	s->is_begun = true;
	keeper_is_up(k);
	next_hook(k);
}

/* --- the main process --- */

void supervise_main_started(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;

	s->main_started = s->is_going = s->is_begun = true;
	health_begin(&s->health);
}

bool supervise_main_exited(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	bool restarts = s->main_restarts && !s->is_stopping;

	loop_cancel(k->loop, s->main_timer);
	s->main_timer = NULL;
	health_end(&s->health);
	s->main_restarts = false;
	if (!restarts)
		return false;
	s->main_started = false;
	if (has_main(k))
		keeper_start_main(k);
	return true;
}

static void on_main_grace(void *arg)
{
	struct keeper *k = arg;

	k->supervisor.main_timer = NULL;
	keeper_signal_main(k, SIGKILL);
	keeper_flush(k);
}

static bool is_meant(const struct member *m, const char *process)
{
	return *process ? strcmp(m->config.name, process) == 0 : !m->config.is_task;
}

static void restart_main(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	uint32_t grace = s->config.stop_grace_ms;

	if (!s->main_started) {
		if (s->is_going && has_main(k) && !relay_find(k, STREAM_MAIN))
			keeper_start_main(k);
		return;
	}
	if (s->main_restarts)
		return;
	s->main_restarts = true;
	keeper_signal_main(k, grace && s->config.stop_signal ? s->config.stop_signal : SIGKILL);
	if (grace)
		s->main_timer = loop_after(k->loop, grace, on_main_grace, k);
}

void supervise_restart(struct keeper *k, const char *process)
{
	if (!*process && has_main(k))
		restart_main(k);
	for (struct member *m = k->supervisor.members; m; m = m->next)
		if (is_meant(m, process))
			member_restart(m);
}

static void add_target(struct msg_kill *kill, uint32_t stream)
{
	kill->targets =
		xreallocarray(kill->targets, kill->target_count + 1, sizeof(*kill->targets));
	kill->targets[kill->target_count++].stream = stream;
}

int supervise_targets(const struct keeper *k, const char *process, struct msg_kill *ret,
		      struct error *err)
{
	const struct supervisor *s = &k->supervisor;
	bool is_known = !*process;

	if (!*process && s->main_started)
		add_target(ret, STREAM_MAIN);
	for (const struct member *m = s->members; m; m = m->next) {
		if (*process && strcmp(m->config.name, process) != 0)
			continue;
		is_known = true;
		if (m->relay)
			add_target(ret, m->relay->stream.id);
	}
	if (!is_known)
		return error_set(err, E_NOT_FOUND, "there is no process '%s' in it", process);
	return ret->target_count ? 0
				 : error_set(err, E_NOT_FOUND, "no process of it runs: %s",
					     *process ? process : "all have ended");
}

void supervise_signal(struct keeper *k, const char *process, uint32_t sig)
{
	if (!*process && k->supervisor.main_started)
		keeper_signal_main(k, sig);
	for (struct member *m = k->supervisor.members; m; m = m->next)
		if (is_meant(m, process))
			member_signal(m, sig);
}

/* --- order --- */

static const struct member *find(const struct supervisor *s, const char *name)
{
	const struct member *m = s->members;

	while (m && strcmp(m->config.name, name) != 0)
		m = m->next;
	return m;
}

static bool is_over(const struct member *m)
{
	return m->phase == PROCESS_DONE || m->phase == PROCESS_EXITED || m->phase == PROCESS_FAILED;
}

/* Return: 1 it is so, 0 not yet, -1 never */
static int need_state(const struct supervisor *s, const struct process_need *n, unsigned depth)
{
	const struct member *m = find(s, n->name);

	if (!m || depth > PROCESSES_CONFIGURED_MAX)
		return -1;
	for (size_t i = 0; m->phase == PROCESS_WAITING && i < m->config.need_count; i++)
		if (need_state(s, &m->config.needs[i], depth + 1) < 0)
			return -1;
	switch (n->condition) {
	case WHEN_HEALTHY:
		if (m->health.state == HEALTH_HEALTHY && m->phase == PROCESS_RUNNING)
			return 1;
		break;
	case WHEN_DONE:
		if (m->phase == PROCESS_DONE)
			return 1;
		break;
	case WHEN_EXITED:
		return is_over(m) ? 1 : 0;
	case WHEN_STARTED:
	case WHEN_CONDITIONS:
		if (m->was_started)
			return 1;
		break;
	}
	return is_over(m) ? -1 : 0;
}

static int needs_state(const struct supervisor *s, const struct member *m,
		       const struct process_need **ret_never)
{
	int state = 1;

	for (size_t i = 0; i < m->config.need_count; i++) {
		int one = need_state(s, &m->config.needs[i], 0);

		if (one < 0) {
			*ret_never = &m->config.needs[i];
			return -1;
		}
		state = one < state ? one : state;
	}
	return state;
}

static void start_ready(struct supervisor *s)
{
	const struct process_need *never;

	for (struct member *m = s->members; m; m = m->next)
		if (m->phase == PROCESS_WAITING && !m->is_unwanted && needs_state(s, m, &never) > 0)
			member_start(m);
}

static bool is_needed(const struct supervisor *s, const struct member *needed)
{
	for (const struct member *m = s->members; m; m = m->next)
		for (size_t i = 0; member_is_alive(m) && i < m->config.need_count; i++)
			if (strcmp(m->config.needs[i].name, needed->config.name) == 0)
				return true;
	return false;
}

static void sweep(struct supervisor *s)
{
	for (struct member **at = &s->members; *at;) {
		struct member *m = *at;

		if (!m->is_unwanted || member_is_alive(m)) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		member_free(m);
	}
}

/* --- the end --- */

bool supervise_stop(struct keeper *k, uint32_t sig, uint32_t grace_ms)
{
	struct supervisor *s = &k->supervisor;

	if (!s->is_going || (!s->members && !is_hook(&s->config.stop)))
		return false;
	s->is_stopping = true;
	s->stop_signal = sig;
	s->stop_grace_ms = s->config.stop_grace_ms ? s->config.stop_grace_ms : grace_ms;
	if (is_hook(&s->config.stop))
		run_hook(k, &s->config.stop, "hook:stop");
	return true;
}

static void step_stop(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	bool anybody = false;

	if (s->hook)
		return;
	for (struct member *m = s->members; m; m = m->next) {
		if (!is_needed(s, m))
			member_stop(m);
		anybody = anybody || member_is_alive(m);
	}
	if (anybody)
		return;
	s->is_going = s->is_stopping = false;
	keeper_power_off(k, has_main(k) ? s->stop_signal : 0, has_main(k) ? s->stop_grace_ms : 0);
}

/* Nothing runs, and nothing will: the container has ended. */
static void check_over(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	const struct process_need *never = NULL;
	int code = 0;

	if (has_main(k) || s->main_started || !s->members)
		return;
	for (const struct member *m = s->members; m; m = m->next) {
		bool waits = m->phase == PROCESS_WAITING && needs_state(s, m, &never) >= 0;

		if (waits || (!is_over(m) && m->phase != PROCESS_WAITING))
			return;
		if (code == 0 && m->phase != PROCESS_DONE)
			code = m->exit_code >= 0 ? m->exit_code : 127;
	}
	s->is_going = false;
	k->status.exit_code = code;
	k->status.exited_unix_ms = clock_unix_ms();
	keeper_power_off(k, 0, 0);
}

void supervise_step(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;

	if (k->is_stepping || k->vm_is_over)
		return;
	k->is_stepping = true;
	sweep(s);
	if (s->is_stopping)
		step_stop(k);
	else if (s->is_going)
		start_ready(s);
	clients_answer_waits(k);
	if (s->is_going && !s->is_stopping)
		check_over(k);
	k->is_stepping = false;
}

void supervise_reset(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;

	end_hook(k);
	watch_reset(k);
	s->hook = NULL;
	loop_cancel(k->loop, s->main_timer);
	s->main_timer = NULL;
	health_end(&s->health);
	for (struct member *m = s->members; m; m = m->next)
		member_reset(m);
	s->is_begun = s->is_going = s->is_stopping = s->main_started = s->main_restarts = false;
}

/* --- another configuration --- */

static bool spawn_equal(const struct msg_spawn *a, const struct msg_spawn *b)
{
	AUTO_BUFFER x = BUFFER_INIT;
	AUTO_BUFFER y = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (msg_spawn_pack(a, &x, &err) < 0 || msg_spawn_pack(b, &y, &err) < 0)
		return false;
	return x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
}

static void configure_member(struct member *m, struct process_config *config)
{
	bool is_same = spawn_equal(&m->config.spawn, &config->spawn) &&
		       m->config.is_task == config->is_task;
	bool same_health = health_equal(&m->config.health, &config->health);
	bool has_failed =
		m->phase == PROCESS_FAILED || (m->phase == PROCESS_EXITED && m->exit_code != 0);

	if (!same_health)
		health_end(&m->health);
	process_config_release(&m->config);
	m->config = *config;
	*config = (struct process_config){ 0 };
	m->health.name = m->config.name;
	m->is_unwanted = false;
	if (!is_same || has_failed)
		member_restart(m);
	else if (m->phase == PROCESS_RUNNING && !same_health)
		health_begin(&m->health);
}

static void configure_members(struct keeper *k, struct msg_supervise *c)
{
	struct supervisor *s = &k->supervisor;
	struct member *old = s->members, **end = &s->members;

	s->members = NULL;
	for (size_t i = 0; i < c->process_count; i++) {
		struct member **at = &old;

		while (*at && strcmp((*at)->config.name, c->processes[i].name) != 0)
			at = &(*at)->next;
		struct member *m = *at;
		if (m)
			*at = m->next;
		else
			m = member_new(k, &c->processes[i]);
		m->next = NULL;
		*end = m;
		end = &m->next;
		if (c->processes[i].name)
			configure_member(m, &c->processes[i]);
	}
	*end = old;
	for (; old; old = old->next) {
		old->is_unwanted = true;
		member_stop(old);
	}
}

void supervise_configure(struct keeper *k, struct msg_spawn *main, struct msg_supervise *c)
{
	struct supervisor *s = &k->supervisor;
	struct machine_config *m = &k->config.machine;
	bool same_health = health_equal(&s->config.health, &c->health);

	main->is_main = m->main.is_main = main->argv.count > 0;
	bool same_main = spawn_equal(&m->main, main);
	if (!same_health)
		health_end(&s->health);
	watch_release(k);
	msg_supervise_release(&s->config);
	s->config = *c;
	*c = (struct msg_supervise){ 0 };
	configure_members(k, &s->config);
	msg_spawn_release(&m->main);
	m->main = *main;
	*main = (struct msg_spawn){ 0 };
	m->restart = (enum restart_policy)s->config.restart;
	keeper_log_limit(&k->log, s->config.log_max_bytes, s->config.log_files);
	if (!same_main)
		restart_main(k);
	else if (!same_health && s->is_going)
		health_begin(&s->health);
	watch_configure(k);
	supervise_changed(k);
}

/* --- whether it is ready --- */

static const char *said(const char *text)
{
	return text && *text ? text : "nothing";
}

static int judge_health(const struct health *h, const char *what, struct error *err)
{
	if (h->state == HEALTH_UNHEALTHY)
		return error_set(err, E_UNAVAILABLE,
				 "%s is unhealthy: its probe failed %u times; "
				 "the last said: %s",
				 what, h->failures, said(h->text));
	return h->state != HEALTH_STARTING;
}

static int judge_member(const struct supervisor *s, const struct member *m, enum wait_until until,
			struct error *err)
{
	AUTO_FREE char *what = xasprintf("process '%s'", m->config.name);
	const struct process_need *never = NULL;
	bool has_probe = m->config.health.probe.kind != PROBE_NONE;

	if (m->phase == PROCESS_FAILED && m->text)
		return error_set(err, E_UNAVAILABLE, "%s failed: %s", what, m->text);
	if (m->phase == PROCESS_FAILED)
		return error_set(err, E_UNAVAILABLE, "%s failed with exit code %d", what,
				 m->exit_code);
	if (m->phase == PROCESS_WAITING && needs_state(s, m, &never) < 0)
		return error_set(err, E_UNAVAILABLE, "%s waits for '%s', which did not come true",
				 what, never->name);
	if (m->start_again)
		return 0;
	if (until == WAIT_STARTED)
		return m->was_started;
	if (m->config.is_task)
		return m->phase == PROCESS_DONE;
	if (m->phase == PROCESS_EXITED && (m->exit_code != 0 || has_probe))
		return error_set(err, E_UNAVAILABLE, "%s ended with exit code %d%s%s", what,
				 m->exit_code, m->text ? ": " : "", m->text ? m->text : "");
	return m->was_started ? judge_health(&m->health, what, err) : 0;
}

int supervise_verdict(const struct keeper *k, enum wait_until until, struct error *err)
{
	const struct supervisor *s = &k->supervisor;
	int verdict = 1;

	for (const struct member *m = s->members; m; m = m->next) {
		int one = judge_member(s, m, until, err);

		if (one < 0)
			return one;
		verdict = one < verdict ? one : verdict;
	}
	if (!s->is_going || (has_main(k) && (!s->main_started || s->main_restarts)))
		return 0;
	if (until == WAIT_READY && watch_failure(k))
		return error_set(err, E_UNAVAILABLE, "%s", watch_failure(k));
	if (until == WAIT_READY && verdict > 0)
		return judge_health(&s->health, "the container", err);
	return verdict;
}

static enum process_health_state worse(enum process_health_state a, enum process_health_state b)
{
	static const unsigned rank[HEALTH_STATES] = { [HEALTH_NONE] = 0,
						      [HEALTH_HEALTHY] = 1,
						      [HEALTH_STARTING] = 2,
						      [HEALTH_UNHEALTHY] = 3 };

	return rank[a] > rank[b] ? a : b;
}

enum process_health_state supervise_health(const struct keeper *k)
{
	enum process_health_state all = k->supervisor.health.state;

	for (const struct member *m = k->supervisor.members; m; m = m->next)
		all = is_over(m) ? all : worse(all, m->health.state);
	return all;
}

void supervise_status(const struct keeper *k, struct msg_status *ret)
{
	const struct supervisor *s = &k->supervisor;
	size_t count = 0;

	for (const struct member *m = s->members; m; m = m->next)
		count++;
	ret->health = supervise_health(k);
	ret->health_text = xstrdup_null(s->health.text);
	ret->processes = xcalloc(count + 1, sizeof(*ret->processes));
	for (const struct member *m = s->members; m; m = m->next)
		ret->processes[ret->process_count++] = (struct status_process){
			.name = xstrdup(m->config.name),
			.phase = m->phase,
			.health = is_over(m) ? HEALTH_NONE : m->health.state,
			.is_task = m->config.is_task,
			.pid = m->pid,
			.exit_code = m->exit_code,
			.restarts = m->restarts,
			.started_unix_ms = m->started_unix_ms,
			.text = xstrdup_null(m->text ? m->text : m->health.text),
		};
}
