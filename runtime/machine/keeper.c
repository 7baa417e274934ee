/* SPDX-License-Identifier: MIT */
/* The keeper: the process that owns one machine, from before QEMU starts until nothing of it is
 * left. */
/*
 * DOC: Theory of Operation
 *
 * machine_start() executes "ctrz __keeper" in a session of its own with three descriptors: its
 *configuration, a connected socket for the starter, and the lock of the run folder. That lock is
 *what being alive means: the kernel releases it when the keeper dies, however it dies, and QEMU and
 *the file servers die with it.
 *
 *	STARTING ---> RUNNING ---> STOPPING ---> EXITED
 *	   ^                          |
 *	   +------- RESTARTING <------+
 *
 * STARTING lasts from the start of QEMU until the guest says that the main process runs; a failure
 *there is told to the starter and ends the keeper, unless the machine was up before. STOPPING lasts
 *until the guest has put its disks away and QEMU is gone. Then the restart policy decides.
 *Everything happens in callbacks of one loop; a VM is taken down from a timer, never from within
 *its own callback.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest/digest.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/trace.h"
#include "runtime/host/event_log.h"
#include "runtime/machine/keeper_internal.h"
#include "runtime/machine/keeper_qemu.h"
#include "runtime/machine/keeper_words.h"
#include "runtime/machine/template.h"

enum {
	FD_CONFIG = 3,
	FD_STARTER = 4,
	FD_LOCK = 5,
	FD_TRACE = 6, /* only of a traced start */
	START_TIMEOUT_MS = 120 * 1000,
	/* What putting the disks away may take after the main process is gone. */
	POWER_OFF_MS = 20 * 1000,
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 60 * 1000,
	STEADY_MS = 10 * 1000, /* a machine that was up this long starts its back-off anew */
	/* From a template it takes a fraction of a second; what takes this long is better booted.
	 */
	RESTORE_MS = 30 * 1000,
	DEVICES_MS = 60 * 1000,
	SETUP_ENTROPY = 64,
	SIGTERM_GRACE_MS = 10 * 1000,
	/* Below this a distribution's kernel may not get as far as saying so. */
	SMALL_MEMORY = 96 << 20,
	/* Of what the guest's kernel says on its console, twice. */
	CONSOLE_BYTES = 128 << 10,
};

static void boot(struct keeper *k);

void keeper_note(const struct keeper *k, const char *what)
{
	log_debug("%s after %" PRIu64 " ms", what, clock_ms() - k->boot_ms);
}

/* What others may want to know of it. */
static void keeper_tell(const struct keeper *k)
{
	const struct machine_status *s = &k->status;
	struct json *event = event_new("machine", k->config.machine.name);
	bool has_ended = s->phase == MACHINE_RESTARTING || s->phase == MACHINE_EXITED;

	json_set_string(event, "status", machine_phase_name(s->phase));
	if (has_ended && s->exit_code >= 0)
		json_set_int(event, "exit_code", s->exit_code);
	if (has_ended && s->oom_killed)
		json_set_bool(event, "oom_killed", true);
	if (has_ended && s->error)
		json_set_string(event, "reason", s->error);
	event_log_add(k->config.machine.events, event);
}

static void set_phase(struct keeper *k, enum machine_phase phase)
{
	if (k->status.phase == phase)
		return;
	k->status.phase = phase;
	keeper_note(k, machine_phase_name(phase));
	keeper_tell(k);
	if (phase != MACHINE_STARTING || k->was_up)
		keeper_status_write(k);
}

static void cancel(struct keeper *k, struct loop_timer **timer)
{
	loop_cancel(k->loop, *timer);
	*timer = NULL;
}

/* The one who waits for the start gets @err; nobody may be there any more. */
static void answer_starter(struct keeper *k, const struct error *err)
{
	for (struct client *c = k->clients; c; c = c->next) {
		if (!c->is_starter)
			continue;
		if (err) {
			message_add_error(&c->out, STREAM_MAIN, err->code, error_message(err));
			c->closing = true;
		} else if (!k->config.machine.attached) {
			c->closing = true;
		}
	}
}

