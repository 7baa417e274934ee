/* SPDX-License-Identifier: MIT */
/* The agent as a whole: what the host asks for, and who does it. */
#ifndef CTRZ_VMINITD_AGENT_AGENT_H
#define CTRZ_VMINITD_AGENT_AGENT_H

#include "base/loop.h"
#include "vminitd/agent/container.h"
#include "vminitd/agent/port.h"
#include "vminitd/agent/probe.h"
#include "vminitd/agent/process.h"
#include "vminitd/agent/socket.h"
#include "vminitd/agent/trim.h"

struct request;

struct agent {
	struct loop *loop;
	struct port port;
	struct container container;
	struct processes processes;
	struct probes probes;
	struct sockets sockets;
	struct trim trim;
	struct request *waiting;  /* for devices to appear */
	struct buffer held;       /* frames that came behind a setup that waits */
	struct strlist early_log; /* for the first host */
	int events_fd;
	uint64_t nonce;
	bool shutting_down;
	struct loop_timer *grace;
	struct loop_timer *thaw_timer; /* NULL = the disks are not frozen */
};

/** agent_log() - to the host; errors also to the kernel's log */
void agent_log(struct agent *a, enum msg_log_level level, const char *fmt, ...) PRINTF_LIKE(3, 4);
/** agent_answer() - MSG_DONE, or for a negative @r MSG_ERROR with @err, which is emptied */
void agent_answer(struct agent *a, uint32_t id, int r, struct error *err);
/** agent_hello() - the marker is sent already */
void agent_hello(struct agent *a, uint64_t host_nonce);
/** agent_frame() - whatever came from the host */
void agent_frame(struct agent *a, const struct frame *f);
/** agent_retry() - a device appeared: try what waits */
void agent_retry(struct agent *a);
/** agent_shut_down() - signal the main process, later kill everything, unmount, switch off */
void agent_shut_down(struct agent *a, const struct msg_shutdown *m);
/** agent_check_shutdown() - while shutting down: go on at once when the main process has ended */
void agent_check_shutdown(struct agent *a);

#endif
