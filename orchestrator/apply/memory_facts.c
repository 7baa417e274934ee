/* SPDX-License-Identifier: MIT */
/* /proc/meminfo. */
#include "orchestrator/apply/memory_facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"

enum { MEMINFO_MAX = 65536 };

static uint64_t meminfo_value(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtoull(at + strlen(key), NULL, 10) * 1024 : 0;
}

void memory_facts_read(struct memory_facts *ret)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	*ret = (struct memory_facts){ 0 };
	if (file_read("/proc/meminfo", MEMINFO_MAX, &text, &err) < 0) {
		error_ignore(&err, "look at the host's memory");
		return;
	}
	ret->total_bytes = meminfo_value(buffer_str(&text), "MemTotal:");
	ret->available_bytes = meminfo_value(buffer_str(&text), "MemAvailable:");
}
