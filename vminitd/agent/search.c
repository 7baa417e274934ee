/* SPDX-License-Identifier: MIT */
/* Program lookup with the failures told apart. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "vminitd/agent/search.h"

/* Why execve() of a path with a slash failed, by the errno it left. */
static int explain(const char *path, enum spawn_failure *kind, struct error *err)
{
	int number = errno;
	struct stat st;
	bool there = stat(path, &st) == 0;

	*kind = SPAWN_NOT_EXECUTABLE;
	if (there && S_ISDIR(st.st_mode))
		return error_set(err, E_DENIED, "'%s' is a folder, not a program", path);
	if (number == ENOEXEC)
		return error_set(err, E_DENIED,
				 "'%s' is no program for this machine, and does not begin with #!",
				 path);
	if (number == EACCES || number == EPERM)
		return error_set(err, E_DENIED, "'%s' may not be executed by this user", path);
	*kind = SPAWN_NOT_FOUND;
	if (number == ENOENT && there)
		return error_set(err, E_NOT_FOUND,
				 "'%s' is there, but the interpreter or loader it names is not",
				 path);
	if (number == ENOENT || number == ENOTDIR)
		return error_set(err, E_NOT_FOUND, "there is no program '%s' in the container",
				 path);
	*kind = SPAWN_SYSTEM;
	errno = number;
	return error_sys(err, "execute '%s'", path);
}

int search_exec(char *const *argv, char *const *env, const char *path, enum spawn_failure *kind,
		struct error *err)
{
	AUTO_FREE char *denied = NULL;
	int denied_errno = 0;

	if (!argv || !argv[0] || !argv[0][0]) {
		*kind = SPAWN_INVALID;
		return error_set(err, E_INVALID, "there is no command to run");
	}
	if (strchr(argv[0], '/')) {
		(void)execve(argv[0], argv, env);
		return explain(argv[0], kind, err);
	}
	for (const char *p = path; p && *p;) {
		size_t size = strcspn(p, ":");
		AUTO_FREE char *full =
			xasprintf("%.*s%s%s", (int)size, p, size ? "/" : "./", argv[0]);
		struct stat st;
		(void)execve(full, argv, env);
		/* A file that is there but cannot be run does not hide one further on. */
		if (!denied && errno != ENOENT && errno != ENOTDIR) {
			denied_errno = errno;
			denied = TAKE_PTR(full);
		} else if (!denied && errno == ENOENT && stat(full, &st) == 0) {
			denied_errno = ENOENT;
			denied = TAKE_PTR(full);
		}
		p += size + (p[size] == ':');
	}
	if (denied) {
		errno = denied_errno;
		return explain(denied, kind, err);
	}
	*kind = SPAWN_NOT_FOUND;
	return error_set(err, E_NOT_FOUND, "there is no program '%s' in the container's PATH (%s)",
			 argv[0], path ? path : "");
}