static void finish(struct keeper *k)
{
	if (k->is_finishing)
		return;
	k->is_finishing = true;
	if (!k->was_up && error_is_set(&k->failure))
		answer_starter(k, &k->failure);
	k->status.qemu_pid = 0;
	set_phase(k, MACHINE_EXITED);
	if (!k->was_up)
		keeper_status_write(k);
	clients_answer_stop(k);
	for (struct client *c = k->clients; c; c = c->next)
		if (!c->relay)
			c->closing = true;
	keeper_flush(k);
}

void keeper_check_end(struct keeper *k)
{
	if (k->is_finishing && !k->clients)
		loop_stop(k->loop, 0);
}

static bool should_restart(const struct keeper *k)
{
	const struct machine_config *m = &k->config.machine;

	if (k->stop_wanted || m->attached || !k->was_up)
		return false;
	if (k->reboot_wanted)
		return true;
	if (k->supervisor.config.restart_max && k->failures >= k->supervisor.config.restart_max)
		return false;
	if (m->restart == RESTART_ALWAYS)
		return true;
	return m->restart == RESTART_ON_FAILURE &&
	       (k->status.exit_code != 0 || error_is_set(&k->failure));
}

static void on_restart_timer(void *arg)
{
	struct keeper *k = arg;

	k->restart_timer = NULL;
	k->status.restarts++;
	boot(k);
}

static void schedule_restart(struct keeper *k)
{
	uint64_t delay = k->supervisor.config.backoff_ms ? k->supervisor.config.backoff_ms
							 : BACKOFF_FIRST_MS;

	k->reboot_wanted = false;
	if (k->up_ms > 0 && clock_ms() >= k->up_ms + STEADY_MS)
		k->failures = 0;
	for (unsigned i = 0; i < k->failures && delay < BACKOFF_MAX_MS; i++)
		delay *= 2;
	k->failures++;
	set_phase(k, MACHINE_RESTARTING);
	k->restart_timer = loop_after(k->loop, delay < BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS,
				      on_restart_timer, k);
}

/* A guest that came from a template and never spoke: the template does not work. A device that
 * could not be attached is another matter. */
static bool falls_back(struct keeper *k)
{
	enum error_code code = k->failure.code;

	if (!k->is_restored || k->has_hello || k->stop_wanted)
		return false;
	if (code != E_INTEGRITY && !(k->vm && code == E_UNAVAILABLE))
		return false;
	log_warn("the template does not work, booting instead: %s", error_message(&k->failure));
	template_discard(k->config.templates, k->restored_from);
	k->is_cold = true;
	error_clear(&k->failure);
	return true;
}

/* The VM is over: take it down, then decide. */
static void take_down(struct keeper *k)
{
	bool again = falls_back(k);

	cancel(k, &k->restore_timer);
	cancel(k, &k->start_timer);
	cancel(k, &k->stop_timer);
	keeper_change_drop(k, E_UNAVAILABLE, "the machine ended while it was changed");
	supervise_reset(k);
	vm_free(k->vm);
	k->vm = NULL;
	k->is_half_changed = k->status.is_paused = false;
	k->freeze_request = 0;
	k->vm_is_over = false;
	k->status.qemu_pid = 0;
	relays_drop(k);
	forwards_drop(k);
	keeper_log_end(&k->log);
	keeper_log_end_lines(&k->console, &k->console_lines, NULL);
	frame_decoder_restart(&k->guest_in);
	buffer_clear(&k->guest_out);
	buffer_clear(&k->guest_words);
	k->has_hello = k->is_shut_down = k->wants_boot_log = false;
	if (again) {
		boot(k);
		return;
	}
	if (k->status.exited_unix_ms < k->status.started_unix_ms)
		k->status.exited_unix_ms = clock_unix_ms();
	if (error_is_set(&k->failure)) {
		free(k->status.error);
		k->status.error = xstrdup(error_message(&k->failure));
		log_warn("%s", k->status.error);
	}
	clients_end_waits(k, &k->failure);
	if (should_restart(k))
		schedule_restart(k);
	else
		finish(k);
}

