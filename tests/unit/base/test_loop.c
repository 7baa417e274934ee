/* SPDX-License-Identifier: MIT */
/* The event loop. */
#include <fcntl.h>
#include <unistd.h>

#include "base/loop.h"
#include "tests/unit/test.h"

struct seen {
	struct loop *loop;
	int fds[2][2];
	char order[16];
	size_t count;
};

static void on_first(void *arg)
{
	struct seen *s = arg;
	s->order[s->count++] = 'a';
}

static void on_second(void *arg)
{
	struct seen *s = arg;
	s->order[s->count++] = 'b';
	loop_stop(s->loop, 7);
}

static void on_never(void *arg)
{
	struct seen *s = arg;
	s->order[s->count++] = 'x';
}

TEST(timers_fire_in_order_and_can_be_cancelled)
{
	struct seen s = { .loop = loop_new() };
	loop_after(s.loop, 20, on_second, &s);
	struct loop_timer *never = loop_after(s.loop, 15, on_never, &s);
	loop_after(s.loop, 10, on_first, &s);
	loop_cancel(s.loop, never);
	assert_int_equal(loop_run(s.loop), 7);
	assert_string_equal(s.order, "ab");
	loop_free(s.loop);
}

/* Whichever of the two comes first unwatches both: the other must not be called in the same turn.
 */
static void on_readable(void *arg, uint32_t events)
{
	struct seen *s = arg;
	assert_true(events & EPOLLIN);
	s->count++;
	loop_unwatch(s->loop, s->fds[0][0]);
	loop_unwatch(s->loop, s->fds[1][0]);
}

TEST(unwatched_descriptors_stay_silent)
{
	struct seen s = { .loop = loop_new() };
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe2(s.fds[i], O_CLOEXEC), 0);
		assert_int_equal(write(s.fds[i][1], "x", 1), 1);
		loop_watch(s.loop, s.fds[i][0], EPOLLIN, on_readable, &s);
	}
	loop_turn(s.loop, 1000);
	loop_turn(s.loop, 0);
	assert_int_equal(s.count, 1);
	for (int i = 0; i < 2; i++) {
		(void)close(s.fds[i][0]);
		(void)close(s.fds[i][1]);
	}
	loop_free(s.loop);
}

static void on_usr1(void *arg, int sig)
{
	struct seen *s = arg;
	assert_int_equal(sig, SIGUSR1);
	loop_stop(s->loop, 3);
}

TEST(signals_are_delivered_in_the_loop)
{
	struct seen s = { .loop = loop_new() };
	loop_on_signal(s.loop, SIGUSR1, on_usr1, &s);
	loop_on_signal(s.loop, SIGUSR2, on_usr1, &s);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(loop_run(s.loop), 3);
	loop_free(s.loop);
}
