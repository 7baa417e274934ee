/* SPDX-License-Identifier: MIT */
/* Numbers from cgroup, proc and sysfs files. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "vminitd/agent/stats.h"
#include "vminitd/agent/sysfile.h"

#define CGROUP "/sys/fs/cgroup/container"

uint64_t stats_oom_kills(void)
{
	return sysfile_field(CGROUP "/memory.events", "oom_kill");
}

uint64_t stats_cpu_us(void)
{
	return sysfile_field(CGROUP "/cpu.stat", "usage_usec");
}

/* The sum of "key=number" over all lines of io.stat. */
static uint64_t sum_io(const char *text, const char *key)
{
	uint64_t sum = 0;

	for (const char *p = text; (p = strstr(p, key)); p += strlen(key))
		sum += strtoull(p + strlen(key), NULL, 10);
	return sum;
}

static void read_io(struct msg_stats *s)
{
	AUTO_BUFFER text = BUFFER_INIT;
	AUTO_ERROR err = ERROR_INIT;

	if (file_read(CGROUP "/io.stat", 65536, &text, &err) < 0) {
		error_ignore(&err, "read I/O figures");
		return;
	}
	s->io_read_bytes = sum_io(buffer_str(&text), "rbytes=");
	s->io_write_bytes = sum_io(buffer_str(&text), "wbytes=");
}

static void read_network(struct msg_stats *s)
{
	AUTO_DIR DIR *dir = opendir("/sys/class/net");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, "lo") == 0)
			continue;
		AUTO_FREE char *in = xasprintf("/sys/class/net/%s/statistics/rx_bytes", e->d_name);
		AUTO_FREE char *out = xasprintf("/sys/class/net/%s/statistics/tx_bytes", e->d_name);
		s->net_received_bytes += sysfile_number(in);
		s->net_sent_bytes += sysfile_number(out);
	}
}

static uint64_t own_resident(void)
{
	char text[64];

	/* The second number, in pages. */
	if (!sysfile_read(text, sizeof(text), "/proc/self/statm") || !strchr(text, ' '))
		return 0;
	return strtoull(strchr(text, ' '), NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void stats_read(const struct root *root, struct msg_stats *ret)
{
	struct statvfs fs;

	*ret = (struct msg_stats){
		.memory_current = sysfile_number(CGROUP "/memory.current"),
		.memory_peak = sysfile_number(CGROUP "/memory.peak"),
		.memory_limit = sysfile_number(CGROUP "/memory.max"),
		.oom_kills = stats_oom_kills(),
		.cpu_usage_us = stats_cpu_us(),
		.cpu_user_us = sysfile_field(CGROUP "/cpu.stat", "user_usec"),
		.cpu_system_us = sysfile_field(CGROUP "/cpu.stat", "system_usec"),
		.pids = sysfile_number(CGROUP "/pids.current"),
		.machine_memory_total = sysfile_field("/proc/meminfo", "MemTotal") * 1024,
		.machine_memory_available = sysfile_field("/proc/meminfo", "MemAvailable") * 1024,
		.agent_resident_bytes = own_resident(),
	};
	read_io(ret);
	read_network(ret);
	if (root->upper_stage && statvfs(root->upper_stage, &fs) == 0) {
		ret->disk_total = (uint64_t)fs.f_blocks * fs.f_frsize;
		ret->disk_free = (uint64_t)fs.f_bavail * fs.f_frsize;
	}
}