static void on_take_down(void *arg)
{
	take_down(arg);
}

static void vm_over(struct keeper *k)
{
	if (k->vm_is_over)
		return;
	k->vm_is_over = true;
	(void)loop_after(k->loop, 0, on_take_down, k);
}

void keeper_fail(struct keeper *k, struct error *err)
{
	if (k->vm_is_over || k->is_shut_down) {
		error_ignore(err, "go on with a machine that is over");
		return;
	}
	if (!error_is_set(&k->failure))
		(void)error_move(&k->failure, err);
	else
		error_ignore(err, "tell a second failure");
	vm_over(k);
}

static void on_vm_ended(void *arg, enum error_code code, const char *why)
{
	struct keeper *k = arg;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *words = words_tell(&k->guest_words);
	bool is_small = !k->has_hello && k->config.machine.memory_bytes < SMALL_MEMORY;

	(void)error_set(&err, code, "%s%s%s%s", why, words ? "; the guest's agent said: " : "",
			words ? words : "",
			is_small ? "; it may need more memory than it was given" : "");
	keeper_fail(k, &err);
}

static void on_start_timeout(void *arg)
{
	struct keeper *k = arg;
	AUTO_ERROR err = ERROR_INIT;
	AUTO_FREE char *said = vm_last_words(k->vm);

	k->start_timer = NULL;
	(void)error_set(&err, E_TIMEOUT, "the guest %s in time%s%s",
			k->has_hello ? "did not start the container" : "did not come up",
			said ? "; it said last: " : "", said ? said : "");
	keeper_fail(k, &err);
}

static void on_agent(void *arg, const void *data, size_t size)
{
	keeper_from_guest(arg, data, size);
}

static void on_console(void *arg, const void *data, size_t size)
{
	struct keeper *k = arg;

	keeper_log_write_as(&k->console, &k->console_lines, NULL, LOG_STDOUT, data, size);
}

static void on_restore_timeout(void *arg)
{
	struct keeper *k = arg;
	AUTO_ERROR err = ERROR_INIT;

	k->restore_timer = NULL;
	(void)error_set(&err, E_INTEGRITY, "the guest does not answer");
	keeper_fail(k, &err);
}

/* The best that is there. Return: whether there is any */
static bool open_template(struct keeper *k, struct template *ret)
{
	const char *folder = k->config.templates;
	const struct qemu_seats seats = qemu_seats(&k->config.machine);
	AUTO_ERROR why = ERROR_INIT;

	if (!folder || !*folder || k->is_cold)
		return false;
	if (template_suits(&k->config.machine, TEMPLATE_IMAGE)) {
		if (template_open(folder, &k->config, TEMPLATE_IMAGE, ret, &why) == 0 &&
		    template_fill_disk(ret, seats.upper->path, &why) == 0)
			return true;
		template_close(ret);
		log_info("starting without a template of the image: %s", error_message(&why));
		error_clear(&why);
	}
	if (template_open(folder, &k->config, TEMPLATE_MACHINE, ret, &why) == 0)
		return true;
	log_warn("booting, for there is no template: %s", error_message(&why));
	return false;
}

/* The guest may write to its disks from now on, whatever becomes of it. */
static void forget_empty_disks(struct machine_config *m)
{
	for (size_t i = 0; i < m->disk_count; i++)
		free(TAKE_PTR(m->disks[i].empty));
}

