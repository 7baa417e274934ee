/* SPDX-License-Identifier: MIT */
/* Finding QEMU and judging how a probe guest ends, with scripts in QEMU's place. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "runtime/machine/accelerator.h"
#include "runtime/machine/kernel/initramfs.h"
#include "runtime/machine/kernel/kvm_probe.h"
#include "tests/unit/test.h"

const void *vminitd_image(size_t *ret_size)
{
	*ret_size = 1;
	return "x";
}

struct fixture {
	char *root, *qemu;
};

static struct fixture fixture_open(const char *script)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = { .root = xstrdup("/tmp/acXXXXXX") };
	assert_non_null(mkdtemp(f.root));
	f.qemu = path_join(f.root, "qemu-system-x86_64");
	AUTO_FREE char *text = xasprintf("#!/bin/sh\n%s\n", script);
	assert_ok(err, file_write_atomic(f.qemu, text, strlen(text), 0755, &err));
	return f;
}

static void fixture_close(struct fixture *f)
{
	AUTO_ERROR err = ERROR_INIT;
	assert_ok(err, dir_remove_tree(f->root, &err));
	free(f->qemu);
	free(f->root);
}

/* Runs the probe on @script; the reason is owned by the caller. */
static bool probe(const char *script, int deadline_ms, char **ret_reason)
{
	struct fixture f = fixture_open(script);
	const struct kvm_probe p = { "kvm", f.qemu, "/nonexistent/vmlinux", deadline_ms };
	bool works = kvm_probe_run(&p, ret_reason);
	fixture_close(&f);
	return works;
}

TEST(only_the_guests_own_status_counts)
{
	AUTO_FREE char *good = NULL;
	AUTO_FREE char *bad = NULL;
	assert_true(probe("exit 85", 60000, &good));
	assert_non_null(strstr(good, "ran under KVM"));
	assert_false(probe("exit 0", 60000, &bad));
	assert_non_null(strstr(bad, "status 0"));
}

TEST(last_words_of_qemu_are_told)
{
	AUTO_FREE char *reason = NULL;
	assert_false(probe(
		"echo 'q: warning: w' >&2; printf 'bad \\033[1m MSR\\nmore\\n' >&2; kill -ABRT $$",
		60000, &reason));
	assert_non_null(strstr(reason, "status 134"));
	assert_non_null(strstr(reason, "bad \\x1b[1m MSR"));
	assert_null(strstr(reason, "more"));
}

TEST(guest_that_hangs_is_ended)
{
	AUTO_FREE char *reason = NULL;
	assert_false(probe("exec sleep 1000", 50, &reason));
	assert_non_null(strstr(reason, "within 50 ms"));
}

TEST(missing_qemu_is_no_crash)
{
	AUTO_FREE char *reason = NULL;
	const struct kvm_probe p = { "kvm", "/nonexistent/qemu", "/nonexistent/vmlinux", 1000 };
	assert_false(kvm_probe_run(&p, &reason));
	assert_non_null(strstr(reason, "/nonexistent/qemu"));
}

TEST(initramfs_of_the_probe_is_passed)
{
	AUTO_FREE char *reason = NULL;
	assert_true(probe("read -r a < /proc/self/fd/3; case $a in 070701*) exit 85;; esac", 60000,
			  &reason));
}

TEST(version_is_asked_once_per_file)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open("echo x >> \"$0.asked\"\n"
					"echo 'QEMU emulator version 9.8.7 (Debian 1:9.8)'");
	struct host_paths paths = { 0 };
	AUTO_FREE char *asked = xasprintf("%s.asked", f.qemu);
	(void)setenv("PATH", f.root, 1);
	(void)setenv("CTRZ_HOME", f.root, 1);
	assert_ok(err, host_paths_init(&paths, &err));
	for (int i = 0; i < 3; i++) {
		struct accelerator a = { 0 };
		assert_ok(err, accelerator_find(&paths, &a, &err));
		assert_string_equal(a.qemu_path, f.qemu);
		assert_string_equal(a.qemu_version, "9.8.7");
		assert_false(a.kvm);
		assert_non_null(a.reason);
		accelerator_release(&a);
	}
	struct stat st;
	assert_int_equal(stat(asked, &st), 0);
	assert_int_equal(st.st_size, 2);
	(void)setenv("PATH", "/nonexistent", 1);
	host_paths_release(&paths);
	fixture_close(&f);
}

TEST(qemu_without_a_version_is_refused)
{
	AUTO_ERROR err = ERROR_INIT;
	struct fixture f = fixture_open("echo hello");
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *version = NULL;
	(void)setenv("PATH", f.root, 1);
	assert_error(err, E_UNAVAILABLE, qemu_find(&path, &version, &err));
	assert_ok(err, qemu_find(&path, NULL, &err));
	assert_string_equal(path, f.qemu);
	fixture_close(&f);
}
