/* SPDX-License-Identifier: MIT */
/* What a keeper looks after inside a running container: processes, probes, hooks; private to the
 * keeper's files. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_SUPERVISE_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/loop.h"
#include "runtime/machine/keeper_log.h"
#include "vminitd/protocol/message.h"

struct keeper;
struct relay;

/* Who is told of a guest process that no client asked for; all but exited may be NULL. The relay is
 * gone when refused() or exited() is called. */
struct relay_owner {
	void (*started)(void *arg, uint32_t pid);
	void (*refused)(void *arg, const char *text);
	void (*output)(void *arg, enum log_stream stream, const void *data, size_t size);
	void (*exited)(void *arg, const struct msg_exited *exited);
};

/* --- keeper_health.c --- */

/* A probe that is repeated as long as what it looks at lives. */
struct health {
	struct keeper *keeper;
	const struct process_health *config; /* lent */
	const char *name;                    /* of the process, for events; NULL = the container */
	enum process_health_state state;
	unsigned failures; /* in a row */
	uint64_t began_ms;
	struct loop_timer *timer;        /* of the next probe, or the end of the one under way */
	uint32_t request;                /* under way in the agent; 0 = none */
	struct relay *relay;             /* exec under way; NULL = none */
	struct buffer output;            /* its last words */
	char *text;                      /* what the last probe saw; owned; NULL = none ended yet */
	void (*on_unhealthy)(void *arg); /* with config->restarts */
	void *arg;
	struct health *next; /* of those under way or waiting */
};

/** health_begin() - what is looked at has started; config, keeper, name and callback are set */
void health_begin(struct health *h);
/** health_end() - it has ended: no probe is due or under way any more */
void health_end(struct health *h);
void health_release(struct health *h);
/** health_answer() - MSG_PROBED or MSG_ERROR of the agent. Return: whether @f answers a probe */
bool health_answer(struct keeper *k, const struct frame *f);
/** health_equal() - whether two configurations are the same */
bool health_equal(const struct process_health *a, const struct process_health *b);

/* --- keeper_member.c --- */

/* One of the container's processes. */
struct member {
	struct keeper *keeper;
	struct member *next;
	struct process_config config; /* owned */
	enum process_phase phase;
	struct relay *relay; /* NULL = it does not run */
	uint32_t pid;
	int exit_code; /* -1 = none yet */
	unsigned restarts, failures;
	uint64_t up_ms, started_unix_ms;
	bool was_started;
	bool start_again; /* as soon as it has ended */
	bool is_unwanted; /* no longer configured: goes when it has ended */
	char *text;       /* why it failed; owned; may be NULL */
	struct loop_timer *timer;
	struct health health;
	struct log_lines lines;
};

/** member_new() - the configuration is taken over and emptied */
struct member *member_new(struct keeper *k, struct process_config *config);
void member_free(struct member *m);
/** member_start() - now; it must not run */
void member_start(struct member *m);
/** member_stop() - signal, later kill; nothing if it does not run */
void member_stop(struct member *m);
/** member_restart() - end it and start it again, with whatever its configuration is then */
void member_restart(struct member *m);
/** member_reset() - the machine is gone, and it with it */
void member_reset(struct member *m);
/** member_signal() - nothing if it does not run */
void member_signal(struct member *m, uint32_t sig);
/** member_is_alive() - a process of it exists */
bool member_is_alive(const struct member *m);

/* --- keeper_supervise.c --- */

struct supervisor {
	struct msg_supervise config; /* owned; the processes are with the members */
	struct member *members;      /* in the order of the configuration */
	struct health health;        /* of the container */
	bool is_begun;               /* the container is set up; hooks run, then processes */
	bool is_going;               /* hooks are done: processes may start */
	bool is_stopping;            /* orderly */
	bool main_started, main_restarts;
	uint32_t stop_signal, stop_grace_ms; /* what the stop asked for */
	const struct process_hook *hook;     /* that runs; NULL = none */
	const char *hook_name;
	struct relay *hook_relay;
	struct loop_timer *hook_timer, *main_timer;
	struct buffer hook_output;
	struct log_lines hook_lines;
};

/** supervise_init() - take the configuration over */
void supervise_init(struct keeper *k);
void supervise_release(struct keeper *k);
/** supervise_comes_first() - whether something has to be done before the main process starts, or
 * there is none */
bool supervise_comes_first(const struct keeper *k);
/** supervise_begin() - the container is set up: hooks, then processes */
void supervise_begin(struct keeper *k);
void supervise_main_started(struct keeper *k);
/** supervise_main_exited() - Return: whether the machine goes on */
bool supervise_main_exited(struct keeper *k);
/** supervise_step() - start what may start, end what has to end, answer who waits */
void supervise_step(struct keeper *k);
/** supervise_stop() - begin an orderly end. Return: false if there is nothing to do for it */
bool supervise_stop(struct keeper *k, uint32_t sig, uint32_t grace_ms);
/** supervise_reset() - the machine is gone */
void supervise_reset(struct keeper *k);
/** supervise_configure() - take up another configuration: what did not change is left alone; @main
 * and
 * @c are emptied */
void supervise_configure(struct keeper *k, struct msg_spawn *main, struct msg_supervise *c);
/** supervise_verdict() - Return: 1 it is so, 0 not yet, -code it will not be */
int supervise_verdict(const struct keeper *k, enum wait_until until, struct error *err) MUST_CHECK;
enum process_health_state supervise_health(const struct keeper *k);
/** supervise_status() - fill in processes and health; owned by @ret */
void supervise_status(const struct keeper *k, struct msg_status *ret);
/** supervise_restart() - start anew: a process, or with "" the container's command or all its
 * services */
void supervise_restart(struct keeper *k, const char *process);
/** supervise_targets() - fill in who is signalled: one of several processes, or with "" the main
 * one and all others. Return: 0, -E_NOT_FOUND */
int supervise_targets(const struct keeper *k, const char *process, struct msg_kill *ret,
		      struct error *err) MUST_CHECK;
/** supervise_signal() - send them a signal */
void supervise_signal(struct keeper *k, const char *process, uint32_t sig);
/** supervise_changed() - something that people see is different now */
void supervise_changed(struct keeper *k);

/* --- keeper_watch.c --- */

/** watch_configure() - watch what the supervisor's configuration says, and nothing else */
void watch_configure(struct keeper *k);
/** watch_reset() - the machine is gone, and commands with it */
void watch_reset(struct keeper *k);
void watch_release(struct keeper *k);
/** watch_failure() - why not all of it is watched; lent; NULL = all is */
const char *watch_failure(const struct keeper *k);

#endif
