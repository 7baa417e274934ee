/* SPDX-License-Identifier: MIT */
/* Unix sockets forwarded between host and container; private to the keeper's files. */
#ifndef CTRZ_RUNTIME_MACHINE_KEEPER_FORWARD_H
#define CTRZ_RUNTIME_MACHINE_KEEPER_FORWARD_H

#include "base/error.h"
#include "vminitd/protocol/message.h"

struct keeper;

/** forwards_configure() - listen on what the configuration says, and on nothing else. Return: 0;
 * -E_EXISTS if something else is there; another -code */
int forwards_configure(struct keeper *k, struct error *err) MUST_CHECK;
/** forwards_drop() - the machine is gone, and every connection with it */
void forwards_drop(struct keeper *k);
void forwards_release(struct keeper *k);
/** forward_wanted() - MSG_CONNECT of the guest. Return: 0, or -code if it broke the protocol */
int forward_wanted(struct keeper *k, const struct frame *frame, struct error *err) MUST_CHECK;
/** forward_frame() - a frame of a stream. Return: 1 if it is a connection's, 0 if not, -code if the
 * guest broke the protocol */
int forward_frame(struct keeper *k, const struct frame *frame, struct error *err) MUST_CHECK;

#endif