static int start_vm(struct keeper *k, struct error *err)
{
	TRACE("start QEMU and the devices");
	static const struct vm_events events = { on_agent, on_vm_ended, on_console };
	struct template template = TEMPLATE_INIT;

	k->is_restored = open_template(k, &template);
	memcpy(k->restored_from, template.key, sizeof(k->restored_from));
	int r = vm_start(k->loop, &k->config, k->is_restored ? VM_RESTORE : VM_BOOT, &template,
			 &events, k, &k->vm, err);
	template_close(&template);
	forget_empty_disks(&k->config.machine);
	if (r < 0 || !k->is_restored)
		return r;
	k->restore_timer = loop_after(k->loop, RESTORE_MS, on_restore_timeout, k);
	return vm_ask_hello(k->vm, &k->guest_out, err);
}

static void boot(struct keeper *k)
{
	const struct machine_config *m = &k->config.machine;
	AUTO_ERROR err = ERROR_INIT;

	k->boot_ms = clock_ms();
	k->up_ms = 0;
	set_phase(k, MACHINE_STARTING);
	error_clear(&k->failure);
	k->start_timer =
		loop_after(k->loop, m->start_timeout_ms ? m->start_timeout_ms : START_TIMEOUT_MS,
			   on_start_timeout, k);
	if (start_vm(k, &err) < 0) {
		keeper_fail(k, &err);
		return;
	}
	k->status.qemu_pid = vm_qemu_pid(k->vm);
	k->trace_started_us = trace_now();
	keeper_note(k, "QEMU and file servers started");
	/* Now, as there is nothing to do but wait for the guest. */
	if (k->filter.size == 0 && keeper_pack_filter(m, &k->filter, &err) < 0)
		keeper_fail(k, &err);
}

/* What only the host can give: entropy and the time, and which protocol this is. */
static int refresh_setup(struct msg_setup *s, struct error *err)
{
	free(s->entropy);
	s->entropy = xmalloc(SETUP_ENTROPY);
	s->entropy_size = SETUP_ENTROPY;
	if (getrandom(s->entropy, SETUP_ENTROPY, 0) != SETUP_ENTROPY)
		return error_sys(err, "get entropy for the guest");
	s->version = PROTOCOL_VERSION;
	s->unix_time_ns = clock_unix_ms() * 1000000;
	/* A restored guest finds its devices only now, and the host may be busy. */
	if (s->device_timeout_ms == 0)
		s->device_timeout_ms = DEVICES_MS;
	return 0;
}

/* A restored guest knows its NIC by another address than it is to have. */
static int send_setup(struct keeper *k, struct error *err)
{
	struct msg_setup *s = &k->config.machine.setup;
	const struct qemu_seats seats = qemu_seats(&k->config.machine);
	struct setup_nic *seated = NULL;

	for (size_t i = 0; k->is_restored && seats.nic && i < s->nic_count; i++)
		if (memcmp(s->nics[i].mac, seats.nic->mac, sizeof(vm_seat_mac)) == 0)
			seated = &s->nics[i];
	if (seated)
		memcpy(seated->found_mac, vm_seat_mac, sizeof(vm_seat_mac));
	int r = msg_setup_add(&k->guest_out, MSG_SETUP, REQUEST_SETUP, s, err);
	if (seated)
		memset(seated->found_mac, 0, sizeof(vm_seat_mac));
	return r;
}

static struct client *starter_to_join(struct keeper *k)
{
	struct client *c = k->config.machine.attached ? k->clients : NULL;

	while (c && !c->is_starter)
		c = c->next;
	return c;
}

void keeper_hello(struct keeper *k, const struct msg_hello *hello)
{
	struct machine_config *m = &k->config.machine;
	AUTO_ERROR err = ERROR_INIT;

	keeper_note(k, "hello");
	trace_note(NULL, "the guest comes up", k->trace_started_us, trace_now());
	cancel(k, &k->restore_timer);
	log_debug("that is %" PRIu64 " ms of the guest's own time", hello->monotonic_ms);
	int r = refresh_setup(&m->setup, &err);
	frame_add_marker(&k->guest_out);
	keeper_trace_ask(k);
	k->trace_setup_us = trace_now();
	if (r == 0 && k->filter.size > 0)
		frame_add(&k->guest_out, MSG_FILTER, 0, REQUEST_FILTER, k->filter.data,
			  k->filter.size);
	if (r == 0)
		r = send_setup(k, &err);
	if (r == 0)
		r = keeper_send_files(k, &err);
	if (r < 0)
		keeper_fail(k, &err);
	else if (k->files_left == 0 && !supervise_comes_first(k))
		keeper_spawn_main(k);
}

