/* SPDX-License-Identifier: MIT */
/* A client of QEMU's machine protocol: JSON lines over a socket that was inherited, never over a
 * path. */
#ifndef CTRZ_RUNTIME_MACHINE_QMP_H
#define CTRZ_RUNTIME_MACHINE_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/json/json.h"
#include "base/loop.h"

enum { QMP_LINE_MAX = 256 * 1024 };

enum qmp_kind { QMP_GREETING, QMP_RETURN, QMP_ERROR, QMP_EVENT };

/* One line from QEMU. */
struct qmp_message {
	enum qmp_kind kind;
	struct json *value; /* owned; the whole object */
	const char *text;   /* of the value: name of the event, description of the error; else "" */
	uint64_t id;        /* of the command this answers; 0 = none */
};

void qmp_message_release(struct qmp_message *m);

/* Bytes in, messages out; pure. */
struct qmp_reader {
	struct buffer pending;
	size_t used;
};

void qmp_reader_release(struct qmp_reader *r);
void qmp_reader_add(struct qmp_reader *r, const void *data, size_t size);
/** qmp_reader_next() - Return: 1 and *ret, 0 if more bytes are needed, -E_INTEGRITY for what QEMU
 * would not send (too long a line, no JSON, none of the four kinds) */
int qmp_reader_next(struct qmp_reader *r, struct qmp_message *ret, struct error *err) MUST_CHECK;

struct qmp;

/** qmp_reply_fn - @failure is NULL if the command succeeded, else what QEMU said, lent; @ret is
 * lent */
typedef void (*qmp_reply_fn)(void *arg, const struct json *ret, const char *failure);
/** qmp_event_fn - @data is lent; may be NULL */
typedef void (*qmp_event_fn)(void *arg, const char *event, const struct json *data);
/** qmp_closed_fn - QEMU closed the connection, or broke the protocol (@why says so; else NULL) */
typedef void (*qmp_closed_fn)(void *arg, const char *why);

/**
 * qmp_new() - commands wait for the greeting; they go one after the other, in order
 * @fd: connected socket; taken
 *
 * No callback is made from within qmp_execute() or qmp_free().
 */
struct qmp *qmp_new(struct loop *loop, int fd, qmp_event_fn event, qmp_closed_fn closed, void *arg);
void qmp_free(struct qmp *q);
DEFINE_CLEANUP(struct qmp *, qmp_free)

/**
 * qmp_execute() - queue a command
 * @command: a string constant
 * @arguments: taken; may be NULL
 * @fd: descriptor that goes with it, taken; -1 = none
 * @reply: may be NULL if nobody cares
 */
void qmp_execute(struct qmp *q, const char *command, struct json *arguments, int fd,
		 qmp_reply_fn reply, void *arg);

/** qmp_pause() - when the command queued last has succeeded no other is sent before qmp_resume() */
void qmp_pause(struct qmp *q);
/** qmp_resume() - end the pause that is, or else the next that would be. @waited_for: for a trace
 */
void qmp_resume(struct qmp *q, const char *waited_for);

#endif
