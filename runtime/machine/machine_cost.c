/* SPDX-License-Identifier: MIT */
/* Adding up a keeper and its descendants. */
#include "runtime/machine/machine_cost.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"

enum { STAT_BYTES = 4096, ROLLUP_BYTES = 16384 };

struct seen {
	pid_t pid, parent;
	uint64_t ticks;
	bool is_ours;
};

struct all {
	struct seen *items;
	size_t count, room;
};

/* "12 (any (text)) S PPID ...": the parent is the second word behind the name, the times the
 * twelfth and thirteenth. */
static bool read_stat(pid_t pid, struct seen *ret)
{
	enum { PARENT = 1, UTIME = 11, STIME = 12 };
	AUTO_FREE char *path = xasprintf("/proc/%d/stat", pid);
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (file_read(path, STAT_BYTES, &text, &err) < 0) {
		error_ignore(&err, "look at a process"); /* it has just ended */
		return false;
	}
	const char *p = strrchr(buffer_str(&text), ')');
	*ret = (struct seen){ .pid = pid };
	if (!p || p[1] != ' ')
		return false;
	p += 2;
	for (int i = 0; *p; i++, p += strcspn(p, " "), p += *p == ' ') {
		if (i == PARENT)
			ret->parent = (pid_t)strtol(p, NULL, 10);
		else if (i == UTIME || i == STIME)
			ret->ticks += strtoull(p, NULL, 10);
	}
	return true;
}

static void read_all(struct all *all)
{
	AUTO_DIR DIR *dir = opendir("/proc");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
		struct seen s;

		if (pid <= 0 || !read_stat(pid, &s))
			continue;
		GROW_ARRAY(all->items, all->count, all->room);
		all->items[all->count++] = s;
	}
}

/* Children are found after their parents, however proc lists them. */
static void mark(struct all *all, pid_t keeper)
{
	bool more = true;

	for (size_t i = 0; i < all->count; i++)
		all->items[i].is_ours = all->items[i].pid == keeper;
	while (more) {
		more = false;
		for (size_t i = 0; i < all->count; i++) {
			struct seen *s = &all->items[i];

			for (size_t n = 0; !s->is_ours && n < all->count; n++)
				if (all->items[n].is_ours && all->items[n].pid == s->parent)
					s->is_ours = more = true;
		}
	}
}

/* Return: false if we may not see it */
static bool read_pss(pid_t pid, uint64_t *ret_bytes)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/smaps_rollup", pid);
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;
	const char *p;

	if (file_read(path, ROLLUP_BYTES, &text, &err) < 0) {
		error_ignore(&err, "look at a process's memory");
		return false;
	}
	p = strstr(buffer_str(&text), "\nPss:");
	*ret_bytes = p ? strtoull(p + strlen("\nPss:"), NULL, 10) * 1024 : 0;
	return p != NULL;
}

int machine_cost_read(pid_t keeper, struct machine_cost *ret, struct error *err)
{
	struct all all = { 0 };
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	*ret = (struct machine_cost){ 0 };
	read_all(&all);
	mark(&all, keeper);
	for (size_t i = 0; i < all.count; i++) {
		uint64_t bytes = 0;

		if (!all.items[i].is_ours)
			continue;
		ret->processes++;
		ret->cpu_ms += all.items[i].ticks * 1000 / hz;
		if (read_pss(all.items[i].pid, &bytes))
			ret->memory_bytes += bytes;
		else
			ret->hidden++;
	}
	free(all.items);
	return ret->processes ? 0 : error_set(err, E_NOT_FOUND, "process %d is gone", keeper);
}
