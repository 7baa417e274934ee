/* SPDX-License-Identifier: MIT */
/* The guest kernel's configuration as bytes of this program, and how to compare two. */
#include "runtime/machine/kernel/kernel_config.h"

#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "runtime/machine/kernel/embed.h"

EMBED(kernel_config_text, KERNEL_CONFIG_FILE);

const void *kernel_config(size_t *ret_size)
{
	*ret_size = kernel_config_text_size;
	return kernel_config_text_start;
}

static void settings(const char *text, struct strlist *out)
{
	AUTO_FREE char *copy = xstrdup(text);
	char *rest = NULL;
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (str_starts(line, "CONFIG_"))
			strlist_add(out, line);
}

void kernel_config_lost(const char *wanted, const char *got, struct strlist *lost)
{
	AUTO_STRLIST want = STRLIST_INIT;
	AUTO_STRLIST have = STRLIST_INIT;
	struct map known = { 0 };
	settings(wanted, &want);
	settings(got, &have);
	for (size_t i = 0; i < have.count; i++)
		(void)map_set(&known, have.items[i], &known);
	for (size_t i = 0; i < want.count; i++)
		if (!map_has(&known, want.items[i]))
			strlist_add(lost, want.items[i]);
	map_release(&known, NULL);
}
