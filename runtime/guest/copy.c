/* SPDX-License-Identifier: MIT */
/* Relaying a copy over a session. */
#include "runtime/guest/copy.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "runtime/guest/session.h"

enum { WORDS_MAX = 4096 };

struct copy {
	const struct copy_frames *from; /* NULL = out */
	const struct copy_sink *to;
	struct buffer pending;
	bool has_ended; /* all of from is pending, or it failed */
	struct frame_decoder in;
	bool is_done;
	struct buffer words;  /* the guest's, about a failure */
	struct error failure; /* ours */
};

/* A message full: small files take as few as large ones do. */
static size_t give(void *arg, void *data, size_t room)
{
	struct copy *c = arg;

	while (c->pending.size < room && !c->has_ended) {
		int r = c->from->next(c->from->arg, &c->pending, &c->failure);

		if (r < 0)
			buffer_clear(&c->pending);
		c->has_ended = r <= 0;
	}
	size_t n = c->pending.size < room ? c->pending.size : room;
	memcpy(data, buffer_str(&c->pending), n);
	buffer_drop(&c->pending, n);
	return n;
}

static bool take_frames(struct copy *c, const void *data, size_t size)
{
	struct frame f;
	int r;

	frame_decoder_add(&c->in, data, size);
	while ((r = frame_decoder_next(&c->in, &f, &c->failure)) > 0) {
		r = c->to->frame(c->to->arg, &f, &c->failure);
		c->is_done = c->is_done || r == 0;
		if (r < 0)
			break;
	}
	return r >= 0;
}

static bool take(void *arg, enum msg_channel channel, const void *data, size_t size)
{
	struct copy *c = arg;

	if (channel == CHANNEL_STDOUT)
		return !c->to || take_frames(c, data, size);
	size_t room = WORDS_MAX - c->words.size;
	buffer_add(&c->words, data, size < room ? size : room);
	return true;
}

static int judge(struct copy *c, int r, int code, struct error *err)
{
	if (error_is_set(&c->failure)) {
		error_clear(err);
		return error_move(err, &c->failure);
	}
	if (r < 0)
		return r;
	if (code == 0)
		return c->from || c->is_done
			       ? 0
			       : error_set(err, E_INTEGRITY, "the guest ended the copy too early");
	AUTO_BUFFER text = BUFFER_INIT;
	text_escape(&text, buffer_str(&c->words), c->words.size, false);
	return error_set(err, code <= E_INTERNAL ? (enum error_code)code : E_SYSTEM,
			 "in the container: %s", text.size ? buffer_str(&text) : "the copy failed");
}

static int copy(struct copy *c, int sock, struct error *err)
{
	struct session_io io = { .read = c->from ? give : NULL, .write = take, .arg = c };
	struct session_options o = { .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .io = &io };
	int code = 0;

	frame_decoder_init(&c->in, FRAME_SOCKET);
	int r = session_run(sock, &o, &code, err);
	r = judge(c, r, code, err);
	frame_decoder_release(&c->in);
	buffer_release(&c->pending);
	buffer_release(&c->words);
	error_clear(&c->failure);
	return r;
}

int guest_copy_in(int sock, const struct copy_frames *from, struct error *err)
{
	struct copy c = { .from = from };

	return copy(&c, sock, err);
}

int guest_copy_out(int sock, const struct copy_sink *to, struct error *err)
{
	struct copy c = { .to = to };

	return copy(&c, sock, err);
}
