/* SPDX-License-Identifier: MIT */
/* The keeper's end of the agent's channel: everything that comes in is hostile until checked. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/text.h"
#include "runtime/machine/keeper_internal.h"
#include "runtime/machine/keeper_words.h"

enum { LOG_REST_MS = 200 };

struct relay *relay_new(struct keeper *k, uint32_t id, struct client *client)
{
	struct relay *r = xcalloc(1, sizeof(*r));

	stream_init(&r->stream, id, client ? &client->out : NULL);
	r->client = client;
	if (client)
		client->relay = r;
	r->next = k->relays;
	k->relays = r;
	return r;
}

void relay_free(struct keeper *k, struct relay *r)
{
	struct relay **at = &k->relays;

	while (*at && *at != r)
		at = &(*at)->next;
	if (*at)
		*at = r->next;
	if (r->client)
		r->client->relay = NULL;
	stream_release(&r->stream);
	free(r);
}

struct relay *relay_find(struct keeper *k, uint32_t id)
{
	struct relay *r = k->relays;

	while (r && r->stream.id != id)
		r = r->next;
	return r;
}

void relays_drop(struct keeper *k)
{
	for (struct relay *r = k->relays, *next; r; r = next) {
		next = r->next;
		if (r->stream.has_exited && r->client)
			continue; /* its client still reads */
		if (r->client)
			r->client->closing = true;
		relay_free(k, r);
	}
}

static void guest_broke(struct keeper *k, struct error *err)
{
	(void)error_wrap(err, "the guest's agent cannot be trusted any more");
	keeper_fail(k, err);
}

static void on_hello(struct keeper *k, const struct frame *f)
{
	struct msg_hello hello = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (k->has_hello)
		return; /* it may repeat itself until it is answered */
	if (message_check_version(f, "the guest's agent", &err) < 0) {
		keeper_fail(k, &err);
		return;
	}
	if (msg_hello_unpack(f->payload, f->size, &hello, &err) < 0) {
		guest_broke(k, &err);
		return;
	}
	k->has_hello = true;
	keeper_hello(k, &hello);
	msg_hello_release(&hello);
}

static void on_log(struct keeper *k, const struct frame *f)
{
	struct msg_log m = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_log_unpack(f->payload, f->size, &m, &err) < 0) {
		guest_broke(k, &err);
		return;
	}
	k->guest_log_bytes += f->size + 64;
	if (k->guest_log_bytes < KEEPER_LOG_MAX)
		log_info("guest: %s", m.text);
	if (m.level <= MSG_LOG_WARN) {
		words_add(&k->guest_words, m.text, strlen(m.text));
		words_add(&k->guest_words, "\n", 1);
	}
	msg_log_release(&m);
}

static void on_setup_failed(struct keeper *k, const struct frame *f)
{
	struct msg_error m = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (msg_error_unpack(f->payload, f->size, &m, &err) < 0) {
		guest_broke(k, &err);
		return;
	}
	AUTO_FREE char *text = text_escaped(m.text);
	enum error_code code = m.code >= E_INVALID && m.code <= E_INTERNAL ? m.code : E_SYSTEM;
	(void)error_set(&err, code, "set up the guest: %s", text);
	msg_error_release(&m);
	keeper_fail(k, &err);
}

/* An answer to a client's request: passed on under the client's own number. */
static void on_answer(struct keeper *k, const struct frame *f)
{
	struct client *c = client_of_request(k, f->stream);

	if (!c) {
		log_debug("guest answered request %u, which nobody made", f->stream);
		return;
	}
	frame_add(&c->out, f->type, 0, c->client_request, f->payload, f->size);
	c->request = 0;
}

static void on_request_answer(struct keeper *k, const struct frame *f)
{
	if (f->stream == REQUEST_SETUP && f->type == MSG_DONE) {
		if (supervise_comes_first(k) && k->files_left == 0 && !k->supervisor.is_begun)
			supervise_begin(k);
		return;
	}
	if (f->stream == REQUEST_BOOT_LOG) {
		keeper_keep_boot_log(k, f);
		return;
	}
	keeper_freeze_answer(k, f);
	if (health_answer(k, f))
		return;
	if ((f->stream == REQUEST_SETUP || f->stream == REQUEST_FILES ||
	     f->stream == REQUEST_FILTER) &&
	    f->type == MSG_ERROR)
		on_setup_failed(k, f);
	else if (f->stream == REQUEST_FILES)
		keeper_file_done(k);
	else if (keeper_change_answer(k, f))
		return;
	else if (f->stream >= REQUEST_FIRST_FREE)
		on_answer(k, f);
}

static void on_log_timer(void *arg)
{
	struct keeper *k = arg;

	k->log_timer = NULL;
	keeper_log_end(&k->log);
}

static void on_main_output(struct keeper *k, const struct frame *f)
{
	bool terminal_of_starter = k->config.machine.main.tty && k->config.machine.attached;

	if (f->type != MSG_DATA || terminal_of_starter)
		return;
	if (f->channel == CHANNEL_STDOUT || f->channel == CHANNEL_STDERR)
		keeper_log_write(&k->log, f->channel == CHANNEL_STDERR ? LOG_STDERR : LOG_STDOUT,
				 f->payload, f->size);
	/* A prompt has no line end, and is to be seen all the same. */
	if (!k->log_timer && keeper_log_has_rest(&k->log))
		k->log_timer = loop_after(k->loop, LOG_REST_MS, on_log_timer, k);
}

