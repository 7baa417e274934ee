/* SPDX-License-Identifier: MIT */
/* The event loop: one epoll, one signalfd, timers in a list sorted by time. */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"

struct watch {
	int fd;
	loop_fd_fn fn;
	void *arg;
	bool dead; /* unwatched while events of this turn may still name it */
	struct watch *next;
};

struct loop_timer {
	uint64_t at;
	loop_fn fn;
	void *arg;
	struct loop_timer *next;
};

struct signal_handler {
	int sig;
	loop_signal_fn fn;
	void *arg;
};

enum { SIGNALS_MAX = 16, EVENTS_MAX = 64 };

struct loop {
	int epoll_fd;
	struct watch *watches;
	struct watch *graves; /* freed at the end of the turn */
	struct loop_timer *timers;
	int signal_fd;
	sigset_t signals;
	struct signal_handler handlers[SIGNALS_MAX];
	size_t handler_count;
	bool stopped;
	int code;
};

struct loop *loop_new(void)
{
	struct loop *l = xcalloc(1, sizeof(*l));
	l->signal_fd = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		abort();
	(void)sigemptyset(&l->signals);
	return l;
}

static void free_watches(struct watch *w)
{
	while (w) {
		struct watch *next = w->next;
		free(w);
		w = next;
	}
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	free_watches(l->watches);
	free_watches(l->graves);
	while (l->timers) {
		struct loop_timer *next = l->timers->next;
		free(l->timers);
		l->timers = next;
	}
	if (l->signal_fd >= 0)
		(void)close(l->signal_fd);
	(void)close(l->epoll_fd);
	free(l);
}

static struct watch **find_watch(struct loop *l, int fd)
{
	struct watch **at = &l->watches;
	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	return at;
}

void loop_watch(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *arg)
{
	struct watch *w = *find_watch(l, fd);
	int op = w ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (!w) {
		w = xcalloc(1, sizeof(*w));
		w->fd = fd;
		w->next = l->watches;
		l->watches = w;
	}
	w->fn = fn;
	w->arg = arg;
	struct epoll_event ev = { .events = events, .data.ptr = w };
	int r = epoll_ctl(l->epoll_fd, op, fd, &ev);
	assert(r == 0 && "a descriptor that can be watched");
	(void)r;
}

void loop_unwatch(struct loop *l, int fd)
{
	struct watch **at = find_watch(l, fd);
	struct watch *w = *at;
	if (!w)
		return;
	*at = w->next;
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	w->dead = true;
	w->next = l->graves;
	l->graves = w;
}

struct loop_timer *loop_after(struct loop *l, uint64_t ms, loop_fn fn, void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof(*t));
	*t = (struct loop_timer){ .at = clock_ms() + ms, .fn = fn, .arg = arg };
	struct loop_timer **at = &l->timers;
	while (*at && (*at)->at <= t->at)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
	return t;
}

void loop_cancel(struct loop *l, struct loop_timer *timer)
{
	for (struct loop_timer **at = &l->timers; timer && *at; at = &(*at)->next) {
		if (*at == timer) {
			*at = timer->next;
			free(timer);
			return;
		}
	}
}

static void on_signal_fd(void *arg, uint32_t events)
{
	struct loop *l = arg;
	struct signalfd_siginfo info;
	(void)events;
	while (read(l->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		for (size_t i = 0; i < l->handler_count; i++)
			if (l->handlers[i].sig == (int)info.ssi_signo)
				l->handlers[i].fn(l->handlers[i].arg, l->handlers[i].sig);
}

void loop_on_signal(struct loop *l, int sig, loop_signal_fn fn, void *arg)
{
	assert(l->handler_count < SIGNALS_MAX);
	l->handlers[l->handler_count++] = (struct signal_handler){ sig, fn, arg };
	(void)sigaddset(&l->signals, sig);
	(void)sigprocmask(SIG_BLOCK, &l->signals, NULL);
	int fd = signalfd(l->signal_fd, &l->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		abort();
	l->signal_fd = fd;
	loop_watch(l, fd, EPOLLIN, on_signal_fd, l);
}

int loop_timeout(const struct loop *l, int max_ms)
{
	if (!l->timers)
		return max_ms;
	uint64_t now = clock_ms();
	uint64_t left = l->timers->at <= now ? 0 : l->timers->at - now;
	if (left > 1000000)
		left = 1000000;
	return max_ms < 0 || left < (uint64_t)max_ms ? (int)left : max_ms;
}

static void run_timers(struct loop *l)
{
	uint64_t now = clock_ms();
	while (!l->stopped && l->timers && l->timers->at <= now) {
		struct loop_timer *t = l->timers;
		l->timers = t->next;
		loop_fn fn = t->fn;
		void *arg = t->arg;
		free(t);
		fn(arg);
	}
}

void loop_turn(struct loop *l, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(l->epoll_fd, events, EVENTS_MAX, loop_timeout(l, timeout_ms));
	for (int i = 0; i < n && !l->stopped; i++) {
		struct watch *w = events[i].data.ptr;
		if (!w->dead)
			w->fn(w->arg, events[i].events);
	}
	run_timers(l);
	free_watches(l->graves);
	l->graves = NULL;
}

int loop_fd(const struct loop *l)
{
	return l->epoll_fd;
}

int loop_run(struct loop *l)
{
	l->stopped = false;
	while (!l->stopped)
		loop_turn(l, -1);
	return l->code;
}

void loop_stop(struct loop *l, int code)
{
	l->stopped = true;
	l->code = code;
}

bool loop_is_stopped(const struct loop *l, int *ret_code)
{
	if (ret_code)
		*ret_code = l->code;
	return l->stopped;
}