/* Without files this goes with the setup, all at once: a setup that fails makes it fail too. */
void keeper_spawn_main(struct keeper *k)
{
	if (supervise_comes_first(k))
		supervise_begin(k);
	else
		keeper_start_main(k);
}

void keeper_start_main(struct keeper *k)
{
	struct relay *ended = relay_find(k, STREAM_MAIN);
	AUTO_ERROR err = ERROR_INIT;

	if (ended && ended->client)
		ended->client->closing = true;
	if (ended)
		relay_free(k, ended);

	k->config.machine.main.is_main = true;
	if (msg_spawn_add(&k->guest_out, MSG_SPAWN, STREAM_MAIN, &k->config.machine.main, &err) < 0)
		keeper_fail(k, &err);
	else
		(void)relay_new(k, STREAM_MAIN, starter_to_join(k));
}

static void on_main_refused(struct keeper *k, const struct frame *f)
{
	static const enum error_code codes[SPAWN_FAILURES] = {
		[SPAWN_NOT_FOUND] = E_NOT_FOUND,   [SPAWN_NOT_EXECUTABLE] = E_DENIED,
		[SPAWN_NO_USER] = E_NOT_FOUND,     [SPAWN_BAD_WORKING_DIR] = E_INVALID,
		[SPAWN_NO_CONTAINER] = E_INTERNAL, [SPAWN_INVALID] = E_INVALID,
		[SPAWN_SYSTEM] = E_SYSTEM,
	};
	struct msg_spawn_failed m = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_spawn_failed_unpack(f->payload, f->size, &m, &err) == 0) {
		AUTO_FREE char *text = text_escaped(m.text);
		(void)error_set(&err, (size_t)m.kind < SPAWN_FAILURES ? codes[m.kind] : E_SYSTEM,
				"start the command: %s", text);
		msg_spawn_failed_release(&m);
	}
	keeper_fail(k, &err);
}

void keeper_main_started(struct keeper *k, const struct frame *f)
{
	if (f->type == MSG_SPAWN_FAILED) {
		on_main_refused(k, f);
		return;
	}
	keeper_is_up(k);
	supervise_main_started(k);
}

void keeper_is_up(struct keeper *k)
{
	struct msg_started m = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	cancel(k, &k->start_timer);
	for (struct client *c = k->clients; c; c = c->next)
		if (c->is_starter && !c->closing &&
		    msg_started_add(&c->out, MSG_STARTED, STREAM_MAIN, &m, &err) < 0)
			error_ignore(&err, "tell that the machine is up");
	answer_starter(k, NULL);
	k->was_up = true;
	keeper_trace_up(k);
	k->up_ms = clock_ms();
	free(k->status.error);
	k->status.error = NULL;
	k->status.started_unix_ms = clock_unix_ms();
	if (k->status.phase == MACHINE_STARTING)
		set_phase(k, MACHINE_RUNNING);
}

static void on_stop_timeout(void *arg)
{
	struct keeper *k = arg;

	k->stop_timer = NULL;
	log_warn("the guest did not power off in time; its disks were not put away");
	vm_over(k);
}

/* Nothing follows but the guest's answer, its end, or the timer. */
void keeper_power_off(struct keeper *k, uint32_t sig, uint32_t grace_ms)
{
	struct msg_shutdown m = { sig, grace_ms };
	AUTO_ERROR err = ERROR_INIT;

	set_phase(k, MACHINE_STOPPING);
	cancel(k, &k->start_timer);
	cancel(k, &k->stop_timer);
	k->stop_timer = loop_after(k->loop, (uint64_t)grace_ms + POWER_OFF_MS, on_stop_timeout, k);
	keeper_ask_boot_log(k);
	if (msg_shutdown_add(&k->guest_out, MSG_SHUTDOWN, REQUEST_SHUTDOWN, &m, &err) < 0)
		keeper_fail(k, &err);
}

