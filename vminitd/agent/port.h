/* SPDX-License-Identifier: MIT */
/* The agent's end of the virtio-serial port: frames in, frames out, a host that comes and goes. */
#ifndef CTRZ_VMINITD_AGENT_PORT_H
#define CTRZ_VMINITD_AGENT_PORT_H

#include <stdbool.h>

#include "base/loop.h"
#include "vminitd/protocol/message.h"

enum { PORT_BUSY_BYTES = 96 * 1024 };

struct port_handler {
	void (*frame)(void *arg, const struct frame *f);
	void (*connected)(void *arg); /* a host is there: say hello */
	void (*disconnected)(void *arg);
	void (*writable)(void *arg); /* was busy, is no more */
	void *arg;
};

struct port {
	struct loop *loop;
	struct port_handler handler;
	int fd; /* -1 = no port yet */
	bool has_host;
	bool was_busy;
	struct frame_decoder in;
	struct buffer out;
	size_t sent; /* bytes of out that are written */
};

void port_init(struct port *p, struct loop *loop, const struct port_handler *handler);
/** port_open() - Return: 0, -E_NOT_FOUND if there is no such port yet, another -code */
int port_open(struct port *p, const char *name, struct error *err) MUST_CHECK;
/** port_out() - where to append frames; port_flush() afterwards. Frames for no host are dropped
 * when one comes */
struct buffer *port_out(struct port *p);
void port_flush(struct port *p);
/** port_is_busy() - whether data should wait, so that control frames need not */
bool port_is_busy(const struct port *p);
/** port_restart() - forget what was to be sent: a marker comes next */
void port_restart(struct port *p);
/** port_drain() - wait at most @timeout_ms until everything is with the host */
void port_drain(struct port *p, int timeout_ms);

#endif
