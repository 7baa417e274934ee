/* SPDX-License-Identifier: MIT */
/* Writing to a descriptor that may not be ready, without ever waiting for it. */
#ifndef CTRZ_RUNTIME_GUEST_SESSION_OUTPUT_H
#define CTRZ_RUNTIME_GUEST_SESSION_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/loop.h"
#include "vminitd/protocol/message.h"

/* Later writes, by the loop; @size bytes are no longer pending. */
typedef void (*session_written_fn)(void *arg, enum msg_channel channel, size_t size);

enum session_output_way {
	OUTPUT_NOWHERE, /* nobody reads it (any more) */
	OUTPUT_FILE,    /* is always ready */
	OUTPUT_SOCKET,
	OUTPUT_OWN,    /* a description of ours, which does not block */
	OUTPUT_SHARED, /* one that others have too, so that it must stay as it is */
};

struct session_output {
	struct loop *loop;
	enum msg_channel channel;
	enum session_output_way way;
	int fd; /* owned with OUTPUT_OWN, else lent */
	bool is_watched;
	struct buffer pending;
	session_written_fn written;
	void *arg;
};

/** session_output_open() - @fd is lent; -1 = what is written goes nowhere */
void session_output_open(struct session_output *o, struct loop *loop, enum msg_channel channel,
			 int fd, session_written_fn written, void *arg);
/** session_output_add() - Return: how many bytes are no longer pending, these or earlier ones; the
 * rest is told later. What nobody reads is dropped: the process ends by its own rules */
size_t session_output_add(struct session_output *o, const void *data, size_t size);
/** session_output_waits() - whether something is pending */
bool session_output_waits(const struct session_output *o);
void session_output_close(struct session_output *o);

#endif
