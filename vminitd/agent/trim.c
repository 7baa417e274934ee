/* SPDX-License-Identifier: MIT */
/* Looks at the container's processor time, and drops the page cache once it is idle. */
#include "vminitd/agent/trim.h"

#include "vminitd/agent/stats.h"
#include "vminitd/agent/sysfile.h"

/* The host keeps what the disks and shares hold; the balloon reports free memory in blocks of
 * 2 MiB, which scattered pages would keep. */
static void give_back(void)
{
	static const char *const files[] = { "/proc/sys/vm/drop_caches",
					     "/proc/sys/vm/compact_memory" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		AUTO_ERROR err = ERROR_INIT;
		if (sysfile_write(files[i], "1", &err) < 0)
			error_ignore(&err, "give cached memory back");
	}
}

static void look(void *arg)
{
	struct trim *t = arg;

	if (idle_look(&t->idle, stats_cpu_us()))
		give_back();
	(void)loop_after(t->loop, IDLE_LOOK_MS, look, t);
}

void trim_start(struct trim *t, struct loop *loop)
{
	*t = (struct trim){ .loop = loop };
	(void)loop_after(loop, IDLE_LOOK_MS, look, t);
}
