/* SPDX-License-Identifier: MIT */
/* The keeper's parts as they see each other; private to the keeper's files. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_INTERNAL_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/loop.h"
#include "runtime/machine/keeper_config.h"
#include "runtime/machine/keeper_forward.h"
#include "runtime/machine/keeper_log.h"
#include "runtime/machine/keeper_stream.h"
#include "runtime/machine/keeper_supervise.h"
#include "runtime/machine/keeper_vm.h"
#include "runtime/machine/machine.h"
#include "runtime/machine/template.h"

enum {
	CLIENTS_MAX = 256,
	KEEPER_LOG_MAX = 1024 * 1024, /* what a guest's own messages may add to keeper.log */
	/* Request ids of the keeper itself; those of clients follow. */
	REQUEST_SETUP = 1,
	REQUEST_SHUTDOWN = 2,
	REQUEST_FILES = 3,
	REQUEST_FILTER = 4,
	REQUEST_THAW = 5,
	REQUEST_TIME = 6,
	REQUEST_TRACE = 7,
	REQUEST_BOOT_LOG = 8,
	REQUEST_FIRST_FREE = 16,
};

struct keeper;

/* A connection: somebody who asks, or the one end of a guest process. */
struct client {
	struct keeper *keeper;
	int fd;
	struct frame_decoder in;
	struct buffer out;
	struct relay *relay;     /* its process; NULL = none */
	uint32_t request;        /* of the guest, under way for it; 0 = none */
	uint32_t client_request; /* what the client calls that one */
	struct buffer config;    /* pieces of the configuration it wants */
	bool is_starter;         /* machine_start()'s own */
	bool waits_for_stop;
	bool waits_until; /* for what @until says; client_request is to be answered */
	enum wait_until until;
	bool closing; /* goes once everything is sent */
	bool writes;  /* waits to write */
	struct client *next;
};

/* A guest process that is relayed. */
struct relay {
	struct stream stream;
	struct client *client;           /* NULL = nobody */
	const struct relay_owner *owner; /* NULL = none */
	void *owner_arg;
	bool is_started;
	struct relay *next;
};

struct keeper {
	struct loop *loop;
	struct keeper_config config;
	int lock_fd, listen_fd;
	int clock_fd; /* of the timer that the host's clock cancels when it jumps; -1 = none */
	struct machine_status status;
	uint64_t boot_ms; /* clock_ms() when this boot began */
	uint64_t up_ms;   /* and when its main process started; 0 = not yet */
	struct keeper_log log, console;
	struct log_lines console_lines;
	uint64_t guest_log_bytes;
	/* Of a traced start, as trace_now(); 0 = not traced. What the guest was asked and has not
	 * answered is not 0. */
	uint64_t trace_begin_us, trace_started_us, trace_setup_us, trace_asked_us;

	struct vm *vm;
	struct frame_decoder guest_in;
	struct buffer guest_out;
	struct buffer filter; /* packed struct msg_filter; empty = not made yet, or none */
	bool has_hello, is_shut_down;
	bool wants_boot_log; /* asked for before the end, and not there yet */
	bool is_restored;    /* this boot is none: it comes from a template */
	char restored_from[TEMPLATE_KEY_SIZE];
	bool is_cold;              /* templates have failed it */
	size_t files_left;         /* of this boot, that the guest has not written yet */
	bool vm_is_over;           /* to be taken down when the stack has unwound */
	struct buffer guest_words; /* the agent's own warnings, for error messages */

	struct supervisor supervisor;
	struct health *probes;   /* that are due or under way */
	struct watcher *watcher; /* of files of the host; NULL = there are none */
	bool is_stepping;
	bool reboot_wanted; /* whatever the restart policy says */

