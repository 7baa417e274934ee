/* SPDX-License-Identifier: MIT */
/* What a running machine cannot do as it was started, so that a live change becomes a reboot. */
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/plan/plan_internal.h"

static bool changes_field(const struct desired_container *c, const char *field)
{
	for (size_t i = 0; i < c->change_count; i++)
		if (strcmp(c->changes[i].field, field) == 0)
			return true;
	return false;
}

static char *text_of_memory(const struct desired_container *c,
			    const struct observed_container *seen)
{
	AUTO_FREE char *most = NULL;

	if (!seen->max_memory_bytes || c->memory_bytes <= seen->max_memory_bytes ||
	    !changes_field(c, "resources.memory"))
		return NULL;
	most = text_size(seen->max_memory_bytes);
	return xasprintf("its machine was started with room for %s; more needs a reboot", most);
}

static char *text_of_cpus(const struct desired_container *c, const struct observed_container *seen)
{
	if (!seen->max_cpus || c->cpus <= seen->max_cpus || !changes_field(c, "resources.cpus"))
		return NULL;
	return xasprintf("its machine was started with room for %u processor%s; more need a reboot",
			 seen->max_cpus, seen->max_cpus == 1 ? "" : "s");
}

static char *text_of_ports(const struct desired_container *c, const struct observed_container *seen)
{
	size_t more =
		c->device_count > seen->device_count ? c->device_count - seen->device_count : 0;

	if (!seen->knows_ports || more <= seen->free_ports)
		return NULL;
	return xasprintf("its machine has room for %zu more device%s, not %zu", seen->free_ports,
			 seen->free_ports == 1 ? "" : "s", more);
}

char *plan_cannot_live(const struct desired_container *c, const struct observed_container *seen)
{
	char *why = text_of_memory(c, seen);

	if (!why)
		why = text_of_cpus(c, seen);
	return why ? why : text_of_ports(c, seen);
}
