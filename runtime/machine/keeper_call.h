/* SPDX-License-Identifier: MIT */
/* A client's side of a keeper's socket: one request, one answer, with a deadline. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_CALL_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_CALL_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"
#include "vminitd/protocol/message.h"

/** keeper_connect() - *ret_pid (may be NULL): the keeper's process id, as the kernel tells it.
 * Return: the descriptor, -E_NOT_FOUND if no keeper listens, or another -code */
int keeper_connect(const char *run_dir, pid_t *ret_pid, struct error *err) MUST_CHECK;
/** keeper_send() - frames, whole */
int keeper_send(int sock, const struct buffer *frames, struct error *err) MUST_CHECK;
/**
 * keeper_receive() - exactly one frame, not a byte more
 * @payload: replaced; @ret->payload points into it
 *
 * Return: 0, -E_UNAVAILABLE if the keeper went away, -E_TIMEOUT, -E_INTEGRITY
 */
int keeper_receive(int sock, uint64_t timeout_ms, struct buffer *payload, struct frame *ret,
		   struct error *err) MUST_CHECK;
/**
 * keeper_ask() - one request on a connection of its own, and its answer
 * @wanted: what the answer is to be
 *
 * Return: 0 and @payload, @ret as of keeper_receive(); -E_NOT_FOUND if no keeper listens; the code
 * of a MSG_ERROR; -E_INTEGRITY for another answer
 */
int keeper_ask(const char *run_dir, const struct buffer *request, uint64_t timeout_ms,
	       enum msg_type wanted, struct buffer *payload, struct frame *ret,
	       struct error *err) MUST_CHECK;
/** keeper_not_running() - @err, whatever it was, says so now. Return: -E_NOT_FOUND */
int keeper_not_running(struct error *err);
/** keeper_is_another() - it was started by a ctrz that speaks another protocol. Return:
 * -E_INTEGRITY */
int keeper_is_another(struct error *err);
/** keeper_error() - turn a MSG_ERROR frame into @err. Return: its -code */
int keeper_error(const struct frame *f, struct error *err);

#endif
