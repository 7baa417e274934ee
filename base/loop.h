/* SPDX-License-Identifier: MIT */
/* A single-threaded event loop over epoll: descriptors, one-shot timers, signals. */
#ifndef CTRZ_BASE_LOOP_H
#define CTRZ_BASE_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/error.h"

struct loop;
struct loop_timer;

/** loop_new() - owned; never NULL */
struct loop *loop_new(void);
void loop_free(struct loop *loop);
DEFINE_CLEANUP(struct loop *, loop_free)

typedef void (*loop_fd_fn)(void *arg, uint32_t events);
typedef void (*loop_fn)(void *arg);
typedef void (*loop_signal_fn)(void *arg, int sig);

/** loop_watch() - call @fn while @fd has any of @events (EPOLLIN, ...); a second call for the same
 * fd changes events, fn and arg. The loop does not own @fd */
void loop_watch(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *arg);
/** loop_unwatch() - before closing @fd; pending events of it are dropped; an unknown fd is fine */
void loop_unwatch(struct loop *loop, int fd);
/** loop_after() - call @fn once in @ms. The timer is freed after it fired or by loop_cancel() */
struct loop_timer *loop_after(struct loop *loop, uint64_t ms, loop_fn fn, void *arg);
/** loop_cancel() - NULL is fine; not after it fired */
void loop_cancel(struct loop *loop, struct loop_timer *timer);
/** loop_on_signal() - block @sig and deliver it here */
void loop_on_signal(struct loop *loop, int sig, loop_signal_fn fn, void *arg);
/** loop_run() - until loop_stop(). Return: the code given to it */
int loop_run(struct loop *loop);
/** loop_turn() - one wait of at most @timeout_ms (-1 = for ever) and its callbacks */
void loop_turn(struct loop *loop, int timeout_ms);
/** loop_fd() - for a wait around this loop: readable while loop_turn() has descriptors to serve;
 * lent */
int loop_fd(const struct loop *loop);
/** loop_timeout() - milliseconds until the next timer, at most @max_ms (-1 = for ever; also
 * returned if none is set) */
int loop_timeout(const struct loop *loop, int max_ms);
void loop_stop(struct loop *loop, int code);
bool loop_is_stopped(const struct loop *loop, int *ret_code);

#endif
