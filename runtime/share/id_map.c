/* SPDX-License-Identifier: MIT */
/* User and group ids of a server that an ordinary user starts. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "runtime/share/share_internal.h"

enum { SUBID_FILE_MAX = 4 << 20, IDS_WANTED = 65535 };

/* One "user:start:count" line. */
static bool parse_line(char *line, const char *user, const char *uid_text, struct id_range *ret)
{
	char *rest = NULL;
	const char *name = strtok_r(line, ":", &rest);
	const char *start = strtok_r(NULL, ":", &rest);
	const char *count = strtok_r(NULL, ":", &rest);
	uint64_t from, n;
	if (!name || !count || (!str_equal(name, user) && !str_equal(name, uid_text)) ||
	    !parse_u64(start, UINT32_MAX, &from) || !parse_u64(count, UINT32_MAX, &n) ||
	    from == 0 || n == 0 || from + n > UINT32_MAX)
		return false;
	*ret = (struct id_range){ (uint32_t)from, (uint32_t)n };
	return true;
}

bool subid_find(const char *text, const char *user, uid_t uid, struct id_range *ret)
{
	AUTO_FREE char *copy = xstrdup(text);
	AUTO_FREE char *uid_text = xasprintf("%u", (unsigned)uid);
	char *rest = NULL;
	for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (parse_line(line, user, uid_text, ret))
			return true;
	return false;
}

static bool read_range(const char *path, struct id_range *ret)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	const struct passwd *pw =
		getpwuid(geteuid()); /* NOLINT(concurrency-mt-unsafe): one thread */
	if (file_read(path, SUBID_FILE_MAX, &text, &err) < 0) {
		error_ignore(&err, "read subordinate ids");
		return false;
	}
	return subid_find(buffer_str(&text), pw ? pw->pw_name : "", geteuid(), ret);
}

/* newuidmap and newgidmap are setuid: they check the range and write the map for us. */
static int run_helper(const char *helper, pid_t pid, unsigned own, const struct id_range *range,
		      struct error *err)
{
	AUTO_FREE char *pid_text = xasprintf("%d", (int)pid);
	AUTO_FREE char *own_text = xasprintf("%u", own);
	AUTO_FREE char *start = xasprintf("%u", (unsigned)range->start);
	AUTO_FREE char *count =
		xasprintf("%u", (unsigned)(range->count < IDS_WANTED ? range->count : IDS_WANTED));
	const char *const argv[] = {
		helper, pid_text, "0", own_text, "1", "1", start, count, NULL
	};
	return process_run(argv, NULL, 4096, err);
}

static int write_map(pid_t pid, const char *name, const char *text, struct error *err)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/%s", (int)pid, name);
	FILE *f = fopen(path, "we");
	if (!f)
		return error_sys(err, "open '%s'", path);
	int written = fputs(text, f);
	if (fclose(f) == EOF || written == EOF)
		return error_sys(err, "write '%s'", path);
	return 0;
}

/* Root there is us, and nobody else exists. */
static int write_single(pid_t pid, struct error *err)
{
	AUTO_FREE char *users = xasprintf("0 %u 1\n", (unsigned)geteuid());
	AUTO_FREE char *groups = xasprintf("0 %u 1\n", (unsigned)getegid());
	int r = write_map(pid, "uid_map", users, err);
	if (r == 0)
		r = write_map(pid, "setgroups", "deny\n", err);
	return r < 0 ? r : write_map(pid, "gid_map", groups, err);
}

int id_map_write(pid_t pid, bool *ret_single, struct error *err)
{
	AUTO_ERROR helper_err = ERROR_INIT;
	struct id_range users, groups;
	*ret_single = false;
	if (!read_range("/etc/subuid", &users) || !read_range("/etc/subgid", &groups)) {
		log_warn("share: no subordinate ids in /etc/subuid and /etc/subgid: files in the "
			 "share can only belong to the guest's root");
	} else if (run_helper("newgidmap", pid, getegid(), &groups, &helper_err) < 0) {
		log_warn("share: files in it can only belong to the guest's root, for %s: is the "
			 "package uidmap installed?",
			 error_message(&helper_err));
	} else {
		return run_helper("newuidmap", pid, geteuid(), &users, err);
	}
	*ret_single = true;
	return write_single(pid, err);
}
