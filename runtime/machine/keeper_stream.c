/* SPDX-License-Identifier: MIT */
/* Relaying one guest process. */
#include "runtime/machine/keeper_stream.h"

#include <signal.h>

void stream_init(struct stream *s, uint32_t id, struct buffer *client)
{
	*s = (struct stream){ .id = id, .client = client };
	for (int i = 0; i < CHANNEL_COUNT; i++) {
		s->channels[i].from = CREDIT_RECEIVER_INIT;
		s->channels[i].to = CREDIT_SENDER_INIT;
	}
}

void stream_release(struct stream *s)
{
	for (int i = 0; i < CHANNEL_COUNT; i++)
		buffer_release(&s->channels[i].pending);
	*s = (struct stream){ 0 };
}

static void send_data(struct stream_channel *c, enum msg_channel channel, struct buffer *to,
		      uint32_t to_stream, struct buffer *from, uint32_t from_stream)
{
	size_t sent = 0;

	while (c->pending.size > sent && c->to.available > 0) {
		size_t n = c->pending.size - sent;
		if (n > c->to.available)
			n = c->to.available;
		if (n > FRAME_DATA_MAX)
			n = FRAME_DATA_MAX;
		message_add_data(to, to_stream, channel, c->pending.data + sent, n);
		credit_sent(&c->to, n);
		sent += n;
	}
	buffer_drop(&c->pending, sent);
	if (from)
		message_add_credit(from, from_stream, channel, credit_consumed(&c->from, sent));
	if (c->ended && !c->end_is_sent && c->pending.size == 0) {
		message_add_end_of_file(to, to_stream, channel);
		c->end_is_sent = true;
	}
}

/* Output on its way to the client, and the exit behind it. */
static void pump_output(struct stream *s, struct buffer *guest)
{
	bool drained = true;

	for (int i = CHANNEL_STDOUT; i <= CHANNEL_STDERR; i++) {
		struct stream_channel *c = &s->channels[i];
		if (!s->client) {
			message_add_credit(guest, s->id, (enum msg_channel)i,
					   credit_consumed(&c->from, c->pending.size));
			buffer_clear(&c->pending);
			continue;
		}
		send_data(c, (enum msg_channel)i, s->client, STREAM_MAIN, guest, s->id);
		drained = drained && c->pending.size == 0;
	}
	if (!s->has_exited || s->exit_is_sent || !drained)
		return;
	AUTO_ERROR err = ERROR_INIT;
	if (s->client && msg_exited_add(s->client, MSG_EXITED, STREAM_MAIN, &s->exited, &err) < 0)
		error_ignore(&err, "pass an exit on");
	s->exit_is_sent = true;
}

static void pump_input(struct stream *s, struct buffer *guest)
{
	struct stream_channel *c = &s->channels[CHANNEL_STDIN];

	if (s->has_exited)
		return;
	send_data(c, CHANNEL_STDIN, guest, s->id, s->client, STREAM_MAIN);
}

static int broken(struct error *err, const char *who, const char *what)
{
	return error_set(err, E_INTEGRITY, "the %s broke the protocol: %s", who, what);
}

static int take_data(struct stream_channel *c, const struct frame *f, const char *who,
		     struct error *err)
{
	if (c->ended)
		return broken(err, who, "data after the end of file");
	if (!credit_received(&c->from, f->size))
		return broken(err, who, "more data than it had credit for");
	buffer_add(&c->pending, f->payload, f->size);
	return 0;
}

static int take_credit(struct stream_channel *c, const struct frame *f, const char *who,
		       struct error *err)
{
	struct msg_credit m = { 0 };

	if (msg_credit_unpack(f->payload, f->size, &m, err) < 0)
		return -(int)err->code;
	if (!credit_granted(&c->to, m.bytes))
		return broken(err, who, "more credit than was used");
	return 0;
}

static int take_exit(struct stream *s, const struct frame *f, struct error *err)
{
	if (s->has_exited)
		return broken(err, "guest", "a process ended twice");
	if (msg_exited_unpack(f->payload, f->size, &s->exited, err) < 0)
		return -(int)err->code;
	s->has_exited = true;
	return 0;
}

int stream_from_guest(struct stream *s, const struct frame *f, struct buffer *guest,
		      struct error *err)
{
	bool is_output = f->channel == CHANNEL_STDOUT || f->channel == CHANNEL_STDERR;
	struct stream_channel *c =
		is_output ? &s->channels[f->channel] : &s->channels[CHANNEL_STDIN];
	int r = 0;

	if (f->type == MSG_EXITED)
		r = take_exit(s, f, err);
	else if (!is_output && f->channel != CHANNEL_STDIN)
		return broken(err, "guest", "no such channel");
	else if (f->type == MSG_DATA && is_output)
		r = take_data(c, f, "guest", err);
	else if (f->type == MSG_END_OF_FILE && is_output)
		c->ended = true;
	else if (f->type == MSG_END_OF_FILE && s->client)
		message_add_end_of_file(s->client, STREAM_MAIN, CHANNEL_STDIN);
	else if (f->type == MSG_CREDIT && !is_output)
		r = take_credit(c, f, "guest", err);
	else if (f->type != MSG_END_OF_FILE)
		return broken(err, "guest", "a frame that goes the other way");
	if (r < 0)
		return r;
	pump_output(s, guest);
	pump_input(s, guest);
	return 0;
}

int stream_from_client(struct stream *s, const struct frame *f, struct buffer *guest,
		       struct error *err)
{
	bool is_input = f->channel == CHANNEL_STDIN;
	int r = 0;

	if (f->channel >= CHANNEL_COUNT)
		return broken(err, "client", "no such channel");
	struct stream_channel *c = &s->channels[f->channel];
	if (f->type == MSG_DATA && is_input)
		r = take_data(c, f, "client", err);
	else if (f->type == MSG_END_OF_FILE && is_input)
		c->ended = true;
	else if (f->type == MSG_CREDIT && !is_input)
		r = take_credit(c, f, "client", err);
	else
		return broken(err, "client", "a frame that goes the other way");
	if (r < 0)
		return r;
	pump_input(s, guest);
	pump_output(s, guest);
	return 0;
}

void stream_join(struct stream *s, struct buffer *client)
{
	struct stream_channel *in = &s->channels[CHANNEL_STDIN];

	s->client = client;
	s->exit_is_sent = false;
	in->from = CREDIT_RECEIVER_INIT;
	in->from.granted -= (uint32_t)in->pending.size;
	for (int i = CHANNEL_STDOUT; i <= CHANNEL_STDERR; i++) {
		s->channels[i].to = CREDIT_SENDER_INIT;
		s->channels[i].end_is_sent = false;
	}
}

void stream_leave(struct stream *s, struct buffer *guest)
{
	s->client = NULL;
	pump_output(s, guest);
}

void stream_kill(struct stream *s, struct buffer *guest)
{
	if (s->has_exited)
		return;
	s->has_exited = true;
	s->exited = (struct msg_exited){ .code = 128 + SIGKILL };
	pump_output(s, guest);
}

bool stream_is_over(const struct stream *s)
{
	return s->has_exited && s->exit_is_sent;
}
