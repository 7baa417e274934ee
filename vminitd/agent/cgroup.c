/* SPDX-License-Identifier: MIT */
/* The two cgroups. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "vminitd/agent/cgroup.h"
#include "vminitd/agent/sysfile.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_AGENT CGROUP_ROOT "/agent"
#define CGROUP CGROUP_ROOT "/container"

/* Folders of cgroups lie in each other at most this deep, where we look. */
enum { DEPTH_MAX = 32, PATH_ROOM = 4096 };

static const char *const controllers[] = { "memory", "pids", "cpu", "io", "cpuset" };

/* Hand controllers on to the cgroups below @cgroup ('+'), or take them back ('-'). */
static void delegate(const char *cgroup, char sign)
{
	char path[64], word[16];

	(void)snprintf(path, sizeof(path), "%s/cgroup.subtree_control", cgroup);
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		AUTO_ERROR why = ERROR_INIT;

		(void)snprintf(word, sizeof(word), "%c%s", sign, controllers[i]);
		if (sysfile_write(path, word, &why) < 0)
			error_ignore(&why, "a kernel without that controller");
	}
}

int cgroup_prepare(struct error *err)
{
	AUTO_ERROR why = ERROR_INIT;

	delegate(CGROUP_ROOT, '+');
	if (mkdir(CGROUP_AGENT, 0755) < 0 || mkdir(CGROUP, 0755) < 0)
		return error_sys(err, "create cgroups");
	int r = sysfile_write(CGROUP_AGENT "/cgroup.procs", "1", err);
	if (r < 0)
		return r;
	if (sysfile_write(CGROUP_AGENT "/memory.min", "4M", &why) < 0)
		error_ignore(&why, "keep the agent's memory");
	int fd = open(CGROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_sys(err, "open the container's cgroup") : fd;
}

static int write_limit(const char *path, uint64_t v, struct error *err)
{
	char text[32];

	/* A kernel that cannot limit is fine where nothing is to be limited. */
	if (v == 0 && access(path, F_OK) < 0)
		return 0;
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	return sysfile_write(path, v ? text : "max", err);
}

int cgroup_limit(uint64_t memory_bytes, uint64_t pids, struct error *err)
{
	int r = write_limit(CGROUP "/memory.max", memory_bytes, err);

	return r < 0 ? r : write_limit(CGROUP "/pids.max", pids, err);
}

int cgroup_of(pid_t pid, struct error *err)
{
	char line[PATH_ROOM], path[PATH_ROOM + sizeof(CGROUP_ROOT)];

	/* "0::/container/init.scope" */
	if (!sysfile_read(line, sizeof(line), "/proc/%d/cgroup", pid) ||
	    !str_starts(line, "0::/container") || strstr(line, ".."))
		return error_set(err, E_SYSTEM, "the container's process is in no cgroup of ours");
	(void)snprintf(path, sizeof(path), CGROUP_ROOT "%s", line + strlen("0::"));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_sys(err, "open the cgroup of the container's process") : fd;
}

/* Everything below the cgroup behind @fd, the deepest first. */
static void remove_below(int fd, unsigned depth)
{
	AUTO_DIR DIR *list = fdopendir(fd);
	struct dirent *e;

	if (!list)
		(void)close(fd);
	while (list && (e = readdir(list))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		int below = openat(dirfd(list), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (below >= 0 && depth < DEPTH_MAX)
			remove_below(below, depth + 1);
		else if (below >= 0)
			(void)close(below);
		(void)unlinkat(dirfd(list), e->d_name, AT_REMOVEDIR);
	}
}

void cgroup_clean(void)
{
	int fd = open(CGROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		remove_below(fd, 0);
	delegate(CGROUP, '-');
}

void cgroup_kill(void)
{
	AUTO_ERROR err = ERROR_INIT;

	if (sysfile_write(CGROUP "/cgroup.kill", "1", &err) < 0)
		error_ignore(&err, "kill the container");
}

int cgroup_freeze(bool is_frozen, struct error *err)
{
	return sysfile_write(CGROUP "/cgroup.freeze", is_frozen ? "1" : "0", err);
}