/* Whether anything outlives an attached machine that it could still have in its memory: its own
 * disk goes with it. */
static bool leaves_something(const struct machine_config *m)
{
	if (!m->attached)
		return true;
	for (size_t i = 0; i < m->share_count; i++)
		if (!m->shares[i].read_only)
			return true;
	/* The image and what it writes over it; a third is a volume. */
	return m->disk_count > 2;
}

void keeper_main_exited(struct keeper *k, const struct msg_exited *exited)
{
	bool was_asked = k->status.phase == MACHINE_STOPPING;

	k->status.exit_code = (int)(exited->code & 0xff);
	k->status.oom_killed = exited->oom_killed;
	k->status.exited_unix_ms = clock_unix_ms();
	if (!was_asked && supervise_main_exited(k))
		return;
	if (was_asked)
		return;
	if (leaves_something(&k->config.machine)) {
		keeper_power_off(k, 0, 0);
		return;
	}
	set_phase(k, MACHINE_STOPPING);
	keeper_shut_down(k);
}

void keeper_shut_down(struct keeper *k)
{
	if (k->status.phase != MACHINE_STOPPING)
		return;
	k->is_shut_down = true;
	keeper_note(k, "shut down");
	for (struct relay *r = k->relays; r; r = r->next) {
		if (!r->is_started || r->stream.has_exited)
			continue;
		stream_kill(&r->stream, &k->guest_out);
		if (r->stream.id == STREAM_MAIN) {
			k->status.exit_code = (int)r->stream.exited.code;
			k->status.exited_unix_ms = clock_unix_ms();
		}
	}
	vm_over(k);
}

static void stop_running(struct keeper *k, uint32_t sig, uint32_t grace_ms)
{
	keeper_thaw(k);
	if (sig != 0 && sig != SIGKILL && supervise_stop(k, sig, grace_ms))
		set_phase(k, MACHINE_STOPPING);
	else
		keeper_power_off(k, sig, grace_ms);
}

void keeper_reboot(struct keeper *k)
{
	if (k->status.phase != MACHINE_RUNNING)
		return;
	k->reboot_wanted = true;
	stop_running(k, SIGTERM, SIGTERM_GRACE_MS);
}

void keeper_signal_main(struct keeper *k, uint32_t sig)
{
	struct msg_signal m = { sig };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_signal_add(&k->guest_out, MSG_SIGNAL, STREAM_MAIN, &m, &err) < 0)
		error_ignore(&err, "signal the main process");
}

uint32_t keeper_next_request(struct keeper *k)
{
	uint32_t request = k->next_request++;

	if (k->next_request == 0)
		k->next_request = REQUEST_FIRST_FREE;
	return request;
}

void keeper_stop(struct keeper *k, uint32_t sig, uint32_t grace_ms)
{
	k->stop_wanted = true;
	if (k->status.phase == MACHINE_RUNNING) {
		stop_running(k, sig, grace_ms);
		return;
	}
	if (k->is_finishing) {
		clients_answer_stop(k);
		return;
	}
	if (k->status.phase == MACHINE_STOPPING) {
		/* In a hurry now. */
		if (k->supervisor.is_stopping && (sig == 0 || sig == SIGKILL)) {
			k->supervisor.is_stopping = false;
			keeper_power_off(k, 0, 0);
		}
		return;
	}
	/* Nothing runs that could be put away. */
	cancel(k, &k->restart_timer);
	if (!error_is_set(&k->failure) && !k->was_up)
		(void)error_set(&k->failure, E_CANCELED, "stopped while it started");
	vm_over(k);
}