	struct relay *relays;
	uint32_t next_stream, next_request;
	struct client *clients;
	size_t client_count;
	struct forward *forwards; /* connections of sockets */
	size_t forward_count;
	struct forward_listener *listeners;
	struct change *change;   /* of the running machine; NULL = none */
	bool is_half_changed;    /* one failed half way: mended by the next boot only */
	uint32_t freeze_request; /* under way for a client; 0 = none */
	bool freezes;            /* and what it asks for */

	struct loop_timer *restore_timer; /* for the hello of a restored guest */
	struct loop_timer *start_timer, *stop_timer, *restart_timer, *end_timer,
		*log_timer; /* writes out what has no line end yet */
	unsigned failures;  /* in a row, for the back-off */
	bool stop_wanted, was_up;
	struct error failure; /* why the start failed, or the machine ended */
	bool is_finishing;
};

/* keeper.c: the machine's life */

/** keeper_note() - debug-log that something happened, with the time since this boot began */
void keeper_note(const struct keeper *k, const char *what);
/** keeper_hello() - the guest speaks: configure it */
void keeper_hello(struct keeper *k, const struct msg_hello *hello);
/** keeper_spawn_main() - the container is set up and has its files: start its processes */
void keeper_spawn_main(struct keeper *k);
/** keeper_start_main() - and now the main one */
void keeper_start_main(struct keeper *k);
void keeper_signal_main(struct keeper *k, uint32_t sig);
/** keeper_is_up() - the container is there: whoever started it is told */
void keeper_is_up(struct keeper *k);
/** keeper_power_off() - end the machine: signal the main process if @sig is not 0, after @grace_ms
 * kill everything */
void keeper_power_off(struct keeper *k, uint32_t sig, uint32_t grace_ms);
/** keeper_reboot() - end the machine and start it again */
void keeper_reboot(struct keeper *k);
/** keeper_next_request() - a number for a request of the guest's agent */
uint32_t keeper_next_request(struct keeper *k);
void keeper_main_started(struct keeper *k, const struct frame *f);
void keeper_main_exited(struct keeper *k, const struct msg_exited *exited);
/** keeper_shut_down() - the guest has put everything away */
void keeper_shut_down(struct keeper *k);
/** keeper_fail() - this boot cannot go on; takes the failure in @err */
void keeper_fail(struct keeper *k, struct error *err);
/** keeper_stop() - end the machine for good: signal the main process, after @grace_ms kill it,
 * power off */
void keeper_stop(struct keeper *k, uint32_t sig, uint32_t grace_ms);
/** keeper_check_end() - when finishing: end once nobody is owed anything */
void keeper_check_end(struct keeper *k);

/* keeper_trace.c: where the time of the first start goes */

/** keeper_trace_begin() - note phases to @fd, which is taken */
int keeper_trace_begin(struct keeper *k, int fd, struct error *err) MUST_CHECK;
/** keeper_trace_ask() - the guest is to tell its own, from now on; nothing if nothing is noted */
void keeper_trace_ask(struct keeper *k);
/** keeper_traced() - it tells */
void keeper_traced(struct keeper *k, const struct frame *f);
/** keeper_trace_up() - the start is over */
void keeper_trace_up(struct keeper *k);

/* keeper_guest.c: the agent's channel */

/** keeper_from_guest() - bytes from the agent */
void keeper_from_guest(struct keeper *k, const void *data, size_t size);
/** keeper_flush() - send what is ready to the guest and to every client */
void keeper_flush(struct keeper *k);
struct relay *relay_new(struct keeper *k, uint32_t id, struct client *client);
void relay_free(struct keeper *k, struct relay *r);
struct relay *relay_find(struct keeper *k, uint32_t id);
/** relays_drop() - the VM is gone: processes that did not end will not tell any more */
void relays_drop(struct keeper *k);

/* keeper_files.c: what the container is given besides its disks */

/** keeper_pack_filter() - append the filter of system calls for @m, packed; nothing if it has none
 */
int keeper_pack_filter(const struct machine_config *m, struct buffer *out,
		       struct error *err) MUST_CHECK;
