/* SPDX-License-Identifier: MIT */
/* What the filter of a share's server refuses and what it lets through, tried in a child process.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/share/share_internal.h"
#include "tests/unit/test.h"

/* Runs @body in a child under the filter, in an empty folder. */
static void under_filter(bool fake_setgroups, bool (*body)(void))
{
	AUTO_ERROR err = ERROR_INIT;
	char dir[] = "/tmp/sfXXXXXX";
	int status = 0;
	assert_non_null(mkdtemp(dir));
	pid_t pid = fork();
	if (pid == 0) {
		bool ready = chdir(dir) == 0 && share_filter_install(fake_setgroups, &err) == 0;
		_exit(ready && body() ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_ok(err, dir_remove_tree(dir, &err));
	assert_int_equal(status, 0);
}

static bool refused(long result)
{
	return result == -1 && errno == EPERM;
}

static bool try_modes(void)
{
	int fd = open("file", O_CREAT | O_RDWR | O_CLOEXEC, 0644);
	return fd >= 0 && fchmod(fd, 0755) == 0 && chmod("file", 01777) == 0 &&
	       refused(chmod("file", 04755)) && refused(chmod("file", 02755)) &&
	       refused(fchmod(fd, S_IFREG | 04000)) &&
	       refused(fchmodat(AT_FDCWD, "file", 06755, 0)) &&
	       refused(syscall(452, AT_FDCWD, "file", 04755, 0));
}

TEST(no_setuid_by_chmod)
{
	under_filter(false, try_modes);
}

static bool try_creating(void)
{
	/* Without O_CREAT the fourth argument means nothing and may be anything. */
	return open("new", O_CREAT | O_WRONLY | O_CLOEXEC, 0644) >= 0 &&
	       syscall(SYS_openat, AT_FDCWD, "new", O_RDONLY | O_CLOEXEC, 06777) >= 0 &&
	       refused(open("bad", O_CREAT | O_WRONLY | O_CLOEXEC, 04755)) &&
	       refused(open(".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 02755)) &&
	       access("bad", F_OK) < 0 && mkdir("dir", 0755) == 0;
}

TEST(no_setuid_by_creating)
{
	under_filter(false, try_creating);
}

static bool try_nodes(void)
{
	return mknod("fifo", S_IFIFO | 0600, 0) == 0 && mknod("file", S_IFREG | 0600, 0) == 0 &&
	       refused(mknod("null", S_IFCHR | 0666, 0x103)) &&
	       refused(mknodat(AT_FDCWD, "disk", S_IFBLK | 0666, 0x103)) &&
	       refused(mknod("suid", S_IFREG | 04755, 0));
}

TEST(no_devices)
{
	under_filter(false, try_nodes);
}

static bool try_openat2(void)
{
	return syscall(SYS_openat2, AT_FDCWD, ".", NULL, 0) == -1 && errno == ENOSYS;
}

TEST(no_call_whose_mode_cannot_be_seen)
{
	under_filter(false, try_openat2);
}

static bool try_groups(void)
{
	gid_t before[64], after[64], none = 12345;
	int n = getgroups(64, before);
	return setgroups(1, &none) == 0 && getgroups(64, after) == n &&
	       (n <= 0 || memcmp(before, after, sizeof(gid_t) * (size_t)n) == 0);
}

TEST(setgroups_pretends_where_asked)
{
	under_filter(true, try_groups);
}
