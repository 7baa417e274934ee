/* SPDX-License-Identifier: MIT */
/* Reading proc for the container's processes, however they came to be. */
#include "vminitd/agent/top.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "vminitd/agent/sysfile.h"

/* The command may be at its longest in every row: then there are fewer rows in a frame. */
enum { STATUS_ROOM = 4096, STAT_ROOM = 1024, ROW_BYTES = 64, REPLY_BYTES = FRAME_MAX_PAYLOAD - 64 };

/* A row with the numbers of the agent's own namespace. */
struct found {
	struct top_row row;
	uint32_t pid, parent;
};

static size_t read_text(char *ret, size_t room, const char *name, uint32_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, room - 1);
	ret[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static bool is_inside(uint32_t pid)
{
	char line[STATUS_ROOM];

	return sysfile_read(line, sizeof(line), "/proc/%u/cgroup", pid) &&
	       (strcmp(line, "0::/container") == 0 || str_starts(line, "0::/container/"));
}

/* The number at @index of the line "key:\t1 2 3"; 0 where there is none. */
static uint64_t number_of(const char *status, const char *key, unsigned index)
{
	size_t size = strlen(key);

	for (const char *p = status; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (strncmp(p, key, size) != 0 || p[size] != ':')
			continue;
		p += size + 1;
		for (;; index--) {
			p += strspn(p, " \t");
			if (*p == '\n' || *p == '\0')
				return 0;
			if (index == 0)
				return strtoull(p, NULL, 10);
			p += strcspn(p, " \t\n");
		}
	}
	return 0;
}

/* State, processor time and age of "12 (any (text)) S 1 ...". */
static void read_stat(uint32_t pid, struct top_row *row)
{
	enum { UTIME = 11, STIME, STARTED = 19 };
	char text[STAT_ROOM];
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK), ticks = 0, started = 0;
	struct timespec now = { 0 };

	(void)read_text(text, sizeof(text), "stat", pid);
	const char *p = strrchr(text, ')');
	if (!p || p[1] != ' ')
		return;
	p += 2;
	row->state = (uint8_t)*p;
	for (unsigned i = 0; *p; i++, p += strcspn(p, " "), p += *p == ' ') {
		if (i == UTIME || i == STIME)
			ticks += strtoull(p, NULL, 10);
		else if (i == STARTED)
			started = strtoull(p, NULL, 10);
	}
	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	uint64_t uptime_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	uint64_t started_ms = started * 1000 / hz;
	row->cpu_ms = ticks * 1000 / hz;
	row->age_ms = uptime_ms > started_ms ? uptime_ms - started_ms : 0;
}

static char *read_command(uint32_t pid, const char *status)
{
	char text[TOP_COMMAND_MAX + 1];
	size_t size = read_text(text, sizeof(text), "cmdline", pid);

	while (size > 0 && text[size - 1] == '\0')
		size--;
	if (size == 0) {
		/* "Name:\tkworker" */
		const char *name = str_starts(status, "Name:\t") ? status + 6 : "?";
		return xasprintf("[%.*s]", (int)strcspn(name, "\n"), name);
	}
	for (size_t i = 0; i < size; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	return xstrndup(text, size);
}

/* Return: false if it is gone, or none of the container's. */
static bool read_process(uint32_t pid, struct found *f)
{
	char status[STATUS_ROOM];

	if (!is_inside(pid) || read_text(status, sizeof(status), "status", pid) == 0)
		return false;
	*f = (struct found){ .pid = pid, .parent = (uint32_t)number_of(status, "PPid", 0) };
	/* One number for each namespace: ours, the container's, those inside of it. */
	f->row.pid = (uint32_t)number_of(status, "NSpid", 1);
	f->row.uid = (uint32_t)number_of(status, "Uid", 1);
	f->row.threads = (uint32_t)number_of(status, "Threads", 0);
	f->row.resident_bytes = number_of(status, "VmRSS", 0) * 1024;
	read_stat(pid, &f->row);
	f->row.command = read_command(pid, status);
	return true;
}

static uint32_t number_inside(const struct found *all, size_t count, uint32_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (all[i].pid == pid)
			return all[i].row.pid;
	return 0;
}

void top_read(struct msg_top *ret)
{
	AUTO_DIR DIR *dir = opendir("/proc");
	struct found *all = xcalloc(TOP_ROWS_MAX, sizeof(*all));
	struct dirent *e;
	size_t count = 0, bytes = 0;

	*ret = (struct msg_top){ 0 };
	while (dir && (e = readdir(dir))) {
		uint64_t pid = strtoull(e->d_name, NULL, 10);
		struct found f;

		if (pid == 0 || !read_process((uint32_t)pid, &f))
			continue;
		bytes += ROW_BYTES + strlen(f.row.command);
		if (count == TOP_ROWS_MAX || bytes > REPLY_BYTES) {
			free(f.row.command);
			ret->left_out++;
			continue;
		}
		all[count++] = f;
	}
	ret->rows = xcalloc(count + 1, sizeof(*ret->rows));
	ret->row_count = count;
	for (size_t i = 0; i < count; i++) {
		ret->rows[i] = all[i].row;
		ret->rows[i].parent = number_inside(all, count, all[i].parent);
	}
	free(all);
}