static void on_sigterm(void *arg, int sig)
{
	(void)sig;
	keeper_stop(arg, SIGTERM, SIGTERM_GRACE_MS);
	keeper_flush(arg);
}

static int read_config(struct keeper *k, struct error *err)
{
	AUTO_BUFFER packed = BUFFER_INIT;

	if (fd_read_all(FD_CONFIG, &packed, KEEPER_CONFIG_MAX, err) < 0)
		return -(int)err->code;
	(void)close(FD_CONFIG);
	return keeper_config_unpack(packed.data, packed.size, &k->config, err);
}

static int set_up(struct keeper *k, struct error *err)
{
	const struct machine_config *m = &k->config.machine;

	for (int fd = FD_STARTER; fd <= FD_LOCK; fd++)
		if (fd_set_cloexec(fd, true, err) < 0)
			return -(int)err->code;
	if (fd_set_nonblock(FD_STARTER, true, err) < 0)
		return -(int)err->code;
	client_new(k, FD_STARTER)->is_starter = true;
	if (read_config(k, err) < 0 ||
	    (k->config.traced && keeper_trace_begin(k, FD_TRACE, err) < 0))
		return -(int)err->code;
	log_set_prefix(m->name);
	supervise_init(k);
	k->status.memory_bytes = m->memory_bytes;
	if (keeper_log_open(&k->log, m->state_dir, "log", m->log_max_bytes, m->log_files, err) <
		    0 ||
	    keeper_log_open(&k->console, m->state_dir, "console", CONSOLE_BYTES, 1, err) < 0 ||
	    keeper_watch_clock(k, err) < 0 || forwards_configure(k, err) < 0)
		return -(int)err->code;
	return clients_listen(k, err);
}

static void clean_up(struct keeper *k)
{
	AUTO_ERROR err = ERROR_INIT;

	supervise_release(k);
	keeper_log_close(&k->log);
	log_lines_release(&k->console_lines);
	keeper_log_close(&k->console);
	keeper_unwatch_clock(k);
	forwards_release(k);
	if (k->config.machine.run_dir && dir_remove_tree(k->config.machine.run_dir, &err) < 0)
		error_ignore(&err, "remove the run folder");
	while (k->clients)
		client_free(k->clients);
	if (k->listen_fd >= 0) {
		loop_unwatch(k->loop, k->listen_fd);
		(void)close(k->listen_fd);
	}
	while (k->relays)
		relay_free(k, k->relays);
	frame_decoder_release(&k->guest_in);
	buffer_release(&k->guest_out);
	buffer_release(&k->filter);
	buffer_release(&k->guest_words);
	error_clear(&k->failure);
	machine_status_release(&k->status);
	keeper_config_release(&k->config);
	loop_free(k->loop);
}

int keeper_main(int argc, char **argv)
{
	struct keeper k = {
		.lock_fd = FD_LOCK,
		.listen_fd = -1,
		.clock_fd = -1,
		.log = KEEPER_LOG_INIT,
		.console = KEEPER_LOG_INIT,
		.status = { .phase = MACHINE_ABSENT, .exit_code = -1, .keeper_pid = getpid() },
		.next_stream = STREAM_FIRST_FREE,
		.next_request = REQUEST_FIRST_FREE,
	};
	AUTO_ERROR err = ERROR_INIT;

	(void)argc;
	(void)argv;
	if (getenv("CTRZ_KEEPER_DEBUG")) /* NOLINT(concurrency-mt-unsafe): nothing sets it */
		log_set_level(LOG_LEVEL_DEBUG);
	(void)umask(077);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	k.loop = loop_new();
	frame_decoder_init(&k.guest_in, FRAME_SERIAL);
	loop_on_signal(k.loop, SIGTERM, on_sigterm, &k);
	if (set_up(&k, &err) < 0) {
		(void)error_move(&k.failure, &err);
		finish(&k);
	} else {
		boot(&k);
	}
	while (!loop_is_stopped(k.loop, NULL))
		loop_turn(k.loop, -1);
	clean_up(&k);
	return 0;
}