/* A process of the keeper's own. */
static void on_owned(struct keeper *k, struct relay *r, const struct frame *f)
{
	const struct relay_owner *owner = r->owner;
	void *arg = r->owner_arg;
	struct msg_exited exited = r->stream.exited;

	if (f->type == MSG_DATA && owner->output)
		owner->output(arg, f->channel == CHANNEL_STDERR ? LOG_STDERR : LOG_STDOUT,
			      f->payload, f->size);
	if (f->type != MSG_EXITED)
		return;
	relay_free(k, r);
	owner->exited(arg, &exited);
}

static void on_stream(struct keeper *k, const struct frame *f)
{
	struct relay *r = relay_find(k, f->stream);
	AUTO_ERROR err = ERROR_INIT;
	int forwarded = forward_frame(k, f, &err);

	if (forwarded < 0)
		guest_broke(k, &err);
	if (forwarded != 0)
		return;
	if (!r || !r->is_started) {
		log_debug("guest sent %s of an unknown process", message_type_name(f->type));
		return;
	}
	if (stream_from_guest(&r->stream, f, &k->guest_out, &err) < 0) {
		guest_broke(k, &err);
		return;
	}
	if (f->stream == STREAM_MAIN) {
		on_main_output(k, f);
		if (f->type == MSG_EXITED)
			keeper_main_exited(k, &r->stream.exited);
	} else if (r->owner) {
		on_owned(k, r, f);
	} else if (f->type == MSG_EXITED && !r->client) {
		relay_free(k, r);
	}
}

static void on_owned_answer(struct keeper *k, struct relay *r, const struct frame *f)
{
	const struct relay_owner *owner = r->owner;
	void *arg = r->owner_arg;
	struct msg_started started = { 0 };
	struct msg_spawn_failed failed = { 0 };
	AUTO_ERROR err = ERROR_INIT;

	if (f->type == MSG_STARTED) {
		if (msg_started_unpack(f->payload, f->size, &started, &err) < 0)
			guest_broke(k, &err);
		else if (owner->started)
			owner->started(arg, started.pid);
		return;
	}
	if (msg_spawn_failed_unpack(f->payload, f->size, &failed, &err) < 0) {
		/* The owner keeps its relay until the machine's are dropped. */
		guest_broke(k, &err);
		return;
	}
	relay_free(k, r);
	owner->refused(arg, failed.text);
	msg_spawn_failed_release(&failed);
}

static void on_spawn_answer(struct keeper *k, const struct frame *f)
{
	struct relay *r = relay_find(k, f->stream);

	if (!r || r->is_started)
		return;
	r->is_started = f->type == MSG_STARTED;
	if (f->stream == STREAM_MAIN) {
		keeper_main_started(k, f);
		return;
	}
	if (r->owner) {
		on_owned_answer(k, r, f);
		return;
	}
	if (r->client)
		frame_add(&r->client->out, f->type, 0, STREAM_MAIN, f->payload, f->size);
	if (r->is_started)
		return;
	if (r->client)
		r->client->closing = true;
	relay_free(k, r);
}

static void on_connect(struct keeper *k, const struct frame *f)
{
	AUTO_ERROR err = ERROR_INIT;

	if (forward_wanted(k, f, &err) < 0)
		guest_broke(k, &err);
}

static void on_frame(struct keeper *k, const struct frame *f)
{
	switch (f->type) {
	case MSG_HELLO:
		on_hello(k, f);
		break;
	case MSG_LOG:
		on_log(k, f);
		break;
	case MSG_DONE:
	case MSG_ERROR:
	case MSG_STATS_REPLY:
	case MSG_TOP_REPLY:
	case MSG_KERNEL_LOG_REPLY:
	case MSG_TRIMMED:
	case MSG_PROBED:
		on_request_answer(k, f);
		break;
	case MSG_STARTED:
	case MSG_SPAWN_FAILED:
		on_spawn_answer(k, f);
		break;
	case MSG_DATA:
	case MSG_END_OF_FILE:
	case MSG_CREDIT:
	case MSG_EXITED:
		on_stream(k, f);
		break;
	case MSG_TRACED:
		keeper_traced(k, f);
		break;
	case MSG_CONNECT:
		on_connect(k, f);
		break;
	case MSG_SHUTDOWN_DONE:
		keeper_shut_down(k);
		break;
	default:
		log_debug("guest sent a message of type %u", f->type);
		break;
	}
}

void keeper_from_guest(struct keeper *k, const void *data, size_t size)
{
	AUTO_ERROR err = ERROR_INIT;
	struct frame f;
	int r = 0;

	frame_decoder_add(&k->guest_in, data, size);
	while (!k->vm_is_over && (r = frame_decoder_next(&k->guest_in, &f, &err)) > 0)
		if (f.type != FRAME_TYPE_MARKER)
			on_frame(k, &f);
	if (r < 0)
		guest_broke(k, &err);
	keeper_flush(k);
}

void keeper_flush(struct keeper *k)
{
	supervise_step(k);
	/* A client that goes may leave work for others: look at all of them again. */
	for (struct client *c = k->clients; c;)
		c = client_send(c) ? c->next : k->clients;
	if (k->vm && k->guest_out.size > 0)
		vm_send(k->vm, &k->guest_out);
	keeper_check_end(k);
}
