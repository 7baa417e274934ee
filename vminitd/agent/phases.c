/* SPDX-License-Identifier: MIT */
/* Phases of a start. They lie in memory that is shared with children, who note theirs in the same
 * list. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "vminitd/agent/phases.h"

struct phases {
	_Atomic uint32_t count;
	struct traced_phase
		items[TRACED_MAX]; /* names are literals: children have them where we do */
};

static struct phases *list; /* NULL = nobody asked, or was answered */
static uint32_t request_id;
static uint64_t booted_us, spoke_us, received_us, last_us;
static bool is_child;

static void add(const char *name, bool is_process, uint64_t begin_us, uint64_t end_us)
{
	uint32_t at = atomic_load(&list->count);

	while (at < TRACED_MAX && !atomic_compare_exchange_weak(&list->count, &at, at + 1))
		continue;
	if (at < TRACED_MAX)
		list->items[at] = (struct traced_phase){ (char *)(uintptr_t)name, is_process,
							 begin_us, end_us };
}

void phases_booted(void)
{
	booted_us = clock_us();
}

void phases_spoke(void)
{
	if (spoke_us == 0)
		spoke_us = clock_us();
}

void phases_forget_boot(void)
{
	booted_us = 0;
}

void phases_start(uint32_t request)
{
	if (list)
		return;
	list = mmap(NULL, sizeof(*list), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (list == MAP_FAILED) {
		list = NULL;
		return;
	}
	request_id = request;
	received_us = last_us = clock_us();
	if (booted_us > 0) {
		add("the kernel boots", false, 0, booted_us);
		add("the agent begins", false, booted_us, spoke_us);
	}
}

void phase_done(const char *name)
{
	if (!list)
		return;
	uint64_t now = clock_us();
	add(name, is_child, last_us, now);
	last_us = now;
}

int phase_after(const char *name, int r)
{
	phase_done(name);
	return r;
}

void phases_in_child(void)
{
	is_child = true;
	if (list)
		last_us = clock_us();
}

/* The last phase of a child, which cannot tell it, begins where its last but one ended. */
static void add_exec(void)
{
	uint32_t count = atomic_load(&list->count);
	uint64_t begin_us = 0;

	for (uint32_t i = 0; i < count; i++)
		if (list->items[i].is_process)
			begin_us = list->items[i].end_us;
	if (begin_us > 0)
		add("exec", true, begin_us, clock_us());
}

void phases_answer(struct buffer *out)
{
	AUTO_ERROR err = ERROR_INIT;

	if (!list)
		return;
	add_exec();
	struct msg_traced m = { .received_us = received_us,
				.sent_us = clock_us(),
				.phases = list->items,
				.phase_count = atomic_load(&list->count) };
	if (msg_traced_add(out, MSG_TRACED, request_id, &m, &err) < 0)
		error_ignore(&err, "tell how long the start took");
	(void)munmap(list, sizeof(*list));
	list = NULL;
}