/** keeper_send_files() - behind the setup, before the main process */
int keeper_send_files(struct keeper *k, struct error *err) MUST_CHECK;
/** keeper_file_done() - the guest wrote one of them */
void keeper_file_done(struct keeper *k);
/** keeper_ask_boot_log() - before the end: what the guest's kernel has said, to be kept. Not for
 * what somebody runs in his terminal, which is to end at once */
void keeper_ask_boot_log(struct keeper *k);
/** keeper_keep_boot_log() - it is there, or not */
void keeper_keep_boot_log(struct keeper *k, const struct frame *f);

/* keeper_client.c: connections */

int clients_listen(struct keeper *k, struct error *err) MUST_CHECK;
/** client_new() - @fd is taken */
struct client *client_new(struct keeper *k, int fd);
/** client_free() - close; its process, if any, goes on without it or is cancelled */
void client_free(struct client *c);
/** client_send() - write what fits. Return: false if the client is gone (and freed) */
bool client_send(struct client *c);
/** clients_answer_stop() - the machine is off */
void clients_answer_stop(struct keeper *k);
/** clients_answer_waits() - those whose wait is over */
void clients_answer_waits(struct keeper *k);
/** clients_end_waits() - what they wait for will not come: @err says why */
void clients_end_waits(struct keeper *k, const struct error *err);
/** client_of_request() - who asked the guest @request; NULL if nobody or gone */
struct client *client_of_request(struct keeper *k, uint32_t request);

/** client_begin_request() - Return: a number for a request of the guest on behalf of @c, whose own
 * is
 * @request; 0 if it cannot be asked now, which @c is told */
uint32_t client_begin_request(struct client *c, uint32_t request);

/* keeper_control.c: orders to what runs */

/** client_kill() - MSG_KILL_PROCESS; likewise MSG_PAUSE. Return: -code if the client broke the
 * protocol */
int client_kill(struct client *c, const struct frame *f, struct error *err) MUST_CHECK;
int client_pause(struct client *c, const struct frame *f, struct error *err) MUST_CHECK;
/** keeper_freeze_answer() - of the guest, if @f is one; the client's copy goes its own way */
void keeper_freeze_answer(struct keeper *k, const struct frame *f);
/** keeper_thaw() - a paused container goes on, for what comes next needs it to */
void keeper_thaw(struct keeper *k);
/** keeper_watch_clock() - tell the guest the time when the host's clock was set or the host has
 * slept, and now and then */
int keeper_watch_clock(struct keeper *k, struct error *err) MUST_CHECK;
void keeper_unwatch_clock(struct keeper *k);

/* keeper_change.c: a running machine becomes another */

/** keeper_change() - to the packed configuration (keeper_config.h); @client gets the answer.
 * Return: 0 if it follows, -E_NOT_FOUND if the machine is not running, -E_CONFLICT if it is being
 * changed, ...
 */
int keeper_change(struct client *client, uint32_t request, const void *packed, size_t size,
		  struct error *err) MUST_CHECK;
/** keeper_grow() - a disk and its file system; answers as keeper_change() */
int keeper_grow(struct client *client, uint32_t request, const struct msg_grow *m,
		struct error *err) MUST_CHECK;
/** keeper_change_answer() - Return: whether the guest's answer belongs to the change */
bool keeper_change_answer(struct keeper *k, const struct frame *f);
/** keeper_change_drop() - the change cannot go on; whoever waits is told; none is fine */
void keeper_change_drop(struct keeper *k, enum error_code code, const char *why);
/** keeper_change_leave() - @client is gone; the change goes on */
void keeper_change_leave(struct keeper *k, const struct client *client);

/* keeper_status.c: what outlives the keeper */

void keeper_status_write(struct keeper *k);
/** status_read() - what status.json remembers; an absent file is MACHINE_ABSENT */
void status_read(const char *state_dir, struct machine_status *ret);
const char *machine_phase_name(enum machine_phase phase);

#endif
