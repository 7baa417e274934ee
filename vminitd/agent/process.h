/* SPDX-License-Identifier: MIT */
/* Processes of the container and their streams, as the agent holds them. */
#ifndef CTRZ_VMINITD_AGENT_PROCESS_H
#define CTRZ_VMINITD_AGENT_PROCESS_H

#include "base/loop.h"
#include "vminitd/agent/container.h"
#include "vminitd/agent/port.h"

struct process;

struct processes {
	struct loop *loop;
	struct port *port;
	struct container *container;
	struct process *list;
	size_t count;
	bool has_begun;       /* one was started, or tried: there may be traces of it */
	struct process *main; /* NULL = none runs */
};

void processes_init(struct processes *ps, struct loop *loop, struct port *port,
		    struct container *container);
/** processes_spawn() - start one on @stream; its answer and its end go out by themselves */
void processes_spawn(struct processes *ps, uint32_t stream, const struct msg_spawn *s);
/** processes_copy() - a copy as a process of its own, likewise */
void processes_copy(struct processes *ps, uint32_t stream, const struct msg_copy *m);
/** processes_has() - whether @stream is in use; processes_has_room() - whether there may be one
 * more
 */
bool processes_has(const struct processes *ps, uint32_t stream);
bool processes_has_room(const struct processes *ps);
/** processes_adopt() - a connection as a stream of its own, without a process; @fd is taken, -1 =
 * it is over at once */
void processes_adopt(struct processes *ps, uint32_t stream, int fd);
/** processes_frame() - a frame about a stream: data, end of file, credit, resize, signal, cancel */
void processes_frame(struct processes *ps, const struct frame *f);
/** processes_reap() - collect every child that ended */
void processes_reap(struct processes *ps);
/** processes_resume() - the port can take data again */
void processes_resume(struct processes *ps);
/** processes_orphan() - the host went away: what it started by exec is cancelled, the main process
 * waits for the next */
void processes_orphan(struct processes *ps);
/** processes_kill() - Return: 0 if any of them runs and was signalled, -E_NOT_FOUND if none runs,
 * -E_INVALID for no signal */
int processes_kill(struct processes *ps, const struct msg_kill *m, struct error *err) MUST_CHECK;
/** processes_signal_main() - Return: 0, or -1 if there is no main process */
int processes_signal_main(struct processes *ps, int sig);
/** processes_main_pid() - 0 = no main process */
pid_t processes_main_pid(const struct processes *ps);

#endif
